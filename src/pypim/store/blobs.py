"""Blobs in a local folder: each file under `packages/<aa>/<bb>/<60 hex>/`, its `.metadata` beside it."""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import DigestMismatch, StoreUnreadable
from pypim.store import atomic
from pypim.store.staged import LocalStagedBlob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from pypim.core.model import Holding
    from pypim.core.records import FileState
    from pypim.ports import StagedBlob
    from pypim.store.keeping import Keeping
    from pypim.store.rounds import Rounds
    from pypim.store.second import SecondPlaces

_PART = ".part"
_METADATA = ".metadata"
_STALE_SECONDS = 86400.0
_PLACE = re.compile(r"packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+")


class LocalBlobs:
    """The Blobs of a folder on this machine.

    `root` holds `packages/`; `staging` is on the same file system and belongs to this process alone, which the
    StoreLock sees to. Used by many tasks of one event loop at a time.
    """

    def __init__(
        self,
        root: Path,
        staging: Path,
        *,
        is_durable: bool = True,
        gather_seconds: float = 0.002,
        now: Callable[[], float] = time.time,
        keeping: Keeping | None = None,
    ) -> None:
        """Without `is_durable` nothing is synced: for tests and comparisons; without `keeping` nobody else is there.

        `gather_seconds`: how long the first file of a durability round waits for company before it begins.
        `now` gives seconds since the epoch.
        """
        self.root = root
        self.staging = staging
        self._packages = root / "packages"
        self._now = now
        self._is_durable = is_durable
        self._gather_seconds = gather_seconds
        self._in_use: set[str] = set()
        self._left_over: set[str] | None = None
        self._private_names = 0
        self._keeping = keeping
        self.kept_back_bytes = 0
        """So much of the room is not for files."""

    # What only a run that keeps files needs, and a short look at a plan should not wait for.
    @cached_property
    def _rounds(self) -> Rounds:
        from pypim.store.rounds import Rounds

        return Rounds(self.root, gather_seconds=self._gather_seconds)

    @cached_property
    def _second_places(self) -> SecondPlaces:
        from pypim.store.second import SecondPlaces

        return SecondPlaces(self.root, self.staging)

    def alone(self) -> AbstractContextManager[None]:
        """Nobody keeps a file meanwhile."""
        return self._keeping.alone() if self._keeping is not None else nullcontext()

    @property
    def syncs(self) -> int:
        """How many durability rounds there were."""
        return self._rounds.syncs

    def stage(self, key: str) -> LocalStagedBlob:
        """A place for incoming bytes, with those of an interrupted run, hashed again.

        While a key is staged already, a second staging of it gets a file of its own that nobody resumes.
        """
        left_over = self._parts_left_over()
        name = hashlib.sha256(key.encode()).hexdigest()[:40] + _PART
        if name in self._in_use:
            self._private_names += 1
            name = f"{name.removesuffix(_PART)}-{self._private_names}{_PART}"
        self._in_use.add(name)
        return LocalStagedBlob(f"{self.staging}{os.sep}{name}", self._release, is_left_over=name in left_over)

    async def keep(self, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        """Give the bytes and the `.metadata` their names; returns when both are durable.

        Calls that come together share the syncs of one round, so wait for this outside of any limit on transfers.
        A caller may be cancelled: the file then still gets its name. After a failed sync the staged bytes are
        dropped, for nobody knows what reached the disk; after any other fault the caller owns them again.
        Raises DigestMismatch when the staged bytes are not the holding's, OutOfSpace or StoreUnwritable.
        """
        if not isinstance(staged, LocalStagedBlob):
            raise TypeError("only what this store has staged can be kept in it")
        _check(staged, holding)
        staged.hand_over()
        try:
            moves = self._moves(staged, holding, metadata)
            if not self._is_durable:
                for source, target in moves:
                    atomic.rename_into(source, Path(target))
        except BaseException:
            staged.take_back()
            raise
        if self._is_durable:
            await self._rounds.place(moves, staged)
        else:
            staged.take_name()

    def path(self, holding: Holding) -> Path:
        """Where the bytes are."""
        return self.root / holding.path

    def place(self, source: Path, state: FileState, holding: Holding, metadata: bytes | None, *, copies: bool) -> bool:
        """Give a file that stands elsewhere on this machine a place here too; whether it is a link."""
        return self._second_places.place(source, state, holding, metadata, copies=copies)

    async def confirm(self, holdings: Iterable[Holding]) -> None:
        """Make files durable that stand there already, with their names."""
        paths = [path for holding in holdings for path in self._paths(holding)]
        if paths and self._is_durable:
            import asyncio

            await asyncio.to_thread(atomic.sync_file_system, self.root, paths)

    def found(self, holding: Holding) -> bool:
        """Whether a file of the right size stands there (and the `.metadata`, when it has one); no bytes are read."""
        path = self.path(holding)
        try:
            is_there = path.stat().st_size == holding.blob.size
            return is_there and all(beside.is_file() for beside in self._paths(holding)[1:])
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise _unreadable(error, path) from error

    def delete(self, holding: Holding) -> None:
        """Remove the bytes, then the `.metadata` and the folders left empty; not an error when they are gone."""
        path = self.path(holding)
        atomic.remove(path)
        atomic.remove(path.with_name(path.name + _METADATA))
        atomic.remove_empty_folders(path.parent, self._packages)

    def confirm_deletions(self) -> None:
        """Wait until what was deleted does not come back with the power."""
        if self._is_durable:
            atomic.sync_file_system(self.root, [self._packages] if self._packages.exists() else [])

    def stray(self, known: Iterable[Holding]) -> dict[str, int]:
        """Files that belong to none of these holdings, and parts that nobody came back for in a day.

        Path relative to the root, with '/' → size in bytes. What does not stand where a blob would is somebody else's.
        Raises StoreUnreadable.
        """
        # Their hashes take a quarter of the memory of the names. A stray that has one of them by chance is not found.
        names: set[int] = set()
        for holding in known:
            names.add(hash(holding.path))
            if holding.metadata_sha256 is not None:
                names.add(hash(holding.path + _METADATA))
        try:
            files = ((path, size) for path, size in self.iter_files() if hash(path) not in names)
            strays = {path: size for path, size in files if _PLACE.fullmatch(path)}
            return strays | dict(self._stale_parts())
        except OSError as error:
            raise _unreadable(error, self.root) from error

    def delete_stray(self, paths: Iterable[str]) -> None:
        """Delete files that `stray` named, and the folders left empty; ValueError for a path that it cannot name."""
        for relative in paths:
            path = Path(os.path.normpath(self.root / relative))
            if path.parent == Path(os.path.normpath(self.staging)):
                atomic.remove(path)
                self._parts_left_over().discard(path.name)
            elif path.is_relative_to(os.path.normpath(self._packages)):
                atomic.remove(path)
                atomic.remove_empty_folders(path.parent, self._packages)
            else:
                raise ValueError(f"{relative} is neither under packages nor staged")

    def free_bytes(self) -> int | None:
        """Room for files on the device; None where the system does not say."""
        free = atomic.free_bytes(self.root)
        return None if free is None else max(free - self.kept_back_bytes, 0)

    def iter_files(self) -> Iterator[tuple[str, int]]:
        """Every (path relative to the root, with '/', size in bytes) under `packages/`, `.metadata` included."""
        if self._packages.is_dir():
            yield from _walk(str(self._packages), self._packages.name)

    def _stale_parts(self) -> Iterator[tuple[str, int]]:
        if not self.staging.is_dir():
            return
        oldest = self._now() - _STALE_SECONDS
        for path in self.staging.iterdir():
            facts = path.stat()
            if facts.st_mtime < oldest and path.stem + _PART not in self._in_use:
                yield Path(os.path.relpath(path, self.root)).as_posix(), facts.st_size

    def _parts_left_over(self) -> set[str]:
        """The names in staging, read once: from then on this process is the only one that adds or removes."""
        if self._left_over is None:
            atomic.make_folder(self.staging)
            try:
                self._left_over = {path.name for path in self.staging.iterdir()}
            except OSError as error:
                raise _unreadable(error, self.staging) from error
        return self._left_over

    def _paths(self, holding: Holding) -> list[Path]:
        path = self.path(holding)
        return [path] if holding.metadata_sha256 is None else [path, path.with_name(path.name + _METADATA)]

    def _moves(self, staged: LocalStagedBlob, holding: Holding, metadata: bytes | None) -> list[tuple[str, str]]:
        """Where each file goes, the `.metadata` first: who sees the bytes finds it beside them."""
        target = f"{self.root}{os.sep}{holding.path}"
        if metadata is None:
            return [(staged.file, target)]
        beside = staged.file.removesuffix(_PART) + _METADATA
        _write_whole(beside, metadata)
        return [(beside, target + _METADATA), (staged.file, target)]

    def _release(self, staged: LocalStagedBlob) -> None:
        name = os.path.basename(staged.file)  # noqa: PTH119 - for every file that comes in
        self._in_use.discard(name)
        if staged.is_on_disk:
            self._parts_left_over().add(name)
        else:
            self._parts_left_over().discard(name)


def _unreadable(error: OSError, path: Path) -> StoreUnreadable:
    return StoreUnreadable(str(error.filename or path), error.strerror or str(error))


def _check(staged: LocalStagedBlob, holding: Holding) -> None:
    for algorithm, expected in (("sha256", holding.blob.sha256), ("blake2b_256", holding.blob.blake2b_256)):
        actual = staged.digest(algorithm)
        if actual != expected:
            raise DigestMismatch(holding.filename, algorithm, expected, actual)


def _write_whole(path: str, content: bytes) -> None:
    descriptor = atomic.open_for_writing(path, keeps_content=False)
    try:
        atomic.write(descriptor, path, content)
    finally:
        os.close(descriptor)


def _walk(folder: str, relative: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{relative}/{entry.name}")
            else:
                yield f"{relative}/{entry.name}", entry.stat(follow_symlinks=False).st_size
