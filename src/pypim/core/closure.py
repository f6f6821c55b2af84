"""The closure: from roots, requirements and environments to a selection. It asks for what it needs, never fetches.

Every answer may be given in any order and leads to the same selection: a need waits until what decides it is known,
and what is decided is never taken back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.choice import choose_releases
from pypim.core.expand import wanted_requirements
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

    from pypim.core.candidates import Candidate, Candidates, Chooser, Release
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import DistFile
    from pypim.core.policy import Policy


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
    depth: int
    hashes: frozenset[str]
    edge: Edge
    is_certain: bool

    @property
    def is_root(self) -> bool:
        """Whether it was asked for by name, rather than required by a release."""
        return self.edge.parent is None


class _Activation(msgspec.Struct, frozen=True):
    """A release with one extra (None: with none) whose requirements are followed in the environments of a mask."""

    extra: NormalizedName | None
    mask: int
    depth: int


class Closure:
    """One computation. Give it the roots with `start`, then an answer for every want until none is left."""

    def __init__(
        self,
        chooser: Chooser,
        follow: FollowOptions,
        constraints: Mapping[NormalizedName, SpecifierSet] | None = None,
    ) -> None:
        self._chooser = chooser
        self._policy: Policy = chooser.policy
        self._follow = follow
        self._constraints = dict(constraints or {})
        self._pages: dict[NormalizedName, Page | None] = {}
        self._lacking: dict[NormalizedName, tuple[ProblemKind, str]] = {}
        self._candidates: dict[tuple[NormalizedName, frozenset[str]], Candidates] = {}
        self._metadata: dict[str, CoreMetadata | None] = {}
        self._stated_python: dict[NormalizedName, dict[str, str]] = {}
        self._waiting_for_page: dict[NormalizedName, list[_Need]] = {}
        self._waiting_for_metadata: dict[str, list[_Need]] = {}
        self._expecting: dict[str, list[tuple[Release, Candidate, _Activation]]] = {}
        self._asked: set[str] = set()
        self._seen: dict[tuple[Release, NormalizedName | None], list[tuple[int, int]]] = {}
        self._ledger = Ledger(chooser)
        self._wants: list[Want] = []

    # --- the three calls of a driver --------------------------------------------------------------------------------
    def start(self, roots: Iterable[Root]) -> list[Want]:
        """Ask for the roots; the first wants."""
        for root in roots:
            verdict = self._policy.project_verdict(root.project, is_dependency=False)
            edge = Edge(origin=root.origin, requirement=root.text)
            certain, open_ = self._chooser.marker_masks(root.marker, frozenset())
            mask = certain | open_
            if not verdict.is_allowed:
                self._ledger.problem(root.project, edge, ProblemKind.EXCLUDED, verdict.reason, mask)
            elif mask:
                rule = self._constrain(root.project, root.rule)
                self._need(_Need(root.project, rule, root.extras, mask, 0, root.hashes, edge, bool(certain)))
        return self._take_wants()

    def answer(
        self, want: Want, answer: Page | CoreMetadata | None, lack: tuple[ProblemKind, str] | None = None
    ) -> list[Want]:
        """Answer one want; None where there is nothing, with `lack`: the kind and a sentence. The wants that follow."""
        kind, reason = lack or (ProblemKind.MISSING, "nothing is known of it")
        if isinstance(want, WantPage):
            assert answer is None or isinstance(answer, Page)
            self._pages[want.project] = answer
            if answer is None:
                self._lacking[want.project] = (kind, reason)
            for need in self._waiting_for_page.pop(want.project, ()):
                self._decide(need)
        else:
            assert answer is None or isinstance(answer, CoreMetadata)
            self._learn(want, answer, reason)
        return self._take_wants()

    def selection(self) -> Selection:
        """What was chosen, once every want has been answered."""
        assert not self._waiting_for_page, "wants are still open"
        assert not self._waiting_for_metadata, "wants are still open"
        assert not self._expecting, "wants are still open"
        return self._ledger.selection({name: page for name, page in self._pages.items() if page is not None})

    # --- needs ------------------------------------------------------------------------------------------------------
    def _need(self, need: _Need) -> None:
        if need.project in self._pages:
            self._decide(need)
            return
        waiting = self._waiting_for_page.setdefault(need.project, [])
        if not waiting:
            self._wants.append(WantPage(need.project))
        waiting.append(need)

    def _constrain(self, project: NormalizedName, rule: Rule) -> Rule:
        constraint = self._constraints.get(project)
        if constraint is None:
            return rule
        return msgspec.structs.replace(rule, specifier=rule.specifier & constraint)

    def _candidates_of(self, page: Page, hashes: frozenset[str]) -> Candidates:
        key = (page.name, hashes)
        found = self._candidates.get(key)
        if found is None:
            found = self._chooser.candidates(page, hashes, self._stated_python.get(page.name))
            self._candidates[key] = found
        return found

    def _decide(self, need: _Need) -> None:
        page = self._pages[need.project]
        if page is None:
            kind, reason = self._lacking[need.project]
            self._ledger.problem(need.project, need.edge, kind, reason, need.mask, is_certain=need.is_certain)
            return
        candidates = self._candidates_of(page, need.hashes)
        chosen = choose_releases(
            candidates,
            need.rule,
            need.mask,
            allow_prereleases=self._policy.prereleases,
            keep_latest=self._policy.keep_latest,
        )
        if self._follow.is_followed and self._waits(need, chosen):
            return
        satisfied = 0
        for release, mask in chosen.items():
            satisfied |= mask
            self._ledger.choose(release, mask, need.edge, with_yanked=need.rule.is_pin)
            self._activate(need, release, mask)
        lacking = need.mask & ~satisfied
        if lacking:
            # A root may be meant for some of the targets only; a requirement is needed wherever it holds.
            is_certain = need.is_certain and not (need.is_root and satisfied)
            self._ledger.unsatisfied(candidates, need.rule, lacking, need.edge, is_certain=is_certain)

    def _waits(self, need: _Need, chosen: Mapping[Release, int]) -> bool:
        """Whether a file must first tell its metadata.

        Its Requires-Python, because the page does not and it may rule the file out; or its extras, because the root
        gets them all.
        """
        wants_extras = self._follow.root_extras is None and need.is_root
        waits = False
        for release, mask in chosen.items():
            for candidate in self._telling(release, mask, with_yanked=need.rule.is_pin):
                is_silent = candidate.file.requires_python is None or wants_extras
                if is_silent and candidate.file.identity not in self._metadata:
                    self._want_metadata(candidate.file, release.project)
                    if not waits:  # one is enough to wake it; it then looks again
                        self._waiting_for_metadata.setdefault(candidate.file.identity, []).append(need)
                    waits = True
        return waits

    # --- requirements of releases -----------------------------------------------------------------------------------
    def _telling(self, release: Release, mask: int, *, with_yanked: bool) -> list[Candidate]:
        """The files whose metadata counts in a mask: every usable wheel, and sdists where there is none (PEP 643)."""
        usable = [c for c in release.candidates if c.mask & mask and (with_yanked or not c.file.is_yanked)]
        wheels = 0
        for candidate in usable:
            wheels |= candidate.mask if candidate.is_wheel else 0
        return [c for c in usable if c.is_wheel or (c.is_sdist and c.mask & mask & ~wheels)]

    def _activate(self, need: _Need, release: Release, mask: int) -> None:
        if not self._follow.is_followed or (self._follow.max_depth and need.depth >= self._follow.max_depth):
            return
        telling = self._telling(release, mask, with_yanked=need.rule.is_pin)
        extras: set[NormalizedName | None] = {None, *need.extras}
        if need.is_root:
            extras |= self._provided(telling) if self._follow.root_extras is None else self._follow.root_extras
        for extra in extras:
            fresh = self._unseen(release, extra, mask, need.depth)
            if fresh:
                activation = _Activation(extra, fresh, need.depth)
                for candidate in telling:
                    if candidate.mask & fresh:
                        self._expand(release, candidate, activation)

    def _provided(self, telling: Iterable[Candidate]) -> set[NormalizedName]:
        known = (self._metadata.get(candidate.file.identity) for candidate in telling)
        return {normalize_extra(extra) for metadata in known if metadata for extra in metadata.provides_extra}

    def _unseen(self, release: Release, extra: NormalizedName | None, mask: int, depth: int) -> int:
        """The environments in which this was not yet followed from this depth or a smaller one."""
        seen = self._seen.setdefault((release, extra), [])
        for seen_depth, seen_mask in seen:
            if seen_depth <= depth or not self._follow.max_depth:
                mask &= ~seen_mask
        if mask:
            seen.append((depth, mask))
        return mask

    def _want_metadata(self, file: DistFile, project: NormalizedName) -> None:
        if file.identity not in self._asked:
            self._asked.add(file.identity)
            self._wants.append(WantMetadata(project, file))

    def _expand(self, release: Release, candidate: Candidate, activation: _Activation) -> None:
        identity = candidate.file.identity
        if identity not in self._metadata:
            self._want_metadata(candidate.file, release.project)
            self._expecting.setdefault(identity, []).append((release, candidate, activation))
            return
        metadata = self._metadata[identity]
        if metadata is None:
            return
        mask = activation.mask & candidate.mask
        for requirement, certain, open_ in wanted_requirements(metadata, activation.extra, mask, self._chooser):
            self._require(release, requirement, activation, certain, open_)

    def _require(
        self, release: Release, requirement: ParsedRequirement, activation: _Activation, certain: int, open_: int
    ) -> None:
        edge = Edge(parent=release, requirement=requirement.text)
        if requirement.url is not None:
            self._ledger.warn(f"{release.project} {release.text}: {requirement.text!r} points outside of any index")
            return
        verdict = self._policy.project_verdict(requirement.name, is_dependency=True)
        if not verdict.is_allowed:
            self._ledger.problem(
                requirement.name, edge, ProblemKind.EXCLUDED, verdict.reason, certain | open_, is_certain=False
            )
            return
        # An extra of itself is not a level.
        depth = activation.depth + (requirement.name != release.project)
        rule = requirement_rule(requirement.specifier, requirement.text)
        if self._follow.is_every_match:
            rule = msgspec.structs.replace(rule, count=None)
        rule = self._constrain(requirement.name, rule)
        for mask, is_certain in ((certain, True), (open_, False)):
            if mask:
                self._need(
                    _Need(requirement.name, rule, requirement.extras, mask, depth, frozenset(), edge, is_certain)
                )

    def _learn(self, want: WantMetadata, metadata: CoreMetadata | None, reason: str) -> None:
        identity = want.file.identity
        self._metadata[identity] = metadata
        if metadata is None:
            self._ledger.warn(f"{want.file.filename}: its requirements are not known: {reason}")
        else:
            self._ledger.learned(want.file, metadata)
            if want.file.requires_python is None and metadata.requires_python:
                self._stated_python.setdefault(want.project, {})[want.file.filename] = metadata.requires_python
                for key in [key for key in self._candidates if key[0] == want.project]:
                    del self._candidates[key]
        for need in self._waiting_for_metadata.pop(identity, ()):
            self._decide(need)
        for release, candidate, activation in self._expecting.pop(identity, ()):
            self._expand(release, candidate, activation)

    def _take_wants(self) -> list[Want]:
        wants, self._wants = self._wants, []
        return wants
