"""Finds the ways that lead from roots to a chosen release: every one, the shortest first, as far as a budget goes.

A way never passes a release twice (but without an extra and then with it, where only what lies between asks for it),
so cycles come to an end; it holds in the environments in which all of its steps do, and leads nowhere where that is
none. It stays in one resolution: only what builds a release was resolved by itself, whoever needs that release.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.steps import Extra, ReleaseKey, State, Step, Steps

MOST_STEPS = 20_000
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


class _Incoming(msgspec.Struct, frozen=True, gc=False):
    """A step that leads to a state."""

    step: Step
    mask: int
    """Where it holds in the resolution of that state."""
    before: tuple[State, ...]
    """Where it comes from; nothing where a way begins with it."""


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

    @property
    def is_whole(self) -> bool:
        """Whether it begins at a root."""
        return self.step is not None and self.step.by is None

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

    def __init__(self, steps: Steps, target: ReleaseKey) -> None:
        self._steps = steps
        self._targets: list[State] = [(target, None, number) for number in steps.resolutions(target)]
        self._incoming: dict[State, list[_Incoming]] = {}
        open_states = list(self._targets)
        while open_states:
            state = open_states.pop()
            if state not in self._incoming:
                self._incoming[state] = list(self._leading_to(state))
                open_states += (before for one in self._incoming[state] for before in one.before)

    def _leading_to(self, state: State) -> Iterator[_Incoming]:
        for step, mask in self._steps.to(state):
            before: tuple[State, ...] = ()
            if step.by is not None and step.reason.is_build:
                before = tuple((*step.by, number) for number in self._steps.resolutions(step.by[0]))
            elif step.by is not None:
                before = ((*step.by, state[2]),)
            yield _Incoming(step, mask, before)

    def ways(self, most_steps: int | None) -> Ways:
        """All of them, or where there are too many, the shortest from every root and as many others as were found."""
        found, is_complete = self._every(most_steps)
        known: dict[tuple[int, ...], Way] = {}
        begun: dict[int, int] = {}
        for tail in found:
            _add(known, begun, tail)
        # What needs a release may need something else of it than what builds it does: some ways must pass it twice.
        for tail in self._shortest():
            assert tail.step is not None, "it begins at a root"
            if not is_complete or tail.mask & ~begun.get(id(tail.step), 0):
                _add(known, begun, tail)
        return Ways(tuple(sorted(known.values(), key=_order)), is_complete)

    # --- every way --------------------------------------------------------------------------------------------------
    def _every(self, most_steps: int | None) -> tuple[list[_Tail], bool]:
        """By the number of steps that a tail has and at least still needs, so that the shortest come first."""
        heights = self._heights()
        number = count()
        waiting = [(heights.get(tail.state, 0), next(number), tail) for tail in self._empty()]
        heapify(waiting)
        found: list[_Tail] = []
        tried = 0
        while waiting:
            _, _, tail = heappop(waiting)
            if tail.is_whole:
                found.append(tail)
                continue
            for one in self._incoming[tail.state]:
                for longer in _before(tail, one):
                    tried += 1
                    if most_steps is not None and tried > most_steps:
                        return [*found, *(one for _, _, one in waiting if one.is_whole)], False
                    height = 0 if longer.is_whole else heights.get(longer.state)
                    if height is not None and not longer.is_detour():
                        heappush(waiting, (longer.length + height, next(number), longer))
        return found, True

    def _empty(self) -> Iterator[_Tail]:
        return (_Tail(target, -1, 0, None, None) for target in self._targets)

    def _heights(self) -> dict[State, int]:
        """How many steps at least lead from a root to each state."""
        outgoing: dict[State, list[State]] = {}
        heights: dict[State, int] = {}
        for state, incoming in self._incoming.items():
            for one in incoming:
                if one.step.by is None:
                    heights[state] = 1
                for before in one.before:
                    outgoing.setdefault(before, []).append(state)
        level = list(heights)
        while level:
            height = heights[level[0]] + 1
            reached = (state for one in level for state in outgoing.get(one, ()) if state not in heights)
            level = list(dict.fromkeys(reached))
            heights.update(dict.fromkeys(level, height))
        return heights

    # --- the shortest from every root -------------------------------------------------------------------------------
    def _shortest(self) -> Iterator[_Tail]:
        """One from every root and for every environment in which any leads from it, found breadth first."""
        seen: dict[State, int] = {}
        level = list(self._empty())
        while level:
            following: list[_Tail] = []
            for tail in level:
                fresh = tail.mask & ~seen.get(tail.state, 0)
                if fresh:
                    seen[tail.state] = seen.get(tail.state, 0) | fresh
                    part = msgspec.structs.replace(tail, mask=fresh)
                    following += (longer for one in self._incoming[tail.state] for longer in _before(part, one))
            yield from (tail for tail in following if tail.is_whole)
            level = [tail for tail in following if not tail.is_whole]


def _before(tail: _Tail, one: _Incoming) -> Iterator[_Tail]:
    """A tail with one more step before it, for each state it may come from; none where it would hold nowhere."""
    mask = tail.mask & one.mask
    if mask:
        for state in one.before or (tail.state,):
            yield _Tail(state, mask, tail.length + 1, one.step, tail)


def _add(known: dict[tuple[int, ...], Way], begun: dict[int, int], tail: _Tail) -> None:
    """One that holds in several resolutions is one way, which holds where it does in any of them."""
    steps = tuple(tail.steps())
    key = tuple(map(id, steps))
    before = known[key].mask if key in known else 0
    known[key] = Way(steps, before | tail.mask)
    begun[key[0]] = begun.get(key[0], 0) | tail.mask


def _order(way: Way) -> tuple[int, list[tuple[str, str, str, str]]]:
    reasons = [step.reason for step in way.steps]
    return len(reasons), [(r.origin, r.parent_project, r.parent_version, r.requirement) for r in reasons]
