"""The closure: from roots, requirements and environments to a selection. It asks for what it needs, never fetches.

Every answer may be given in any order and leads to the same selection: a need waits until what decides it is known,
and what is decided is never taken back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from pypim.core.choice import Choice
from pypim.core.expand import means_itself, wanted_requirements
from pypim.core.ledger import Edge, Ledger
from pypim.core.model import CoreMetadata, Page
from pypim.core.names import normalize_extra
from pypim.core.rules import Rule, requirement_rule
from pypim.core.selection import ProblemKind, Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
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


class FollowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How dependencies are followed (`[indexes.*.dependencies]`)."""

    is_followed: bool = True
    is_every_match: bool = False
    """`versions = "all"`; otherwise "newest"."""
    root_extras: frozenset[NormalizedName] | None = frozenset()
    """Extras that every root gets besides its own; None for all that its metadata provides."""
    max_depth: int = 0
    """Levels of dependencies below the roots; 0 for no limit."""


class WantPage(msgspec.Struct, frozen=True):
    """The closure needs a project's page."""

    project: NormalizedName


class WantMetadata(msgspec.Struct, frozen=True, eq=False):
    """The closure needs the core metadata of a listed file."""

    project: NormalizedName
    file: DistFile


Want = WantPage | WantMetadata


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

    @property
    def is_root(self) -> bool:
        """Whether it was asked for by name, rather than required by a release."""
        return self.edge.parent is None


class _Waiting(msgspec.Struct):
    """A need that waits for the metadata of several files."""

    need: _Need
    missing: int


