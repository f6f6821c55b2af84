"""How to talk to an upstream: its keys of the configuration with their secrets revealed, and where netrc is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.config.environment import netrc_path
from pypim.config.proxies import SOURCE, proxy_faults
from pypim.core.errors import InvalidConfig
from pypim.core.records import FetchOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pypim.config.model import Upstream
    from pypim.config.secret import Secret


def fetch_options(upstream: Upstream, variables: Mapping[str, str]) -> FetchOptions:
    """Everything that the client needs. Raises InvalidConfig where a secret or the proxy cannot be had."""
    if upstream.proxy is None and upstream.url.startswith("http") and (faults := proxy_faults(variables)):
        raise InvalidConfig(SOURCE, faults)

    def reveal(secret: Secret | None) -> str | None:
        return None if secret is None else secret.reveal(variables)

    return FetchOptions(
        username=reveal(upstream.username),
        password=reveal(upstream.password),
        token=reveal(upstream.token),
        netrc_file=_text(netrc_path(variables)),
        ca_file=_text(upstream.ca_file),
        client_certificate=_text(upstream.client_certificate),
        client_key=_text(upstream.client_key),
        proxy=reveal(upstream.proxy),
        headers={name: value.reveal(variables) for name, value in upstream.headers.items()},
        contact=upstream.contact,
        connect_timeout=upstream.connect_timeout,
        read_timeout=upstream.read_timeout,
        retries=upstream.retries,
        max_connections=upstream.max_connections,
        requests_per_second=upstream.requests_per_second,
    )


def secrets_of(upstream: Upstream) -> list[Secret]:
    """Everything of an upstream that may stand in the environment or in a file of its own."""
    named = (upstream.username, upstream.password, upstream.token, upstream.proxy, *upstream.headers.values())
    return [secret for secret in named if secret is not None]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
