"""The lock between bytes and their row: whoever keeps a file holds it with others, whoever deletes strays alone.

A file whose bytes are in place and whose row is not yet committed looks like one that a killed run left behind.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEEPING_NAME = "keeping"


class Keeping:
    """That lock of one store. Short: nobody waits for the network while holding it."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the store."""
        self._path = folder / KEEPING_NAME

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Files are being kept here; waits while strays are deleted. Raises StoreUnwritable or OutOfSpace."""
        with self._locked(is_shared=True):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody is keeping a file; waits until that is so. Raises StoreUnwritable or OutOfSpace."""
        with self._locked(is_shared=False):
            yield

    @contextmanager
    def _locked(self, *, is_shared: bool) -> Iterator[None]:
        descriptor = atomic.open_for_writing(self._path, keeps_content=True)
        try:
            if sys.platform == "win32":
                import msvcrt

                del is_shared  # there is only the one kind
                os.lseek(descriptor, 0, os.SEEK_SET)
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(descriptor, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
