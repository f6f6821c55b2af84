"""A TCP proxy that adds a round trip of latency and nothing else: `python -m bench.latency --listen P --to Q`.

A connection costs one round trip before its first byte passes, and what the client sends is held for one round
trip; what the server sends passes at once, so that the proxy is not the bottleneck for bodies.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import deque
from typing import cast

import uvloop

_HIGH_WATER = 1 << 20


class _End(asyncio.Protocol):
    """One end of a connection; `peer` is the other one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio passes it by position
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close()

    def data_received(self, data: bytes) -> None:
        assert self.peer is not None
        assert self.peer.transport is not None
        self.peer.transport.write(data)

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()


class _ClientEnd(_End):
    """The end that the client connected to: everything it sends waits for a round trip."""

    def __init__(self, port: int, round_trip_s: float) -> None:
        super().__init__()
        self._port = port
        self._round_trip_s = round_trip_s
        self._loop = asyncio.get_running_loop()
        self._opened = 0.0
        self._held: deque[tuple[float, bytes]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opened = self._loop.time()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        peer = _End()
        peer.peer = self
        try:
            await self._loop.create_connection(lambda: peer, "127.0.0.1", self._port)
        except OSError:
            if self.transport is not None:
                self.transport.abort()
            return
        self.peer = peer
        if self.transport is None or self.transport.is_closing():
            cast("asyncio.Transport", peer.transport).abort()
        self._pass_on()

    def data_received(self, data: bytes) -> None:
        """Hold the bytes: one round trip from now, or two from the opening of the connection."""
        due = max(self._loop.time(), self._opened + self._round_trip_s) + self._round_trip_s
        self._held.append((due, data))
        if not self._is_waiting:
            self._pass_on()

    def _pass_on(self) -> None:
        self._is_waiting = False
        if self.peer is None or self.peer.transport is None:
            return
        while self._held:
            due, data = self._held[0]
            if due > self._loop.time() + 0.0005:
                self._is_waiting = True
                self._loop.call_at(due, self._pass_on)
                return
            self._held.popleft()
            self.peer.transport.write(data)


async def _serve(listen: int, to: int, round_trip_s: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _ClientEnd(to, round_trip_s), "127.0.0.1", listen, backlog=4096)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Read the arguments and serve until ended."""
    parser = argparse.ArgumentParser(description="A TCP proxy that adds latency.")
    parser.add_argument("--listen", type=int, required=True, help="port to listen on")
    parser.add_argument("--to", type=int, required=True, help="port to pass on to")
    parser.add_argument("--round-trip", type=float, default=25.0, help="milliseconds to add")
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.listen, arguments.to, arguments.round_trip / 1000))


if __name__ == "__main__":
    main()
