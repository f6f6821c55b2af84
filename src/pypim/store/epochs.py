"""The Epochs of a store: a page of counters in one small file that every process on the store has mapped.

To look at one costs no system call. A counter is never below the seconds since 1970 of the last change, so that it
does not go back when the file is lost, and those of two indexes can be compared. Two indexes may share a counter:
then each is asked once more than needed.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self
from zlib import crc32

from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EPOCHS_NAME = "epochs"
_COUNTERS = 512
_COUNTER_BYTES = 8


class LocalEpochs:
    """Reads and advances the counters of one store."""

    def __init__(self, descriptor: int) -> None:
        """`open` makes it."""
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, _COUNTERS * _COUNTER_BYTES)
        self._counters = memoryview(self._map).cast("Q")
        self._places: dict[str, int] = {}

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The counters of the store in that folder, made where there are none. Raises StoreUnwritable, OutOfSpace."""
        path = folder / EPOCHS_NAME
        descriptor = atomic.open_for_writing(path, keeps_content=True)
        try:
            if os.fstat(descriptor).st_size < _COUNTERS * _COUNTER_BYTES:
                now = int(time.time()).to_bytes(_COUNTER_BYTES, sys.byteorder)
                with _locked(descriptor):
                    if os.fstat(descriptor).st_size < _COUNTERS * _COUNTER_BYTES:
                        atomic.truncate(descriptor, path, 0)
                        atomic.write(descriptor, path, now * _COUNTERS)
            return cls(descriptor)
        except BaseException:
            os.close(descriptor)
            raise

    def epoch(self, index: str) -> int:
        """The number of changes so far."""
        place = self._places.get(index)
        if place is None:
            place = self._places[index] = crc32(index.encode()) % _COUNTERS
        return self._counters[place]

    def advance(self, index: str) -> None:
        """Something that clients see of the index has changed, and is committed."""
        place = crc32(index.encode()) % _COUNTERS
        with _locked(self._descriptor):
            self._counters[place] = max(self._counters[place] + 1, int(time.time()))

    def close(self) -> None:
        """Let go of the file."""
        self._counters.release()
        self._map.close()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MemoryEpochs:
    """Epochs of one process, for whoever only reads a store and leaves nothing there."""

    def __init__(self) -> None:
        self._counters: dict[str, int] = {}

    def epoch(self, index: str) -> int:
        """The number of changes so far."""
        return self._counters.get(index, 1)

    def advance(self, index: str) -> None:
        """Something has changed."""
        self._counters[index] = self.epoch(index) + 1


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Alone among the processes that change the counters."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        try:
            yield
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
