"""The chains of a selection: for every reason that keeps a release, the way from a root to it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.selection import ChosenRelease, Reason, Selection

ReleaseKey = tuple[str, str]
"""Project and version, as a selection names a release."""

BUILD = " (to build it)"
"""Stands behind a requirement that builds what requires it, in lines for people."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what wanted the next release, and in which words. The first link of a chain is a root's rule."""

    by: str
    """The root's origin, or "project version" of a chosen release."""
    requirement: str
    is_build: bool = False
    """Whether `by` needs the next release to be built from its sdist, rather than to run."""

    def __str__(self) -> str:
        return f"{self.by}: {self.requirement}{BUILD if self.is_build else ''}"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A shortest way from a root to a release over one of its reasons."""

    links: tuple[Link, ...]
    environments: tuple[str, ...]
    """Where the last link holds."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A release that is kept, and every chain that keeps it, shortest first."""

    project: str
    version: str
    chains: tuple[Chain, ...]


def chains_of(selection: Selection, project: NormalizedName, version: str | None = None) -> list[Kept]:
    """The chains for every chosen release of a project, or for one version of it."""
    shortest = shortest_links(selection.releases)
    return [
        Kept(project=release.project, version=release.version, chains=_chains(release, shortest))
        for release in selection.releases
        if release.project == project and (version is None or _is_same(version, release.version))
    ]


def _is_same(one: str, other: str) -> bool:
    """Versions as PEP 440 compares them (1 is 1.0), else texts."""
    return one == other or (parse_version(one) is not None and parse_version(one) == parse_version(other))


def shortest_links(releases: Iterable[ChosenRelease]) -> dict[ReleaseKey, tuple[Link, ...]]:
    """The links of a shortest chain to every release, found breadth first from the roots."""
    children: dict[ReleaseKey, list[tuple[ReleaseKey, Reason]]] = {}
    found: dict[ReleaseKey, tuple[Link, ...]] = {}
    waiting: deque[ReleaseKey] = deque()
    for release in releases:
        key = (release.project, release.version)
        for reason in release.reasons:
            if reason.parent_project:
                children.setdefault((reason.parent_project, reason.parent_version), []).append((key, reason))
            elif key not in found:
                found[key] = (_link(reason),)
                waiting.append(key)
    while waiting:
        parent = waiting.popleft()
        for child, reason in children.get(parent, ()):
            if child not in found:
                found[child] = (*found[parent], _link(reason))
                waiting.append(child)
    return found


def _chains(release: ChosenRelease, shortest: Mapping[ReleaseKey, tuple[Link, ...]]) -> tuple[Chain, ...]:
    found = []
    for reason in release.reasons:
        # The parent may be gone: a release that stays listed after its time keeps the reasons it once had.
        before = shortest.get((reason.parent_project, reason.parent_version), ())
        found.append(Chain(links=(*before, _link(reason)), environments=reason.environments))
    return tuple(sorted(found, key=lambda chain: (len(chain.links), [link.by for link in chain.links])))


def _link(reason: Reason) -> Link:
    by = f"{reason.parent_project} {reason.parent_version}" if reason.parent_project else reason.origin
    return Link(by=by, requirement=reason.requirement, is_build=reason.is_build)
