"""A spare file: room that is kept back, so that a full disk can still be freed.

Deleting writes, too: the catalog's log, the file by which its readers find their way in that log, a line of the audit
log. What frees room gives the spare up for the time that it takes; nothing else does.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pypim.core.errors import OutOfSpace
from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_Result = TypeVar("_Result")
SPARE_NAME = "spare"
SPARE_BYTES = 4 << 20
"""As much as the catalog's log has before it is copied (1,000 pages)."""
_LEAST_BYTES = 64 << 10
_AMPLE = 16
"""It is made where so many times as much is free: a small volume is left to what it is there for."""


class Spare:
    """The spare file of one store."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the store."""
        self._path = folder / SPARE_NAME

    def keep(self) -> None:
        """Make it, where it is missing and there is ample room. Raises StoreUnwritable."""
        free = atomic.free_bytes(self._path)
        if self._size() < SPARE_BYTES and free is not None and free >= _AMPLE * SPARE_BYTES:
            self._make(SPARE_BYTES)

    @contextmanager
    def given_up_where_full(self) -> Iterator[int]:
        """While the context is entered its room is there to be used, and told, in bytes; 0 where there is room anyway.

        Afterwards it is there again, as large as it can be.
        """
        free = atomic.free_bytes(self._path)
        if free is None or free >= SPARE_BYTES:
            yield 0
            return
        with self._given_up() as room:
            yield room

    def freeing(self, work: Callable[[], _Result]) -> _Result:
        """The result of work that frees room, and is done again with that of the spare where there is none for it.

        Raises what the work raises.
        """
        try:
            return work()
        except OutOfSpace:
            with self._given_up() as room:
                if not room:
                    raise
                return work()

    @contextmanager
    def _given_up(self) -> Iterator[int]:
        room = self._size()
        atomic.remove(self._path)
        try:
            yield room
        finally:
            wanted = SPARE_BYTES if room else 0  # where there was none, there is to be none
            while wanted >= _LEAST_BYTES and not self._make(wanted):
                wanted //= 2  # what is left beside it is for the lines of logs

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def _make(self, size: int) -> bool:
        """False where there is no room for it: it is a precaution, and none is no fault."""
        try:
            descriptor = atomic.open_for_writing(self._path, keeps_content=False)
            try:
                atomic.reserve(descriptor, self._path, size)
            finally:
                os.close(descriptor)
        except OutOfSpace:
            atomic.remove(self._path)
            return False
        return True
