"""The fetcher for the network against servers that misbehave: retries, redirects, limits and bombs."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import (
    NotAuthenticated,
    NotAuthorised,
    PypimError,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pypim.core.records import FetchOptions
from pypim.net.fetchers import open_fetcher
from tests.net.server import Server, answer, cut, drip, silence

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.core.records import Fetched
    from pypim.ports import Fetcher

QUICK = FetchOptions(proxy="", retries=0, read_timeout=0.3, connect_timeout=2)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running


class Naps:
    """Stands in for sleep: notes how long, and goes on at once."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def once(server: Server, path: str, options: FetchOptions = QUICK, limit_bytes: int = 1 << 20) -> Fetched:
    async with open_fetcher(server.url, options) as fetcher:
        return await fetcher.fetch(server.url + path, {}, limit_bytes=limit_bytes)


async def streamed(fetcher: Fetcher, url: str) -> bytes:
    async with fetcher.open(url, {}) as incoming:
        return b"".join([chunk async for chunk in incoming.chunks()])


# --- statuses and retries -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "fault", "requests"),
    [
        (401, NotAuthenticated, 1),
        (403, NotAuthorised, 1),
        (429, UpstreamUnavailable, 3),
        (500, UpstreamUnavailable, 3),
        (501, UpstreamUnavailable, 1),
        (502, UpstreamUnavailable, 3),
        (503, UpstreamUnavailable, 3),
        (504, UpstreamUnavailable, 3),
        (522, UpstreamUnavailable, 3),
    ],
)
async def test_a_bad_status_is_an_error_and_a_passing_one_is_tried_again(
    server: Server, status: int, fault: type[PypimError], requests: int
) -> None:
    server.scripts["/x"] = answer(status, b"sorry")
    naps = Naps()
    async with open_fetcher(server.url, FetchOptions(proxy="", retries=2), sleep=naps) as fetcher:
        with pytest.raises(fault) as caught:
            await fetcher.fetch(server.url + "/x", {}, limit_bytes=100)
        assert str(status) in caught.value.message
        assert len(server.requests) == requests
        assert len(naps.seconds) == requests - 1
        with pytest.raises(fault):
            await streamed(fetcher, server.url + "/x")
        assert len(server.requests) == 2 * requests
    assert server.connections == 1, "the small bodies of refusals are read, so that the connection is used again"


@pytest.mark.parametrize("status", [204, 304, 400, 404, 410, 416])
async def test_other_statuses_below_500_are_answers(server: Server, status: int) -> None:
    server.scripts["/x"] = answer(status)
    assert (await once(server, "/x")).status == status


async def test_retry_after_in_seconds_is_honoured_and_capped_at_a_minute(server: Server) -> None:
    server.scripts["/x"] = [answer(429, Retry_After="7"), answer(503, Retry_After="86400"), answer(200, b"at last")]
    naps = Naps()
    async with open_fetcher(server.url, FetchOptions(proxy="", retries=2), sleep=naps) as fetcher:
        assert (await fetcher.fetch(server.url + "/x", {}, limit_bytes=100)).body == b"at last"
    assert naps.seconds == [7.0, 60.0]


async def test_retry_after_as_a_date_is_honoured(server: Server) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    server.scripts["/x"] = [answer(503, Retry_After=moment), answer(200, b"at last")]
    naps = Naps()
    async with open_fetcher(server.url, FetchOptions(proxy=""), sleep=naps) as fetcher:
        assert await streamed(fetcher, server.url + "/x") == b"at last"
    assert 20 < naps.seconds[0] <= 30


async def test_a_body_that_is_cut_is_fetched_again(server: Server) -> None:
    answers = [cut(b"abc", 100), None]

    async def script(request: object, writer: asyncio.StreamWriter) -> None:
        first = answers.pop(0)
        if first is None:
            writer.write(answer(200, b"whole"))
            await writer.drain()
        else:
            await first(request, writer)  # type: ignore[arg-type]

    server.scripts["/x"] = script
    naps = Naps()
    async with open_fetcher(server.url, FetchOptions(proxy=""), sleep=naps) as fetcher:
        assert (await fetcher.fetch(server.url + "/x", {}, limit_bytes=100)).body == b"whole"
    assert len(naps.seconds) == 1


async def test_a_streamed_body_that_is_cut_is_a_transient_fault_after_what_has_arrived(server: Server) -> None:
    server.scripts["/x"] = cut(b"abc", 100)
    received = []
    async with open_fetcher(server.url, QUICK) as fetcher, fetcher.open(server.url + "/x", {}) as incoming:
        chunks = incoming.chunks()
        received.append(await anext(chunks))
        with pytest.raises(UpstreamUnavailable, match="stops short") as caught:
            await anext(chunks)
    assert caught.value.is_transient
    assert received == [b"abc"]


async def test_silence_and_stalled_bodies_are_timeouts(server: Server) -> None:
    server.scripts["/silent"] = silence
    server.scripts["/stalled"] = drip(60)
    for path in ("/silent", "/stalled"):
        with pytest.raises(UpstreamTimeout) as caught:
            await once(server, path)
        assert caught.value.is_transient


async def test_a_body_that_only_trickles_is_given_up(server: Server) -> None:
    server.scripts["/slow"] = drip(0.05)
    with pytest.raises(UpstreamTimeout, match="trickles"):
        await once(server, "/slow")


async def test_a_refused_connection_says_so_with_a_remedy_and_is_tried_again() -> None:
    async with Server() as server:
        url = server.url
    naps = Naps()
    async with open_fetcher(url, FetchOptions(proxy="", retries=3), sleep=naps) as fetcher:
        with pytest.raises(UpstreamUnavailable, match="cannot connect") as caught:
            await fetcher.fetch(url + "/x", {}, limit_bytes=100)
    assert "HTTP_PROXY" in caught.value.hint
    assert len(naps.seconds) == 3


async def test_a_host_that_nobody_knows_says_so_with_a_remedy() -> None:
    async with open_fetcher("http://nowhere.invalid/", QUICK) as fetcher:
        with pytest.raises(UpstreamUnavailable, match="cannot connect: the host name cannot be resolved") as caught:
            await fetcher.fetch("http://nowhere.invalid/x", {}, limit_bytes=100)
    assert "network" in caught.value.hint


@pytest.mark.parametrize(
    "raw", [b"this is not HTTP\r\n\r\n", b"HTTP/1.1 200 X\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n"]
)
async def test_an_answer_that_is_not_http_is_malformed(server: Server, raw: bytes) -> None:
    server.scripts["/x"] = raw
    with pytest.raises(UpstreamMalformed, match="not HTTP"):
        await once(server, "/x")


async def test_repeated_headers_are_joined_and_unreadable_ones_left_out(server: Server) -> None:
    server.scripts["/x"] = b"HTTP/1.1 200 X\r\nContent-Length: 0\r\nVary: A\r\nX-Bad: \xe9\r\nVary: B\r\n\r\n"
    assert (await once(server, "/x")).headers == {"content-length": "0", "vary": "A, B"}


# --- redirects ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_the_final_url_is_told(server: Server, status: int) -> None:
    server.files["/b/c"] = b"there"
    server.scripts["/a/x"] = answer(status, Location="../b/c#part")
    fetched = await once(server, "/a/x")
    assert (fetched.url, fetched.body) == (server.url + "/b/c", b"there")


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://files.example/x", "javascript:alert(1)", "http://[::1/"]
)
async def test_redirects_to_anything_but_http_are_refused(server: Server, target: str) -> None:
    server.scripts["/x"] = answer(302, Location=target)
    with pytest.raises(UpstreamMalformed, match="redirects to"):
        await once(server, "/x")


async def test_a_redirect_loop_ends_after_ten(server: Server) -> None:
    server.scripts["/x"] = answer(302, Location="/x")
    with pytest.raises(UpstreamMalformed, match="more than 10 redirects"):
        await once(server, "/x")
    assert len(server.requests) == 11


async def test_a_redirect_without_a_location_is_an_answer(server: Server) -> None:
    server.scripts["/x"] = answer(302)
    assert (await once(server, "/x")).status == 302


async def test_a_file_url_from_a_network_upstream_is_refused(server: Server) -> None:
    async with open_fetcher(server.url, QUICK) as fetcher:
        with pytest.raises(UpstreamMalformed, match="may not name files of this machine"):
            await fetcher.fetch("file:///etc/hostname", {}, limit_bytes=100)


# --- bodies ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"text " * 1000, mtime=0)),
        ("x-gzip", gzip.compress(b"text " * 400, mtime=0) + gzip.compress(b"text " * 600, mtime=0)),
        ("deflate", zlib.compress(b"text " * 1000)),
        ("identity", b"text " * 1000),
    ],
)
async def test_encoded_bodies_are_decoded(server: Server, encoding: str, body: bytes) -> None:
    server.scripts["/x"] = answer(200, body, Content_Encoding=encoding)
    assert (await once(server, "/x")).body == b"text " * 1000
    assert server.requests[0].headers["accept-encoding"] == "gzip"


async def test_a_gzip_bomb_is_malformed_and_never_unfolds(server: Server) -> None:
    bomb = gzip.compress(bytes(200_000_000), mtime=0)
    server.scripts["/x"] = answer(200, bomb, Content_Encoding="gzip")
    with pytest.raises(UpstreamMalformed, match="longer than 1,000,000 bytes"):
        await once(server, "/x", limit_bytes=1_000_000)


async def test_an_announced_length_above_the_limit_is_refused_before_reading(server: Server) -> None:
    server.scripts["/x"] = b"HTTP/1.1 200 X\r\nContent-Length: 10000000000\r\n\r\n"
    with pytest.raises(UpstreamMalformed, match="longer than"):
        await once(server, "/x")


async def test_an_endless_body_is_cut_off_at_the_limit(server: Server) -> None:
    async def endless(_: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
            await writer.drain()

    server.scripts["/x"] = endless
    with pytest.raises(UpstreamMalformed, match="longer than"):
        await once(server, "/x")


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip"])
async def test_an_encoding_that_was_not_asked_for_is_malformed(server: Server, encoding: str) -> None:
    server.scripts["/x"] = answer(200, b"?", Content_Encoding=encoding)
    with pytest.raises(UpstreamMalformed, match="not asked for"):
        await once(server, "/x")


async def test_broken_gzip_is_malformed_and_short_gzip_is_transient(server: Server) -> None:
    server.scripts["/broken"] = answer(200, b"<html>no gzip at all", Content_Encoding="gzip")
    with pytest.raises(UpstreamMalformed, match="not valid gzip"):
        await once(server, "/broken")
    server.scripts["/short"] = answer(200, gzip.compress(bytes(range(256)) * 99, mtime=0)[:-9], Content_Encoding="gzip")
    with pytest.raises(UpstreamUnavailable, match="stops short") as caught:
        await once(server, "/short")
    assert caught.value.is_transient


async def test_a_streamed_body_is_asked_for_without_encoding_and_never_decoded(server: Server) -> None:
    body = gzip.compress(b"text", mtime=0)
    server.scripts["/x"] = answer(200, body, Content_Encoding="gzip")
    async with open_fetcher(server.url, QUICK) as fetcher:
        assert await streamed(fetcher, server.url + "/x") == body
    assert server.requests[0].headers["accept-encoding"] == "identity"


# --- limits on requests ---------------------------------------------------------------------------------------------
async def test_no_more_exchanges_are_open_at_once_than_allowed(server: Server) -> None:
    open_now, most = 0, 0

    async def script(_: object, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await asyncio.sleep(0.01)
        open_now -= 1
        writer.write(answer(200, b"ok", Connection="close"))
        await writer.drain()

    server.scripts["/x"] = script
    async with open_fetcher(server.url, FetchOptions(proxy="", max_connections=3)) as fetcher:
        await asyncio.gather(*(streamed(fetcher, server.url + "/x") for _ in range(20)))
    assert most == 3


async def test_requests_begin_no_faster_than_allowed(server: Server) -> None:
    server.files["/x"] = b"ok"
    naps = Naps()
    options = FetchOptions(proxy="", requests_per_second=0.5)
    async with open_fetcher(server.url, options, sleep=naps) as fetcher:
        for _ in range(4):
            await streamed(fetcher, server.url + "/x")
    assert [round(seconds) for seconds in naps.seconds] == [2, 4, 6], "each waits for those before it"


async def test_a_cancelled_exchange_gives_its_place_back(server: Server) -> None:
    server.scripts["/silent"] = silence
    server.files["/x"] = b"ok"
    async with open_fetcher(server.url, FetchOptions(proxy="", max_connections=1)) as fetcher:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await streamed(fetcher, server.url + "/silent")
        assert await streamed(fetcher, server.url + "/x") == b"ok"


async def test_connections_are_kept_and_used_again(server: Server) -> None:
    server.files["/x"] = b"ok" * 100
    async with open_fetcher(server.url, FetchOptions(proxy="", max_connections=1)) as fetcher:
        for _ in range(10):
            await streamed(fetcher, server.url + "/x")
            await fetcher.fetch(server.url + "/missing", {}, limit_bytes=100)
            async with fetcher.open(server.url + "/missing", {}):
                pass
    assert server.connections == 1


# --- who we are -----------------------------------------------------------------------------------------------------
async def test_the_user_agent_says_who_we_are_and_whom_to_write_to(server: Server) -> None:
    server.files["/x"] = b"ok"
    await once(server, "/x")
    assert server.requests[0].headers["user-agent"].startswith("pypim/")
    await once(server, "/x", FetchOptions(proxy="", contact="ops@corp.example\r\nX-Evil: 1é"))
    assert "(ops@corp.exampleX-Evil: 1)" in server.requests[1].headers["user-agent"]
