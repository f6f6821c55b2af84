"""The body of a file that others read while it arrives: what comes while something is written is written next."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pypim.core.errors import SizeMismatch
from pypim.index.download import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.index.arriving import Arrival
    from pypim.ports import Incoming, StagedBlob

_THREAD_BYTES = 1 << 17
_END_SECONDS = 0.05
_MOST_CHUNKS = 16
"""Received and not yet written; one is at most a few hundred KB."""
_MOST_PIECE_BYTES = 1 << 19
"""Written at once."""


async def write_arriving(staged: StagedBlob, incoming: Incoming, limit: int, arrival: Arrival) -> None:
    """All of a body, at most `limit` bytes with what is staged. Raises SizeMismatch, UpstreamFault or StoreFault."""
    received = asyncio.Queue[bytes](_MOST_CHUNKS)
    reading = asyncio.get_running_loop().create_task(_receive_into(received, incoming))
    try:
        async for piece in _pieces(received):
            if staged.size + len(piece) > limit:
                raise SizeMismatch(arrival.file.filename, limit, staged.size + len(piece))
            await _put(arrival, staged, piece)
        await reading
    finally:
        await _end(reading, received)


async def _end(reading: asyncio.Task[None], received: asyncio.Queue[bytes]) -> None:
    """Stop reading. A read that is cancelled in the moment in which it ends goes on, so once is not enough."""
    while not reading.done():
        reading.cancel()
        while not received.empty():
            received.get_nowait()
        await asyncio.wait({reading}, timeout=_END_SECONDS)
    if not reading.cancelled():
        reading.exception()  # it was raised where it mattered


async def _receive_into(received: asyncio.Queue[bytes], incoming: Incoming) -> None:
    """All chunks, and at the end an empty one; not when it is cancelled, for then nobody waits for more."""
    try:
        async for chunk in incoming.chunks():
            if chunk:
                await received.put(chunk)
    except Exception:
        await received.put(b"")
        raise
    await received.put(b"")


async def _pieces(received: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
    """What has come, as much of it at once as is there."""
    while chunk := await received.get():
        parts, size = [chunk], len(chunk)
        while size < _MOST_PIECE_BYTES and not received.empty():
            chunk = received.get_nowait()
            if not chunk:
                yield b"".join(parts)
                return
            parts.append(chunk)
            size += len(chunk)
        yield b"".join(parts)


async def _put(arrival: Arrival, staged: StagedBlob, piece: bytes) -> None:
    if len(piece) >= _THREAD_BYTES:
        await in_thread(staged.write, piece)
    else:
        staged.write(piece)
    arrival.wrote(staged.size)
