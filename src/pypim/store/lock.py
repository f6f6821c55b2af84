"""The lock of a store: one run at a time, and the second one learns who holds it."""

from __future__ import annotations

import os
import re
import socket
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import msgspec

from pypim.core.errors import Locked, OutOfSpace, StoreUnwritable
from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SECRET = re.compile(r"//[^/@\s]*@")
_HOLDER_BYTES = 4096


class _Holder(msgspec.Struct):
    """What the lock file says."""

    pid: int
    host: str
    command: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, `{self.command}`, since {self.since}"


class StoreLock:
    """A lock on the file `lock` in a folder, held while the context is entered.

    The system releases it when the process dies, however it dies; the file stays and only says who held it last.
    """

    def __init__(self, folder: Path, command: str | None = None, now: Callable[[], datetime] | None = None) -> None:
        """`command` is for the sentence that another run shows; by default this process's command line."""
        self.path = folder / "lock"
        self._command = _SECRET.sub("//***@", command or " ".join(["pypim", *sys.argv[1:]]))
        self._now = now or (lambda: datetime.now(UTC))
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take it, or raise Locked at once, or StoreUnwritable."""
        atomic.make_folder(self.path.parent)
        descriptor = atomic.open_for_writing(self.path, keeps_content=True)
        try:
            _take(descriptor, self.path)
            self._say_who(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return self

    def _say_who(self, descriptor: int) -> None:
        since = self._now().isoformat(timespec="seconds")
        holder = _Holder(pid=os.getpid(), host=socket.gethostname(), command=self._command, since=since)
        atomic.truncate(descriptor, self.path, 0)
        with suppress(OutOfSpace):  # it is held without a word, too, and who holds it may be about to free the disk
            atomic.write(descriptor, self.path, msgspec.json.encode(holder) + b"\n")

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _take(descriptor: int, path: Path) -> None:
    """Lock the open file, or raise Locked when another has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _HOLDER_BYTES, os.SEEK_SET)  # beyond what is written, so that others can read it
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        raise Locked(str(path), _describe_holder(descriptor)) from None
    except OSError as error:
        raise StoreUnwritable(str(path), f"it cannot be locked: {error.strerror}") from error


def _describe_holder(descriptor: int) -> str:
    """A sentence; the holder may be between taking the lock and saying so."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    try:
        return str(msgspec.json.decode(os.read(descriptor, _HOLDER_BYTES), type=_Holder))
    except msgspec.DecodeError:
        return "another run of pypim"
