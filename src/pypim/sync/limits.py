"""How long a sync may take and how much it may fetch before it stops in good order; the next one goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pypim.core.plan import PlannedFile
    from pypim.sync.model import Request, Stack
    from pypim.sync.transfer import Transfer

GRACE_SECONDS = 10.0
"""So long a file that is on its way may still take once the time is over."""
_TIME_IS_OVER = "max-time is over"


class Limits:
    """Those of a request, counted from now on."""

    def __init__(self, stack: Stack, request: Request, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._clock = stack.clock
        self._ends_at = None if request.max_seconds is None else self._clock.now().timestamp() + request.max_seconds
        self._max_bytes = request.max_bytes
        self._begun_bytes = 0
        self._has_begun = False
        self.reason = ""
        """Why the run stops, once it does."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        if not self.reason and self._ends_at is not None and self._clock.now().timestamp() >= self._ends_at:
            self.reason = _TIME_IS_OVER
        return bool(self.reason)

    def admitted(self, files: Iterable[PlannedFile]) -> Iterator[PlannedFile]:
        """The files as long as they may be begun. The first one of a run always may, or it would never come."""
        for planned in files:
            size_bytes = planned.file.size or 0
            is_too_much = self._max_bytes is not None and self._begun_bytes + size_bytes > self._max_bytes
            if is_too_much and self._has_begun:
                self.reason = self.reason or "max-bytes are fetched"
            if self.is_over:
                return
            self._has_begun = True
            self._begun_bytes += size_bytes
            yield planned

    async def transfer(self, transfer: Transfer, files: Iterable[PlannedFile]) -> None:
        """Fetch the files that may be begun; what is still under way when the time has been over for a while ends.

        Raises StoreFault.
        """
        if self._ends_at is None:
            await transfer.run(self.admitted(files))
            return
        left_seconds = max(0.0, self._ends_at - self._clock.now().timestamp()) + self._grace_seconds
        try:
            async with asyncio.timeout(left_seconds):
                await transfer.run(self.admitted(files))
        except TimeoutError:  # the last of the files may be the one that takes too long
            self.reason = self.reason or _TIME_IS_OVER
