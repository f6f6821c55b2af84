"""The chains of a selection: what keeps a release, from the root that asks for it to the last requirement."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import parse_version
from pypim.core.selection import BUILD
from pypim.core.steps import ReleaseKey, Steps
from pypim.core.ways import MOST_STEPS, WaySearch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.utils import NormalizedName

    from pypim.core.selection import ChosenRelease, Reason, Selection
    from pypim.core.steps import OwnRequirement, Step
    from pypim.core.ways import Way

__all__ = ["Background", "Chain", "IndexKept", "Kept", "Link", "ReleaseKey", "chains_of", "shortest_links"]


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what wanted the next release, and in which words. The first link of a chain is a root's rule."""

    by: str
    """The root's origin, or "project version" of a chosen release."""
    requirement: str
    is_build: bool = False
    """Whether `by` has it built from its sdist, rather than needs it to run."""
    extra: str = ""
    """The extra of `by` that brings the requirement in; empty where none does."""
    project: str = ""
    """Of the release that it leads to."""
    version: str = ""

    def __str__(self) -> str:
        by = self.by.replace(" ", f"[{self.extra}] ", 1) if self.extra else self.by
        return f"{by}: {self.requirement}{BUILD if self.is_build else ''}"


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A way from a root to a release, each link asking for the release whose requirement the next one is."""

    links: tuple[Link, ...]
    environments: tuple[str, ...]
    """Where all of its links hold."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A release that is kept, and the chains that keep it, shortest first."""

    project: str
    version: str
    chains: tuple[Chain, ...]
    is_complete: bool = True
    """Whether these are all chains there are; with false, the shortest are among them, and were not all looked for."""


class IndexKept(msgspec.Struct, frozen=True, kw_only=True):
    """A release that an index keeps."""

    index: str
    release: Kept
    is_asked_for: bool
    """Whether a rule of the configuration that keeps it still stands there; false where it only stays."""


class Background(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection does not say itself, and chains depend on."""

    own: Callable[[ReleaseKey], Iterable[OwnRequirement]] | None = None
    """What a release requires of itself."""
    root_extras: frozenset[NormalizedName] | None = frozenset()
    """The extras that every root gets besides its own; None for all."""


def chains_of(
    selection: Selection,
    project: NormalizedName,
    version: str | None = None,
    background: Background | None = None,
    *,
    most_steps: int | None = MOST_STEPS,
) -> list[Kept]:
    """The chains for every chosen release of a project, or for one version of it.

    Where there are very many, those that were found in `most_steps`, and the shortest from every root (None: all).
    """
    known = background or Background()
    steps = Steps(selection, known.own, root_extras=known.root_extras)
    links: dict[int, Link] = {}
    kept = []
    for release in selection.releases:
        if release.project == project and (version is None or _is_same(version, release.version)):
            key = (release.project, release.version)
            ways = WaySearch(steps, key).ways(most_steps)
            chains = tuple(_chain(steps, way, links) for way in ways.found) or _last_links(release, selection)
            kept.append(
                Kept(project=release.project, version=release.version, chains=chains, is_complete=ways.is_complete)
            )
    return kept


def _chain(steps: Steps, way: Way, links: dict[int, Link]) -> Chain:
    for step in way.steps:
        if id(step) not in links:
            links[id(step)] = _link_of(step)
    return Chain(links=tuple(links[id(step)] for step in way.steps), environments=steps.names(way.mask))


def _link_of(step: Step) -> Link:
    link = _link(step.reason)
    project, version = step.child
    extra = (step.by[1] if step.by is not None else None) or ""
    return msgspec.structs.replace(link, extra=extra, project=project, version=version)


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


def _last_links(release: ChosenRelease, selection: Selection) -> tuple[Chain, ...]:
    """Of a release that nothing leads to any more: why it once was chosen."""
    shortest = shortest_links(selection.releases)
    found = []
    for reason in release.reasons:
        link = msgspec.structs.replace(_link(reason), project=release.project, version=release.version)
        before = shortest.get((reason.parent_project, reason.parent_version), ())
        found.append(Chain(links=(*before, link), environments=reason.environments))
    return tuple(sorted(found, key=lambda chain: (len(chain.links), [link.by for link in chain.links])))


def _link(reason: Reason) -> Link:
    by = f"{reason.parent_project} {reason.parent_version}" if reason.parent_project else reason.origin
    return Link(by=by, requirement=reason.requirement, is_build=reason.is_build)
