"""The candidates of a project: its releases, newest first, with the files that may satisfy and for which environments.

Environments are bits of a mask, so that a question about many machines is one operation on an integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import FileKind, parse_filename
from pypim.core.markers import evaluate
from pypim.core.model import ProjectStatus
from pypim.core.target import python_allows, wheel_rank

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from packaging.markers import Marker
    from packaging.tags import Tag
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import DistFile, Page
    from pypim.core.policy import Policy
    from pypim.core.target import Environment


class Candidate(msgspec.Struct, frozen=True):
    """A listed file that no filter takes away; `mask` has a bit for every environment that can use it."""

    file: DistFile
    parsed: ParsedFilename
    mask: int

    @property
    def is_wheel(self) -> bool:
        """Whether it installs without being built."""
        return self.parsed.kind is FileKind.WHEEL

    @property
    def is_sdist(self) -> bool:
        """Whether it must be built."""
        return self.parsed.kind is FileKind.SDIST


class Release(msgspec.Struct, frozen=True, eq=False):
    """The candidates of one version. `version` is None where the file names hold no valid one (PEP 440)."""

    project: NormalizedName
    version: Version | None
    text: str
    candidates: tuple[Candidate, ...]
    hashes: frozenset[str] = frozenset()
    """The hashes that its files were limited to."""

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


class Chooser:
    """Knows the environments, the policy and the time, and turns a page into candidates."""

    def __init__(self, environments: Sequence[Environment], policy: Policy, now: datetime) -> None:
        self.environments = tuple(environments)
        self.policy = policy
        self.now = now
        self.everything = (1 << len(self.environments)) - 1
        self._universal = sum(1 << i for i, e in enumerate(self.environments) if e.tags is None)
        self._tag_masks: dict[frozenset[Tag], int] = {}
        self._python_masks: dict[str | None, int] = {None: self.everything}
        self._marker_masks: dict[tuple[str, frozenset[NormalizedName]], tuple[int, int]] = {}

    def candidates(
        self,
        page: Page,
        hashes: frozenset[str] = frozenset(),
        requires_python: Mapping[str, str] | None = None,
    ) -> Candidates:
        """Group a page's files by release and judge each.

        `hashes` ("sha256:<hex>") keeps only files that have one of them (pip's hash-checking mode);
        `requires_python` adds, by file name, what the core metadata says where the page does not.
        """
        if page.status is ProjectStatus.QUARANTINED:
            told = f": {page.status_reason}" if page.status_reason else ""
            return Candidates(page.name, (), (), f"the project is quarantined (PEP 792) and offers no files{told}")
        groups: dict[Version | str, list[Candidate]] = {}
        texts: dict[Version | str, str] = {}
        exclusions: list[Exclusion] = []
        for file in page.files:
            parsed = parse_filename(file.filename, page.name)
            reason = self._objection(page.name, file, parsed, hashes)
            if reason:
                exclusions.append(Exclusion(file.filename, parsed.version_text or "", reason))
                continue
            key = parsed.version if parsed.version is not None else (parsed.version_text or "")
            stated = file.requires_python or (requires_python or {}).get(file.filename)
            groups.setdefault(key, []).append(Candidate(file, parsed, self._mask(parsed, stated)))
            texts.setdefault(key, str(parsed.version) if parsed.version is not None else str(key))
        releases = [
            Release(page.name, None if isinstance(key, str) else key, texts[key], _usable(found), hashes)
            for key, found in groups.items()
        ]
        return Candidates(page.name, _newest_first(releases), tuple(exclusions))

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
            found = self._marker_masks[key] = (certain, open_)
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """The sorted names of the environments in a mask."""
        return tuple(sorted(e.name for i, e in enumerate(self.environments) if mask >> i & 1))

    def kept_files(self, release: Release, mask: int, *, with_yanked: bool) -> list[DistFile]:
        """The files of a release that the environments of a mask need.

        Every wheel that one of them can use; an sdist where one of them has no wheel or stands for every machine there
        is, or always when `filters.formats` asks for sdists by name; legacy kinds pass the filters only when asked for.
        """
        listed = [c for c in release.candidates if with_yanked or not c.file.is_yanked]
        wheels = 0
        for candidate in listed:
            wheels |= candidate.mask if candidate.is_wheel else 0
        builders = self._universal | (mask if self.policy.keeps_sdists else mask & ~wheels)
        return [
            c.file
            for c in listed
            if (c.is_wheel and c.mask & mask)
            or (c.is_sdist and c.mask & mask & builders)
            or not (c.is_wheel or c.is_sdist)
        ]

    def _objection(
        self, project: NormalizedName, file: DistFile, parsed: ParsedFilename, hashes: frozenset[str]
    ) -> str:
        if parsed.kind is FileKind.UNKNOWN:
            return "the file name is not that of a distribution file of this project"
        if hashes and f"sha256:{file.sha256}" not in hashes:
            return "its hash is not one of those that the requirement allows"
        verdict = self.policy.release_verdict(project, parsed.version)
        if verdict.is_allowed:
            verdict = self.policy.file_verdict(project, file, parsed, self.now)
        return "" if verdict.is_allowed else verdict.reason

    def _mask(self, parsed: ParsedFilename, requires_python: str | None) -> int:
        if parsed.tags is not None:
            tags = self._tag_masks.get(parsed.tags)
            if tags is None:
                tags = sum(1 << i for i, e in enumerate(self.environments) if wheel_rank(e, parsed.tags) is not None)
                self._tag_masks[parsed.tags] = tags
        else:
            tags = self.everything
        python = self._python_masks.get(requires_python)
        if python is None:
            python = sum(1 << i for i, e in enumerate(self.environments) if python_allows(e, requires_python))
            self._python_masks[requires_python] = python
        return tags & python


def _usable(found: list[Candidate]) -> tuple[Candidate, ...]:
    """Legacy kinds are carried beside wheels and sdists, but make a release usable only where they stand alone."""
    if all(c.is_wheel or c.is_sdist for c in found) or not any(c.is_wheel or c.is_sdist for c in found):
        return tuple(found)
    return tuple(c if c.is_wheel or c.is_sdist else Candidate(c.file, c.parsed, 0) for c in found)


def _newest_first(releases: list[Release]) -> tuple[Release, ...]:
    """Valid versions, newest first; legacy texts after all of them."""
    valid = [(r.version, r) for r in releases if r.version is not None]
    legacy = [r for r in releases if r.version is None]
    valid.sort(key=lambda pair: pair[0], reverse=True)
    legacy.sort(key=lambda release: release.text, reverse=True)
    return (*(release for _, release in valid), *legacy)
