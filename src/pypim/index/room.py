"""Room for what takes much memory for a short time: pages on their way from a document to an answer.

Who answers a request enters a `lease`; whoever reads a page for it says how long its document is before it is decoded,
and waits while too much is on its way already. The room is given back at the end of the lease, when the answer is made.
Nobody has any while an upstream is waited for, unless a page needs something else of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_BYTES = 560
"""Of a document, for each file that it lists."""
_PATIENCE_SECONDS = 2.0
"""Whoever waits longer goes on all the same: two may wait for each other, or for an upstream."""


class _Lease:
    """What one request has; tasks that it begins have it in common."""

    __slots__ = ("_is_over", "size_bytes")

    def __init__(self) -> None:
        self.size_bytes = 0
        self._is_over = False

    def end(self) -> None:
        self._is_over = True

    def is_over(self) -> bool:
        return self._is_over


_lease: ContextVar[_Lease | None] = ContextVar("lease", default=None)


class Room:
    """So many bytes of documents for one event loop; who came first is let in first."""

    def __init__(self, most_bytes: int, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._most_bytes = most_bytes
        self._patience_seconds = patience_seconds
        self._taken = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def taken_bytes(self) -> int:
        """What all leases have together."""
        return self._taken

    @contextmanager
    def lease(self) -> Iterator[None]:
        """What is weighed meanwhile, here and in tasks that are begun here, is given back at the end."""
        lease = _Lease()
        token = _lease.set(lease)
        try:
            yield
        finally:
            _lease.reset(token)
            lease.end()
            self._taken -= lease.size_bytes
            self._admit()

    async def weigh(self, size_bytes: int) -> None:
        """Wait until there is room for a document; a lease that has some already gets the more at once."""
        lease = _lease.get()
        if lease is None or lease.is_over():
            return
        if lease.size_bytes or (not self._waiting and self._fits(size_bytes)):
            self._taken += size_bytes
        else:
            await self._turn(size_bytes)
        if lease.is_over():
            self._taken -= size_bytes
            self._admit()
        else:
            lease.size_bytes += size_bytes

    async def _turn(self, size_bytes: int) -> None:
        """Wait for it, and take the room."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, size_bytes))
        try:
            await asyncio.wait([turn], timeout=self._patience_seconds)
        except asyncio.CancelledError:
            if turn.done():
                self._taken -= size_bytes
            turn.cancel()
            self._admit()
            raise
        if turn.cancel():  # it has not come
            self._taken += size_bytes
            self._admit()

    def _fits(self, size_bytes: int) -> bool:
        return not self._taken or self._taken + size_bytes <= self._most_bytes

    def _admit(self) -> None:
        """Let in who came first, as long as there is room; who has gone is passed over."""
        while self._waiting and (self._waiting[0][0].done() or self._fits(self._waiting[0][1])):
            turn, size_bytes = self._waiting.popleft()
            if not turn.done():
                self._taken += size_bytes
                turn.set_result(None)
