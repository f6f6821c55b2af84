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
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)
_MOST_PROXIES = 32
"""So many addresses are looked at, from the end: a client may send a header of a quarter of a megabyte."""
_MAPPED = "::ffff:"
"""How a socket at "::" tells of clients that come by IPv4."""
_PASSED_ON = b"x-forwarded-"
_SOCKET = ""
"""The peer behind a Unix socket: whoever may open it is trusted."""


def peer_of(scope: Scope, trusted: Networks) -> str:
    """The address of the client; behind proxies that are trusted the nearest one that is not (X-Forwarded-For)."""
    peer = _client_of(scope)
    if not is_trusted(peer, trusted):
        return peer
    # Some proxies write a line of their own behind the client's: together they are one list (RFC 9110, 5.3).
    lines: list[bytes] = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for told in reversed(b",".join(lines).decode("latin-1").rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:]):
        if address := _plain(told.strip()):
            peer = address
            if not is_trusted(address, trusted):
                break
    return peer


def _client_of(scope: Scope) -> str:
    """Who has connected, be it a proxy."""
    client = scope.get("client")
    return _plain(client[0]) if client else _SOCKET


def _plain(address: str) -> str:
    """Without the port that some proxies write, another one for each connection; IPv4 as such (RFC 4291, 2.5.5.2)."""
    found = _WITH_PORT.fullmatch(address)
    plain: str = address if found is None else found[1] or found[2]
    return plain[len(_MAPPED) :] if plain.startswith(_MAPPED) and "." in plain else plain


def is_passed_on(scope: Scope, trusted: Networks) -> bool:
    """Whether a proxy that is trusted sent a request on: one of this machine's own clients has the same address."""
    is_told = any(name.startswith(_PASSED_ON) for name, _ in scope["headers"])
    return is_told and is_trusted(_client_of(scope), trusted)


def base_url(scope: Scope, context: Context) -> str:
    """Scheme, host and where a proxy has put us, as the client wrote them; without a slash at the end."""
    scheme: str = scope.get("scheme") or "http"
    host = header(scope, b"host") or ""
    if is_trusted(_client_of(scope), context.trusted_proxies):
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
