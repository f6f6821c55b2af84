"""The candidates of a project: its releases, newest first, with the files that may satisfy and for which environments.

Environments are bits of a mask, so that a question about many machines is one operation on an integer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import may_have
from pypim.core.filenames import FileKind, parse_filenames, parse_version
from pypim.core.markers import differs_for_uv, evaluate
from pypim.core.model import ProjectStatus
from pypim.core.readings import Reading, allows_python, takes_name
from pypim.core.target import between_ends, wheel_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from packaging.markers import Marker
    from packaging.tags import Tag
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import DistFile, Page
    from pypim.core.policy import Policy
    from pypim.core.target import Environment


_WHEEL, _SDIST = FileKind.WHEEL, FileKind.SDIST  # to look into an enumeration takes longer
_PATCH_RELEASE = re.compile(r"python_full_version|implementation_version")


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A listed file that no filter takes away, and the environments that can use it, as masks."""

    file: DistFile
    parsed: ParsedFilename
    listed: int
    """By its tags and by what the page says of it; never changes."""
    mask: int
    """Also by the Requires-Python of its core metadata, as far as that is known."""
    named: str = ""
    """Its identity, once somebody has asked for that."""

    @property
    def identity(self) -> str:
        """That of the file, which is asked for again and again; of most files it never is."""
        found = self.named
        if not found:
            found = self.file.identity
            msgspec.structs.force_setattr(self, "named", found)
        return found

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.parsed.kind is _WHEEL

    @property
    def is_sdist(self) -> bool:
        """Whether it must be built."""
        return self.parsed.kind is _SDIST


