"""When and how long to wait before a request is made again."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pypim.core.errors import UpstreamFault

LONGEST_WAIT_SECONDS = 60.0
_FIRST_WAIT_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 30.0


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3: seconds or a date); None when it says nothing usable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def backoff_seconds(attempt: int, retry_after: float | None, chance: float) -> float:
    """How long to wait after the failed `attempt` (0 is the first); `chance` in [0, 1) spreads many waiters.

    What the upstream asks for is honoured up to a minute; without it the wait doubles every time, and half of it
    is left to chance so that those who failed together do not come back together.
    """
    if retry_after is not None:
        return min(retry_after, LONGEST_WAIT_SECONDS)
    longest: float = min(_FIRST_WAIT_SECONDS * 2.0 ** min(attempt, 10), _LONGEST_BACKOFF_SECONDS)
    return longest * (0.5 + chance / 2)


class Retrier:
    """Waits between attempts, and gives up after `retries` of them or when the fault will not go away by itself."""

    def __init__(
        self,
        retries: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        longest_wait: float | None = None,
    ) -> None:
        """With `longest_wait`, in seconds, nobody waits for an upstream that asks for more (Retry-After)."""
        self._retries = retries
        self._longest_wait = longest_wait
        self._sleep = sleep
        self._chance = chance

    async def pause(self, fault: UpstreamFault, attempt: int) -> None:
        """Wait before the next attempt, or raise `fault` when there is to be none."""
        is_too_long = self._longest_wait is not None and (fault.retry_after_seconds or 0.0) > self._longest_wait
        if not fault.is_transient or attempt >= self._retries or is_too_long:
            raise fault
        await self._sleep(backoff_seconds(attempt, fault.retry_after_seconds, self._chance()))
