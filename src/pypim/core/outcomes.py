"""What comes of resolving: releases with their reasons in the ledger, root releases that can be installed or cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.apart import Apart, OneSided, told_apart
from pypim.core.expand import lacks_extra, wanted_requirements
from pypim.core.foreign import says_the_same
from pypim.core.ledger import Edge
from pypim.core.library import asks_itself
from pypim.core.newest import Link
from pypim.core.rules import requirement_rule
from pypim.core.selection import ProblemKind
from pypim.core.telling import releases_of, steps_between, steps_from, telling_steps
from pypim.core.universe import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.attempt import Attempt
    from pypim.core.candidates import Chooser, Release
    from pypim.core.closure import Root
    from pypim.core.ledger import Account, Ledger
    from pypim.core.library import Facts, Library, Wanted
    from pypim.core.model import CoreMetadata
    from pypim.core.newest import Key
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
        self.apart: list[Apart] = []
        self.one_sided: list[OneSided] = []
        """The files whose lines only pip, or only uv, can install together."""
        self.to_build: dict[Release, int] = {}
        """What was chosen since builds were last looked for, and where."""
        self._failed: list[tuple[Task, list[Failed], int, bool]] = []

    def note_extras(self, release: Release, metadata: CoreMetadata | None, extras: Iterable[NormalizedName]) -> None:
        """Tell of extras that something asks for and the release is known not to provide."""
        for extra in extras:
            if metadata is not None and lacks_extra(metadata, extra):
                self._ledger.lacks_extra(release, extra)

    def use_newest(self, scope: Scope, keys: Iterable[tuple[Key, int]], *, holds: bool = True) -> None:
        """Choose the newest of everything below some keys."""
        for link in scope.newest.reached(keys, holds=holds):
            self.choose_newest(scope, link.release, link.wanted, link.mask, holds=holds)

    def choose_newest(
        self, scope: Scope, parent: Release, wanted: Wanted, mask: int, *, is_build: bool = False, holds: bool = False
    ) -> None:
        """Choose the newest of what one requirement names, where that meets it; with `holds` it is known to do so."""
        if not is_build and asks_itself(wanted, parent):
            return
        edge = Edge(parent=parent.key, requirement=wanted.requirement.text, is_build=is_build)
        for release, bits in scope.newest.releases(wanted.requirement.name, mask):
            if holds or scope.newest.admits(wanted, release):
                self._choose(release, bits, edge, wanted, scope.account)

    def _choose(self, release: Release, mask: int, edge: Edge, wanted: Wanted, account: Account | None) -> None:
        with_yanked = not release.mask(with_yanked=False) & mask
        self._ledger.choose(release, mask, edge, with_yanked=with_yanked, account=account)
        self.note_to_build(release, mask)
        self.note_excluded(release, mask, wanted.requirement.extras)
        if wanted.requirement.extras:
            for candidate, _ in release.installable(mask, with_yanked=with_yanked):
                metadata = self._facts.metadata.get(candidate.identity)
                self.note_extras(release, metadata, wanted.requirement.extras)

    def note_to_build(self, release: Release, mask: int) -> None:
        """A release was chosen in the environments of a mask, of which some may have to build it."""
        if not release.has_wheels_alone:
            self.to_build[release] = self.to_build.get(release, 0) | mask

    def note_excluded(self, release: Release, mask: int, extras: Iterable[NormalizedName]) -> None:
        """Name what a chosen release requires and a filter keeps out as a whole; it was set on purpose."""
        policy = self._chooser.policy
        if not policy.exclude:
            return
        for candidate, bits in release.installable(mask, with_yanked=True):
            metadata = self._facts.metadata.get(candidate.identity)
            for extra in (None, *extras) if metadata is not None else ():
                assert metadata is not None, "without metadata there is no extra to look at"
                for requirement, certain, is_open in wanted_requirements(metadata, extra, bits, self._chooser):
                    verdict = policy.project_verdict(requirement.name, is_dependency=True)
                    if not verdict.is_allowed:
                        edge = Edge(parent=release.key, requirement=requirement.text)
                        what = (ProblemKind.EXCLUDED, verdict.reason)
                        self._ledger.problem(requirement.name, edge, what, certain | is_open, 0)

    def use(self, library: Library, task: Task, outcome: Found, mask: int) -> list[Release]:
        """Choose what a search found, each because of the requirements that demand it; all of them."""
        own = task.release
        chosen = releases_of(library, outcome)
        if task.root is not None and (found := chosen.get(own.project)) is not None and found.key == own.key:
            chosen[own.project] = own
        steps = steps_between(library, outcome, {n: r for n, r in chosen.items() if r is not own}, chosen, mask)
        wanted = task.wanted(library)
        if task.root is not None:
            # What it needs may ask for further extras of it.
            for extra in sorted(outcome.extras.get(own.project, frozenset()) - task.extras):
                wanted += library.wanted(own, mask, extra, with_yanked=task.with_yanked)
        steps += steps_from(own, wanted, chosen, mask, is_build=task.root is None)
        account = self._account(task, library)
        for step in telling_steps(steps, task):
            self._choose(step.release, step.mask, step.edge, step.wanted, account)
        if task.root is not None:
            account.entries.append((own.key, _edge_of(task.root), mask))
        if library not in task.scope.fallbacks:
            self._set_apart(task, mask)
        else:
            told = "can be resolved only without requirements whose markers this target leaves open"
            self._ledger.warn(f"{own.project} {own.text}: {told}")
            self._use_newest_of(task, mask)
        self.pair(task, mask, reading=library.reading)
        return list(chosen.values())

    def _account(self, task: Task, library: Library) -> Account:
        root = task.root
        who = (root.origin, root.text) if root is not None else ("", *(one.requirement.text for one in task.needed))
        return self._ledger.open_account(library.reading, *task.release.key, *who)

    def _set_apart(self, task: Task, mask: int) -> None:
        if task.root is not None:
            self._ledger.set_apart(task.release.key, _edge_of(task.root), mask)

    def choose_root(self, root: Root, release: Release, mask: int, account: Account | None = None) -> None:
        """Choose a release for a root besides those that its rule took."""
        self._ledger.choose(release, mask, _edge_of(root), with_yanked=False, account=account)
        self.note_to_build(release, mask)

    def fail(self, task: Task, failures: list[Failed], mask: int, *, has_older: bool = False) -> None:
        """Report what cannot be resolved; what the newest of everything would be is kept all the same.

        With `has_older`, another release of the root stands in for it, and nothing more is needed.
        """
        is_undecided = any(failure.is_undecided for failure in failures)
        reason = _sentence(failures[0], is_undecided=is_undecided)
        if has_older:
            self._set_apart(task, mask)
        else:
            self._use_newest_of(task, mask)
        self.pair(task, mask, failure=reason, is_undecided=is_undecided)
        self._failed.append((task, failures, mask, has_older))

    def keep_foreign(self, library: Library) -> None:
        """Keep the wheel that uv reads in place of an sdist, unless whatever else is kept of its release says the same.

        So uv finds here what it finds upstream, and need not build an sdist only to know what that requires.
        """
        for release, mask, with_yanked in list(self._ledger.chosen()):
            if release.has_wheels_alone:
                continue
            found = release.installable(mask, with_yanked=with_yanked)
            foreign = [one.file for one, _ in library.foreign(release, found) if self._facts.metadata.get(one.identity)]
            if not foreign:
                continue
            read = {file.identity: file for file in (*foreign, *self._ledger.files(release.key))}
            one, *others = (self._facts.metadata.get(identity) for identity in read)
            if one is None or not all(other is not None and says_the_same(one, other) for other in others):
                for file in foreign:
                    self._ledger.keep_besides(release, file)

    def tell_failures(self) -> None:
        """Name what stands in the way of each failure; only now, for that depends on all that is chosen."""
        failed, self._failed = self._failed, []
        for task, failures, mask, has_older in failed:
            is_undecided = any(failure.is_undecided for failure in failures)
            if has_older or not self.name_lacks(task, failures, mask):
                reason = _sentence(failures[0], is_undecided=is_undecided)
                self._name_conflict(task, failures[0], reason, mask, has_older=has_older)

    def use_together(self, library: Library, roots: Sequence[Root], outcome: Found, mask: int) -> None:
        """Choose what a search found for several roots of a file, which are installed together."""
        file = roots[0].file if roots else ""
        chosen = releases_of(library, outcome)
        account = self._ledger.open_account(library.reading, file)
        for root in roots:
            certain, is_open = self._chooser.marker_masks(root.marker, frozenset())
            release = chosen.get(root.project)
            if release is not None and (bits := mask & (certain | is_open)):
                self.choose_root(root, release, bits, account)
        for step in steps_between(library, outcome, chosen, chosen, mask):
            self._choose(step.release, step.mask, step.edge, step.wanted, account)

    def tell_joined(self, file: str, attempt: Attempt) -> None:
        """Tell who cannot install the lines of a file together; each of them has what it needs by itself."""
        if attempt.found:
            if not attempt.is_for_both:
                self.one_sided.append(OneSided(file, attempt.alike, attempt.found[0][0].reading))
            return
        failure, mask = attempt.failures[0], attempt.alike
        where = ", ".join(self._chooser.names(mask))
        reason = _sentence(failure, is_undecided=failure.is_undecided)
        self.apart.append(Apart(file=file, mask=mask, failure=reason, is_undecided=failure.is_undecided))
        self._ledger.warn(f"{told_apart(file, where)}: {reason}")

    def name_lacks(self, task: Task, failures: list[Failed], mask: int, *, are_open: bool = False) -> bool:
        """Name each requirement that nothing meets, with its chain; False where that is not what stands in the way.

        With `are_open`, markers leave open whether any of them is needed at all.
        """
        lacks = [cause.lack for cause in failures[0].causes if cause.lack is not None]
        if not lacks or not all(self._ledger.is_chosen(lack.parent or task.release.key) for lack in lacks):
            return False
        certain = 0 if are_open else self._certain(task, mask)
        library = task.scope.libraries[0]
        wanted = [(one, one.mask & mask) for one in task.outward(library)]
        is_named = are_open or not certain
        keys = task.scope.newest.keys(wanted, holds=False)
        links = [Link(task.release, one, bits, ()) for one, bits in wanted if bits]
        for link in (*links, *task.scope.newest.reached(keys, holds=False)):
            if asks_itself(link.wanted, link.release) or not self._ledger.is_chosen(link.release.key):
                continue
            missing = library.unmet(link.wanted, link.mask)
            if not missing:
                continue
            is_build = task.root is None and link.release is task.release
            edge = Edge(parent=link.release.key, requirement=link.wanted.requirement.text, is_build=is_build)
            _, is_open = self._chooser.marker_masks(link.wanted.requirement.marker, frozenset())
            is_named = is_named or bool(missing & certain & ~is_open)
            self._name_lack(library, link.wanted, edge, missing, missing & certain & ~is_open)
        return is_named

    def _name_lack(self, library: Library, wanted: Wanted, edge: Edge, mask: int, certain: int) -> None:
        project = wanted.requirement.name
        if library.universe(project) is None:
            self._ledger.problem(project, edge, library.lack(project), mask, certain)
        else:
            rule = requirement_rule(wanted.specifier, wanted.requirement.text)
            self._ledger.unsatisfied(library.candidates_now(project), rule, edge, mask, certain)

    def _name_conflict(self, task: Task, failure: Failed, reason: str, mask: int, *, has_older: bool) -> None:
        """Name the root, with the requirements that contradict each other."""
        release, root = task.release, task.root
        kinds = {cause.kind for cause in failure.causes}
        order = (ProblemKind.FAULT, ProblemKind.EXCLUDED, ProblemKind.MISSING)
        kind = next((kind for kind in order if kind in kinds), ProblemKind.UNSATISFIED)
        if root is None:
            needed = ", ".join(one.requirement.text for one in task.needed)
            edge = Edge(parent=release.key, requirement=needed, is_build=True)
            about = f"{release.project} {release.text} cannot be built from what the index has: {reason}"
        else:
            edge = Edge(origin=root.origin, requirement=root.text)
            stands_in = ", and an older release stands in for it" if has_older else ""
            about = f"{release.project} {release.text} cannot be installed{stands_in}: {reason}"
        certain = 0 if has_older else self._certain(task, mask)
        self._ledger.problem(release.project, edge, (kind, about), mask, certain)

    def _certain(self, task: Task, mask: int) -> int:
        """The environments in which the root is asked for by name and for certain.

        Nothing of a build is: whoever installs may have from elsewhere what builds it, or a wheel of their own.
        """
        if task.root is None or not task.root.is_named:
            return 0
        certain, _ = self._chooser.marker_masks(task.root.marker, frozenset())
        return certain & mask

    def _use_newest_of(self, task: Task, mask: int) -> None:
        wanted = [(one, one.mask & mask) for one in task.outward(task.scope.libraries[0])]
        for one, bits in wanted:
            self.choose_newest(task.scope, task.release, one, bits, is_build=task.root is None)
        self.use_newest(task.scope, task.scope.newest.keys(wanted, holds=False), holds=False)

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


def _edge_of(root: Root) -> Edge:
    return Edge(origin=root.origin, requirement=root.text)


def _sentence(failure: Failed, *, is_undecided: bool) -> str:
    shown = list(dict.fromkeys(cause.sentence for cause in failure.causes))
    shown = [sentence for sentence in shown if not sentence.endswith(" is asked for")] or shown
    more = f"; and {len(shown) - _MOST_CAUSES} more" if len(shown) > _MOST_CAUSES else ""
    text = "; ".join(shown[:_MOST_CAUSES]) + more
    return f"undecided: {text}" if is_undecided else text
