"""A Served of a few pages in memory, that a test can change, reserve names on, or let fail; it notes who was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import NormalizedName

from pypim.core.errors import MetadataNotFound, ProjectNotFound, PypimError
from pypim.core.model import DistFile, Page, ProjectList
from pypim.core.names import parse_safe_filename

if TYPE_CHECKING:
    from pathlib import Path


def dist_file(filename: str, digest: str = "a", *, where: str = "https://files.example", size: int = 1) -> DistFile:
    """A file whose sha256 is one hex digit, repeated."""
    sha256 = digest * 64
    return DistFile(
        filename=parse_safe_filename(filename), url=f"{where}/{sha256[:8]}/{filename}", sha256=sha256, size=size
    )


class Shelf:
    """A Served."""

    def __init__(self, name: str, *pages: Page, reserved: frozenset[str] = frozenset()) -> None:
        self._name = name
        self.pages = {page.name: page for page in pages}
        self.names_reserved = reserved
        self.fault: PypimError | None = None
        """What every call raises from now on."""
        self.asked: list[str] = []
        self.changes = 0
        self.paths: dict[str, Path] = {}
        self.metadata: dict[str, bytes] = {}

    @property
    def name(self) -> str:
        return self._name

    def put(self, page: Page) -> None:
        self.pages[page.name] = page
        self.changes += 1

    def drop(self, name: str) -> None:
        del self.pages[NormalizedName(name)]
        self.changes += 1

    def reserves(self, name: NormalizedName) -> bool:
        return name in self.names_reserved

    def mark(self, name: NormalizedName | None) -> object:
        return self.name, self.changes if self.fault is None else object()

    async def project(self, name: NormalizedName) -> Page:
        self.asked.append(name)
        if self.fault is not None:
            raise self.fault
        if name not in self.pages:
            raise ProjectNotFound(name, self.name)
        return self.pages[name]

    async def project_list(self) -> ProjectList:
        if self.fault is not None:
            raise self.fault
        serials = [page.last_serial for page in self.pages.values() if page.last_serial is not None]
        return ProjectList(
            projects={name: page.last_serial for name, page in self.pages.items()},
            last_serial=max(serials, default=None),
        )

    async def content(self, project: NormalizedName, file: DistFile) -> Path:
        assert file in self.pages[project].files, "only what the page lists is asked for"
        return self.paths[file.filename]

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        assert file in self.pages[project].files, "only what the page lists is asked for"
        if file.filename not in self.metadata:
            raise MetadataNotFound(file.filename, ())
        return self.metadata[file.filename]
