"""The Fetcher for http and https: limits, retries, redirects and credentials around the HTTP client.

Nothing else may import pyreqwest: it is fast and young, and this is the one place where it could be replaced.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

from pyreqwest.exceptions import PyreqwestError

from pypim.core.errors import UpstreamFault, UpstreamMalformed, UpstreamTimeout
from pypim.core.records import Fetched
from pypim.core.urls import split_user_info
from pypim.net.auth import Credentials, basic
from pypim.net.body import read_body, too_long
from pypim.net.connection import http_client
from pypim.net.faults import status_fault, transport_fault
from pypim.net.gate import Gate, Pace
from pypim.net.retry import Retrier, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from types import TracebackType

    from pyreqwest.request import StreamRequest
    from pyreqwest.response import Response

    from pypim.core.records import FetchOptions

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_WITH_BODY = frozenset({307, 308})
"""The others turn a POST into a GET (RFC 9110, 15.4), which asks for something else."""
_MOST_REDIRECTS = 10
_SMALL_BODY_BYTES = 65536
_SLOWEST_BYTES_PER_SECOND = 64
_FIRST_BAD_STATUS = 300


class HttpFetcher:
    """A Fetcher over one pool of kept-alive HTTP/1.1 connections. Close it when done, or use it as a context manager.

    Proxies come from the options, else from the usual environment variables, which the HTTP client reads itself.
    """

    def __init__(
        self,
        upstream_url: str,
        options: FetchOptions,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pace: Pace | None = None,
    ) -> None:
        """`pace` is given where others ask the same upstream, too."""
        self.credentials = Credentials(upstream_url, options)
        self.gate = Gate(options.max_connections)
        self.pace = pace or Pace(options, sleep)
        self.retrier = Retrier(options.retries, sleep, longest_wait=options.longest_wait)
        self.read_timeout = options.read_timeout
        self.client = http_client(options)
        self._large_body = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    def open(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> _Exchange:
        """Stream an answer, asked for without content encoding so that its bytes are the file's; POST with a body."""
        return _Exchange(self, url, headers, "identity", body)

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """Read a whole answer; a fault in the middle of the body starts the request anew."""
        attempt = 0
        while True:
            try:
                return await self._fetch_once(url, headers, limit_bytes)
            except UpstreamFault as fault:
                await self.retrier.pause(fault, attempt)
            attempt += 1

    async def _fetch_once(self, url: str, headers: Mapping[str, str], limit_bytes: int) -> Fetched:
        exchange = _Exchange(self, url, headers, "gzip")
        await exchange.begin()
        try:
            received = exchange.headers
            if _announced_bytes(received) > limit_bytes:
                raise too_long(exchange.url, limit_bytes)
            encoding = received.get("content-encoding")
            body = await read_body(exchange.chunks(), encoding, exchange.url, limit_bytes, self._large_body)
            return Fetched(exchange.status, exchange.url, received, body)
        finally:
            await exchange.end()


