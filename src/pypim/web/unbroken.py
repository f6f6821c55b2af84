"""Work that is not broken off half-way, for what it holds must not be let go of while a thread still uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


async def finished(work: Coroutine[object, object, T]) -> T:
    """What the work returns or raises; whoever is cancelled meanwhile is so only once the work has ended."""
    task = asyncio.create_task(work)
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        if not task.cancelled():
            task.exception()  # told to nobody, for nobody waits for it any more
        raise asyncio.CancelledError
    return task.result()


async def in_thread(work: Callable[[], T]) -> T:
    """The same for what blocks."""
    return await finished(asyncio.to_thread(work))
