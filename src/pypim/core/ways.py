"""Finds the ways that lead from roots to a chosen release: every one, the shortest first, as far as a budget goes.

A way never passes a release twice (but without an extra and then with it, where only what lies between asks for it),
so cycles come to an end; it holds in the environments in which all of its steps do, and leads nowhere where that is
none. Where one requirement leads to several releases, it leads each root to the one that comes with that root.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.company import Companies
    from pypim.core.settling import Company
    from pypim.core.steps import Extra, ReleaseKey, State, Step, Steps

MOST_STEPS = 50_000
"""Steps that are tried where not every way is asked for."""


class Way(msgspec.Struct, frozen=True):
    """Steps from a root to a release, and the environments in which all of them hold."""

    steps: tuple[Step, ...]
    mask: int


class Ways(msgspec.Struct, frozen=True):
    """The ways to a release, the shortest first."""

    found: tuple[Way, ...]
    is_complete: bool
    """Whether there are no others."""


class _Tail(msgspec.Struct, frozen=True, gc=False):
    """The end of a way, from some state on."""

    state: State
    mask: int
    length: int
    step: Step | None
    """The first one; None where the tail is empty."""
    rest: _Tail | None

    def steps(self) -> Iterator[Step]:
        """In order."""
        tail: _Tail | None = self
        while tail is not None and tail.step is not None:
            yield tail.step
            tail = tail.rest

    def segment(self) -> Iterator[Step]:
        """In order, up to where something is built: that is installed by itself."""
        for n, step in enumerate(self.steps()):
            if n and step.reason.is_build:
                return
            yield step

    def has_another(self) -> bool:
        """Whether it passes another release of the project where it begins, which cannot be installed beside it."""
        if self.step is None or self.step.by is None or self.step.reason.is_build:
            return False
        own = self.step.by[0]
        return any(step.child[0] == own[0] and step.child != own for step in self.segment())

    @property
    def is_whole(self) -> bool:
        """Whether it begins at a root."""
        return self.step is not None and self.step.by is None

    def way(self) -> Way:
        """The whole of it."""
        return Way(tuple(self.steps()), self.mask)

    def is_detour(self) -> bool:
        """Whether its first step comes from where it is later on, or leads right to where it only comes later."""
        assert self.step is not None, "it has been extended"
        assert self.rest is not None, "it has been extended"
        if self.step.by is not None and self.step.by[1] in self.rest.extras_of(self.step.by[0]):
            return True
        later = self.rest.rest.extras_of(self.step.child) if self.rest.rest is not None else ()
        return any(self.step.reaches(extra) for extra in later)

    def extras_of(self, key: ReleaseKey) -> Iterator[Extra]:
        """With which extras it passes a release; None for without."""
        tail: _Tail | None = self
        while tail is not None:
            if tail.state[0] == key:
                yield tail.state[1]
            tail = tail.rest


class WaySearch:
    """The ways to one release."""

    def __init__(self, steps: Steps, target: ReleaseKey, companies: Companies | None) -> None:
        """`companies` tells what comes with whom; None where every requirement leads to all that it names."""
        self._steps = steps
        self._target: State = (target, None)
        self._empty = _Tail(self._target, -1, 0, None, None)
        self._companies = companies
        self._incoming: dict[State, list[Step]] = {}
        open_states: list[State] = [self._target]
        while open_states:
            state = open_states.pop()
            if state not in self._incoming:
                self._incoming[state] = steps.to(state)
                open_states += (step.by for step in self._incoming[state] if step.by is not None)

    def ways(self, most_steps: int | None) -> Ways:
        """All of them, or where there are too many, the shortest from every root and as many others as were found."""
        found, is_complete = self._every(most_steps)
        is_complete = is_complete and (self._companies is None or not self._companies.is_spent)
        if not is_complete:
            known = {way.steps for way in found}
            found += [way for way in self._shortest() if way.steps not in known]
        return Ways(tuple(sorted(found, key=_order)), is_complete)

    # --- every way --------------------------------------------------------------------------------------------------
    def _every(self, most_steps: int | None) -> tuple[list[Way], bool]:
        """By the number of steps that a tail has and at least still needs, so that the shortest come first."""
        heights = self._heights()
        number = count()
        waiting = [(heights.get(self._target, 0), next(number), self._empty)]
        found: list[Way] = []
        tried = 0
        while waiting:
            _, _, tail = heappop(waiting)
            if tail.is_whole:
                found.append(tail.way())
                continue
            for step in self._incoming[tail.state]:
                height = 0 if step.by is None else heights.get(step.by)
                tried += 1
                if most_steps is not None and tried > most_steps:
                    return [*found, *(one.way() for _, _, one in waiting if one.is_whole)], False
                longer = None if height is None else self._before(tail, step)
                if height is not None and longer is not None and not longer.is_detour():
                    heappush(waiting, (longer.length + height, next(number), longer))
        return found, True

    def _heights(self) -> dict[State, int]:
        """How many steps at least lead from a root to each state."""
        outgoing: dict[State, list[State]] = {}
        heights: dict[State, int] = {}
        for state, steps in self._incoming.items():
            for step in steps:
                if step.by is None:
                    heights[state] = 1
                else:
                    outgoing.setdefault(step.by, []).append(state)
        level = list(heights)
        while level:
            height = heights[level[0]] + 1
            reached = (state for one in level for state in outgoing.get(one, ()) if state not in heights)
            level = list(dict.fromkeys(reached))
            heights.update(dict.fromkeys(level, height))
        return heights

    def _before(self, tail: _Tail, step: Step) -> _Tail | None:
        """A tail with one step before it; None where it would hold nowhere."""
        mask = tail.mask & step.mask
        if not mask:
            return None
        longer = _Tail(step.by or tail.state, mask, tail.length + 1, step, tail)
        if self._companies is not None and longer.has_another():
            return None
        if self._companies is not None and (step.by is None or step.reason.is_build):
            mask = self._companies.admits(step, list(longer.segment()), mask)
            return msgspec.structs.replace(longer, mask=mask) if mask else None
        return longer

    # --- the shortest from every root -------------------------------------------------------------------------------
    def _shortest(self) -> list[Way]:
        """One from every root and for every environment in which any leads from it."""
        found: list[Way] = []
        refused: dict[Step, int] = {}
        for tail, step in self._breadth_first():
            if step.by is None:
                whole = self._before(tail, step)
                if whole is not None:
                    found.append(whole.way())
                if missing := tail.mask & step.mask & ~(0 if whole is None else whole.mask):
                    refused[step] = refused.get(step, 0) | missing
        for root, mask in refused.items():
            # It does come with that root, perhaps, and on a longer way.
            assert self._companies is not None, "nothing else refuses"
            company = self._companies.company(root)
            if mask & company.mask(self._target[0]):
                found += [
                    whole.way()
                    for tail, step in self._breadth_first(company, mask)
                    if step == root and (whole := self._before(tail, step)) is not None
                ]
        return found

    def _breadth_first(self, company: Company | None = None, mask: int = -1) -> Iterator[tuple[_Tail, Step]]:
        """Every step before the shortest tail from each state, for every environment of a mask."""
        seen: dict[State, int] = {}
        level = [msgspec.structs.replace(self._empty, mask=mask)]
        while level:
            following: list[_Tail] = []
            for tail in level:
                fresh = tail.mask & ~seen.get(tail.state, 0)
                if company is not None:
                    fresh &= company.mask(tail.state[0])
                if fresh:
                    seen[tail.state] = seen.get(tail.state, 0) | fresh
                    part = msgspec.structs.replace(tail, mask=fresh)
                    for step in self._incoming[tail.state]:
                        yield part, step
                        longer = self._before(part, step) if step.by is not None else None
                        following += [longer] if longer is not None else []
            level = following


def _order(way: Way) -> tuple[int, list[tuple[str, str, str, str]]]:
    reasons = [step.reason for step in way.steps]
    return len(reasons), [(r.origin, r.parent_project, r.parent_version, r.requirement) for r in reasons]
