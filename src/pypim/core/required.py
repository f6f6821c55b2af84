"""Requirements as facts that can be asked for from both ends: who requires what, in which versions."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidName
from pypim.core.filenames import parse_version
from pypim.core.lenient import parse_requirement, parse_specifier_set
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.model import CoreMetadata


class RequirementParts(msgspec.Struct, frozen=True, array_like=True):
    """One dependency specifier (PEP 508) taken apart into texts."""

    name: NormalizedName
    extras: str
    """Sorted, with commas; empty for none."""
    specifier: str
    """Empty for any version."""
    marker: str | None


class KnownRequirement(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """That a release requires a project, as its core metadata or its project's description says."""

    project: NormalizedName
    """The one that requires."""
    version: str
    """Its release, normalised where it can be; empty where nobody said."""
    required: NormalizedName
    requirement: str
    """As written."""
    extras: str = ""
    specifier: str = ""
    """Of the required project; empty for any version."""
    marker: str | None = None
    """The condition; None for always."""
    is_build: bool = False
    """Whether it is needed to build the sdist (PEP 518), rather than to run."""
    is_described: bool = False
    """Whether only the project's document of the JSON API says so: true of the first file of that release."""


@lru_cache(maxsize=65536)
def requirement_parts(text: str) -> RequirementParts | None:
    """What a requirement says; None where nobody can read it."""
    parsed = parse_requirement(text)
    if parsed is None:
        return None
    marker = None if parsed.marker is None else str(parsed.marker)
    return RequirementParts(parsed.name, ",".join(sorted(parsed.extras)), str(parsed.specifier), marker)


def requirements_in(project: str | None, version: str | None, metadata: CoreMetadata) -> Iterator[KnownRequirement]:
    """All that core metadata requires, to run and to build; nothing where it does not say whose it is."""
    try:
        name = parse_name(project or "")
    except InvalidName:
        return
    release = release_of(version)
    yield from _known(name, release, metadata.requires_dist, is_build=False)
    yield from _known(name, release, metadata.build_requires, is_build=True)


def described_requirements(
    project: NormalizedName, version: str | None, texts: Sequence[str]
) -> Iterator[KnownRequirement]:
    """What a project's description requires."""
    return _known(project, release_of(version), texts, is_build=False, is_described=True)


def _known(
    project: NormalizedName, version: str, texts: Sequence[str], *, is_build: bool, is_described: bool = False
) -> Iterator[KnownRequirement]:
    for text in texts:
        parts = requirement_parts(text)
        if parts is not None:
            yield KnownRequirement(
                project=project,
                version=version,
                required=parts.name,
                requirement=text,
                extras=parts.extras,
                specifier=parts.specifier,
                marker=parts.marker,
                is_build=is_build,
                is_described=is_described,
            )


@lru_cache(maxsize=4096)
def release_of(version: str | None) -> str:
    """The version as the tables have it: normalised, as it stands where it is none, empty where nobody said."""
    return str(parse_version(version) or version) if version else ""


def admits(specifier: str, version: Version) -> bool:
    """Whether a specifier allows that version; one that cannot be read allows all of them, as nobody can say no."""
    specifiers = parse_specifier_set(specifier)
    return specifiers is None or specifiers.contains(version, prereleases=True)