class _Followed(msgspec.Struct, frozen=True):
    """From which depth on, and where, the requirements of a file with one extra were followed."""

    depth: int
    mask: int
    certain: int


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
        self._waiting_for_metadata: dict[str, list[_Waiting]] = {}
        self._followed: dict[tuple[str, NormalizedName | None], list[_Followed]] = {}
        self._ledger = Ledger(chooser)
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
                rule = self._constrained(root.project, root.rule)
                certain = certain if root.is_named else 0
                self._need(_Need(root.project, rule, root.extras, mask, certain, 0, root.hashes, edge))
            elif root.is_named:
                self._ledger.problem(root.project, edge, (ProblemKind.EXCLUDED, verdict.reason), mask, mask)
        return self._settle()

    def answer(
        self, want: Want, answer: Page | CoreMetadata | None, lack: tuple[ProblemKind, str] | None = None
    ) -> list[Want]:
        """Answer one want; None where there is nothing, with `lack`: the kind and a sentence. The wants that follow."""
        kind, reason = lack or (ProblemKind.MISSING, "nothing is known of it")
        if isinstance(want, WantPage):
            assert answer is None or isinstance(answer, Page)
            self._pages[want.project] = answer
            if answer is None:
                self._lacks[want.project] = (kind, reason)
            self._ready.extend(self._waiting_for_page.pop(want.project, ()))
        else:
            assert answer is None or isinstance(answer, CoreMetadata)
            self._learn(want, answer, reason)
        return self._settle()

    def pages(self) -> dict[NormalizedName, Page]:
        """Every page that was given."""
        return {name: page for name, page in self._pages.items() if page is not None}

    def selection(self) -> Selection:
        """What was chosen, once every want has been answered."""
        assert not self._waiting_for_page, "wants are still open"
        assert not self._waiting_for_metadata, "wants are still open"
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

    def _constrained(self, project: NormalizedName, rule: Rule) -> Rule:
        constraint = self._constraints.get(project)
        if constraint is None:
            return rule
        is_pin = rule.is_pin or requirement_rule(constraint, rule.text).is_pin
        return msgspec.structs.replace(rule, specifier=rule.specifier & constraint, is_pin=is_pin)

    def _choice(self, page: Page, hashes: frozenset[str]) -> Choice:
        known = self._choices.setdefault(page.name, {})
        if hashes not in known:
            candidates = self._chooser.candidates(page, hashes)
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
        taken = choice.take(need.rule, need.mask)
        if self._waits(need, taken):
            return
        satisfied = 0
        for release, mask in taken.items():
            satisfied |= mask
            self._ledger.choose(release, mask, need.edge, with_yanked=need.rule.is_pin)
            self._follow_release(need, release, mask)
        lacking = need.mask & ~satisfied
        if lacking:
            # A root may be meant for some of the targets only; a requirement is needed wherever it holds.
            certain = 0 if need.is_root and satisfied else need.certain
            self._ledger.unsatisfied(choice.candidates, need.rule, need.edge, lacking, certain)

    def _waits(self, need: _Need, taken: Mapping[Release, int]) -> bool:
        """Whether files must first tell their metadata, for its Requires-Python may rule them out."""
        if not self._follow.is_followed:
            return False
        waiting = _Waiting(need, 0)
        for release, mask in taken.items():
            for candidate, _ in release.installable(mask, with_yanked=need.rule.is_pin):
                identity = candidate.file.identity
                if identity not in self._metadata:
                    if identity not in self._waiting_for_metadata:
                        self._wants.append(WantMetadata(release.project, candidate.file))
                    self._waiting_for_metadata.setdefault(identity, []).append(waiting)
                    waiting.missing += 1
        return waiting.missing > 0

    def _learn(self, want: WantMetadata, metadata: CoreMetadata | None, reason: str) -> None:
        identity = want.file.identity
        self._metadata[identity] = metadata
        if metadata is None:
            self._ledger.doubt(want.file, f"its requirements are not known: {reason}")
        else:
            self._ledger.learned(want.file, metadata)
            mask = self._chooser.python_mask(metadata.requires_python)
            if mask != self._chooser.everything:
                self._narrow(want.project, want.file, mask)
        for waiting in self._waiting_for_metadata.pop(identity, ()):
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
        if not self._follow.is_followed or (self._follow.max_depth and need.depth >= self._follow.max_depth):
            return
        for candidate, bits in release.installable(mask, with_yanked=need.rule.is_pin):
            metadata = self._metadata[candidate.file.identity]
            if metadata is not None:
                extras = need.extras | self._root_extras(metadata) if need.is_root else need.extras
                start = _Followed(need.depth, bits, bits & need.certain)
                self._follow_file(release, candidate.file.identity, metadata, start, extras)

    def _root_extras(self, metadata: CoreMetadata) -> frozenset[NormalizedName]:
        if self._follow.root_extras is not None:
            return self._follow.root_extras
        return frozenset(map(normalize_extra, metadata.provides_extra))

    def _follow_file(
        self,
        release: Release,
        identity: str,
        metadata: CoreMetadata,
        start: _Followed,
        extras: Iterable[NormalizedName],
    ) -> None:
        """Need what a file requires, with none and with each of the extras, where that was not followed before."""
        waiting: list[tuple[NormalizedName | None, _Followed]] = [(extra, start) for extra in (None, *extras)]
        while waiting:
            extra, reached = waiting.pop()
            fresh = self._unfollowed(identity, extra, reached)
            if not fresh:
                continue
            for requirement, holds, is_open in wanted_requirements(metadata, extra, fresh, self._chooser):
                where = _Followed(reached.depth, holds | is_open, holds & reached.certain)
                if means_itself(requirement, release):
                    waiting += [(further, where) for further in requirement.extras]
                else:
                    self._require(release, requirement, where)

    def _unfollowed(self, identity: str, extra: NormalizedName | None, reached: _Followed) -> int:
        """The environments in which this was not yet followed as certainly, from this depth or a smaller one."""
        before = self._followed.setdefault((identity, extra), [])
        mask, certain = reached.mask, reached.certain
        for known in before:
            if known.depth <= reached.depth:
                mask &= ~known.mask
                certain &= ~known.certain
        fresh = mask | certain
        if fresh:
            before.append(reached)
        return fresh

    def _require(self, release: Release, requirement: ParsedRequirement, where: _Followed) -> None:
        edge = Edge(parent=release.key, requirement=requirement.text)
        if requirement.url is not None:
            self._ledger.warn(f"{release.project} {release.text}: {requirement.text!r} points outside of any index")
            return
        verdict = self._chooser.policy.project_verdict(requirement.name, is_dependency=True)
        if not verdict.is_allowed:
            self._ledger.problem(requirement.name, edge, (ProblemKind.EXCLUDED, verdict.reason), where.mask, 0)
            return
        rule = requirement_rule(requirement.specifier, requirement.text)
        if self._follow.is_every_match:
            rule = msgspec.structs.replace(rule, count=None)
        rule = self._constrained(requirement.name, rule)
        depth = where.depth + 1 if self._follow.max_depth else 0
        self._need(
            _Need(requirement.name, rule, requirement.extras, where.mask, where.certain, depth, frozenset(), edge)
        )
