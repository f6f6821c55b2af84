"""What comes of resolving: releases with their reasons in the ledger, root releases that can be installed or cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.expand import lacks_extra
from pypim.core.ledger import Edge
from pypim.core.library import asks_itself
from pypim.core.selection import ProblemKind
from pypim.core.universe import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
    from pypim.core.closure import Root
    from pypim.core.ledger import Ledger
    from pypim.core.library import Facts, Library, Wanted
    from pypim.core.model import CoreMetadata
    from pypim.core.scope import Scope, Task
    from pypim.core.search import Failed, Found

_MOST_CAUSES = 8  # so many facts are quoted of a contradiction; a person wants the gist


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one root release in some environments."""

    root: Root
    release: Release
    mask: int
    reading: Reading = Reading.BOTH
    """Whose reading of the standards it took."""
    failure: str = ""
    """Why it cannot be installed; empty where it can."""
    is_undecided: bool = False


class Outcomes:
    """Collects them in any order."""

    def __init__(self, chooser: Chooser, facts: Facts, ledger: Ledger) -> None:
        self._chooser = chooser
        self._facts = facts
        self._ledger = ledger
        self.pairs: list[Pair] = []
        self.to_build: dict[Release, int] = {}
        """What was chosen since builds were last looked for, and where."""

    def note_extras(self, release: Release, metadata: CoreMetadata | None, extras: Iterable[NormalizedName]) -> None:
        """Tell of extras that something asks for and the release is known not to provide."""
        for extra in extras:
            if metadata is not None and lacks_extra(metadata, extra):
                self._ledger.lacks_extra(release, extra)

    def use_newest(self, scope: Scope, wanted: Iterable[tuple[Wanted, int]]) -> None:
        """Choose the newest of everything below some requirements."""
        for link in scope.newest.reached(wanted):
            self.choose_newest(scope, link.release, link.wanted, link.mask)

    def choose_newest(
        self, scope: Scope, parent: Release, wanted: Wanted, mask: int, *, is_build: bool = False
    ) -> None:
        """Choose the newest of what one requirement names."""
        if not is_build and asks_itself(wanted, parent):
            return
        edge = Edge(parent=parent.key, requirement=wanted.requirement.text, is_build=is_build)
        for release, bits in scope.newest.releases(wanted.requirement.name, mask):
            self._choose(release, bits, edge, wanted)

    def _choose(self, release: Release, mask: int, edge: Edge, wanted: Wanted) -> None:
        with_yanked = not release.mask(with_yanked=False) & mask
        self._ledger.choose(release, mask, edge, with_yanked=with_yanked)
        self.to_build[release] = self.to_build.get(release, 0) | mask
        if wanted.requirement.extras:
            for candidate, _ in release.installable(mask, with_yanked=with_yanked):
                metadata = self._facts.metadata.get(candidate.file.identity)
                self.note_extras(release, metadata, wanted.requirement.extras)

    def use(self, library: Library, task: Task, outcome: Found, mask: int) -> list[Release]:
        """Choose what a search found, each because of every requirement that it satisfies; all of them."""
        own = task.release
        chosen = {}
        for name, number in outcome.releases.items():
            universe = library.universe(name)
            assert universe is not None, "only what has a universe is found"
            release = universe.releases[number]
            chosen[name] = own if task.root is not None and release.key == own.key else release
        for name, release in chosen.items():
            if release is not own:
                extras = (None, *sorted(outcome.extras.get(name, frozenset())))
                wanted = [one for extra in extras for one in library.wanted(release, mask, extra)]
                self._choose_wanted(release, wanted, chosen, mask)
        self._choose_wanted(own, task.wanted(library), chosen, mask, is_build=task.root is None)
        if library in task.scope.fallbacks:
            told = "can be resolved only without requirements whose markers this target leaves open"
            self._ledger.warn(f"{own.project} {own.text}: {told}")
        self.pair(task, mask, reading=library.reading)
        return list(chosen.values())

    def _choose_wanted(
        self,
        parent: Release,
        wanted: Iterable[Wanted],
        chosen: Mapping[NormalizedName, Release],
        mask: int,
        *,
        is_build: bool = False,
    ) -> None:
        for one in wanted:
            bits = one.mask & mask
            release = chosen.get(one.requirement.name)
            if bits and release is not None and (is_build or release is not parent):
                edge = Edge(parent=parent.key, requirement=one.requirement.text, is_build=is_build)
                self._choose(release, bits, edge, one)

    def fail(self, task: Task, failures: list[Failed], mask: int) -> None:
        """Report what cannot be resolved; what the newest of everything would be is kept all the same."""
        release, root = task.release, task.root
        is_undecided = any(failure.is_undecided for failure in failures)
        reason = _sentence(failures[0], is_undecided=is_undecided)
        kinds = {cause.kind for cause in failures[0].causes}
        order = (ProblemKind.FAULT, ProblemKind.EXCLUDED, ProblemKind.MISSING)
        kind = next((kind for kind in order if kind in kinds), ProblemKind.UNSATISFIED)
        if root is None:
            # Whoever installs may have what builds it from elsewhere, or a wheel of their own.
            edge = Edge(
                parent=release.key, requirement=", ".join(o.requirement.text for o in task.needed), is_build=True
            )
            about = f"{release.project} {release.text} cannot be built from what the index has: {reason}"
            self._ledger.problem(release.project, edge, (kind, about), mask, 0)
        else:
            edge = Edge(origin=root.origin, requirement=root.text)
            certain, _ = self._chooser.marker_masks(root.marker, frozenset())
            about = f"{release.project} {release.text} cannot be installed: {reason}"
            self._ledger.problem(root.project, edge, (kind, about), mask, certain & mask if root.is_named else 0)
        self.pair(task, mask, failure=reason, is_undecided=is_undecided)
        wanted = [(one, one.mask & mask) for one in task.wanted(task.scope.libraries[0])]
        for one, bits in wanted:
            self.choose_newest(task.scope, release, one, bits, is_build=root is None)
        self.use_newest(task.scope, wanted)

    def pair(
        self,
        task: Task,
        mask: int,
        *,
        reading: Reading = Reading.BOTH,
        failure: str = "",
        is_undecided: bool = False,
    ) -> None:
        """Remember what became of a root release; a build is nobody's root."""
        if task.root is not None:
            self.pairs.append(
                Pair(
                    root=task.root,
                    release=task.release,
                    mask=mask,
                    reading=reading,
                    failure=failure,
                    is_undecided=is_undecided,
                )
            )


def _sentence(failure: Failed, *, is_undecided: bool) -> str:
    shown = list(dict.fromkeys(cause.sentence for cause in failure.causes))
    more = f"; and {len(shown) - _MOST_CAUSES} more" if len(shown) > _MOST_CAUSES else ""
    text = "; ".join(shown[:_MOST_CAUSES]) + more
    return f"undecided: {text}" if is_undecided else text
