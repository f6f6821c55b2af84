"""The limit on wrong credentials: so many a minute from one address, counted in bounded memory."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from pypim.core.access_errors import TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_PEERS = 10_000
_MINUTE = 60.0


class Failures:
    """A bucket for each address that leaks as many failures a minute as are allowed in one."""

    def __init__(self, per_minute: int, now: Callable[[], float]) -> None:
        """`now` in seconds. With 0 failures a minute nothing is limited."""
        self._most = per_minute
        self._now = now
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, peer: str) -> None:
        """Raises TooManyAttempts while the bucket of that address is full."""
        level = self._level(peer)
        if self._most and level > self._most - 1 + 1e-9:
            wait = (level - (self._most - 1)) * _MINUTE / self._most
            raise TooManyAttempts(peer, max(1, math.ceil(wait)))

    def count(self, peer: str) -> None:
        """One more failure came from there."""
        if not self._most:
            return
        network = network_of(peer)
        self._levels[network] = (min(self._level(peer) + 1, float(self._most)), self._now())
        self._levels.move_to_end(network)
        while len(self._levels) > _MOST_PEERS:
            self._levels.popitem(last=False)

    def _level(self, peer: str) -> float:
        network, now = network_of(peer), self._now()
        level, at = self._levels.get(network, (0.0, now))
        if now < at:  # the clock was set back: it leaks from now on
            self._levels[network] = level, now
            return level
        return max(0.0, level - (now - at) * self._most / _MINUTE)


def network_of(peer: str) -> str:
    """What counts as one address: an IPv6 network of 64 bits, for one machine has all of that; else the text."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return peer


def is_loopback(peer: str) -> bool:
    """Whether the address is one of this machine alone."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
