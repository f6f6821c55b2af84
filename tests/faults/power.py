"""What a disk may have after the power went: what was synced, and of the rest any part, torn or not at all.

A recorder in the running process notes what each sync makes durable: contents by inode, names by the folder that was
synced. Of SQLite it takes the word that a commit with `synchronous = FULL` is durable, and no other.
"""

from __future__ import annotations

import ctypes
import os
import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOG = ("catalog.sqlite", "catalog.sqlite-wal")
_IGNORED = ("catalog.sqlite-shm", "spare")
VARIANTS = 3
"""Nothing but what was synced; every name, but what was not synced torn; and a mixture."""


@dataclass
class _State:
    """Files by path relative to the folder, and contents by inode."""

    names: dict[str, int] = field(default_factory=dict)
    contents: dict[int, bytes] = field(default_factory=dict)


class Recorder:
    """Notes what is durable below one folder, from whatever thread it is made so."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._durable = self._now()
        self._catalogs = self._catalog_files()
        self._fsync = os.fsync
        self._library = ctypes.CDLL

    def install(self) -> None:
        """From now on every sync of this process is noted; it is not taken back."""
        os.fsync = self.fsync  # type: ignore[assignment] # of numbers only
        ctypes.CDLL = self.open_library  # type: ignore[misc,assignment] # the same call

    # --- what is made durable -----------------------------------------------------------------------------------------
    def fsync(self, descriptor: int) -> None:
        """One file's content, or the names in one folder."""
        before = self._now()
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - it is no path of ours
        self._fsync(descriptor)
        with self._lock:
            if path.is_dir():
                self._take_names(before, path)
            else:
                inode = os.fstat(descriptor).st_ino
                if inode in before.contents:
                    self._durable.contents[inode] = before.contents[inode]

    def open_library(self, name: str | None, *arguments: Any, **options: Any) -> Any:
        """The C library, whose syncfs makes everything durable."""
        recorder, real = self, self._library(name, *arguments, **options)

        class Library:
            def __getattr__(self, attribute: str) -> Any:
                return getattr(real, attribute)

            def syncfs(self, descriptor: int) -> int:
                before = recorder._now()
                status: int = real.syncfs(descriptor)
                with recorder._lock:
                    recorder._durable = before
                return status

        return Library()

    def committed(self) -> None:
        """A durable transaction of the catalog is over."""
        with self._lock:
            self._catalogs = self._catalog_files()

    # --- what is left -------------------------------------------------------------------------------------------------
    def lose_power(self, out: Path) -> None:
        """Write what the folder may look like afterwards, once for each variant, as `out/0`, `out/1` …"""
        with self._lock:
            now = self._now()
            for variant in range(VARIANTS):
                chance = random.Random(len(now.names) * 31 + variant)
                files = self._variant(variant, now, chance)
                catalog = self._catalogs if variant == 0 or chance.random() < 0.5 else self._catalog_files()
                _write(out / str(variant), files | catalog)

    def _variant(self, variant: int, now: _State, chance: random.Random) -> dict[str, bytes]:
        if variant == 0:
            return {path: self._durable.contents.get(inode, b"") for path, inode in self._durable.names.items()}
        names = dict(now.names)
        if variant > 1:
            for path in {*now.names, *self._durable.names}:
                chosen = chance.choice((now.names, self._durable.names))
                names.pop(path, None)
                if path in chosen:
                    names[path] = chosen[path]
        return {path: self._survivor(inode, now, chance) for path, inode in names.items()}

    def _survivor(self, inode: int, now: _State, chance: random.Random) -> bytes:
        """The content of a file: as it was synced, or whatever part of the rest had got there."""
        durable, current = self._durable.contents.get(inode), now.contents.get(inode)
        if durable is not None and (current is None or durable == current):
            return durable
        torn = [content for content in (durable, b"") if content is not None]
        if current:
            half = len(current) // 2
            torn += [current[:half], current[:half] + bytes(len(current) - half), current]
        return chance.choice(torn)

    def _take_names(self, before: _State, folder: Path) -> None:
        prefix = folder.relative_to(self._folder).as_posix() + "/" if folder.is_relative_to(self._folder) else None
        if prefix is None:
            return
        prefix = prefix.removeprefix("./")
        old = [path for path in self._durable.names if _is_in(path, prefix)]
        for path in old:
            del self._durable.names[path]
        self._durable.names |= {path: inode for path, inode in before.names.items() if _is_in(path, prefix)}

    def _now(self) -> _State:
        state = _State()
        for path in self._folder.rglob("*"):
            if path.name in CATALOG or path.name in _IGNORED:
                continue
            try:
                with path.open("rb") as stream:
                    inode = os.fstat(stream.fileno()).st_ino
                    if inode not in state.contents:
                        state.contents[inode] = stream.read()
            except (IsADirectoryError, FileNotFoundError):
                continue
            state.names[path.relative_to(self._folder).as_posix()] = inode
        return state

    def _catalog_files(self) -> dict[str, bytes]:
        found = {}
        for name in CATALOG:
            for path in self._folder.rglob(name):
                found[path.relative_to(self._folder).as_posix()] = path.read_bytes()
        return found


def _is_in(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and "/" not in path[len(prefix) :]


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
