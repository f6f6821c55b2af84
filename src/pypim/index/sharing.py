"""Many who ask for one thing at once share one answer."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterable

P = ParamSpec("P")
V = TypeVar("V")

_AGAIN_SECONDS = 0.1
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="long")


class _Flight(Generic[V]):
    """Work under way, and how many wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[V]) -> None:
        self.task = task
        self.waiters = 0


class SingleFlight(Generic[V]):
    """Does the work for a key once at a time; whoever asks meanwhile gets the same result or the same error.

    Safe to cancel: the work goes on for the others, and ends when nobody waits for it any more.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[V]] = {}

    async def value(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """The result of `work`, begun now or already under way."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
            flight.task.add_done_callback(lambda _: self._flights.pop(key, None))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                # A new asker must not join work that is being ended.
                self._flights.pop(key, None)
                flight.task.cancel()


async def one_at_a_time(work: Callable[P, V], *arguments: P.args, **options: P.kwargs) -> V:
    """Do in a thread what takes long and much memory: several at once would take the sum of it, and no less time."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, partial(work, *arguments, **options))


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended, however they end.

    A task whose wait is over in the moment in which it is cancelled may go on, so once is not always enough.
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        ended, waiting = await asyncio.wait(waiting, timeout=_AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                task.exception()  # whoever waited for it was told
