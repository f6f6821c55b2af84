"""Turns by file locks: of all processes on one store, one at a time does what a key names.

Each key that is being worked on has a file, which is locked and goes when the work is done. In it is what whoever does
the work lets the others know.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_FIRST_WAIT_SECONDS = 0.002
_LONGEST_WAIT_SECONDS = 0.05


class LocalTurns:
    """The Turns of one folder on this machine; it holds nothing else."""

    def __init__(self, folder: Path, whose: str = "") -> None:
        """The same key is another for another `whose`."""
        self._folder = folder
        self._whose = whose
        self._is_made = False
        self._held: dict[str, int] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn and have it while the context is entered."""
        if not self._is_made:
            atomic.make_folder(self._folder)
            self._is_made = True
        path = self._path(key)
        wait = _FIRST_WAIT_SECONDS
        while (descriptor := _taken(path)) is None:
            # Nobody can be woken by another process without a thread that waits for each lock.
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        self._held[key] = descriptor
        try:
            yield
        finally:
            del self._held[key]
            if sys.platform != "win32":  # there, nobody can remove what is open
                atomic.remove(path)
            os.close(descriptor)

    def tell(self, key: str, word: str) -> None:
        """Leave word for those that wait; who reads it meanwhile sees the old one, or the new one, or none."""
        path, descriptor = self._path(key), self._held[key]
        atomic.truncate(descriptor, path, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        atomic.write(descriptor, path, f"{word}\n".encode(errors="surrogateescape"))

    def told(self, key: str) -> str:
        """The newest word; it may be that of one who has ended, which no longer has the turn."""
        try:
            word = self._path(key).read_bytes().decode(errors="surrogateescape")
        except OSError:  # nobody has the turn
            return ""
        return word[:-1] if word.endswith("\n") else ""

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(f"{self._whose}{key}".encode(errors="surrogatepass")).hexdigest()[:40]


def lock_at_once(descriptor: int) -> bool:
    """Lock an open file for as long as it is open; False where another has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _taken(path: Path) -> int | None:
    """The descriptor that holds the lock, or None where another has it."""
    descriptor = atomic.open_for_writing(path, keeps_content=True)
    try:
        if lock_at_once(descriptor) and _is_still(descriptor, path):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the locked file still has its name: who had the turn before may have removed it meanwhile."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
