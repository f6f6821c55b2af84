"""A selection cut into portions, one for each project, and put together again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pypim.core.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypim.core.selection import ChosenRelease, Problem, ProjectFacts

COMMON = ""
"""Stands in the place of a project's name for what is said of no single one."""

_encode = msgspec.msgpack.Encoder().encode


def portions_of(selection: Selection) -> dict[str, Selection]:
    """Project → what the selection has of it; what it says of its problems as a whole is under COMMON."""
    releases: dict[str, list[ChosenRelease]] = {}
    facts: dict[str, list[ProjectFacts]] = {}
    for release in selection.releases:
        releases.setdefault(release.project, []).append(release)
    for known in selection.projects:
        facts.setdefault(known.name, []).append(known)
    found = {
        name: Selection(releases=tuple(releases.get(name, ())), projects=tuple(facts.get(name, ())))
        for name in sorted({*releases, *facts})
    }
    if selection.problems or selection.warnings:
        found[COMMON] = Selection(problems=selection.problems, warnings=selection.warnings)
    return found


def joined(portions: Iterable[Selection]) -> Selection:
    """The selection that portions make, which are given in the order of their projects."""
    parts = list(portions)
    problems = [part.problems for part in parts if part.problems]
    warnings = [part.warnings for part in parts if part.warnings]
    return Selection(
        releases=tuple(release for part in parts for release in part.releases),
        projects=tuple(known for part in parts for known in part.projects),
        problems=_sorted_problems(problems),
        warnings=warnings[0] if len(warnings) == 1 else tuple(sorted({one for told in warnings for one in told})),
    )


def _sorted_problems(told: Sequence[tuple[Problem, ...]]) -> tuple[Problem, ...]:
    return told[0] if len(told) == 1 else tuple(sorted({problem for problems in told for problem in problems}))


def digest_of_portion(portion: Selection) -> str:
    """Two portions with the same digest are equal."""
    return hashlib.blake2b(_encode(portion), digest_size=16).hexdigest()
