"""Long contents: all of a part where the client stays, and no more than it takes to notice where it leaves."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import StoreUnreadable
from pypim.web.sending import Client, send_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.web.answers import Message

CONTENT = os.urandom(1_000_000)


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    opened = os.open(path, os.O_RDONLY)
    yield opened
    os.close(opened)


class Connection:
    """The server's side of an answer: what was sent, and whether the client is still there (ASGI 3, http)."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.left = asyncio.Event()
        self.leaves_after = 1 << 30

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if len(self.sent) == self.leaves_after:
            self.left.set()

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent)


@pytest.mark.parametrize(("start", "stop"), [(0, 1_000_000), (1, 2), (5, 999_999), (16_384, 32_768)])
async def test_a_part_is_sent_whole(descriptor: int, start: int, stop: int) -> None:
    connection = Connection()
    with Client(connection.receive, connection.send) as client:
        await send_part(client, descriptor, start, stop)
    assert connection.body == CONTENT[start:stop]
    assert [message["more_body"] for message in connection.sent][-1] is False
    assert all(message["more_body"] for message in connection.sent[:-1])


async def test_nothing_is_read_for_a_client_that_has_left(descriptor: int) -> None:
    """A server may take messages for a client that is gone without a word, and without ever waiting."""
    connection = Connection()
    connection.leaves_after = 3
    with Client(connection.receive, connection.send) as client:
        await send_part(client, descriptor, 0, len(CONTENT))
    assert 3 <= len(connection.sent) <= 6
    assert len(connection.body) < len(CONTENT)


async def test_a_file_that_is_shorter_than_promised_breaks_the_answer(descriptor: int) -> None:
    connection = Connection()
    with pytest.raises(StoreUnreadable), Client(connection.receive, connection.send) as client:
        await send_part(client, descriptor, 0, len(CONTENT) + 1)
    assert connection.body == CONTENT
    assert all(message["more_body"] for message in connection.sent)
