"""A generated world: the projects of an index with the real bytes of every file, as one immutable value.

World.of(project("app", "1.0", requires=["lib>=1"]), project("lib", "1.0", "2.0"))
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from tests.worlds.archives import archive_of, filename_of, metadata_of
from tests.worlds.specs import FileSpec, ProjectSpec, ReleaseSpec, legacy, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "BuiltFile",
    "FileSpec",
    "ProjectSpec",
    "ReleaseSpec",
    "World",
    "legacy",
    "project",
    "release",
    "sdist",
    "wheel",
]


@dataclass(frozen=True)
class BuiltFile:
    """One distribution file with its bytes and all that an index says about it."""

    project: str
    """Normalised."""
    version: str
    filename: str
    kind: str
    content: bytes
    metadata: bytes | None
    """What `.metadata` serves; None for anything but a wheel."""
    requires_python: str | None
    yanked: bool | str
    upload_time: str

    @cached_property
    def sha256(self) -> str:
        """Digest of the content in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def md5(self) -> str:
        """Digest of the content in hex, for old indexes."""
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()

    @cached_property
    def blake2b_256(self) -> str:
        """Digest of the content in hex, as in the paths of the public index."""
        return hashlib.blake2b(self.content, digest_size=32).hexdigest()

    @cached_property
    def metadata_sha256(self) -> str | None:
        """Digest of `metadata` in hex."""
        return None if self.metadata is None else hashlib.sha256(self.metadata).hexdigest()

    @property
    def path(self) -> str:
        """`packages/aa/bb/<60 hex>/<filename>`, relative."""
        digest = self.blake2b_256
        return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.content)


@dataclass(frozen=True)
class World:
    """All projects of one index; every change makes a new world with higher serials of what changed."""

    projects: tuple[ProjectSpec, ...] = ()

    @classmethod
    def of(cls, *projects: ProjectSpec) -> World:
        """Return the world of these projects, numbered from serial 1 where they have no serial of their own."""
        return cls(tuple(item if item.serial else replace(item, serial=n) for n, item in enumerate(projects, start=1)))

    def having(self, *projects: ProjectSpec) -> World:
        """Return this world with the projects added, or put in the place of those with the same name."""
        changed = {canonicalize_name(item.name): item for item in projects}
        kept = [item for item in self.projects if canonicalize_name(item.name) not in changed]
        serial = self.serial
        return World((*kept, *(replace(item, serial=serial + n) for n, item in enumerate(projects, start=1))))

    def releasing(self, name: str, *releases: ReleaseSpec) -> World:
        """Return this world with releases added to a project, replacing those of the same version."""
        old = self.spec(name)
        versions = {item.version for item in releases}
        kept = (item for item in old.releases if item.version not in versions)
        return self.having(replace(old, releases=(*kept, *releases)))

    def without(self, *names: str) -> World:
        """Return this world without these projects."""
        gone = {canonicalize_name(name) for name in names}
        return World(tuple(item for item in self.projects if canonicalize_name(item.name) not in gone))

    @property
    def serial(self) -> int:
        """The highest serial of any project."""
        return max((item.serial for item in self.projects), default=0)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The normalised names, sorted."""
        return tuple(sorted(self._specs))

    @cached_property
    def _specs(self) -> dict[str, ProjectSpec]:
        return {canonicalize_name(item.name): item for item in self.projects}

    def spec(self, name: str) -> ProjectSpec:
        """Return the project as declared; KeyError if it is not there."""
        return self._specs[canonicalize_name(name)]

    def files_of(self, name: str) -> tuple[BuiltFile, ...]:
        """Return a project's files in the order declared; KeyError if it is not there."""
        return _build(self.spec(name))

    @property
    def files(self) -> Iterator[BuiltFile]:
        """Every file of every project."""
        for name in self.names:
            yield from self.files_of(name)

    @cached_property
    def _by_path(self) -> dict[str, BuiltFile]:
        return {built.path: built for built in self.files}

    @cached_property
    def _by_filename(self) -> dict[str, BuiltFile]:
        return {built.filename: built for built in self.files}

    def file(self, filename: str) -> BuiltFile:
        """Return the file of this name; KeyError if there is none."""
        return self._by_filename[filename]

    def file_at(self, path: str) -> BuiltFile | None:
        """Return the file with this `packages/…` path, or with this bare name."""
        return self._by_path.get(path) or self._by_filename.get(path)

    def write_flat(self, folder: Path) -> None:
        """Write every file into one folder, as `--find-links` reads it."""
        folder.mkdir(parents=True, exist_ok=True)
        for built in self.files:
            (folder / built.filename).write_bytes(built.content)


@lru_cache(maxsize=1024)
def _build(spec: ProjectSpec) -> tuple[BuiltFile, ...]:
    return tuple(
        _built(spec, made, file, age, n) for age, made in enumerate(spec.releases) for n, file in enumerate(made.files)
    )


def _built(spec: ProjectSpec, made: ReleaseSpec, file: FileSpec, age: int, number: int) -> BuiltFile:
    content, metadata = archive_of(spec.name, made, file)
    if metadata is not None and file.sidecar_requires is not None:
        metadata = metadata_of(spec.name, made, file, file.sidecar_requires)
    return BuiltFile(
        project=canonicalize_name(spec.name),
        version=made.version,
        filename=filename_of(spec.name, made.version, file),
        kind=file.kind,
        content=content,
        metadata=metadata,
        requires_python=file.requires_python or made.requires_python,
        yanked=made.yanked if file.yanked is None else file.yanked,
        upload_time=file.upload_time or made.upload_time or _upload_time(age, number),
    )


def _upload_time(age: int, number: int) -> str:
    """Return one month per release from January 2024 on, one second per file."""
    return f"{2024 + age // 12}-{age % 12 + 1:02}-01T12:00:{number % 60:02}.000000Z"
