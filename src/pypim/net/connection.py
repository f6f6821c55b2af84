"""How the HTTP client is set up: certificates, proxy, timeouts and what it calls itself."""

from __future__ import annotations

import platform
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.proxy import ProxyBuilder

from pypim import __version__
from pypim.core.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyreqwest.client import Client

    from pypim.core.records import FetchOptions

T = TypeVar("T")


def _user_agent(contact: str | None) -> str:
    """Who we are: an upstream's operators can find out what asks them, and write to the contact."""
    readable = re.sub(r"[^\x20-\x7e]|[()]", "", contact or "").strip()
    who = f" ({readable})" if readable else ""
    return f"pypim/{__version__}{who} Python/{platform.python_version()}"


def http_client(options: FetchOptions) -> Client:
    """Make the client. Raises InvalidConfig for a certificate or proxy that cannot be used."""
    builder = (
        ClientBuilder()
        .runtime_multithreaded(enable=False)
        .http1_only()
        .gzip(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .deflate(enable=False)
        .follow_redirects(enable=False)
        .referer(enable=False)
        .user_agent(_user_agent(options.contact))
        .connect_timeout(timedelta(seconds=options.connect_timeout))
        .read_timeout(timedelta(seconds=options.read_timeout))
        .pool_max_idle_per_host(options.max_connections)
    )
    if options.ca_file is not None:
        builder = _checked(
            "ca", options.ca_file, lambda: builder.add_root_certificate_pem(_certificates(options.ca_file))
        )
    if options.client_certificate is not None:
        identity = _pem(options.client_certificate) + b"\n" + _pem(options.client_key)
        builder = _checked("client certificate", options.client_certificate, lambda: builder.identity_pem(identity))
    if options.proxy == "":
        builder = builder.no_proxy()
    elif options.proxy is not None:
        proxy = options.proxy
        builder = _checked("proxy", "the upstream's proxy", lambda: builder.proxy(ProxyBuilder.all(proxy)))
    return _checked("ca", options.ca_file or "HTTP client", builder.build)


def _pem(path: str | None) -> bytes:
    if path is None:
        return b""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise InvalidConfig(path, [(None, reason)], hint="Name a readable PEM file.") from error


def _certificates(path: str | None) -> bytes:
    """A file without any certificate would be accepted by the client and trust nobody: say so instead."""
    content = _pem(path)
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ValueError("no PEM certificate is in it")
    return content


def _checked(what: str, where: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except (PyreqwestError, ValueError) as error:
        raise InvalidConfig(where, [(None, f"not usable as {what}: {error}")]) from error
