"""Which releases come with each root of a selection, and with each build.

What a requirement leads to depends on who else is there: a root takes the releases that fit all that it needs, and not
those that are held for the sake of another.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from pypim.core.demands import Demand, Demands
from pypim.core.settling import Company, Settling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pypim.core.steps import ReleaseKey, Step, Steps

MOST_DEMANDS = 200_000
"""Demands that are looked at where not every chain is asked for."""

_LINE_OF_FILE = re.compile(r"(.*):\d+", re.DOTALL)


class Companies:
    """Finds the company of every root and build of a selection, each once, where there is any choice."""

    def __init__(
        self, steps: Steps, failed: Mapping[tuple[str, str, str], int], most_demands: int | None = MOST_DEMANDS
    ) -> None:
        """`failed`: the origin, project and text of roots that cannot be installed, and where: anything may come.

        Once `most_demands` were looked at, no further company is found, and nothing comes with it.
        """
        self._steps = steps
        self._failed = failed
        self._most_demands = most_demands
        self._looked_at = 0
        self._demands: Demands | None = None
        self._known: dict[tuple[ReleaseKey, str, str, bool], Company] = {}
        self._files: dict[str, Company | None] = {}

    def admits(self, first: Step, steps: Sequence[Step], mask: int) -> int:
        """The environments of a mask in which all that `steps` lead to comes with whoever makes the `first` of them.

        That is a root, or a build; no other of them begins a build.
        """
        if not self.demands.leaves_choice(steps):
            return mask
        found = mask
        for step in steps:
            found &= self.company(first).mask(step.child)
        if found != mask and (joint := self._joint(first)) is not None:
            rest = mask & ~found
            for step in steps:
                rest &= joint.mask(step.child)
            found |= rest
        return found

    @property
    def demands(self) -> Demands:
        """Those of all releases."""
        if self._demands is None:
            self._demands = Demands(self._steps)
        return self._demands

    def company(self, first: Step) -> Company:
        """What comes with whoever makes the first step: a root, or a build."""
        reason = first.reason
        key = (first.child, reason.origin, reason.requirement, False)
        if reason.is_build:
            assert first.by is not None, "somebody is built"
            key = (first.by[0], "", "", True)
        found = self._known.get(key)
        if found is None:
            if self.is_spent:
                return Company({}, 0)
            found = self._known[key] = self._found(first)
        return found

    @property
    def is_spent(self) -> bool:
        """Whether no further company is found."""
        return self._most_demands is not None and self._looked_at > self._most_demands

    def _joint(self, first: Step) -> Company | None:
        """What comes with all lines of a root's file, which are installed together besides; None where it is alone."""
        file = _file_of(first)
        if file not in self._files:
            lines = self._lines.get(file, {}) if file else {}
            is_affordable = len(lines) > 1 and not self.is_spent
            self._files[file] = self._settled([*lines.values()], None) if is_affordable else None
        return self._files[file]

    @cached_property
    def _lines(self) -> dict[str, dict[tuple[str, str, str], Demand]]:
        """File → its lines, each with all releases that it took."""
        found: dict[str, dict[tuple[str, str, str], Demand]] = {}
        for step in (step for key in self._steps.releases for step in self._steps.all_to(key)):
            if file := _file_of(step):
                lines = found.setdefault(file, {})
                key = (step.child[0], step.reason.origin, step.reason.requirement)
                lines[key] = self._line(step, lines.get(key))
        return found

    def _line(self, step: Step, known: Demand | None) -> Demand:
        told = {**(known.told if known else {}), step.child: step.mask}
        newest_first = [key for key in self.demands.releases(step.child[0]) if key in told]
        return Demand(
            project=step.child[0],
            needed=(None,),
            asks=frozenset((None, *(step.asks or ()))),
            is_build=False,
            mask=step.mask | (known.mask if known else 0),
            told=told,
            admitted=tuple((key, told[key]) for key in newest_first),
        )

    def _found(self, first: Step) -> Company:
        reason = first.reason
        if reason.is_build:
            assert first.by is not None, "somebody is built"
            needed = [one for one in self.demands.of(first.by[0]) if one.is_build]
            return self._settled(needed, None)
        failed = self._failed.get((reason.origin, first.child[0], reason.requirement), 0)
        extras = first.asks
        if extras is None:
            extras = frozenset(extra for one in self.demands.of(first.child) for extra in one.needed if extra)
        own = Demand(
            project=first.child[0],
            needed=(None,),
            asks=frozenset((None, *extras)),
            is_build=False,
            mask=first.mask & ~failed,
            told={first.child: first.mask},
            admitted=((first.child, first.mask),),
        )
        found = self._settled([own], first.child)
        return Company(found.members, found.unsure | failed)

    def _settled(self, needed: list[Demand], pinned: ReleaseKey | None) -> Company:
        settling = Settling(self.demands, needed, pinned)
        company = settling.company()
        self._looked_at += settling.looked_at
        return company


def _file_of(step: Step) -> str:
    """The requirements file where a root stands; empty where it stands in none."""
    named = _LINE_OF_FILE.fullmatch(step.reason.origin) if step.by is None else None
    return named[1] if named is not None else ""
