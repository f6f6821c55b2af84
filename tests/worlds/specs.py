"""What a generated world declares: projects, releases and distribution files as frozen values, with short builders.

A test says only what it is about; everything else has a default that a real index could have served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LEGACY_SUFFIXES = {
    "egg": "-py2.7.egg",
    "wininst": ".win32-py2.7.exe",
    "msi": ".win32-py2.7.msi",
    "rpm": "-1.noarch.rpm",
    "dumb": ".linux-x86_64.tar.gz",
    "dmg": "-py2.7-macosx10.9.dmg",
    "deb": "-1_all.deb",
}
"""Kind of a distribution file nobody makes any more → what its name ends with, after project and version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """One distribution file. None means: as its release says, or the usual thing."""

    kind: str = "wheel"
    """`wheel`, `sdist`, or a key of LEGACY_SUFFIXES (opaque bytes)."""
    filename: str | None = None
    """Overrides the name made from project, version and tags; may be anything."""
    tags: str = "py3-none-any"
    build: str = ""
    requires: tuple[str, ...] | None = None
    requires_python: str | None = None
    yanked: bool | str | None = None
    upload_time: str | None = None
    payload: int = 0
    """Bytes of noise that do not compress."""
    metadata_version: str = "2.1"
    dynamic: tuple[str, ...] = ()
    sidecar_requires: tuple[str, ...] | None = None
    """What the `.metadata` file claims instead of the truth (its digest on the page is that of the lie)."""
    has_pkg_info: bool = True
    has_static_pyproject: bool = False
    """Whether the sdist's pyproject.toml has a [project] table that names the requirements."""
    pyproject: str | None = None
    """The whole pyproject.toml of the sdist, instead of one that builds offline; "" leaves it out."""
    builds_with: tuple[str, ...] = ()
    """What the pyproject.toml that builds offline requires for that; the module of each is imported to build."""
    requires_txt: str | None = None
    """The egg-info's requires.txt of the sdist, if it has one."""
    archive: str = "tar.gz"
    """Of an sdist: `tar.gz` or `zip`."""
    metadata: bytes | None = None
    """METADATA (or PKG-INFO) verbatim, for documents that no builder would write."""
    console_script: str = ""
    """Name of a command that prints the version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSpec:
    """One version of a project with its files."""

    version: str
    files: tuple[FileSpec, ...] = (FileSpec(),)
    requires: tuple[str, ...] = ()
    requires_python: str | None = None
    extras: tuple[str, ...] = ()
    """Provided besides those that the requirements mention."""
    yanked: bool | str = False
    upload_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSpec:
    """One project; `name` as its page displays it, normalised or not."""

    name: str
    releases: tuple[ReleaseSpec, ...] = ()
    status: str = "active"
    status_reason: str | None = None
    serial: int = 0
    """0 lets the world number it."""


def wheel(
    tags: str = "py3-none-any",
    *,
    requires: Iterable[str] | None = None,
    build: str = "",
    payload: int = 0,
    sidecar_requires: Iterable[str] | None = None,
    console_script: str = "",
) -> FileSpec:
    """Return a wheel; its requirements are its release's unless given."""
    return FileSpec(
        tags=tags,
        requires=None if requires is None else tuple(requires),
        build=build,
        payload=payload,
        sidecar_requires=None if sidecar_requires is None else tuple(sidecar_requires),
        console_script=console_script,
    )


def sdist(
    *,
    metadata_version: str = "2.2",
    dynamic: Iterable[str] = (),
    requires: Iterable[str] | None = None,
    pyproject: str | None = None,
    requires_txt: str | None = None,
    has_static_pyproject: bool = False,
    builds_with: Iterable[str] = (),
) -> FileSpec:
    """Return an sdist, by default one whose PKG-INFO can be trusted (PEP 643) and that builds offline."""
    return FileSpec(
        kind="sdist",
        metadata_version=metadata_version,
        dynamic=tuple(dynamic),
        requires=None if requires is None else tuple(requires),
        pyproject=pyproject,
        requires_txt=requires_txt,
        has_static_pyproject=has_static_pyproject,
        builds_with=tuple(builds_with),
    )


def legacy(kind: str, payload: int = 64) -> FileSpec:
    """Return a file of a kind that the index only carries: opaque bytes."""
    if kind not in LEGACY_SUFFIXES:
        message = f"no such legacy kind: {kind}"
        raise ValueError(message)
    return FileSpec(kind=kind, payload=payload)


def release(
    version: str,
    *files: FileSpec,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    extras: Iterable[str] = (),
    yanked: bool | str = False,
    upload_time: str | None = None,
) -> ReleaseSpec:
    """Return a release; without files given it has one wheel for everybody."""
    return ReleaseSpec(
        version=version,
        files=files or (FileSpec(),),
        requires=tuple(requires),
        requires_python=requires_python,
        extras=tuple(extras),
        yanked=yanked,
        upload_time=upload_time,
    )


def project(
    name: str,
    *releases: str | ReleaseSpec,
    requires: Iterable[str] = (),
    requires_python: str | None = None,
    files: Sequence[FileSpec] = (FileSpec(),),
    status: str = "active",
    status_reason: str | None = None,
) -> ProjectSpec:
    """Return a project; a plain string is a release with the requirements and files given here."""
    shared = tuple(requires)
    return ProjectSpec(
        name=name,
        releases=tuple(
            item
            if isinstance(item, ReleaseSpec)
            else ReleaseSpec(version=item, files=tuple(files), requires=shared, requires_python=requires_python)
            for item in releases
        ),
        status=status,
        status_reason=status_reason,
    )
