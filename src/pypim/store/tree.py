"""A published static tree on a local disk: pages as files, distribution files as links into the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import CorruptBlob, StoreUnwritable
from pypim.store import atomic, linking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypim.core.model import Holding

_METADATA = ".metadata"


class LocalTree:
    """The Tree of one folder. Where the store keeps its files in that very folder, placing them is nothing to do."""

    def __init__(self, folder: Path, store: Path, staging: Path) -> None:
        """`store` is the folder that holds the store's `packages/`; `staging` is on the file system of `folder`."""
        self._folder = folder
        self._store = store
        self._staging = staging
        self._folders = atomic.Folders(folder)

    @property
    def where(self) -> str:
        """The folder, for messages."""
        return str(self._folder)

    def place(self, holdings: Iterable[Holding], *, replaces: bool = False) -> None:
        """Link or copy the files; those that already stand there with their size are left alone."""
        if self._folder == self._store:
            return
        placed = []
        for holding in holdings:
            for name in _names(holding):
                source, target = f"{self._store}{os.sep}{name}", f"{self._folder}{os.sep}{name}"
                if replaces or not _is_same_size(source, target):
                    self._folders.make_for(target)
                    self._place(source, target, holding)
                    placed.append(target)
        if placed:
            atomic.sync_file_system(self._folder, map(Path, placed))

    def _place(self, source: str, target: str, holding: Holding) -> None:
        try:
            linking.link_or_copy(source, target, staging=self._staging)
        except StoreUnwritable as fault:
            if Path(source).exists():
                raise
            raise CorruptBlob(holding.filename, f"the stored file {source} is missing") from fault

    def lacking(self, holdings: Iterable[Holding]) -> list[Holding]:
        """Where the store keeps its files in this folder, nothing: whoever verifies the store finds it there."""
        if self._folder == self._store:
            return []
        return [holding for holding in holdings if not all(map(self._stands, _names(holding)))]

    def copy_of(self, holding: Holding) -> Path | None:
        """Where this folder has bytes of its own: copied, or linked before the store got its file anew."""
        if self._folder == self._store or all(map(self._is_link, _names(holding))):
            return None
        return self._folder / holding.path

    def _is_link(self, name: str) -> bool:
        try:
            return os.path.samefile(f"{self._store}{os.sep}{name}", f"{self._folder}{os.sep}{name}")  # noqa: PTH121 - as below
        except OSError:
            return False

    def _stands(self, name: str) -> bool:
        return _is_same_size(f"{self._store}{os.sep}{name}", f"{self._folder}{os.sep}{name}")

    def displace(self, holdings: Iterable[Holding]) -> None:
        """Delete what `place` put there; in the store's own folder the bytes are not this tree's to delete."""
        if self._folder != self._store:
            self.remove(name for holding in holdings for name in _names(holding))

    def write(self, pages: Mapping[str, bytes]) -> None:
        """Replace the files, each atomically, all durable before any gets its name."""
        if pages:
            atomic.make_folder(self._staging)
            atomic.remove_temporaries(self._staging)
            contents = ((self._folder / path, content) for path, content in pages.items())
            atomic.write_together(contents, staging=self._staging, top=self._folder)

    def read(self, path: str) -> bytes | None:
        """What stands there; None where nothing can be read."""
        try:
            return (self._folder / path).read_bytes()
        except OSError:
            return None

    def pages(self) -> list[str]:
        """The names of all folders below `simple/`."""
        simple = self._folder / "simple"
        return sorted(path.name for path in simple.iterdir() if path.is_dir()) if simple.is_dir() else []

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files and the folders that become empty, durably: who records it must not see them come back."""
        targets = [self._folder / path for path in paths]
        for target in targets:
            atomic.remove(target)
            atomic.remove_empty_folders(target.parent, self._folder)
        if targets:
            left = (next(folder for folder in target.parents if folder.exists()) for target in targets)
            atomic.sync_file_system(self._folder, left)


def _names(holding: Holding) -> tuple[str, ...]:
    """The files that stand for a holding, relative to either folder."""
    if holding.metadata_sha256 is None:
        return (holding.path,)
    return holding.path, holding.path + _METADATA


def _is_same_size(source: str, target: str) -> bool:
    try:
        return os.path.getsize(target) == os.path.getsize(source)  # noqa: PTH202 - for every file that is published
    except OSError:
        return False
