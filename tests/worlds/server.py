"""A real HTTP/1.1 server of a generated world on the loopback, in its own thread, that can misbehave at will.

with WorldServer(world) as server:
    server.options.ranges = False
    server.misbehave("*/lib-1.0*.whl", faults.cut_after(100), times=2)
    ... server.url ... server.requests ...
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Self

from tests.worlds.site import Options, Site

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from types import TracebackType

    from tests.worlds.faults import Fault, Response
    from tests.worlds.world import World

_REASONS = {200: "OK", 206: "Partial Content", 304: "Not Modified", 404: "Not Found"}
_MAX_HEAD_BYTES = 1 << 16
_LAST_TURNS = 20


@dataclass(frozen=True)
class Request:
    """One request as it was answered."""

    method: str
    path: str
    """Path and query, as sent."""
    headers: dict[str, str]
    """Names in lower case."""
    status: int
    port: int


@dataclass
class _Rule:
    pattern: str
    fault: Fault
    left: int | None


class WorldServer:
    """Serves a world until its `with` block ends. `world` and `options` may be changed at any time."""

    def __init__(self, world: World, options: Options | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.world = world
        self.options = options or Options()
        self.requests: list[Request] = []
        self.connections = 0
        """How many were opened in all."""
        self.peak_in_flight = 0
        """The most requests that were being answered at one time."""
        self.port = 0
        self.other_port = 0
        """A second origin with the same content; pages point to it with `options.files_on_other_port`."""
        self._tls = tls
        self._rules: list[_Rule] = []
        self._in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="world-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def root(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def other_root(self) -> str:
        """The second origin."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.other_port}"

    @property
    def url(self) -> str:
        """The index URL, `…/simple/`."""
        return f"{self.root}/simple/"

    def misbehave(self, pattern: str, fault: Fault, *, times: int | None = None) -> None:
        """Answer requests whose path (without query) matches the glob with the fault, the first `times` times."""
        self._rules.append(_Rule(pattern, fault, times))

    def behave(self) -> None:
        """Forget every fault."""
        self._rules = []

    def asked(self, pattern: str = "*", *, method: str | None = None) -> list[Request]:
        """Return the requests whose path (without query) matches the glob."""
        return [
            request
            for request in list(self.requests)
            if fnmatchcase(request.path.partition("?")[0], pattern) and method in {None, request.method}
        ]

    def counts(self) -> Counter[str]:
        """Return how often each path was asked for."""
        return Counter(request.path for request in list(self.requests))

    def forget_requests(self) -> None:
        """Start the record of requests, connections and the peak anew."""
        self.requests = []
        self.connections = 0
        self.peak_in_flight = 0

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        first, second = [
            await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls, limit=_MAX_HEAD_BYTES)
            for _ in range(2)
        ]
        self.port, self.other_port = (server.sockets[0].getsockname()[1] for server in (first, second))
        self._started.set()
        await self._stop.wait()
        for server in (first, second):
            self._loop.remove_reader(server.sockets[0].fileno())
        await _some_turns()  # what was accepted by then is known now; a server that is closed would let it leak
        for server in (first, second):
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _some_turns()  # they are closed then

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        assert self._stop is not None
        if self._stop.is_set():
            writer.transport.abort()
            return
        task = self._loop.create_task(self._converse(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A task that is cancelled before its first step does nothing, and closes nothing.
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        try:
            while await self._exchange(reader, writer, port):
                pass
            writer.close()  # lets the bytes leave before the connection is broken
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client went away, which is its right
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> bool:
        """Read one request and answer it; return whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        if length := int(headers.get("content-length", 0)):
            await reader.readexactly(length)
        self._in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        try:
            response = self._answer(method, path, headers)
            self.requests.append(Request(method, path, headers, response.status, port))
            if self.options.latency_s:
                await asyncio.sleep(self.options.latency_s)
            goes_on = await _send(writer, response, has_body=method != "HEAD")
        finally:
            self._in_flight -= 1
        return goes_on and headers.get("connection", "").lower() != "close"

    def _answer(self, method: str, path: str, headers: dict[str, str]) -> Response:
        site = Site(self.world, self.options, self.root, self.other_root)
        response = site.answer(method, path, headers)
        for rule in tuple(self._rules):
            if rule.left != 0 and fnmatchcase(path.partition("?")[0], rule.pattern):
                rule.left = None if rule.left is None else rule.left - 1
                response = rule.fault(response)
        return response


async def _some_turns() -> None:
    for _ in range(_LAST_TURNS):
        await asyncio.sleep(0)


async def _send(writer: asyncio.StreamWriter, response: Response, *, has_body: bool) -> bool:
    """Write the response; return False where it ends with the connection."""
    if response.cut_after == -1:
        return False
    length = len(response.body) if response.announced_length is None else response.announced_length
    headers = {"Server": "world", "Date": "Mon, 01 Jan 2024 00:00:00 GMT", **response.headers}
    if response.status != 304 and "Transfer-Encoding" not in headers:
        headers.setdefault("Content-Length", str(length))
    lines = [f"HTTP/1.1 {response.status} {_REASONS.get(response.status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    if not has_body or response.status == 304:
        await writer.drain()
        return True
    if response.gate is not None:
        await writer.drain()
        while not response.gate.is_set():
            await asyncio.sleep(0.002)
    for part in _parts(response):
        writer.write(part)
        await writer.drain()
        if response.pause_s:
            await asyncio.sleep(response.pause_s)
    return response.cut_after is None


def _parts(response: Response) -> Iterator[bytes]:
    body = response.body if response.cut_after is None else response.body[: response.cut_after]
    for start in range(0, len(body), response.chunk):
        yield body[start : start + response.chunk]
    if response.tail is not None:
        yield from response.tail()
