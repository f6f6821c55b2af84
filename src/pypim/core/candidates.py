"""The candidates of a project: its releases, newest first, with the files that may satisfy and for which environments.

Environments are bits of a mask, so that a question about many machines is one operation on an integer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import may_have
from pypim.core.filenames import FileKind, parse_filename, parse_version
from pypim.core.markers import evaluate
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


_PATCH_RELEASE = re.compile(r"python_full_version|implementation_version")


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A listed file that no filter takes away, and the environments that can use it, as masks."""

    file: DistFile
    parsed: ParsedFilename
    listed: int
    """By its tags and by what the page says of it; never changes."""
    mask: int
    """Also by the Requires-Python of its core metadata, as far as that is known."""

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.parsed.kind is FileKind.WHEEL

    @property
    def is_sdist(self) -> bool:
        """Whether it must be built."""
        return self.parsed.kind is FileKind.SDIST


class Unjudged(msgspec.Struct, frozen=True, gc=False):
    """The files of a release before anybody asked for its candidates."""

    files: list[_File]
    judge: Callable[[list[_File]], tuple[Candidate, ...]]


class Release(msgspec.Struct, frozen=True, eq=False):
    """The candidates of one version. `version` is None where the file names hold no valid one (PEP 440)."""

    project: NormalizedName
    version: Version | None
    text: str
    given: tuple[Candidate, ...] | Unjudged
    """Its candidates, or what makes them: most releases are older than any that is looked at."""
    hashes: frozenset[str] = frozenset()
    """The hashes that its files were limited to."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The files, in the order of the page."""
        given = self.given
        if not isinstance(given, tuple):
            given = given.judge(given.files)
            msgspec.structs.force_setattr(self, "given", given)
        return given

    @property
    def key(self) -> tuple[NormalizedName, str]:
        """Project and version, as a selection names it."""
        return self.project, self.text

    def narrowed(self, file: DistFile, mask: int) -> Release:
        """The same, where a file is of use only in the environments of a mask."""
        if all(candidate.file.filename != file.filename for candidate in self.candidates):
            return self
        found = ((c, c.mask & mask if c.file.filename == file.filename else c.mask) for c in self.candidates)
        narrowed = tuple(Candidate(c.file, c.parsed, c.listed, usable) for c, usable in found)
        return msgspec.structs.replace(self, given=narrowed)

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
            if with_yanked or not candidate.file.is_yanked:
                found |= candidate.mask
        return found

    def installable(self, mask: int, *, with_yanked: bool) -> list[tuple[Candidate, int]]:
        """The files that an installer may take, each with the environments of a mask in which it may.

        Every usable wheel, for two machines of one environment may prefer different ones; sdists where there is none.
        """
        candidates = self.candidates
        if len(candidates) == 1:  # most releases of most projects
            one = candidates[0]
            bits = one.mask & mask
            counts = bits and (with_yanked or one.file.yanked is False) and (one.is_wheel or one.is_sdist)
            return [(one, bits)] if counts else []
        usable = [c for c in candidates if c.mask & mask and (with_yanked or not c.file.is_yanked)]
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
        self._reading = reading
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
        if page.status is ProjectStatus.QUARANTINED:
            told = f": {page.status_reason}" if page.status_reason else ""
            return Candidates(page.name, (), (), f"the project is quarantined (PEP 792) and offers no files{told}")
        if self.policy.limits.is_any and (objection := next(self.policy.limits.objections(page), None)):
            return Candidates(page.name, (), (), objection.reason, is_excluded=True)
        groups: dict[Version | str, _Group] = {}
        exclusions: list[Exclusion] = []
        wheels: dict[str | None, _Group] = {}
        """By the version as it is written: to compare versions takes longer."""
        takes_every_wheel = self._takes_every_wheel and not hashes
        for file in page.files:
            parsed = parse_filename(file.filename, page.name)
            is_wheel = parsed.kind is FileKind.WHEEL
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
        judge = self._judged
        releases = [
            _release(page.name, key, group, Unjudged(group.files, judge), hashes)
            for key, group in groups.items()
            if group.files
        ]
        return Candidates(page.name, _newest_first(releases), tuple(exclusions))

    def _judged(self, files: list[_File]) -> tuple[Candidate, ...]:
        listed = ((f, p, self.page_mask(f, p)) for f, p in files)
        return _usable([Candidate(file, parsed, mask, mask) for file, parsed, mask in listed])

    def page_mask(self, file: DistFile, parsed: ParsedFilename) -> int:
        """The environments that can use a file, by its name and by what its page says."""
        return self.tag_mask(parsed) & self.listed_mask(file, parsed)

    def listed_mask(self, file: DistFile, parsed: ParsedFilename) -> int:
        """The same, whatever the tags of a wheel say."""
        if self._reading is not None and not takes_name(file.filename, parsed, self._reading):
            return 0
        return self.python_mask(file.requires_python)

    def marker_masks(self, marker: Marker | None, extras: frozenset[NormalizedName]) -> tuple[int, int]:
        """The environments in which a marker holds for certain, and those in which it is open."""
        if marker is None:
            return self.everything, 0
        key = (str(marker), extras)
        found = self._marker_masks.get(key)
        if found is None:
            certain = open_ = 0
            for i, environment in enumerate(self.environments):
                value = evaluate(marker, environment, extras)
                certain |= (value is True) << i
                open_ |= (value is None) << i
            for environment, ends in self._between if _PATCH_RELEASE.search(key[0]) else ():
                if not (certain | open_) & ends and evaluate(marker, environment, extras) is not False:
                    open_ |= ends  # it holds at neither end, and may between them
            found = self._marker_masks[key] = (certain, open_)
        return found

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
            reading = self._reading
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
        if len(release.candidates) == 1 and release.candidates[0].is_wheel:  # most releases of most projects
            return [c.file for c, _ in release.installable(mask, with_yanked=with_yanked)]
        installable = {c.file.identity for c, _ in release.installable(mask, with_yanked=with_yanked)}
        # What the metadata of these sdists says does not count, for nobody asks for it.
        sources = mask if self.policy.keeps_sdists else mask & self._universal
        return [
            c.file
            for c in release.candidates
            if (with_yanked or not c.file.is_yanked)
            and (
                c.file.identity in installable
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


def _release(
    project: NormalizedName, key: Version | str, group: _Group, given: Unjudged, hashes: frozenset[str]
) -> Release:
    """One release. 1.0 and 1.0.0 are the same version (PEP 440); the shortest text stands for all."""
    if isinstance(key, str):
        return Release(project, None, key, given, hashes)
    if len(group.texts) == 1:
        return Release(project, key, _normal(group.texts[0]) or str(key), given, hashes)
    written = [found for text in group.texts if text and (found := parse_version(text)) is not None]
    version = min(written, key=lambda found: (len(str(found)), str(found)))
    return Release(project, version, str(version), given, hashes)


def _group_of(groups: dict[Version | str, _Group], parsed: ParsedFilename) -> _Group:
    """The group of a file's version, in which the way it is written there is noted."""
    key = parsed.version if parsed.version is not None else (parsed.version_text or "")
    group = groups.get(key)
    if group is None:
        group = groups[key] = _Group([], (parsed.version_text,))
    elif parsed.version_text not in group.texts:
        group.texts = (*group.texts, parsed.version_text)
    return group


@lru_cache(maxsize=16384)
def _normal(text: str | None) -> str | None:
    """A version as the standard writes it; None for anything else."""
    version = parse_version(text) if text else None
    return None if version is None else str(version)


def _usable(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Legacy kinds are carried beside wheels and sdists, but make a release usable only where they stand alone."""
    standard = [c.parsed.kind is FileKind.WHEEL or c.parsed.kind is FileKind.SDIST for c in found]
    if all(standard) or not any(standard):
        return tuple(found)
    return tuple(c if c.is_wheel or c.is_sdist else Candidate(c.file, c.parsed, 0, 0) for c in found)


def _newest_first(releases: list[Release]) -> tuple[Release, ...]:
    """Valid versions, newest first; legacy texts after all of them."""
    valid = [(r.version, r) for r in releases if r.version is not None]
    legacy = [r for r in releases if r.version is None]
    valid.sort(key=lambda pair: pair[0], reverse=True)
    legacy.sort(key=lambda release: release.text, reverse=True)
    return (*(release for _, release in valid), *legacy)
