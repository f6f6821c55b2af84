"""A file that another process is receiving, read as it grows, while we wait for our turn to fetch it.

So a file is asked for once however many processes it is wanted from, and nobody waits until all of it is there. What is
read here is copied to a part of our own: if the other one fails, we go on from there.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pypim.index.download import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import BinaryIO

    from pypim.ports import StagedBlob, Turns

_PAUSE_SECONDS = 0.02
_MOST_STILL_SECONDS = 60.0
"""Who has the turn and brings no byte for so long is not waited for: nobody knows what stopped it."""
_MOST_READ_BYTES = 1 << 19
_THREAD_BYTES = 1 << 17


class Told(Protocol):
    """Whom the copied bytes are for."""

    def begin(self, staged: StagedBlob, size: int | None) -> None:
        """The first bytes are staged."""

    def wrote(self, size: int) -> None:
        """So many bytes are staged now."""


class Trail:
    """The part that whoever has the turn is writing."""

    def __init__(self, told: Callable[[], str]) -> None:
        """`told` gives its path, as far as anybody has said."""
        self._told = told
        self._path = ""
        self._content: BinaryIO | None = None

    @property
    def size(self) -> int:
        """Bytes that are there so far."""
        self._open()
        return os.fstat(self._content.fileno()).st_size if self._content is not None else 0

    def read(self, start: int) -> bytes:
        """Some of what is there from `start` on; empty where nothing is yet."""
        self._open()
        if self._content is None:
            return b""
        self._content.seek(start)
        return self._content.read(_MOST_READ_BYTES)

    def close(self) -> None:
        """It is not read any more."""
        if self._content is not None:
            self._content.close()
            self._content = None

    def _open(self) -> None:
        path = self._told()
        if path and (path != self._path or self._content is None):
            self.close()
            with suppress(OSError):  # not written yet, or gone with who wrote it
                self._content = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed with the trail
                self._path = path


class Copy:
    """What is read of a trail, in a part of our own."""

    def __init__(self, staged: StagedBlob, size: int, told: Told) -> None:
        """`size` is that of the whole file."""
        self._staged = staged
        self._size = size
        self._told = told
        self._is_begun = False

    async def go_on(self, trail: Trail) -> bool:
        """Copy what there is; whether there was any. Raises StoreFault."""
        staged = self._staged
        start = staged.size if self._is_begun else 0
        chunk = trail.read(start)[: self._size - start]
        if not chunk:
            return False
        if not self._is_begun and staged.size:
            staged.restart()  # of an earlier time
        if len(chunk) >= _THREAD_BYTES:
            await in_thread(staged.write, chunk)
        else:
            staged.write(chunk)
        if self._is_begun:
            self._told.wrote(staged.size)
        else:
            self._told.begin(staged, self._size)
            self._is_begun = True
        return True


async def wait_for_turn(turns: Turns, key: str, take: Callable[[], Awaitable[None]], copy: Copy | None) -> bool:
    """Wait in `take` for the turn, and meanwhile `copy` what arrives for whoever has it.

    False where who has the turn stands still: it is waited for no longer. Raises StoreFault.
    """
    taking = asyncio.ensure_future(take())
    trail = Trail(partial(turns.told, key))
    clock = asyncio.get_running_loop().time
    size, moved_at = 0, clock()
    try:
        await asyncio.wait({taking}, timeout=_PAUSE_SECONDS)
        while not taking.done():
            if copy is None or not await copy.go_on(trail):
                await asyncio.wait({taking}, timeout=_PAUSE_SECONDS)
            if (now := trail.size) != size:
                size, moved_at = now, clock()
            elif clock() - moved_at > _MOST_STILL_SECONDS:
                return False
        taking.result()
    finally:
        trail.close()
        while not taking.done():
            taking.cancel()
            await asyncio.wait({taking})
    return True


def begins_with(path: Path, staged: StagedBlob) -> bool:
    """Whether the file there begins with all that is staged."""
    with path.open("rb") as whole, staged.open() as part:
        while chunk := part.read(_MOST_READ_BYTES):
            if whole.read(len(chunk)) != chunk:
                return False
    return True
