"""Contents that are too long for one message: from a file to a client, and no further than there is a client."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Self

from pypim.core.errors import StoreUnreadable

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.web.answers import Message, Receive, Scope, Send

_PART_BYTES = 16 << 10
"""The server below keeps some twenty messages of each answer in memory, however slow its client is."""


class Client:
    """A `send` that can tell whether anybody is there; what is sent to nobody is lost without a word."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._gone: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._gone is not None:
            self._gone.cancel()

    async def __call__(self, message: Message) -> None:
        """Send it."""
        await self._send(message)

    async def is_gone(self) -> bool:
        """Whether the client has left. Lets others have their turn, which a `send` to nobody does not."""
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._leave())
        await asyncio.sleep(0)
        return self._gone.done()

    async def _leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass  # what clients send with a GET


async def send_part(client: Client, descriptor: int, start: int, stop: int) -> None:
    """Send a part of an open file as a body. Raises StoreUnreadable where the file ends before it."""
    while start < stop and not await client.is_gone():
        size = min(_PART_BYTES, stop - start)
        chunk = _ready(descriptor, size, start) or await asyncio.to_thread(os.pread, descriptor, size, start)
        if not chunk:
            raise StoreUnreadable(str(descriptor), "the file ends before its end")
        start += len(chunk)
        await client({"type": "http.response.body", "body": chunk, "more_body": start < stop})


async def send_file(scope: Scope, client: Client, path: Path, descriptor: int, size: int) -> None:
    """Send all of an open file as a body; the server below reads it itself where it can."""
    if "http.response.pathsend" in (scope.get("extensions") or {}):
        await client({"type": "http.response.pathsend", "path": str(path)})
    else:
        await send_part(client, descriptor, 0, size)


def _ready(descriptor: int, size: int, start: int) -> bytes:
    """What can be read without waiting for a disk; empty where nothing can, or where the system cannot tell."""
    buffer = bytearray(size)
    try:
        count = os.preadv(descriptor, [buffer], start, os.RWF_NOWAIT)
    except (AttributeError, OSError):  # no such call, or file system; or it would wait
        return b""
    return bytes(memoryview(buffer)[:count])