class _Exchange:
    """One request and its answer: an async context manager that is its own Incoming."""

    __slots__ = (
        "_body",
        "_encoding",
        "_fetcher",
        "_headers",
        "_is_read",
        "_received",
        "_response",
        "_stream",
        "status",
        "url",
    )

    def __init__(
        self, fetcher: HttpFetcher, url: str, headers: Mapping[str, str], encoding: str, body: bytes | None = None
    ) -> None:
        self._fetcher = fetcher
        self._body = body
        self._headers = headers
        self._encoding = encoding
        self._stream: StreamRequest | None = None
        self._response: Response | None = None
        self._received: dict[str, str] | None = None
        self._is_read = False
        self.url = url
        self.status = 0

    async def __aenter__(self) -> Self:
        asked, attempt = self.url, 0
        while True:
            try:
                await self.begin()
            except UpstreamFault as fault:
                await self._fetcher.retrier.pause(fault, attempt)
            else:
                return self
            self.url = asked
            attempt += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.end()

    @property
    def headers(self) -> dict[str, str]:
        """Read when first asked for: many answers are used for their body alone."""
        if self._received is None:
            assert self._response is not None, "an exchange has headers only while it is open"
            self._received = _received_headers(self._response)
        return self._received

    def chunks(self) -> _Chunks:
        """The body as it arrives."""
        assert self._response is not None, "an exchange has a body only while it is open"
        self._is_read = True
        return _Chunks(self._response, self.url, self._fetcher)

    async def begin(self) -> None:
        """Take a place and follow redirects until there is an answer to judge. After a fault nothing is held."""
        await self._fetcher.gate.enter()
        try:
            await self._follow()
        except BaseException:
            await self.end()
            raise

    async def end(self) -> None:
        """Give the connection back and leave the place."""
        try:
            await self._release()
        finally:
            self._fetcher.gate.leave()

    async def _follow(self) -> None:
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._send()
            self.status = response.status
            followed = _REDIRECTS if self._body is None else _REDIRECTS_WITH_BODY
            if self.status not in followed or (location := _header(response, "location")) is None:
                self._judge(response)
                return
            target = _redirect_target(self.url, location)
            await self._release()
            self.url = target
        raise UpstreamMalformed(self.url, f"more than {_MOST_REDIRECTS} redirects")

    async def _send(self) -> Response:
        fetcher, authorization = self._fetcher, None
        if "@" in self.url:
            self.url, info = split_user_info(self.url)
            authorization = basic(*info) if info else None
        await fetcher.pace.begin()
        self._received, self._is_read = None, False
        try:
            client = fetcher.client
            request = client.get(self.url) if self._body is None else client.post(self.url).body_bytes(self._body)
            request = request.streamed_read_buffer_limit(0)
            request = request.header("Accept-Encoding", self._encoding)
            if self._headers:
                request = request.headers(self._headers)
            for name, value in fetcher.credentials.headers_for(self.url):
                if name != "Authorization" or authorization is None:
                    request = request.header(name, value, is_sensitive=True)
            if authorization is not None:
                request = request.header("Authorization", authorization, is_sensitive=True)
            stream = request.build_streamed()
            self._response = response = await stream.__aenter__()
        except (PyreqwestError, ValueError) as error:
            raise transport_fault(error, self.url) from error
        self._stream = stream
        return response

    def _judge(self, response: Response) -> None:
        if self.status < _FIRST_BAD_STATUS:
            return
        retry_after = retry_after_seconds(_header(response, "retry-after"), datetime.now(UTC))
        if fault := status_fault(self.status, self.url, retry_after):
            raise fault

    async def _release(self) -> None:
        """End the answer; a small body that nobody wanted is read so that the connection can be used again."""
        stream, response = self._stream, self._response
        self._stream = self._response = None
        if stream is None or response is None:
            return
        try:
            if not self._is_read and self.status >= _FIRST_BAD_STATUS and _is_small(response):
                await response.body_reader.bytes()
        except (PyreqwestError, ValueError):
            pass  # the body was of no interest, and a broken connection is simply not used again
        finally:
            await stream.__aexit__(None, None, None)


class _Chunks:
    """The body of an answer, undecoded; an answer that only trickles is given up like one that stops."""

    __slots__ = ("_pace", "_read", "_received", "_url", "_waited", "_window")

    def __init__(self, response: Response, url: str, fetcher: HttpFetcher) -> None:
        self._read = response.body_reader.read_chunk
        self._url = url
        self._window = fetcher.read_timeout
        self._pace = fetcher.pace
        self._waited = 0.0
        self._received = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        begun = monotonic()
        try:
            chunk = await self._read()
        except PyreqwestError as error:
            raise transport_fault(error, self._url) from error
        if (task := asyncio.current_task()) is not None and task.cancelling():
            # A read that ends just as it is cancelled keeps the cancellation to itself.
            raise asyncio.CancelledError
        if chunk is None:
            raise StopAsyncIteration
        # Only the time spent waiting for the upstream counts: a slow disk on our side is not its fault.
        self._waited += monotonic() - begun
        self._received += len(chunk)
        if self._waited > self._window:
            if self._received < self._window * _SLOWEST_BYTES_PER_SECOND:
                raise UpstreamTimeout(self._url, "the answer only trickles in", is_transient=True)
            self._waited, self._received = 0.0, 0
        if self._pace.bounds_bytes:
            await self._pace.received(len(chunk))
        return chunk.to_bytes()


def _header(response: Response, name: str) -> str | None:
    try:
        return response.get_header(name)
    except ValueError:
        return None


def _is_small(response: Response) -> bool:
    text = _header(response, "content-length") or ""
    return text.isascii() and text.isdigit() and int(text) <= _SMALL_BODY_BYTES


def _received_headers(response: Response) -> dict[str, str]:
    """Names in lower case, repeated ones joined; a value that is not ASCII says nothing to us and is left out."""
    received = response.headers
    try:
        pairs = list(received.items())
    except ValueError:
        pairs = list(_readable(response))
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    headers = {}
    for name, value in pairs:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _readable(response: Response) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(response.headers):
        try:
            for value in response.get_header_all(name):
                yield name, value
        except ValueError:
            continue


def _announced_bytes(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _redirect_target(url: str, location: str) -> str:
    """Where a redirect leads, if it may be followed there: only to http and https, and never from https to http."""
    try:
        target = urljoin(url, location).partition("#")[0]
    except ValueError as error:
        raise UpstreamMalformed(url, f"redirects to something unreadable: {location[:200]!r}") from error
    scheme = target.partition(":")[0].lower()
    if scheme not in {"http", "https"}:
        raise UpstreamMalformed(
            url, f"redirects to {target[:200]!r}, which is refused: only http and https are followed"
        )
    if scheme == "http" and url[:6].lower() == "https:":
        raise UpstreamMalformed(url, f"redirects from https to {target[:200]!r}, which is refused")
    return target
