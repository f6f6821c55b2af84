"""Documents of an upstream as a proxy believes them: when they are asked for, and what is answered meanwhile.

Whoever asks while one is being read waits for the same answer, in this process and in the others on the store.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Generic, TypeVar

from pypim.core.errors import PypimError, Refused, UpstreamUnavailable
from pypim.core.freshness import Standing, standing
from pypim.index.sharing import end
from pypim.index.sources import Kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pypim.core.freshness import Limits
    from pypim.index.behind import Later
    from pypim.ports import Clock, Reporter, Turns

K = TypeVar("K")
V = TypeVar("V")

PATIENCE_SECONDS = 5.0
"""How long somebody waits for an upstream where there is an older answer that may be given instead."""
RETRY_SECONDS = 2.0
"""After an upstream failed, how long the older answer is given without asking again."""
_versions = itertools.count(1)


class Believed(Generic[V]):
    """What is believed of one document: its value, or None where the upstream has none."""

    __slots__ = ("fetched_at", "has_value", "until", "value", "version")

    def __init__(self, kept: Kept[V], version: int, until: float) -> None:
        self.value = kept.value
        self.fetched_at = kept.fetched_at
        self.version = version
        self.until = until
        self.has_value = True

    def forget(self) -> None:
        """Let go of the value, which is on the disk; that it counts is still known."""
        self.value = None
        self.has_value = False


class Documents(Generic[K, V]):
    """Documents of one kind by key. Times in seconds; `most_weight` is what all values in memory may weigh."""

    def __init__(
        self,
        recall: Callable[[K], Awaitable[Kept[V] | None]],
        read: Callable[[K], Awaitable[V | None]],
        url_of: Callable[[K], str],
        weigh: Callable[[V], int],
        rules: BeliefRules,
        *,
        most_weight: int,
    ) -> None:
        """`recall` gives what is kept on the disk, `read` asks the upstream and keeps the answer."""
        self._recall = recall
        self._read = read
        self._url_of = url_of
        self._weigh = weigh
        self._rules = rules
        self._most_weight = most_weight
        self._weight = 0
        self._beliefs: OrderedDict[K, Believed[V]] = OrderedDict()
        self._tasks: dict[K, asyncio.Task[Believed[V] | PypimError]] = {}

    def current(self, key: K) -> Believed[V] | None:
        """What counts without asking and without waiting."""
        found = self._beliefs.get(key)
        # What counts for longer than anything may was believed by a clock that was set back since.
        return found if found is not None and 0 < found.until - self._rules.now() <= self._rules.longest else None

    async def belief(self, key: K) -> Believed[V]:
        """What may be answered now. Raises UpstreamFault where nothing may, or StoreFault."""
        found = self.current(key)
        if found is not None and found.has_value:
            self._beliefs.move_to_end(key)
            return found
        kept = await self._recall(key)
        found = self.current(key)
        if found is not None and found.has_value:  # meanwhile
            return found
        if self._rules.is_offline:
            # A sync may bring something.
            return self._believe(key, kept or Kept(None, 0.0), until=self._rules.now() + RETRY_SECONDS)
        if kept is None:
            return _or_raise(await asyncio.shield(self._ask(key)))
        if found is not None:  # it counts, only its value was let go of
            return self._believe(key, kept, until=found.until)
        return await self._judged(key, kept)

    async def _judged(self, key: K, kept: Kept[V]) -> Believed[V]:
        """What is kept, or what the upstream says, by the age of the former."""
        limits, is_absence = self._rules.limits, kept.value is None
        match standing(kept.fetched_at, self._rules.now(), limits, is_absence=is_absence):
            case Standing.FRESH:
                return self._believe(key, kept, until=self._fresh_until(kept))
            case Standing.REVALIDATE:
                self._ask(key)
            case Standing.STALE:
                task = self._ask(key)
                await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
                if task.done() and isinstance(answer := task.result(), Believed):
                    return answer
            case Standing.OVER:
                return _or_raise(await asyncio.shield(self._ask(key)))
        return self._believe(key, kept, until=self._rules.now() + RETRY_SECONDS)

    async def renewed(self, key: K) -> Believed[V]:
        """What the upstream says now, whatever is kept. Raises as `belief`, or what the upstream did."""
        return _or_raise(await asyncio.shield(self._ask(key, newer_than=float("inf"))))

    async def close(self) -> None:
        """Stop asking."""
        await end(self._tasks.values())

    def doubt(self, key: K) -> None:
        """What is believed was seen to be wrong: ask again before it is answered the next time."""
        if (found := self._beliefs.get(key)) is not None:
            found.until = 0.0
            self._ask(key, newer_than=float("inf"))

    def _ask(self, key: K, newer_than: float | None = None) -> asyncio.Task[Believed[V] | PypimError]:
        """Ask, unless meanwhile another process keeps something that is newer than now, or than that time."""
        task = self._tasks.get(key)
        if task is None:
            newer_than = self._rules.now() if newer_than is None else newer_than
            task = self._tasks[key] = asyncio.get_running_loop().create_task(self._asked(key, newer_than))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return task

    async def _asked(self, key: K, newer_than: float) -> Believed[V] | PypimError:
        """Never raises what an upstream or the store did: perhaps nobody waits for it."""
        turn = AsyncExitStack()
        try:
            await turn.enter_async_context(self._rules.turns.turn(self._url_of(key)))
            kept = await self._recall(key)
            if kept is None or not self._is_new(kept, newer_than):
                value = await self._read(key)
                kept = Kept(value, self._rules.now())
        except Refused as error:
            # It is the proxy that was refused, not the client: with 401 the client would ask for other credentials.
            fault = UpstreamUnavailable(self._url_of(key), f"the upstream refuses: {error.message}", hint=error.hint)
            return self._failed(key, fault)
        except PypimError as error:
            return self._failed(key, error)
        finally:
            self._rules.end_later(turn)
        return self._believe(key, kept, until=self._fresh_until(kept))

    def _is_new(self, kept: Kept[V], newer_than: float) -> bool:
        """Whether another process, or another task, has just read it; not by a clock that was set back since."""
        now = self._rules.now()
        return newer_than <= kept.fetched_at <= now < self._fresh_until(kept)

    def _failed(self, key: K, error: PypimError) -> PypimError:
        self._rules.reporter.note(error.message)
        found = self._beliefs.get(key)
        if found is not None and found.until < (retry_at := self._rules.now() + RETRY_SECONDS):
            limits = self._rules.limits
            if standing(found.fetched_at, self._rules.now(), limits, is_absence=False) is not Standing.OVER:
                found.until = retry_at
        return error

    def _fresh_until(self, kept: Kept[V]) -> float:
        limits = self._rules.limits
        return kept.fetched_at + (limits.negative_max_age if kept.value is None else limits.max_age)

    def _believe(self, key: K, kept: Kept[V], *, until: float) -> Believed[V]:
        older = self._beliefs.pop(key, None)
        version = next(_versions)
        if older is not None:
            self._weight -= self._weight_of(older)
            is_same = older.value == kept.value if older.has_value else older.fetched_at == kept.fetched_at
            version = older.version if is_same else version
        belief = Believed(kept, version, until)
        self._beliefs[key] = belief
        self._weight += self._weight_of(belief)
        self._make_room(belief)
        return belief

    def _make_room(self, newest: Believed[V]) -> None:
        while self._weight > self._most_weight:
            key, oldest = next(iter(self._beliefs.items()))
            self._weight -= self._weight_of(oldest)
            if oldest is newest:
                # Who asked has the value; here only the knowledge that it counts stays.
                self._beliefs[key] = stub = Believed[V](Kept(None, oldest.fetched_at), oldest.version, oldest.until)
                stub.forget()
                self._weight += self._weight_of(stub)
                return
            del self._beliefs[key]

    def _weight_of(self, belief: Believed[V]) -> int:
        return 1 if belief.value is None else 1 + self._weigh(belief.value)


class BeliefRules:
    """What all documents of one proxy have in common."""

    def __init__(
        self, limits: Limits, turns: Turns, clock: Clock, reporter: Reporter, later: Later, *, is_offline: bool
    ) -> None:
        """`later` is where what is read is written down."""
        self.limits = limits
        self.turns = turns
        self.reporter = reporter
        self.is_offline = is_offline
        self._clock = clock
        self._later = later
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp()

    @property
    def longest(self) -> float:
        """For so many seconds at most anything counts without asking."""
        return max(self.limits.max_age, self.limits.negative_max_age, RETRY_SECONDS)

    def end_later(self, turn: AsyncExitStack) -> None:
        """Let others have the turn once they can read what was read in it; nobody here waits for that."""
        task = asyncio.get_running_loop().create_task(self._end(turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self, turn: AsyncExitStack) -> None:
        async with turn:
            await self._later.finish()

    async def finish(self) -> None:
        """Wait until nobody has a turn any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)


def _or_raise(answer: Believed[V] | PypimError) -> Believed[V]:
    if isinstance(answer, PypimError):
        raise answer
    return answer
