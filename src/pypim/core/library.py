"""What is known of an index while resolving: its pages and core metadata, and what a reading of them makes of it."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from pypim.core.closure import WantMetadata, WantPage, WantSize
from pypim.core.expand import means_itself, wanted_requirements
from pypim.core.filenames import FileKind
from pypim.core.foreign import ForeignWheels
from pypim.core.lenient import parse_requirement
from pypim.core.readings import Reading, is_consistent, is_undeclared, refuses, takes_bound, takes_name
from pypim.core.selection import ProblemKind
from pypim.core.sizing import Sizing
from pypim.core.target import wheel_rank
from pypim.core.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.utils import BuildTag, NormalizedName

    from pypim.core.candidates import Candidate, Candidates, Chooser, Release
    from pypim.core.closure import Want
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata, DistFile, Page

_INSTALLED = frozenset((FileKind.WHEEL, FileKind.SDIST))


class Facts:
    """Pages and metadata that were answered so far, shared by every reading of them."""

    def __init__(self, limit_bytes: int | None) -> None:
        """`limit_bytes` is `filters.max-file-size`, for which sizes are asked where pages do not say them."""
        self.sizing = Sizing(limit_bytes)
        self.pages: dict[NormalizedName, Page | None] = {}
        self.lacks: dict[NormalizedName, tuple[ProblemKind, str]] = {}
        self.metadata: dict[str, CoreMetadata | None] = {}
        """By the identity of a file; None where nothing can be learned."""
        self.candidates: dict[NormalizedName, Candidates] = {}
        """Of each page as one library saw it first: the others differ in how they judge the files, and no more."""

    def is_known(self, want: Want) -> bool:
        """Whether a want was answered."""
        if isinstance(want, WantPage):
            return want.project in self.pages
        if isinstance(want, WantSize):
            return not self.sizing.unknown(want.project, [want.file])
        return want.identity in self.metadata


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """One requirement of a release and the environments in which it holds."""

    requirement: ParsedRequirement
    specifier: SpecifierSet
    """Its own, and what constraints add."""
    mask: int


class Library:
    """One reading of the facts, for the environments of a chooser."""

    def __init__(
        self,
        facts: Facts,
        chooser: Chooser,
        constraints: Mapping[NormalizedName, SpecifierSet],
        reading: Reading,
        *,
        follows_open: bool = True,
    ) -> None:
        """`follows_open`: a marker that is open counts as true."""
        self.facts = facts
        self.chooser = chooser
        self.reading = reading
        self._constraints = constraints
        self.follows_open = follows_open
        self._foreign = ForeignWheels(chooser.environments)
        self.has_met_undeclared = False
        """Whether some wheel requires something for an extra that it does not declare; for pip it requires nothing."""
        self.has_met_open = False
        """Whether some marker was open anywhere, or some metadata unknown."""
        self._candidates: dict[NormalizedName, Candidates] = {}
        self._universes: dict[NormalizedName, Universe | None] = {}
        self._ruled_out: dict[NormalizedName, set[str]] = {}
        """By project, the identities of the files that are too large."""
        self._wanted: dict[tuple[str, NormalizedName | None], tuple[Wanted, ...]] = {}
        self._of_release: dict[tuple[Release, int, NormalizedName | None, bool | None], tuple[Wanted, ...]] = {}

    def universe(self, project: NormalizedName) -> Universe | None:
        """The releases of a project whose page was answered; None where there are none for us: `lack` says why."""
        found = self._universes.get(project)
        if found is None and project not in self._universes:
            found = self._universes[project] = self._make_universe(project)
        return found

    def candidates(self, page: Page) -> Candidates:
        """Those of a page, judged once for as long as nothing new is learned of its sizes."""
        if self.facts.sizing.limit_bytes is not None:
            return self.chooser.candidates(self.facts.sizing.page(page))
        found = self._candidates.get(page.name)
        if found is None:
            known = self.facts.candidates.get(page.name)
            if known is None:
                found = self.facts.candidates[page.name] = self.chooser.candidates(page)
            else:
                found = self.chooser.judging(known)
            self._candidates[page.name] = found
        return found

    def candidates_now(self, project: NormalizedName) -> Candidates:
        """Those of a page that was answered, with what was learned of it since, for a sentence."""
        page = self.facts.pages[project]
        assert page is not None, "only what has a page has candidates"
        return self.candidates(page)

    def lack(self, project: NormalizedName) -> tuple[ProblemKind, str]:
        """Why there is no universe of a project."""
        verdict = self.chooser.policy.project_verdict(project, is_dependency=True)
        if not verdict.is_allowed:
            return ProblemKind.EXCLUDED, verdict.reason
        return self.facts.lacks.get(project, (ProblemKind.MISSING, "nothing is known of it"))

    def ask_page(self, project: NormalizedName) -> list[Want]:
        """What must be asked before `universe` can answer; a project that a filter keeps out is not asked for."""
        if project in self.facts.pages or project in self._universes:
            return []
        if not self.chooser.policy.project_verdict(project, is_dependency=True).is_allowed:
            return []
        return [WantPage(project)]

    def ask_sizes(self, project: NormalizedName, files: Iterable[DistFile]) -> list[Want]:
        """The sizes that must be known before it can be said whether files are too large."""
        limit_bytes = self.facts.sizing.limit_bytes
        if limit_bytes is None:
            return []
        return [WantSize(project, file, limit_bytes) for file in self.facts.sizing.unknown(project, files)]

    def constraint(self, project: NormalizedName) -> SpecifierSet | None:
        """What constraints say of a project."""
        return self._constraints.get(project)

    def unmet(self, wanted: Wanted, mask: int) -> int:
        """The environments of a mask in which no release can meet a requirement, as far as is known."""
        universe = self.universe(wanted.requirement.name)
        if universe is None:
            return mask
        allowed = universe.allowed(wanted.specifier)
        for number in range(len(universe.releases)):
            if allowed >> (number + 1) & 1:
                mask &= ~universe.mask(number)
        return mask

    def examine(self, universe: Universe, number: int, mask: int) -> Generator[list[Want], None, int]:
        """Ask for what decides whether the environments of a mask can use a release; those that can."""
        mask &= universe.mask(number)
        if not mask:
            return 0
        yield from self._weigh(universe, number, mask)
        if not mask & ~universe.examined[number]:
            return mask & universe.mask(number)
        yield from self.learn(universe.releases[number], mask, with_yanked=self.reading is Reading.PIP)
        universe.examined[number] |= mask
        universe.refuse(number, self._barred(universe.releases[number], mask, with_yanked=False))
        for candidate, bits in self.preferred(universe.releases[number], mask):
            metadata = self.facts.metadata[candidate.identity]
            if metadata is None:
                # Nobody knows what it requires: the last resort.
                self.has_met_open = True
                if self.follows_open:
                    universe.refuse(number, bits)
                continue
            if refuses(metadata, candidate.parsed, universe.project, self.reading):
                universe.refuse(number, bits)
                continue
            # An installer that takes this file for its tags does not go on to another one of the same release.
            universe.refuse(number, bits & ~self.chooser.python_mask(metadata.requires_python))
            universe.refuse(number, self._addressed(metadata, bits))
        return mask & universe.mask(number)

    def readable(self, release: Release, mask: int, *, with_yanked: bool) -> int:
        """The environments of a mask in which installers do not pass over a release that was asked for as it is."""
        preferred = self.preferred(release, mask, with_yanked=with_yanked)
        if any(one.parsed.kind in _INSTALLED for one in release.candidates):  # else it is carried, and never installed
            mask &= reduce(or_, (bits for _, bits in preferred), 0)
        mask &= ~self._barred(release, mask, with_yanked=with_yanked)
        for candidate, bits in preferred:
            mask &= ~(bits & ~self.chooser.listed_mask(candidate.file, candidate.parsed))
            metadata = self.facts.metadata.get(candidate.identity)
            if metadata is not None:
                mask &= ~(bits & ~self.chooser.python_mask(metadata.requires_python))
                is_refused = refuses(metadata, candidate.parsed, release.project, self.reading)
                mask &= ~(bits if is_refused else self._addressed(metadata, bits))
        return mask

    def _weigh(self, universe: Universe, number: int, mask: int) -> Generator[list[Want], None, None]:
        """Rule out files that are found to be too large; then others may be what an installer takes."""
        while self.facts.sizing.limit_bytes is not None:
            release = universe.releases[number]
            files = [c.file for c, _ in release.installable(mask, with_yanked=self.reading is Reading.PIP)]
            wants = self.ask_sizes(release.project, files)
            if wants:
                yield wants
            known = self.facts.sizing.too_large(release.project)
            if all(file.identity not in known for file in files):
                return
            self._narrow(universe, known)

    def _narrow(self, universe: Universe, too_large: Mapping[str, DistFile]) -> None:
        """Rule out all files that somebody has found to be too large, so that no search begins again for each."""
        done = self._ruled_out.setdefault(universe.project, set())
        fresh = [file for identity, file in too_large.items() if identity not in done]
        done.update(too_large)
        numbers = {c.identity: n for n, one in enumerate(universe.releases) for c in one.candidates}
        for file in fresh:
            if (number := numbers.get(file.identity)) is not None:
                universe.narrow(number, file, 0)
        self._of_release.clear()

    def learn(self, release: Release, mask: int, *, with_yanked: bool) -> Generator[list[Want], None, None]:
        """Ask for the metadata of every file that an installer may take or read in the environments of a mask."""
        while True:
            found = release.installable(mask, with_yanked=with_yanked)
            foreign = self.foreign(release, found)
            missing: list[Want] = [
                WantMetadata(release.project, candidate.file, candidate.identity)
                for candidate, _ in (found + foreign if foreign else found)
                if candidate.identity not in self.facts.metadata
            ]
            if foreign:
                missing += self.ask_sizes(release.project, [candidate.file for candidate, _ in foreign])
            if not missing:
                return
            yield missing
            if release.has_wheels_alone:
                return  # nothing that was learned leads to another file

    def foreign(self, release: Release, found: list[tuple[Candidate, int]]) -> list[tuple[Candidate, int]]:
        """What uv reads in place of the sdists among the files that installers may take; nothing for pip."""
        if release.has_wheels_alone or self.reading is Reading.PIP:
            return []

        def may_read(file: DistFile) -> bool:
            if not takes_bound(file.requires_python, Reading.UV):
                return False
            size, limit_bytes = self.facts.sizing.size(release.project, file), self.facts.sizing.limit_bytes
            return size is None or limit_bytes is None or size <= limit_bytes

        return self._foreign.read(release, found, may_read)

    def preferred(
        self, release: Release, mask: int, *, with_yanked: bool | None = None
    ) -> Sequence[tuple[Candidate, int]]:
        """The files whose metadata counts: for both installers that of every file either reads, else of the best."""
        takes_yanked = self.reading is Reading.PIP if with_yanked is None else with_yanked
        found = release.installable(mask, with_yanked=takes_yanked)
        if self.reading is Reading.BOTH:
            foreign = self.foreign(release, found)
            return [*found, *foreign] if foreign else found
        found = self._taken(release, found, mask, with_yanked=takes_yanked)
        foreign = self.foreign(release, found)
        if foreign:
            instead = reduce(or_, (bits for _, bits in foreign))
            rest = ((one, bits & ~instead if one.is_sdist else bits) for one, bits in found)
            found = [(one, bits) for one, bits in rest if bits]
        if len(found) > 1:
            found = self._best(found)
        return [*found, *foreign] if foreign else found

    def _taken(
        self, release: Release, found: list[tuple[Candidate, int]], mask: int, *, with_yanked: bool
    ) -> list[tuple[Candidate, int]]:
        """Of the files that some installer may take those that this one does, of a release that a root took."""
        given = release
        for candidate in given.candidates:
            usable = self.chooser.page_mask(candidate.file, candidate.parsed)
            if candidate.mask & mask & ~usable:
                release = release.narrowed(candidate.file, usable)
        return found if release is given else release.installable(mask, with_yanked=with_yanked)

    def _best(self, found: Sequence[tuple[Candidate, int]]) -> list[tuple[Candidate, int]]:
        """Of several files the one that suits each environment best.

        Of wheels that suit it alike the one of the highest build tag counts, and of those pip takes the one that stands
        last on the page, and uv the one whose file name comes first. pip takes no yanked one beside another, nor one
        of another version than its name says.
        """
        is_pip = self.reading is Reading.PIP
        best: dict[int, tuple[tuple[bool | tuple[bool, bool], float, BuildTag], Candidate]] = {}
        for candidate, bits in found if is_pip else sorted(found, key=_filename, reverse=True):
            goes_first = not is_pip or (not candidate.file.is_yanked, self._is_consistent(candidate))
            for number, environment in enumerate(self.chooser.environments):
                if not bits >> number & 1:
                    continue
                tags = candidate.parsed.tags
                rank = wheel_rank(environment, tags, is_for_uv=not is_pip) if tags else 1 << 40
                if rank is None:
                    continue
                standing = (goes_first, -rank, candidate.parsed.build)
                if number not in best or standing >= best[number][0]:
                    best[number] = (standing, candidate)
        chosen: dict[str, tuple[Candidate, int]] = {}
        for number, (_, candidate) in best.items():
            known = chosen.get(candidate.identity, (candidate, 0))
            chosen[candidate.identity] = (candidate, known[1] | 1 << number)
        return list(chosen.values())

    def _is_consistent(self, candidate: Candidate) -> bool:
        metadata = self.facts.metadata.get(candidate.file.identity)
        return metadata is None or is_consistent(metadata, candidate.parsed)

    def wanted(
        self, release: Release, mask: int, extra: NormalizedName | None, *, with_yanked: bool | None = None
    ) -> tuple[Wanted, ...]:
        """What a release whose metadata is known requires in the environments of a mask, without or for an extra."""
        key = (release, mask, extra, with_yanked)
        found = self._of_release.get(key)
        if found is None:
            found = self._of_release[key] = tuple(self._wanted_of(release, mask, extra, with_yanked=with_yanked))
        return found

    def _wanted_of(
        self, release: Release, mask: int, extra: NormalizedName | None, *, with_yanked: bool | None
    ) -> Iterator[Wanted]:
        for candidate, bits in self.preferred(release, mask, with_yanked=with_yanked):
            for wanted in self._wanted_by(candidate.identity, extra):
                both = wanted.mask & bits
                if both:
                    yield wanted if both == wanted.mask else Wanted(wanted.requirement, wanted.specifier, both)

    def _wanted_by(self, identity: str, extra: NormalizedName | None) -> tuple[Wanted, ...]:
        key = (identity, extra)
        found = self._wanted.get(key)
        if found is None:
            metadata = self.facts.metadata.get(identity)
            if metadata is None:
                return ()
            wanted: list[Wanted] = []
            everything = self.chooser.everything
            if extra is not None and is_undeclared(metadata, extra):
                self.has_met_undeclared = True
                everything = 0 if self.reading is Reading.PIP else everything
            for requirement, certain, is_open in wanted_requirements(metadata, extra, everything, self.chooser):
                self.has_met_open = self.has_met_open or bool(is_open)
                mask = certain | (is_open if self.follows_open else 0)
                if mask and self._counts(requirement):
                    wanted.append(Wanted(requirement, self.constrained(requirement.name, requirement.specifier), mask))
            found = self._wanted[key] = tuple(wanted)
        return found

    def _counts(self, requirement: ParsedRequirement) -> bool:
        """Whether this index is to meet it: what a filter excludes as a whole is meant to come from elsewhere."""
        if requirement.url is not None:
            return False
        return self.chooser.policy.project_verdict(requirement.name, is_dependency=True).is_allowed

    def constrained(self, project: NormalizedName, specifier: SpecifierSet) -> SpecifierSet:
        """A specifier together with the constraint on its project."""
        constraint = self._constraints.get(project)
        return specifier if constraint is None else specifier & constraint

    def _make_universe(self, project: NormalizedName) -> Universe | None:
        if not self.chooser.policy.project_verdict(project, is_dependency=True).is_allowed:
            return None
        page = self.facts.pages[project]
        if page is None:
            return None
        return Universe(self.candidates(page), self.reading, mixes_prereleases=self.chooser.policy.prereleases)

    def _barred(self, release: Release, mask: int, *, with_yanked: bool) -> int:
        """The environments of a mask in which uv refuses a release for the wheel that it takes for its tags.

        Only then it looks at the Requires-Python, and goes on to no other wheel of that release.
        """
        files = release.candidates
        if len(files) == 1 or self.reading is Reading.PIP or len({one.file.requires_python for one in files}) == 1:
            return 0
        tagged = [
            (one, bits)
            for one in files
            if one.is_wheel and (with_yanked or not one.file.is_yanked)
            if takes_name(one.file.filename, one.parsed, Reading.UV)
            if takes_bound(one.file.requires_python, Reading.UV) and (bits := self.chooser.tag_mask(one.parsed) & mask)
        ]
        taken = self._best(tagged)
        return reduce(or_, (bits & ~self.chooser.python_mask(one.file.requires_python) for one, bits in taken), 0)

    def _addressed(self, metadata: CoreMetadata, bits: int) -> int:
        """Where something is required from an address of its own, which is not installable from an index alone."""
        found = 0
        for text in metadata.requires_dist if self.reading is not Reading.PIP else ():
            if "@" not in text:
                continue
            requirement = parse_requirement(text)
            if requirement is not None and requirement.url is not None:
                certain, is_open = self.chooser.marker_masks(requirement.marker, frozenset())
                found |= bits & (certain | is_open)
        return found


def asks_itself(wanted: Wanted, release: Release) -> bool:
    """Whether a requirement is met by the very release that has it, usually to ask for further extras."""
    return means_itself(wanted.requirement, release.project, release.version)


def _filename(found: tuple[Candidate, int]) -> str:
    return found[0].file.filename
