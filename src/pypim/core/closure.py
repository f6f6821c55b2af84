"""The closure: from roots, requirements and environments to a selection. It asks for what it needs, never fetches.

Every answer may be given in any order and leads to the same selection: a need waits until what decides it is known,
and what is decided is never taken back.
"""

from __future__ import annotations

from collections import deque
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from pypim.core.choice import Choice
from pypim.core.exact import find_locked
from pypim.core.explain import matches
from pypim.core.following import Follower, Reached, asked_by_backend
from pypim.core.ledger import Edge, Ledger
from pypim.core.model import CoreMetadata, Page
from pypim.core.names import normalize_extra
from pypim.core.rules import Rule, constrained, requirement_rule
from pypim.core.selection import ProblemKind, Selection
from pypim.core.sizing import Sizing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
    from pypim.core.chains import ReleaseKey
    from pypim.core.exact import FoundFiles
    from pypim.core.locked import LockedRelease
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import DistFile


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was asked for by name."""

    project: NormalizedName
    rule: Rule
    extras: frozenset[NormalizedName] = frozenset()
    marker: Marker | None = None
    hashes: frozenset[str] = frozenset()
    """"sha256:<hex>" of the only files allowed; empty for any."""
    origin: str
    """Where it stands: "packages.django", "requirements.txt:3", "command line"."""
    text: str
    """The rule or requirement as written."""
    is_named: bool = True
    """False where a pattern found the project: filters then pass over it, and it is no failure if it offers nothing."""
    file: str = ""
    """The requirements file that names it, for what one file names is installed together; empty where it is alone."""
    locked: LockedRelease | None = None
    """The very files that are held, for every target and without what they require; None: the rule chooses."""


class FollowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How dependencies are followed (`[indexes.*.dependencies]`)."""

    is_followed: bool = True
    is_every_match: bool = False
    """`versions = "all"`."""
    is_resolved: bool = False
    """`versions = "resolve"`: what a complete resolver needs; with neither, the newest match of each requirement."""
    root_extras: frozenset[NormalizedName] | None = frozenset()
    """Extras that every root gets besides its own; None for all that its metadata provides."""
    max_depth: int = 0
    """Levels of dependencies below the roots; 0 for no limit."""
    is_build_followed: bool = True
    """Whether what builds an sdist is needed where nothing else can be installed."""


class WantPage(msgspec.Struct, frozen=True):
    """The closure needs a project's page."""

    project: NormalizedName


class WantMetadata(msgspec.Struct, frozen=True, eq=False):
    """The closure needs the core metadata of a listed file."""

    project: NormalizedName
    file: DistFile
    identity: str
    """That of the file, which is asked for again and again."""


class WantSize(msgspec.Struct, frozen=True, eq=False):
    """The closure needs the size of a listed file, or to know that it is above the limit; both in bytes."""

    project: NormalizedName
    file: DistFile
    limit_bytes: int


Want = WantPage | WantMetadata | WantSize


class _Need(msgspec.Struct, frozen=True):
    """A rule for a project that must be met in the environments of a mask."""

    project: NormalizedName
    rule: Rule
    extras: frozenset[NormalizedName]
    mask: int
    certain: int
    """Those of the mask where it is needed for certain: no open marker lies on the way from the root."""
    depth: int
    """Levels below the roots; 0 for all where there is no limit."""
    hashes: frozenset[str]
    edge: Edge
    is_for_build: bool = False
    """Whether a build leads here, to which the constraints do not apply: neither pip nor uv has them do so."""
    locked: LockedRelease | None = None

    @property
    def is_root(self) -> bool:
        """Whether it was asked for by name, rather than required by a release."""
        return self.edge.parent is None


class _Waiting(msgspec.Struct):
    """A need that waits for the sizes or the metadata of several files."""

    need: _Need
    missing: int


