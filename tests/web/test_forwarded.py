"""Whose request it is, as proxies in front say it."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from pypim.web.forwarded import peer_of

NEAR, FAR, FORGED = "192.0.2.1", "198.51.100.7", "203.0.113.9"
TRUSTED = (ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8"))


def peer(*told: str, client: str = "127.0.0.1") -> str:
    """Of a request with these lines of X-Forwarded-For."""
    headers = [(b"host", b"x"), *((b"x-forwarded-for", line.encode()) for line in told)]
    scope: dict[str, Any] = {"type": "http", "client": (client, 40000), "headers": headers}
    return peer_of(scope, TRUSTED)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], "127.0.0.1"),
        ([FAR], FAR),
        ([f"{FORGED}, {FAR}"], FAR),
        ([f"{FAR}, 10.0.0.7"], FAR),
        ([FORGED, FAR], FAR),  # HAProxy adds a line behind what the client wrote
        ([FORGED, f"{FAR}, 10.0.0.7", "10.0.0.8"], FAR),
        (["127.0.0.1", FAR], FAR),
        ([FAR, ""], FAR),
        (["10.0.0.7"], "10.0.0.7"),
    ],
)
def test_the_nearest_that_is_not_trusted(told: list[str], expected: str) -> None:
    """RFC 9110, 5.3: lines of one name are one list, in their order; its end was written by the nearest proxy."""
    assert peer(*told) == expected


def test_only_a_trusted_proxy_is_believed() -> None:
    assert peer(FORGED, client=NEAR) == NEAR


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (f"{FAR}:52811", FAR),
        ("[2001:db8::1]:52811", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (f"{FAR}:52811, 10.0.0.7:99", FAR),
        ("unknown", "unknown"),
    ],
)
def test_some_proxies_write_the_port_too(told: str, expected: str) -> None:
    """It is another one for each connection, and the limit on failures goes by the address."""
    assert peer(told) == expected


def test_an_address_of_ipv4_is_one_also_where_the_server_listens_at_every_address() -> None:
    """RFC 4291, 2.5.5.2: a socket at "::" tells of clients that come by IPv4 like this."""
    assert peer(FAR, client="::ffff:127.0.0.1") == FAR
    assert peer(f"{FAR}, ::ffff:10.0.0.7", client="::ffff:127.0.0.1") == FAR
    assert peer(client=f"::ffff:{FAR}") == FAR
