"""A bound on the requests to one upstream: so many at once, and so many per second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Gate:
    """Lets `max_connections` exchanges in at once; requests begin at least 1 / `requests_per_second` apart.

    Whoever is inside must not wait for another place: the last place may be its own.
    """

    def __init__(
        self,
        max_connections: int,
        requests_per_second: float | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = asyncio.Semaphore(max_connections)
        self._interval = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next_start = 0.0
        self._sleep = sleep
        self._seconds = seconds
        self.leave = self._places.release

    async def enter(self) -> None:
        """Wait for a place; it is held until `leave`."""
        await self._places.acquire()

    async def pace(self) -> None:
        """Wait until the next request may begin."""
        if not self._interval:
            return
        now = self._seconds()
        start = max(self._next_start, now)
        self._next_start = start + self._interval
        if start > now:
            await self._sleep(start - now)