class Release(msgspec.Struct, frozen=True, eq=False):
    """The candidates of one version. `version` is None where the file names hold no valid one (PEP 440)."""

    project: NormalizedName
    version: Version | None
    text: str
    is_prerelease: bool
    has_wheels_alone: bool
    """Whether there is nothing to build, and no file of an old kind."""
    files: list[_File]
    """All that no filter takes away, in the order of the page."""
    judge: Callable[[list[_File]], tuple[Candidate, ...]]
    """Makes candidates of them once somebody asks: most releases are older than any that is looked at."""
    hashes: frozenset[str] = frozenset()
    """The hashes that its files were limited to."""
    judged: tuple[Candidate, ...] | None = None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The files, in the order of the page."""
        found = self.judged
        if found is None:
            found = self.judge(self.files)
            msgspec.structs.force_setattr(self, "judged", found)
        return found

    @property
    def key(self) -> tuple[NormalizedName, str]:
        """Project and version, as a selection names it."""
        return self.project, self.text

    def narrowed(self, file: DistFile, mask: int) -> Release:
        """The same, where a file is of use only in the environments of a mask."""
        if all(candidate.file.filename != file.filename for candidate in self.candidates):
            return self
        found = ((c, c.mask & mask if c.file.filename == file.filename else c.mask) for c in self.candidates)
        narrowed = tuple(Candidate(c.file, c.parsed, c.listed, usable, c.named) for c, usable in found)
        return msgspec.structs.replace(self, judged=narrowed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Release):
            return NotImplemented
        return (self.text, self.project, self.hashes) == (other.text, other.project, other.hashes)

    def __hash__(self) -> int:
        return hash((self.text, self.project))

    def mask(self, *, with_yanked: bool) -> int:
        """The environments that can use some file; a legacy kind is usable by none, unless nothing else is there."""
        found = 0
        for candidate in self.candidates:
            if with_yanked or candidate.file.yanked is False:
                found |= candidate.mask
        return found

    def installable(self, mask: int, *, with_yanked: bool) -> list[tuple[Candidate, int]]:
        """The files that an installer may take, each with the environments of a mask in which it may.

        Every usable wheel, for two machines of one environment may prefer different ones; sdists where there is none.
        """
        candidates = self.candidates
        if self.has_wheels_alone and len(candidates) == 1:  # most releases of most projects
            one = candidates[0]
            bits = one.mask & mask
            return [(one, bits)] if bits and (with_yanked or one.file.yanked is False) else []
        usable = [c for c in candidates if c.mask & mask and (with_yanked or c.file.yanked is False)]
        if self.has_wheels_alone:
            return [(c, c.mask & mask) for c in usable]
        built = mask
        for candidate in usable:
            if candidate.is_wheel:
                built &= ~candidate.mask
        found = [(c, c.mask & (mask if c.is_wheel else built)) for c in usable if c.is_wheel or c.is_sdist]
        return [(candidate, bits) for candidate, bits in found if bits]


class Exclusion(msgspec.Struct, frozen=True):
    """A file that cannot be a candidate, and the rule that says so."""

    filename: str
    version: str
    reason: str


class Candidates(msgspec.Struct, frozen=True):
    """All releases of a project, newest first, and what was left out with the reason."""

    project: NormalizedName
    releases: tuple[Release, ...]
    exclusions: tuple[Exclusion, ...]
    withheld: str = ""
    """Why the project offers nothing at all, whatever its page lists; usually empty."""
    is_excluded: bool = False
    """Whether a filter withholds it, rather than its upstream."""

    def narrowed(self, file: DistFile, mask: int) -> Candidates:
        """The same, where a file is of use only in the environments of a mask."""
        return msgspec.structs.replace(self, releases=tuple(r.narrowed(file, mask) for r in self.releases))


class Chooser:
    """Knows the environments, the policy and the time, and turns a page into candidates."""

    def __init__(
        self, environments: Sequence[Environment], policy: Policy, now: datetime, reading: Reading | None = None
    ) -> None:
        """Without a reading, what either pip or uv takes counts, and Requires-Python as for pip."""
        self.reading = reading
        self.environments = tuple(environments)
        self.policy = policy
        self.now = now
        self.everything = (1 << len(self.environments)) - 1
        formats = policy.formats
        takes_wheels = not (policy.exclude or policy.allow or policy.has_file_filters)
        self._takes_every_wheel = takes_wheels and (formats is None or FileKind.WHEEL in formats)
        self._between = between_ends(self.environments)
        self._universal = sum(1 << i for i, e in enumerate(self.environments) if e.tags is None)
        self._tag_masks: dict[frozenset[Tag], int] = {}
        self._python_masks: dict[str | None, int] = {None: self.everything}
        self._names: dict[int, tuple[str, ...]] = {}
        self._marker_masks: dict[tuple[str, frozenset[NormalizedName]], tuple[int, int]] = {}

    def candidates(self, page: Page, hashes: frozenset[str] = frozenset()) -> Candidates:
        """Group a page's files by release and judge each.

        `hashes` ("sha256:<hex>") keeps only files that may have one of them (pip's hash-checking mode).
        """
        withheld = self._withheld(page)
        if withheld is not None:
            return withheld
        groups: dict[Version | str, _Group] = {}
        exclusions: list[Exclusion] = []
        wheels: dict[str | None, _Group] = {}
        """By the version as it is written: to compare versions takes longer."""
        takes_every_wheel = self._takes_every_wheel and not hashes
        for file, parsed in parse_filenames(page.files, page.name):
            is_wheel = parsed.kind is _WHEEL
            group = wheels.get(parsed.version_text) if is_wheel else None
            if group is None:
                group = _group_of(groups, parsed)
                if is_wheel:
                    wheels[parsed.version_text] = group
            if not (is_wheel and takes_every_wheel):
                reason = self._objection(page.name, file, parsed, hashes)
                if reason:
                    exclusions.append(Exclusion(file.filename, parsed.version_text or "", reason))
                    continue
            group.files.append((file, parsed))
            if not is_wheel:
                group.has_wheels_alone = False
        judge = self._judged
        releases = [_release(page.name, key, group, judge, hashes) for key, group in groups.items() if group.files]
        return Candidates(page.name, _newest_first(releases), tuple(exclusions))

    def _withheld(self, page: Page) -> Candidates | None:
        """No candidates, where something speaks against the project as a whole."""
        if page.status is ProjectStatus.QUARANTINED:
            told = f": {page.status_reason}" if page.status_reason else ""
            return Candidates(page.name, (), (), f"the project is quarantined (PEP 792) and offers no files{told}")
        if self.policy.limits.is_any and (objection := next(self.policy.limits.objections(page), None)):
            return Candidates(page.name, (), (), objection.reason, is_excluded=True)
        return None

    def judging(self, candidates: Candidates) -> Candidates:
        """Those that another chooser made of a page, as this one judges them; they differ in their readings alone."""
        judge = self._judged
        releases = [msgspec.structs.replace(one, judge=judge, judged=None) for one in candidates.releases]
        return msgspec.structs.replace(candidates, releases=tuple(releases))

    def _judged(self, files: list[_File]) -> tuple[Candidate, ...]:
        found = []
        for file, parsed in files:
            mask = self.page_mask(file, parsed)
            found.append(Candidate(file, parsed, mask, mask))
        return _usable(found)

    def page_mask(self, file: DistFile, parsed: ParsedFilename) -> int:
        """The environments that can use a file, by its name and by what its page says."""
        mask = self.tag_mask(parsed)
        return mask & self.listed_mask(file, parsed) if mask else 0

    def listed_mask(self, file: DistFile, parsed: ParsedFilename) -> int:
        """The same, whatever the tags of a wheel say."""
        if self.reading is not None and not takes_name(file.filename, parsed, self.reading):
            return 0
        return self.python_mask(file.requires_python)

    def marker_masks(self, marker: Marker | None, extras: frozenset[NormalizedName]) -> tuple[int, int]:
        """The environments in which a marker holds for certain, and those in which it is open.

        For whom the chooser reads: pip or uv; else where it holds for either.
        """
        if marker is None:
            return self.everything, 0
        key = (str(marker), extras)
        found = self._marker_masks.get(key)
        if found is None:
            is_for_uv = self.reading is Reading.UV
            certain, open_ = self._marker_masks_for(marker, extras, is_for_uv=is_for_uv)
            if self.reading not in {Reading.UV, Reading.PIP} and differs_for_uv(marker):
                more = self._marker_masks_for(marker, extras, is_for_uv=True)
                certain, open_ = certain | more[0], (open_ | more[1]) & ~(certain | more[0])
            found = self._marker_masks[key] = (certain, open_)
        return found

    def _marker_masks_for(
        self, marker: Marker, extras: frozenset[NormalizedName], *, is_for_uv: bool
    ) -> tuple[int, int]:
        certain = open_ = 0
        for i, environment in enumerate(self.environments):
            value = evaluate(marker, environment, extras, is_for_uv=is_for_uv)
            certain |= (value is True) << i
            open_ |= (value is None) << i
        for environment, ends in self._between if _PATCH_RELEASE.search(str(marker)) else ():
            is_possible = evaluate(marker, environment, extras, is_for_uv=is_for_uv) is not False
            if is_possible and not (certain | open_) & ends:
                open_ |= ends  # it holds at neither end, and may between them
        return certain, open_

    def tag_mask(self, parsed: ParsedFilename) -> int:
        """The environments that accept the tags of a wheel; every one for other kinds."""
        if parsed.tags is None:
            return self.everything
        found = self._tag_masks.get(parsed.tags)
        if found is None:
            found = sum(1 << i for i, e in enumerate(self.environments) if wheel_rank(e, parsed.tags) is not None)
            self._tag_masks[parsed.tags] = found
        return found

    def python_mask(self, requires_python: str | None) -> int:
        """The environments that a Requires-Python allows (see `readings.allows_python`)."""
        found = self._python_masks.get(requires_python)
        if found is None:
            reading = self.reading
            found = sum(1 << i for i, e in enumerate(self.environments) if allows_python(e, requires_python, reading))
            self._python_masks[requires_python] = found
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """The sorted names of the environments in a mask."""
        found = self._names.get(mask)
        if found is None:
            found = tuple(sorted({e.name for i, e in enumerate(self.environments) if mask >> i & 1}))
            self._names[mask] = found
        return found

    def kept_files(self, release: Release, mask: int, *, with_yanked: bool) -> list[DistFile]:
        """The files of a release that the environments of a mask need.

        What installers may take there; an sdist also in an environment that stands for many machines, or always when
        `filters.formats` asks for sdists by name; legacy kinds pass the filters only when asked for.
        """
        if release.has_wheels_alone:
            return [c.file for c, _ in release.installable(mask, with_yanked=with_yanked)]
        installable = {c.identity for c, _ in release.installable(mask, with_yanked=with_yanked)}
        # What the metadata of these sdists says does not count, for nobody asks for it.
        sources = mask if self.policy.keeps_sdists else mask & self._universal
        return [
            c.file
            for c in release.candidates
            if (with_yanked or not c.file.is_yanked)
            and (
                c.identity in installable
                or (c.is_sdist and (c.listed | self.page_mask(c.file, c.parsed)) & sources)
                or not (c.is_wheel or c.is_sdist)
            )
        ]

    def _objection(
        self, project: NormalizedName, file: DistFile, parsed: ParsedFilename, hashes: frozenset[str]
    ) -> str:
        if parsed.kind is FileKind.UNKNOWN:
            return "the file name is not that of a distribution file of this project"
        if hashes and not may_have(file, hashes):
            return "its hash is not one of those that the requirement allows"
        return self.policy.file_verdict(project, file, parsed, self.now).reason


_File = tuple["DistFile", "ParsedFilename"]


class _Group(msgspec.Struct, gc=False):
    """The files of one version, and how it is written in the names of all that are listed, kept out or not."""

    files: list[_File]
    texts: tuple[str | None, ...]
    has_wheels_alone: bool = True


def _release(
    project: NormalizedName,
    key: Version | str,
    group: _Group,
    judge: Callable[[list[_File]], tuple[Candidate, ...]],
    hashes: frozenset[str],
) -> Release:
    """One release. 1.0 and 1.0.0 are the same version (PEP 440); the shortest text stands for all."""
    version: Version | None = None
    if isinstance(key, str):
        text, is_prerelease = key, False
    elif len(group.texts) == 1:
        version = key
        text, is_prerelease = _normal(group.texts[0]) or (str(key), key.is_prerelease)
    else:
        written = [found for text in group.texts if text and (found := parse_version(text)) is not None]
        version = min(written, key=lambda found: (len(str(found)), str(found)))
        text, is_prerelease = str(version), version.is_prerelease
    return Release(project, version, text, is_prerelease, group.has_wheels_alone, group.files, judge, hashes)


def _group_of(groups: dict[Version | str, _Group], parsed: ParsedFilename) -> _Group:
    """The group of a file's version, in which the way it is written there is noted."""
    key = parsed.version if parsed.version is not None else (parsed.version_text or "")
    group = groups.setdefault(key, _Group([], (parsed.version_text,)))
    if parsed.version_text not in group.texts:
        group.texts = (*group.texts, parsed.version_text)
    return group


@lru_cache(maxsize=16384)
def _normal(text: str | None) -> tuple[str, bool] | None:
    """A version as the standard writes it, and whether it is a pre-release; None for anything else."""
    version = parse_version(text) if text else None
    return None if version is None else (str(version), version.is_prerelease)


def _usable(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Legacy kinds are carried beside wheels and sdists, but make a release usable only where they stand alone."""
    standard = [c.parsed.kind is _WHEEL or c.parsed.kind is _SDIST for c in found]
    if all(standard) or not any(standard):
        return tuple(found)
    return tuple(c if c.is_wheel or c.is_sdist else Candidate(c.file, c.parsed, 0, 0) for c in found)


def _newest_first(releases: list[Release]) -> tuple[Release, ...]:
    """Valid versions, newest first; legacy texts after all of them."""
    valid = [r for r in releases if r.version is not None]
    legacy = [r for r in releases if r.version is None]
    valid.sort(key=attrgetter("version"), reverse=True)
    legacy.sort(key=attrgetter("text"), reverse=True)
    return (*valid, *legacy)