class Closure:
    """One computation. Give it the roots with `start`, then an answer for every want until none is left."""

    def __init__(
        self,
        chooser: Chooser,
        follow: FollowOptions,
        constraints: Mapping[NormalizedName, SpecifierSet] | None = None,
    ) -> None:
        self._chooser = chooser
        self._follow = follow
        self._constraints = dict(constraints or {})
        self._pages: dict[NormalizedName, Page | None] = {}
        self._lacks: dict[NormalizedName, tuple[ProblemKind, str]] = {}
        self._choices: dict[NormalizedName, dict[frozenset[str], Choice]] = {}
        self._metadata: dict[str, CoreMetadata | None] = {}
        self._learned: dict[NormalizedName, list[tuple[DistFile, int]]] = {}
        self._waiting_for_page: dict[NormalizedName, list[_Need]] = {}
        self._waiting_for_file: dict[str, list[_Waiting]] = {}
        self._sizing = Sizing(chooser.policy.max_file_size_bytes)
        self._ledger = Ledger(chooser)
        self._follower = Follower(chooser, self._ledger)
        self._ready: deque[_Need] = deque()
        self._wants: list[Want] = []

    # --- the three calls of a driver --------------------------------------------------------------------------------
    def start(self, roots: Iterable[Root]) -> list[Want]:
        """Ask for the roots; the first wants."""
        for root in roots:
            edge = Edge(origin=root.origin, requirement=root.text)
            certain, open_ = self._chooser.marker_masks(root.marker, frozenset())
            mask = certain | open_
            verdict = self._chooser.policy.project_verdict(root.project, is_dependency=False)
            if not mask:
                self._ledger.warn(f"{root.origin}: {root.text!r} holds in none of the environments")
            elif verdict.is_allowed:
                rule = constrained(root.rule, self._constraints.get(root.project))
                certain = certain if root.is_named else 0
                bits = (mask, certain)
                self._need(_Need(root.project, rule, root.extras, *bits, 0, root.hashes, edge, locked=root.locked))
            elif root.is_named:
                # A lock names whatever is needed, too, as a requirement does: to exclude it is no contradiction.
                certain = mask if root.locked is None else 0
                self._ledger.problem(root.project, edge, (ProblemKind.EXCLUDED, verdict.reason), mask, certain)
        return self._settle()

    def answer(
        self, want: Want, answer: Page | CoreMetadata | int | None, lack: tuple[ProblemKind, str] | None = None
    ) -> list[Want]:
        """Answer one want; None where there is nothing, with `lack`: the kind and a sentence. The wants that follow."""
        kind, reason = lack or (ProblemKind.MISSING, "nothing is known of it")
        if isinstance(want, WantPage):
            assert answer is None or isinstance(answer, Page)
            self._pages[want.project] = answer
            if answer is None:
                self._lacks[want.project] = (kind, reason)
            self._ready.extend(self._waiting_for_page.pop(want.project, ()))
        elif isinstance(want, WantSize):
            assert answer is None or isinstance(answer, int)
            self._sizing.learn(want.project, want.file, answer)
            self._choices.pop(want.project, None)  # it may be too large: judged anew with the next need
            self._resume(want.file)
        else:
            assert answer is None or isinstance(answer, CoreMetadata)
            self._learn(want, answer, reason)
        return self._settle()

    is_busy = False
    """Never has anything to do but to wait for answers (see `Resolution`)."""

    def go_on(self) -> list[Want]:
        """Nothing follows from a pause."""
        return []

    def pages(self) -> dict[NormalizedName, Page]:
        """Every page that was given, with the sizes that were learned."""
        return {name: self._sizing.page(page) for name, page in self._pages.items() if page is not None}

    def selection(self) -> Selection:
        """What was chosen, once every want has been answered."""
        assert not self._waiting_for_page, "wants are still open"
        assert not self._waiting_for_file, "wants are still open"
        return self._ledger.selection(page for page in self._pages.values() if page is not None)

    def _settle(self) -> list[Want]:
        """Decide all that can be decided now; what is wanted next."""
        while self._ready:
            self._decide(self._ready.popleft())
        wants, self._wants = self._wants, []
        return wants

    # --- needs ------------------------------------------------------------------------------------------------------
    def _need(self, need: _Need) -> None:
        if need.project in self._pages:
            self._ready.append(need)
            return
        waiting = self._waiting_for_page.setdefault(need.project, [])
        if not waiting:
            self._wants.append(WantPage(need.project))
        waiting.append(need)

    def _choice(self, page: Page, hashes: frozenset[str]) -> Choice:
        known = self._choices.setdefault(page.name, {})
        if hashes not in known:
            candidates = self._chooser.candidates(self._sizing.page(page), hashes)
            for file, mask in self._learned.get(page.name, ()):
                candidates = candidates.narrowed(file, mask)
            known[hashes] = Choice(candidates, self._chooser.policy)
        return known[hashes]

    def _decide(self, need: _Need) -> None:
        page = self._pages[need.project]
        if page is None:
            self._ledger.problem(need.project, need.edge, self._lacks[need.project], need.mask, need.certain)
            return
        choice = self._choice(page, need.hashes)
        if need.locked is not None:
            self._take_locked(need, find_locked(self._sizing.page(page), choice.candidates, need.locked))
            return
        taken = choice.take(need.rule, need.mask)
        satisfied = reduce(or_, taken.values(), 0)
        lacking = need.mask & ~satisfied
        # What is said where something is lacking depends on every release that matches, and on the newest.
        releases = choice.candidates.releases if lacking else ()
        told_of = [*(r for r in releases if matches(need.rule.specifier, r)), *releases[:1]]
        if self._waits(need, self._sizes_wanted(need, taken, told_of)):
            return
        if self._waits(need, self._metadata_wanted(need, taken)):
            return
        for release, mask in taken.items():
            self._ledger.choose(release, mask, need.edge, with_yanked=need.rule.is_pin)
            self._follow_release(need, release, mask)
        if lacking:
            # A root may be meant for some of the targets only; a requirement is needed wherever it holds.
            certain = 0 if need.is_root and satisfied else need.certain
            self._ledger.unsatisfied(choice.candidates, need.rule, need.edge, lacking, certain)

    def _take_locked(self, need: _Need, found: FoundFiles) -> None:
        """Nothing is chosen where a lock names the files, and nothing that they require is followed."""
        if not self._waits(need, self._sizes_of(need.project, (held.file for held in found.held))):
            self._ledger.take_locked(need.project, found, need.edge, need.mask, need.certain)

    def _waits(self, need: _Need, wants: Iterable[WantSize | WantMetadata]) -> bool:
        """Whether files must first tell something that decides."""
        waiting = _Waiting(need, 0)
        for want in wants:
            if want.file.identity not in self._waiting_for_file:
                self._wants.append(want)
            self._waiting_for_file.setdefault(want.file.identity, []).append(waiting)
            waiting.missing += 1
        return waiting.missing > 0

    def _sizes_wanted(
        self, need: _Need, taken: Mapping[Release, int], told_of: Iterable[Release]
    ) -> Iterator[WantSize]:
        """The sizes of what would be kept, and of all that a sentence would speak of: a file may be too large."""
        if self._sizing.limit_bytes is None:
            return
        files = {c.identity: c.file for release in told_of for c in release.candidates}
        for release, mask in taken.items():
            installable = release.installable(mask, with_yanked=need.rule.is_pin)
            kept = self._chooser.kept_files(release, mask, with_yanked=need.rule.is_pin)
            files |= {file.identity: file for file in (*(c.file for c, _ in installable), *kept)}
        yield from self._sizes_of(need.project, files.values())

    def _sizes_of(self, project: NormalizedName, files: Iterable[DistFile]) -> Iterator[WantSize]:
        limit_bytes = self._sizing.limit_bytes
        if limit_bytes is not None:
            for file in self._sizing.unknown(project, files):
                yield WantSize(project, file, limit_bytes)

    def _metadata_wanted(self, need: _Need, taken: Mapping[Release, int]) -> Iterator[WantMetadata]:
        """The metadata of what would be installed, for its Requires-Python may rule it out."""
        if not self._follow.is_followed:
            return
        for release, mask in taken.items():
            for candidate, _ in release.installable(mask, with_yanked=need.rule.is_pin):
                if candidate.identity not in self._metadata:
                    yield WantMetadata(release.project, candidate.file, candidate.identity)

    def _learn(self, want: WantMetadata, metadata: CoreMetadata | None, reason: str) -> None:
        self._metadata[want.identity] = metadata
        if metadata is None:
            self._ledger.doubt(want.file, f"its requirements are not known: {reason}")
        else:
            self._ledger.learned(want.file, metadata)
            mask = self._chooser.python_mask(metadata.requires_python)
            if mask != self._chooser.everything:
                self._narrow(want.project, want.file, mask)
        self._resume(want.file)

    def _resume(self, file: DistFile) -> None:
        for waiting in self._waiting_for_file.pop(file.identity, ()):
            waiting.missing -= 1
            if not waiting.missing:
                self._ready.append(waiting.need)

    def _narrow(self, project: NormalizedName, file: DistFile, mask: int) -> None:
        """The metadata of a file says that only the environments of a mask can use it."""
        self._learned.setdefault(project, []).append((file, mask))
        choices = self._choices.get(project, {})
        for hashes, choice in choices.items():
            choices[hashes] = Choice(choice.candidates.narrowed(file, mask), self._chooser.policy)

    # --- requirements of releases -----------------------------------------------------------------------------------
    def _follow_release(self, need: _Need, release: Release, mask: int) -> None:
        if not self._follow.is_followed:
            return
        if need.edge.is_build and need.edge.parent is not None and (asked := asked_by_backend(release)):
            beside = Reached(need.depth - 1, mask, 0, need.is_for_build)
            self._require(need.edge.parent, asked, beside, is_build=True)
        if self._follow.max_depth and need.depth >= self._follow.max_depth:
            return
        for candidate, bits in release.installable(mask, with_yanked=need.rule.is_pin):
            metadata = self._metadata[candidate.identity]
            if metadata is not None:
                self._follower.note_unknown(release, metadata, need.extras)
                extras = need.extras | self._root_extras(metadata) if need.is_root else need.extras
                start = Reached(need.depth, bits, bits & need.certain, need.is_for_build)
                self._follow_file(release, candidate.identity, metadata, start, extras)

    def _root_extras(self, metadata: CoreMetadata) -> frozenset[NormalizedName]:
        if self._follow.root_extras is not None:
            return self._follow.root_extras
        return frozenset(map(normalize_extra, metadata.provides_extra))

    def _follow_file(
        self,
        release: Release,
        identity: str,
        metadata: CoreMetadata,
        start: Reached,
        extras: frozenset[NormalizedName],
    ) -> None:
        for requirement, where in self._follower.requirements(release, identity, metadata, start, extras):
            self._require(release.key, requirement, where)
        if self._follow.is_build_followed:
            # Whoever installs may have from elsewhere what builds it, or a wheel of their own: nothing is certain.
            start = msgspec.structs.replace(start, certain=0, is_for_build=bool(self._constraints))
            for requirement, where in self._follower.build_requirements(identity, metadata, start):
                self._require(release.key, requirement, where, is_build=True)

    def _require(
        self, parent: ReleaseKey, requirement: ParsedRequirement, where: Reached, *, is_build: bool = False
    ) -> None:
        edge = Edge(parent=parent, requirement=requirement.text, is_build=is_build)
        if requirement.url is not None:
            self._ledger.warn(f"{' '.join(parent)}: {requirement.text!r} points outside of any index")
            return
        verdict = self._chooser.policy.project_verdict(requirement.name, is_dependency=True)
        if not verdict.is_allowed:
            self._ledger.problem(requirement.name, edge, (ProblemKind.EXCLUDED, verdict.reason), where.mask, 0)
            return
        rule = requirement_rule(requirement.specifier, requirement.text)
        if self._follow.is_every_match:
            rule = msgspec.structs.replace(rule, count=None)
        rule = rule if where.is_for_build else constrained(rule, self._constraints.get(requirement.name))
        depth = where.depth + 1 if self._follow.max_depth else 0
        bits = (where.mask, where.certain)
        self._need(
            _Need(requirement.name, rule, requirement.extras, *bits, depth, frozenset(), edge, where.is_for_build)
        )
