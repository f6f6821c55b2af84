"""A small real HTTP/1.1 server for tests: files by path, and scripted answers for paths that misbehave."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    Script = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request(NamedTuple):
    """What a client sent; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer; header names are written with underscores."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Server:
    """Answers from `files` (with validators and ranges), else from `scripts`; every request is kept in `requests`.

    A script is raw bytes to send, a list of them (one for each request, the last one stays), or a coroutine function.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.scripts: dict[str, bytes | list[bytes] | Script] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.url = ""
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @classmethod
    def over_tls(cls, context: ssl.SSLContext) -> Self:
        server = cls()
        server._context = context
        return server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._context)
        port = self._server.sockets[0].getsockname()[1]
        scheme = "https" if self._context else "http"
        self.url = f"{scheme}://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        # A transport that is only dropped complains when it is collected, in the middle of some other test.
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        if self._open:
            await asyncio.wait(list(self._open))

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._one(reader, writer):
                    await writer.drain()
            with suppress(OSError):
                writer.close()
        finally:
            writer.transport.abort()
            del self._open[task]

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
        await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers)
        self.requests.append(request)
        script = self.scripts.get(request.path)
        if script is None:
            writer.write(self._file(request))
            return True
        if isinstance(script, bytes):
            writer.write(script)
        elif isinstance(script, list):
            writer.write(script.pop(0) if len(script) > 1 else script[0])
        else:
            await script(request, writer)
            return False
        # An answer that promises more than it sends ends the connection, so that the client sees it cut.
        return True

    def _file(self, request: Request) -> bytes:
        body = self.files.get(request.path)
        if body is None:
            return answer(404, b"no such thing")
        etag = f'"{sha256(body).hexdigest()[:16]}"'
        kind = self.types.get(request.path, "application/octet-stream")
        if request.headers.get("if-none-match") == etag:
            return answer(304, ETag=etag)
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
        if not asked or request.headers.get("if-range", etag) != etag:
            return answer(200, body, ETag=etag, Content_Type=kind)
        first, last = asked.groups()
        start = int(first) if first else max(0, len(body) - int(last))
        stop = min(len(body), int(last) + 1) if first and last else len(body)
        if start >= stop:
            return answer(416, Content_Range=f"bytes */{len(body)}")
        described = f"bytes {start}-{stop - 1}/{len(body)}"
        return answer(206, body[start:stop], ETag=etag, Content_Type=kind, Content_Range=described)


def cut(body: bytes, announced: int, **headers: str) -> Script:
    """Announce more bytes than are sent, then close the connection."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        lines = ["HTTP/1.1 200 X", f"Content-Length: {announced}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return script


def drip(interval_seconds: float, piece: bytes = b"x") -> Script:
    """Send the head at once and then a piece now and then, for longer than any test lasts."""

    async def script(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(interval_seconds)

    return script


async def silence(_: Request, writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.sleep(3600)
    writer.close()
