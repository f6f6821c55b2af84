"""A mirror as the server shows it: the current generation, which a sync flips while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import ProjectNotFound
from pypim.core.model import ProjectList
from pypim.index.held_files import held_metadata, held_path

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page
    from pypim.index.long_pages import FileBound
    from pypim.ports import Blobs, Epochs, Serving


class PublishedIndex:
    """The Served of one mirror. Nothing of it is asked of an upstream."""

    def __init__(
        self, name: str, serving: Serving, blobs: Blobs, epochs: Epochs, bound: FileBound | None = None
    ) -> None:
        """`bound`: which of its pages may be in memory here; None: any."""
        self._name = name
        self._serving = serving
        self._blobs = blobs
        self._epochs = epochs
        self._bound = bound

    @property
    def name(self) -> str:
        """As it is configured."""
        return self._name

    def mark(self, name: NormalizedName | None) -> object:
        """The epoch: every page counts until the next generation."""
        del name
        return self._epochs.epoch(self._name)

    async def project_list(self) -> ProjectList:
        """Every project of which a file is held; empty before the first sync."""
        serial = self._epochs.epoch(self._name)
        generation = self._serving.generation(self._name)
        names = self._serving.names(generation) if generation is not None else []
        return ProjectList(projects=dict.fromkeys(names, serial), last_serial=serial)

    async def project(self, name: NormalizedName) -> Page:
        """The page with the files that are held. Raises ProjectNotFound, or PageIsLong."""
        serial = self._epochs.epoch(self._name)
        while (generation := self._serving.generation(self._name)) is not None:
            if self._bound is not None:
                await self._bound.admit(self._name, self._serving.length(generation, name))
            page = self._serving.page(generation, name)
            if page is not None:
                return msgspec.structs.replace(page, last_serial=serial)
            if self._serving.generation(self._name) == generation:  # else its rows may have been gone already
                break
        raise ProjectNotFound(name, self._name)

    async def content(self, project: NormalizedName, file: DistFile) -> Path:
        """Where the bytes of a listed file are. Raises CorruptBlob where somebody took them away."""
        del project
        return held_path(self._blobs, file)

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        """The `.metadata` beside a held wheel. Raises MetadataNotFound or CorruptBlob."""
        del project
        return held_metadata(self._blobs, file)
