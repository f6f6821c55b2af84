"""What one index holds, and nothing else, as an Index and a MetadataReader: a resolver that asks it asks nobody else.

A file counts where it is listed, recorded and stands on the disk, and in the published tree where there is one. What
is listed and is not there is remembered with the reason, for that may be why something cannot be installed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pypim.core.archive import sdist_metadata, wheel_metadata
from pypim.core.errors import CorruptBlob, MetadataNotFound, ProjectNotFound
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.metadata import parse_metadata
from pypim.core.model import CoreMetadata, DistFile, MetadataSource, Page, ProjectList
from pypim.core.selection import Selection
from pypim.sync.publish import pages_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.core.selection import ChosenRelease, ProjectFacts
    from pypim.ports import Blobs, MetadataReader, Tree


class LostFile(msgspec.Struct, frozen=True):
    """A file that the index lists and that is not there."""

    project: NormalizedName
    version: str
    file: DistFile
    reason: str
    was_fetched: bool
    """Whether it is recorded as held."""


class Held:
    """The selection of one index, less what is not there."""

    def __init__(
        self,
        index: str,
        selection: Selection,
        holdings: Mapping[str, Holding],
        blobs: Blobs,
        tree: Tree | None = None,
        *,
        others: MetadataReader | None = None,
    ) -> None:
        """With `others`, lost files count as if they were there, and their metadata is asked from it."""
        self._index = index
        self._selection = selection
        self._holdings = holdings
        self._blobs = blobs
        self._tree = tree
        self._others = others
        self._releases: dict[NormalizedName, list[ChosenRelease]] = {}
        for release in selection.releases:
            self._releases.setdefault(release.project, []).append(release)
        self._facts: dict[NormalizedName, ProjectFacts] = {facts.name: facts for facts in selection.projects}
        self._pages: dict[NormalizedName, Page | None] = {}
        self._paths: dict[tuple[str, str | None], tuple[Holding, Path]] = {}
        self._metadata: dict[tuple[str, str | None], CoreMetadata] = {}
        self.lost: dict[NormalizedName, tuple[LostFile, ...]] = {}
        """Of the projects that were asked for."""

    def with_lost(self, others: MetadataReader) -> Held:
        """The same as if no file were lost, with the metadata of those that are from elsewhere."""
        return Held(self._index, self._selection, self._holdings, self._blobs, self._tree, others=others)

    # --- an Index ---------------------------------------------------------------------------------------------------
    async def project_list(self) -> ProjectList:
        """Every project of which something is held."""
        return ProjectList(projects={name: None for name in self.names() if self.page(name) is not None})

    async def project(self, name: NormalizedName) -> Page:
        """The page with the files that are held. Raises ProjectNotFound."""
        page = self.page(name)
        if page is None:
            error = ProjectNotFound(name, self._index)
            error.message = f"nothing of {name} is held"
            raise error
        return page

    def page(self, name: NormalizedName) -> Page | None:
        """The same; None where nothing is held."""
        if name not in self._pages:
            self._pages[name] = self._page(name)
        return self._pages[name]

    def _page(self, name: NormalizedName) -> Page | None:
        present: dict[str, Holding] = {}
        lost: list[LostFile] = []
        for release in self._releases.get(name, ()):
            for file in release.files:
                reason = self._why_lost(file)
                if reason:
                    lost.append(LostFile(name, release.version, file, reason, file.identity in self._holdings))
                else:
                    present[file.identity] = self._holdings[file.identity]
        self.lost[name] = tuple(lost)
        facts = self._facts.get(name)
        mine = Selection(releases=tuple(self._releases.get(name, ())), projects=(facts,) if facts is not None else ())
        page = pages_of(mine, present).get(name)
        for holding in present.values():
            self._paths[holding.filename, holding.blob.sha256] = (holding, self._blobs.path(holding))
        if self._others is None or not lost:
            return page
        files = (*(page.files if page else ()), *(one.file for one in lost))
        return msgspec.structs.replace(page, files=files) if page else Page(name=name, files=files)

    def _why_lost(self, file: DistFile) -> str:
        """Why a listed file is not there; empty where it is."""
        holding = self._holdings.get(file.identity)
        if holding is None:
            return "it could not be fetched"
        if not self._blobs.found(holding):
            return f"{self._blobs.path(holding)} is missing, or has another size"
        if self._tree is not None and self._tree.lacking([holding]):
            return f"{holding.path} is missing where the index is published"
        return ""

    def names(self) -> list[NormalizedName]:
        """The projects that are listed, sorted."""
        return sorted(self._releases)

    def holding(self, file: DistFile) -> Holding:
        """The holding of a file that one of the pages lists."""
        return self._paths[file.filename, file.sha256][0]

    # --- a MetadataReader -------------------------------------------------------------------------------------------
    async def metadata(self, project: NormalizedName, file: DistFile) -> CoreMetadata:
        """From the `.metadata` beside the bytes where it is as it was stored, else from the bytes.

        Raises MetadataNotFound; UpstreamFault or IntegrityFault for a lost file.
        """
        key = (file.filename, file.sha256)
        known = self._metadata.get(key)
        if known is None:
            if key not in self._paths and self._others is not None:
                return await self._others.metadata(project, file)
            known = self._metadata[key] = self._read(project, file, *self._paths[key])
        return known

    def said(self, seen: Sequence[tuple[NormalizedName, DistFile, bytes]]) -> set[str]:
        """Nothing is believed here but what is held."""
        del seen
        return set()

    def learned(self, project: NormalizedName, file: DistFile, metadata: CoreMetadata, body: bytes | None) -> None:
        """Likewise."""
        del project, file, metadata, body

    def _read(self, project: NormalizedName, file: DistFile, holding: Holding, path: Path) -> CoreMetadata:
        kind = parse_filename(file.filename, project).kind
        try:
            if kind is FileKind.WHEEL:
                return parse_metadata(_sidecar(holding, path) or _of_wheel(file, path), MetadataSource.WHEEL)
            if kind is FileKind.SDIST:
                with path.open("rb") as stream:
                    return sdist_metadata(stream, file.filename)[0]
        except CorruptBlob as error:
            raise MetadataNotFound(file.filename, (error.reason,)) from error
        except OSError as error:
            raise MetadataNotFound(file.filename, (f"{path}: {error.strerror}",)) from error
        return CoreMetadata(name=None, version=None, source=MetadataSource.NONE)


def _sidecar(holding: Holding, path: Path) -> bytes | None:
    """The `.metadata` beside the bytes; None where it is not the one that was stored."""
    try:
        body = path.with_name(path.name + ".metadata").read_bytes()
    except OSError:
        return None
    return body if hashlib.sha256(body).hexdigest() == holding.metadata_sha256 else None


def _of_wheel(file: DistFile, path: Path) -> bytes:
    with path.open("rb") as stream:
        return wheel_metadata(stream, file.filename)
