"""What a search found: requirements with the releases that meet them, and which of those say why one is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.ledger import Edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.chains import ReleaseKey
    from pypim.core.library import Library, Wanted
    from pypim.core.scope import Task
    from pypim.core.search import Found


class Taken(msgspec.Struct, frozen=True):
    """A requirement in a resolution, and the release that meets it there."""

    release: Release
    mask: int
    edge: Edge
    wanted: Wanted


def releases_of(library: Library, outcome: Found) -> dict[NormalizedName, Release]:
    """The releases of a resolution."""
    chosen = {}
    for name, number in outcome.releases.items():
        universe = library.universe(name)
        assert universe is not None, "only what has a universe is found"
        chosen[name] = universe.releases[number]
    return chosen


def steps_between(
    library: Library,
    outcome: Found,
    parents: Mapping[NormalizedName, Release],
    chosen: Mapping[NormalizedName, Release],
    mask: int,
) -> list[Taken]:
    """What the releases of a resolution require of each other."""
    steps: list[Taken] = []
    for name, release in parents.items():
        extras = (None, *sorted(outcome.extras.get(name, frozenset())))
        wanted = [one for extra in extras for one in library.wanted(release, mask, extra)]
        steps += steps_from(release, wanted, chosen, mask)
    return steps


def steps_from(
    parent: Release,
    wanted: Iterable[Wanted],
    chosen: Mapping[NormalizedName, Release],
    mask: int,
    *,
    is_build: bool = False,
) -> Iterator[Taken]:
    """What one release requires of them, or whatever builds it."""
    for one in wanted:
        bits = one.mask & mask
        release = chosen.get(one.requirement.name)
        if bits and release is not None and (is_build or release is not parent):
            edge = Edge(parent=parent.key, requirement=one.requirement.text, is_build=is_build)
            yield Taken(release, bits, edge, one)


def telling_steps(steps: list[Taken], task: Task) -> list[Taken]:
    """Those that say why a release is needed: not what the newest release, which others keep, would meet as well.

    What asks for an extra is always one of them; and all of them are where the others would not lead from the root to
    every release.
    """
    newest = task.scope.newest
    telling = [
        step
        for step in steps
        if step.wanted.requirement.extras
        or not any(
            release.text != step.release.text and newest.admits(step.wanted, release)
            for release, _ in newest.releases(step.release.project, step.mask)
        )
    ]
    own: ReleaseKey = task.release.key
    reached = {own}
    waiting = [own]
    below: dict[ReleaseKey | None, list[ReleaseKey]] = {}
    for step in telling:
        below.setdefault(step.edge.parent, []).append(step.release.key)
    while waiting:
        fresh = [key for key in below.get(waiting.pop(), ()) if key not in reached]
        reached.update(fresh)
        waiting += fresh
    return telling if all(step.release.key in reached for step in steps) else steps
