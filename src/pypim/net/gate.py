"""Bounds on what is asked of one upstream: so many requests at once, so many a second, so many bytes a second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pypim.core.records import FetchOptions

_BURST_SECONDS = 0.25
_LEAST_BURST_BYTES = 65536
"""A chunk of a body; with less, every one of them would wait."""


class Bucket:
    """So much a second on average: what was not used is saved, up to `most_saved`.

    In any span of t seconds at most `most_saved + t * per_second` is let through, and the one amount that overdraws.
    """

    __slots__ = ("_filled_at", "_level", "_most_saved", "_per_second", "_seconds")

    def __init__(self, per_second: float, most_saved: float, seconds: Callable[[], float] = time.monotonic) -> None:
        """It begins full; `seconds` is a clock that never goes back."""
        self._per_second = per_second
        self._most_saved = self._level = most_saved
        self._seconds = seconds
        self._filled_at = seconds()

    def take(self, amount: float) -> float:
        """Take that much at once, and say for how many seconds whoever takes it has to wait."""
        now = self._seconds()
        self._level = min(self._most_saved, self._level + (now - self._filled_at) * self._per_second) - amount
        self._filled_at = now
        return max(0.0, -self._level / self._per_second)


class Pace:
    """How fast an upstream may be asked, whoever asks it: to be shared by all that do so in one process."""

    __slots__ = ("_bytes", "_requests", "_sleep", "bounds_bytes")

    def __init__(
        self,
        options: FetchOptions,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options` say what is allowed."""
        requests, size = options.requests_per_second, options.bytes_per_second
        self._requests = Bucket(requests, max(1.0, options.most_requests_saved), seconds) if requests else None
        self._bytes = Bucket(size, max(_LEAST_BURST_BYTES, size * _BURST_SECONDS), seconds) if size else None
        self._sleep = sleep
        self.bounds_bytes = self._bytes is not None
        """Whether `received` ever waits."""

    async def begin(self) -> None:
        """Wait until the next request may begin."""
        if self._requests is not None and (wait := self._requests.take(1.0)):
            await self._sleep(wait)

    async def received(self, size_bytes: int) -> None:
        """So many bytes of a body have come: wait until more may. The upstream slows down as nobody reads."""
        if self._bytes is not None and (wait := self._bytes.take(size_bytes)):
            await self._sleep(wait)


class Gate:
    """Lets `max_connections` exchanges in at once.

    Whoever is inside must not wait for another place: the last place may be its own.
    """

    def __init__(self, max_connections: int) -> None:
        self._places = asyncio.Semaphore(max_connections)
        self.leave = self._places.release

    async def enter(self) -> None:
        """Wait for a place; it is held until `leave`."""
        await self._places.acquire()
