"""What a proxy in front says of a request: whose it is and at which address it came in, believed of known ones only."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pypim.web.answers import header

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from pypim.web.answers import Scope
    from pypim.web.context import Context

Networks = tuple["IPv4Network | IPv6Network", ...]
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?", re.ASCII)
_SOCKET = ""
"""The peer behind a Unix socket: whoever may open it is trusted."""


def peer_of(scope: Scope, trusted: Networks) -> str:
    """The address of the client; behind proxies that are trusted the nearest one that is not (X-Forwarded-For)."""
    client = scope.get("client")
    peer: str = client[0] if client else _SOCKET
    if not is_trusted(peer, trusted):
        return peer
    told = (header(scope, b"x-forwarded-for") or "").split(",")
    for address in reversed([one.strip() for one in told]):
        if address:
            peer = address
            if not is_trusted(address, trusted):
                break
    return peer


def base_url(scope: Scope, context: Context) -> str:
    """Scheme, host and where a proxy has put us, as the client wrote them; without a slash at the end."""
    client = scope.get("client")
    scheme: str = scope.get("scheme") or "http"
    host = header(scope, b"host") or ""
    if is_trusted(client[0] if client else _SOCKET, context.trusted_proxies):
        scheme = _first(header(scope, b"x-forwarded-proto")) or scheme
        host = _first(header(scope, b"x-forwarded-host")) or host
    if not _HOST.fullmatch(host):
        host = _address_of(scope)
    return f"{'https' if scheme == 'https' else 'http'}://{host}{context.root_path}"


def _address_of(scope: Scope) -> str:
    """The address that a request came in at, for one that names no host, or none that could be one (RFC 9110, 7.2)."""
    address, port = scope.get("server") or ("localhost", None)
    if not _HOST.fullmatch(address):
        address = f"[{address}]" if _HOST.fullmatch(f"[{address}]") else "localhost"
    return f"{address}:{port}" if port else address


def _first(value: str | None) -> str:
    return (value or "").partition(",")[0].strip()


@lru_cache(maxsize=1024)
def is_trusted(address: str, trusted: Networks) -> bool:
    """Whether an address is one of a proxy that is believed; what cannot be read is not."""
    if address == _SOCKET:
        return True
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return any(parsed in network for network in trusted if network.version == parsed.version)
