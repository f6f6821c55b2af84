"""How to talk to an upstream: its keys of the configuration with their secrets revealed, and where netrc is."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from pypim.config.environment import netrc_path
from pypim.config.proxies import SOURCE, proxy_faults
from pypim.core.errors import InvalidConfig
from pypim.core.records import FetchOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pypim.config.model import Upstream
    from pypim.config.secret import Secret


POLITE_PER_SECOND = 100.0
POLITE_AT_ONCE = 2000.0
"""What a sync of some hundred projects asks stays below it; a mirror of everything goes at a pace that others know."""


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
        requests_per_second=_requests_per_second(upstream),
        most_requests_saved=POLITE_AT_ONCE if upstream.requests_per_second is None else 1.0,
        bytes_per_second=upstream.max_rate_bytes,
    )


def file_host_options(options: FetchOptions) -> FetchOptions:
    """For the file hosts of an upstream: nothing of who we are there is told to them, and nothing is tried twice."""
    return msgspec.structs.replace(
        options,
        username=None,
        password=None,
        token=None,
        headers={},
        client_certificate=None,
        client_key=None,
        retries=0,
    )


def _requests_per_second(upstream: Upstream) -> float | None:
    """Who has said nothing is polite to everybody but this machine."""
    if upstream.requests_per_second is not None:
        return upstream.requests_per_second or None
    host = urlsplit(upstream.url).hostname or "localhost"
    return None if host == "localhost" or _is_loopback(host) else POLITE_PER_SECOND


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def secrets_of(upstream: Upstream) -> list[Secret]:
    """Everything of an upstream that may stand in the environment or in a file of its own."""
    named = (upstream.username, upstream.password, upstream.token, upstream.proxy, *upstream.headers.values())
    return [secret for secret in named if secret is not None]


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
