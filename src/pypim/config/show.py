"""The effective configuration for people and programs: defaults filled in, paths absolute, secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from pypim.config import toml
from pypim.config.document import UpstreamTable
from pypim.config.model import MirrorIndex, ProxyIndex
from pypim.config.secret import MASK

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.config.model import Config, Upstream


def shown(config: Config) -> dict[str, Any]:
    """The configuration as plain values, in the shape of `pypim.toml`."""
    data: dict[str, Any] = msgspec.to_builtins(config.document)
    data["store"] = {"path": str(config.store.path), "files": str(config.store.files)}
    data["upstreams"] = {name: _upstream(config, upstream) for name, upstream in config.upstreams.items()}
    for name, index in config.indexes.items():
        table = data["indexes"][name]
        table["read"] = index.read.value
        if isinstance(index, MirrorIndex | ProxyIndex):
            table["upstream"] = index.upstream.name
        if isinstance(index, MirrorIndex):
            table["requirements"] = [str(file) for file in index.requirement_files]
            table["publish"] = _text(index.publish)
    server = config.server
    data["server"] |= {
        "default-index": server.default_index,
        "unix-socket": _text(server.unix_socket),
        "tls-certificate": _text(server.tls_certificate),
        "tls-key": _text(server.tls_key),
        "audit-log": _text(server.audit_log),
    }
    return data


def shown_as_toml(config: Config) -> str:
    """The same as TOML; keys without a value are left out."""
    lines = [f"# {config.source}"]
    _write(lines, (), shown(config))
    return "\n".join(lines) + "\n"


def _upstream(config: Config, upstream: Upstream) -> dict[str, Any]:
    table = config.document.upstreams.get(upstream.name, UpstreamTable(url=upstream.name))
    data: dict[str, Any] = msgspec.to_builtins(table)
    data["url"] = masked_url(upstream.url)
    data["ca"] = _text(upstream.ca_file)
    data["client-certificate"] = _text(upstream.client_certificate)
    data["client-key"] = _text(upstream.client_key)
    for key in ("password", "token"):
        secret = getattr(upstream, key)
        data[key] = None if secret is None else secret.shown()
    data["proxy"] = None if table.proxy is None else masked_url(table.proxy)
    data["headers"] = {name: secret.shown() for name, secret in upstream.headers.items()}
    return data


def masked_url(url: str) -> str:
    """A URL whose password cannot be read; a name alone may be a token, so neither can that."""
    address = urlsplit(url)
    if not address.netloc or "@" not in address.netloc:
        return url
    user, _, host = address.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    return address._replace(netloc=f"{name}:{MASK}@{host}" if colon else f"{MASK}@{host}").geturl()


def _write(lines: list[str], names: tuple[str, ...], table: dict[str, Any]) -> None:
    """Keys first, then the tables inside, so that each key stands below its own header."""
    plain = {name: item for name, item in table.items() if item is not None and not isinstance(item, dict)}
    if plain:
        if names:
            lines += ["", toml.header(*names)]
        lines += [toml.pair(name, item) for name, item in plain.items()]
    for name, item in table.items():
        if isinstance(item, dict):
            _write(lines, (*names, name), item)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
