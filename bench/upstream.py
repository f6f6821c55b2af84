"""A generated upstream on disk: its files are made once and kept, its pages are written for each address anew."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.worlds import pages
from tests.worlds.archives import filename_of, make_archive
from tests.worlds.pages import Dialect, ListedFile
from tests.worlds.specs import FileSpec, ProjectSpec, ReleaseSpec
from tests.worlds.world import World

_FORMAT = 2
"""Raised when the same specification gives other bytes, so that what lies in bench/out/ is made again."""


@dataclass(frozen=True)
class StoredFile:
    """A distribution file that lies on disk, with all that a page says about it."""

    version: str
    filename: str
    kind: str
    size: int
    sha256: str
    md5: str
    blake2b_256: str
    metadata_sha256: str | None
    requires_python: str | None
    yanked: bool | str
    upload_time: str

    @property
    def path(self) -> str:
        """`packages/aa/bb/<60 hex>/<filename>`."""
        digest = self.blake2b_256
        return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"


class Upstream:
    """The files and the listing of one recipe. `files/packages/` never changes but grows with `follow`."""

    def __init__(self, folder: Path, world: World) -> None:
        self.folder = folder
        self.world = world
        self._rows = folder / "files.json"
        self._known: dict[str, StoredFile] = {}
        self._stored: dict[str, tuple[StoredFile, ...]] = {}
        if self._rows.exists():
            document = json.loads(self._rows.read_text())
            if document["format"] == _FORMAT:
                self._known = {key: StoredFile(**row) for key, row in document["files"].items()}
            else:
                shutil.rmtree(folder)
        self.follow(world)

    @property
    def projects(self) -> Sequence[ProjectSpec]:
        """As the world declares them."""
        return self.world.projects

    @property
    def names(self) -> Sequence[str]:
        """Normalised, sorted."""
        return self.world.names

    @property
    def serial(self) -> int:
        """The highest of any project."""
        return self.world.serial

    def spec(self, name: str) -> ProjectSpec:
        """Return the project as declared."""
        return self.world.spec(name)

    def files_of(self, name: str) -> Sequence[StoredFile]:
        """Return what is stored of a project."""
        return self._stored[name]

    @property
    def files(self) -> list[StoredFile]:
        """Every file."""
        return [file for name in self.names for file in self._stored[name]]

    def follow(self, world: World) -> None:
        """Take this world as the truth and make the files that are missing."""
        self.world = world
        made = len(self._known)
        self._stored = {name: tuple(self._files(world.spec(name))) for name in world.names}
        if len(self._known) > made:
            rows = {key: asdict(file) for key, file in self._known.items()}
            self._rows.write_text(json.dumps({"format": _FORMAT, "files": rows}))

    def _files(self, project: ProjectSpec) -> list[StoredFile]:
        return [self._file(project.name, release, spec) for release in project.releases for spec in release.files]

    def _file(self, name: str, release: ReleaseSpec, spec: FileSpec) -> StoredFile:
        key = hashlib.sha256(repr((name, replace(release, files=()), spec)).encode()).hexdigest()[:32]
        if key in self._known:
            return self._known[key]
        filename = filename_of(name, release.version, spec)
        content, metadata = make_archive(name, release, spec)
        stored = StoredFile(
            version=release.version,
            filename=filename,
            kind=spec.kind,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            blake2b_256=hashlib.blake2b(content, digest_size=32).hexdigest(),
            metadata_sha256=None if metadata is None else hashlib.sha256(metadata).hexdigest(),
            requires_python=release.requires_python,
            yanked=release.yanked,
            upload_time=release.upload_time or "2024-01-01T00:00:00.000000Z",
        )
        path = self.folder / "files" / stored.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if metadata is not None:
            path.with_name(filename + ".metadata").write_bytes(metadata)
        self._known[key] = stored
        if len(self._known) % 2000 == 0:
            print(f"made {len(self._known)} files in {self.folder.name}", file=sys.stderr)
        return stored

    def write_pages(self, folder: Path, root: str, *, only: Sequence[str] | None = None) -> None:
        """Write lists, pages and per-project JSON whose links begin with `root` (no slash at the end)."""

        def url_of(file: ListedFile) -> str:
            return f"{root}/{file.path}"

        dialect = Dialect()
        _write(folder / "simple" / "index.html", pages.list_html(self, dialect))
        _write(folder / "simple" / "index.v1_json", pages.list_json(self, dialect))
        for name in self.names if only is None else only:
            _write(folder / "simple" / name / "index.html", pages.page_html(self, name, dialect, url_of))
            _write(folder / "simple" / name / "index.v1_json", pages.page_json(self, name, dialect, url_of))
            _write(folder / "pypi" / name / "json", pages.project_json(self, name, url_of))

    def summary(self) -> str:
        """Say in one line what this upstream is."""
        sizes = sorted(file.size for file in self.files)
        releases = sum(len(project.releases) for project in self.projects)
        big = sum(size > 1_000_000 for size in sizes)
        return (
            f"{len(self.names)} projects, {releases} releases, {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB "
            f"(median {sizes[len(sizes) // 2] / 1e3:.0f} KB, {big} above 1 MB, largest {sizes[-1] / 1e6:.1f} MB)"
        )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
