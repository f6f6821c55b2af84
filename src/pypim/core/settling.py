"""Finds what comes with one root: of several releases that are held of a project, the one that fits all it needs.

Found as an installer would from what is held: the newest of everything that all demands on the way admit, and where
that contradicts itself, a complete resolution of the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.demands import Demand
from pypim.core.solver import Requirement, Solution, Solver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pypim.core.demands import Demands
    from pypim.core.solver import Answer
    from pypim.core.steps import Extra, ReleaseKey, State

_MOST_WALKS = 12
_MOST_ROUNDS = 1_000

_Variable = tuple[str, "Extra"]
"""A project, without or with one of its extras."""
_Picks = dict[str, dict["ReleaseKey", int]]
_Met = dict[str, dict[int, tuple[Demand, int]]]


class Company(msgspec.Struct, frozen=True):
    """The releases that come with a root, or with the build of a release, and where."""

    members: dict[ReleaseKey, int]
    unsure: int
    """The environments in which anything may come, for what is held contradicts itself there."""

    def mask(self, key: ReleaseKey) -> int:
        """The environments in which a release comes with it, or may."""
        return self.members.get(key, 0) | self.unsure


class Settling:
    """Finds one company."""

    def __init__(self, demands: Demands, needed: list[Demand], pinned: ReleaseKey | None) -> None:
        """`pinned`: the only release of its project that may come, whatever else is held."""
        self._demands = demands
        self._needed = needed
        self._pinned = pinned
        self.looked_at = 0

    def company(self) -> Company:
        """Walk again and again, each time to what all demands of the last walk admit, until nothing changes."""
        picks: _Picks = {}
        members: dict[ReleaseKey, int] = {}
        conflict = everywhere = 0
        for demand in self._needed:
            everywhere |= demand.mask
        for _ in range(_MOST_WALKS):
            members, met = self._walk(picks)
            following: _Picks = {}
            conflict = 0
            for project, demands in met.items():
                following[project], missing = self._picked(project, demands)
                conflict |= missing
            if following == picks:
                break
            picks = following
        else:
            conflict = -1
        conflict &= everywhere
        members = {key: mask & ~conflict for key, mask in members.items()}
        unsure = 0
        for bit in _bits(conflict):
            found = self._solved(bit)
            unsure |= bit if found is None else 0
            for key in found or ():
                members[key] = members.get(key, 0) | bit
        return Company(members, unsure)

    # --- the newest of everything -----------------------------------------------------------------------------------
    def _walk(self, picks: _Picks) -> tuple[dict[ReleaseKey, int], _Met]:
        """Everything that is reached, and the demands that were met on the way with the environments of each."""
        seen: dict[State, int] = {}
        met: _Met = {}
        waiting = [(demand, demand.mask) for demand in self._needed]
        while waiting:
            demand, mask = waiting.pop()
            self.looked_at += 1
            demands = met.setdefault(demand.project, {})
            demands[id(demand)] = (demand, demands.get(id(demand), (demand, 0))[1] | mask)
            for child, bits in _taken(demand, mask, picks.get(demand.project, {})):
                for extra in demand.asks:
                    fresh = bits & ~seen.get((child, extra), 0)
                    if fresh:
                        seen[child, extra] = seen.get((child, extra), 0) | fresh
                        waiting += self._following(child, extra, fresh)
        reached: dict[ReleaseKey, int] = {}
        for (key, _), mask in seen.items():
            reached[key] = reached.get(key, 0) | mask
        return reached, met

    def _following(self, release: ReleaseKey, extra: Extra, mask: int) -> Iterator[tuple[Demand, int]]:
        """What a release demands with an extra, or without any, in the environments of a mask."""
        for demand in self._demands.of(release):
            if extra in demand.needed and not demand.is_build and demand.mask & mask:
                yield demand, demand.mask & mask

    def _picked(self, project: str, met: Mapping[int, tuple[Demand, int]]) -> tuple[dict[ReleaseKey, int], int]:
        """Of a project the newest release that all demands admit, for each environment, and where there is none.

        One that is held because of some of these demands goes before others.
        """
        admitted = {key: -1 if self._may_come(key) else 0 for key in self._demands.releases(project)}
        told = dict.fromkeys(admitted, 0)
        rest = 0
        for demand, mask in met.values():
            rest |= mask
            masks = dict(demand.admitted)
            for key in admitted:
                admitted[key] &= masks.get(key, 0) | ~mask
                told[key] |= demand.told.get(key, 0) & mask
        picks: dict[ReleaseKey, int] = {}
        for is_told in (True, False):
            for key, bits in admitted.items():
                found = bits & rest & (told[key] if is_told else -1)
                if found:
                    picks[key] = picks.get(key, 0) | found
                    rest &= ~found
        return picks, rest

    def _may_come(self, key: ReleaseKey) -> bool:
        return self._pinned is None or key[0] != self._pinned[0] or key == self._pinned

    # --- a complete resolution --------------------------------------------------------------------------------------
    def _solved(self, bit: int) -> list[ReleaseKey] | None:
        """One of an environment; None where what is held has none, or it is not found soon."""
        solver: Solver[_Variable, None] = Solver(most_rounds=_MOST_ROUNDS)
        start = [one for demand in self._needed if demand.mask & bit for one in self._required(demand, bit)]
        search = solver.solve(start)
        answer: Answer[_Variable, None] | None = None
        while True:
            try:
                question = next(search) if answer is None else search.send(answer)
            except StopIteration as end:
                if not isinstance(end.value, Solution):
                    return None
                states = end.value.states
                return [self._release(project, state) for (project, extra), state in states.items() if extra is None]
            (project, extra), state = question.key, question.state
            demands = self._following(self._release(project, state), extra, bit)
            answer = [one for demand, _ in demands for one in self._required(demand, bit)]
            if extra is not None:
                answer.append(Requirement((project, None), self._every(project), state, None))

    def _required(self, demand: Demand, bit: int) -> Iterator[Requirement[_Variable, None]]:
        numbers = {key: n for n, key in enumerate(self._demands.releases(demand.project))}
        keys = [key for key, mask in demand.admitted if mask & bit and self._may_come(key)]
        allowed = sum(2 << numbers[key] for key in keys)
        for extra in demand.asks:
            yield Requirement((demand.project, extra), self._every(demand.project), allowed, None)

    def _every(self, project: str) -> int:
        return (2 << len(self._demands.releases(project))) - 1

    def _release(self, project: str, state: int) -> ReleaseKey:
        return self._demands.releases(project)[state.bit_length() - 2]


def _taken(demand: Demand, mask: int, picks: Mapping[ReleaseKey, int]) -> Iterator[tuple[ReleaseKey, int]]:
    """What was picked for each environment of a mask, and where nothing was, what is held because of the demand."""
    for key, bits in picks.items():
        if found := bits & mask:
            mask &= ~found
            yield key, found
    for key, _ in demand.admitted if mask else ():
        if found := demand.told.get(key, 0) & mask:
            mask &= ~found
            yield key, found


def _bits(mask: int) -> Iterator[int]:
    """Each environment of a mask as a mask of its own."""
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit
