"""What every Fetcher and its Incoming promise (ports), checked on the one for the network and the one for files."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import UpstreamFault, UpstreamMalformed
from pypim.core.records import FetchOptions
from pypim.net.fetchers import open_fetcher
from tests.net.server import Server, answer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pypim.ports import Fetcher

    Site = Callable[[], AbstractAsyncContextManager[tuple[str, Fetcher]]]

CONTENT = bytes(range(256)) * 2000
OPTIONS = FetchOptions(proxy="", retries=0, read_timeout=5)


@pytest.fixture(params=["http", "file"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """A place with the file `a b+c.bin`, as (root URL, Fetcher)."""

    @asynccontextmanager
    async def over_http() -> AsyncIterator[tuple[str, Fetcher]]:
        async with Server() as server, open_fetcher(server.url, OPTIONS) as fetcher:
            server.files["/a%20b+c.bin"] = CONTENT
            yield server.url + "/", fetcher

    @asynccontextmanager
    async def on_disk() -> AsyncIterator[tuple[str, Fetcher]]:
        (tmp_path / "a b+c.bin").write_bytes(CONTENT)
        root = tmp_path.as_uri() + "/"
        async with open_fetcher(root, OPTIONS) as fetcher:
            yield root, fetcher

    return over_http if request.param == "http" else on_disk


async def test_a_whole_answer_has_status_url_headers_and_body(site: Site) -> None:
    async with site() as (root, fetcher):
        fetched = await fetcher.fetch(root + "a%20b+c.bin", {}, limit_bytes=len(CONTENT))
    assert (fetched.status, fetched.body) == (200, CONTENT)
    assert fetched.url == root + "a%20b+c.bin"
    assert fetched.headers["content-length"] == str(len(CONTENT))


async def test_what_is_not_there_is_an_answer_of_404_and_not_an_error(site: Site) -> None:
    async with site() as (root, fetcher):
        assert (await fetcher.fetch(root + "nothing", {}, limit_bytes=100)).status == 404
        async with fetcher.open(root + "nothing", {}) as incoming:
            assert incoming.status == 404


async def test_a_body_longer_than_the_limit_is_malformed(site: Site) -> None:
    async with site() as (root, fetcher):
        with pytest.raises(UpstreamMalformed, match="longer than"):
            await fetcher.fetch(root + "a%20b+c.bin", {}, limit_bytes=len(CONTENT) - 1)


async def test_a_streamed_body_is_that_of_the_whole_answer(site: Site) -> None:
    async with site() as (root, fetcher):
        async with fetcher.open(root + "a%20b+c.bin", {}) as incoming:
            chunks = [chunk async for chunk in incoming.chunks()]
        assert incoming.status == 200
    assert b"".join(chunks) == CONTENT
    assert all(type(chunk) is bytes for chunk in chunks)


@pytest.mark.parametrize(
    ("asked", "part", "described"),
    [
        ("bytes=10-19", CONTENT[10:20], f"bytes 10-19/{len(CONTENT)}"),
        ("bytes=511990-", CONTENT[511990:], f"bytes 511990-511999/{len(CONTENT)}"),
        ("bytes=-7", CONTENT[-7:], f"bytes 511993-511999/{len(CONTENT)}"),
        ("bytes=0-99999999", CONTENT, f"bytes 0-511999/{len(CONTENT)}"),
    ],
)
async def test_a_range_is_answered_with_206_and_says_which_part_it_is(
    site: Site, asked: str, part: bytes, described: str
) -> None:
    async with site() as (root, fetcher), fetcher.open(root + "a%20b+c.bin", {"Range": asked}) as incoming:
        assert incoming.status == 206
        assert incoming.headers["content-range"] == described
        assert b"".join([chunk async for chunk in incoming.chunks()]) == part


async def test_a_range_behind_the_end_is_416(site: Site) -> None:
    async with site() as (root, fetcher):
        asked = {"Range": f"bytes={len(CONTENT)}-"}
        assert (await fetcher.fetch(root + "a%20b+c.bin", asked, limit_bytes=100)).status == 416


async def test_a_conditional_request_for_what_has_not_changed_is_answered_304(site: Site) -> None:
    async with site() as (root, fetcher):
        first = await fetcher.fetch(root + "a%20b+c.bin", {}, limit_bytes=len(CONTENT))
        asked = {"If-None-Match": first.headers["etag"]}
        second = await fetcher.fetch(root + "a%20b+c.bin", asked, limit_bytes=len(CONTENT))
    assert (second.status, second.body) == (304, b"")


async def test_what_is_sent_goes_as_it_is_and_its_answer_is_streamed() -> None:
    """POST, as XML-RPC wants it; a file takes nothing."""
    async with Server() as server, open_fetcher(server.url, OPTIONS) as fetcher:
        server.files["/pypi"] = CONTENT
        headers = {"Content-Type": "text/xml", "Accept-Encoding": "gzip"}
        async with fetcher.open(server.url + "/pypi", headers, b"<x/>") as incoming:
            assert b"".join([chunk async for chunk in incoming.chunks()]) == CONTENT
        (request,) = server.requests
        sent = (request.method, request.headers["content-length"], request.headers["content-type"])
        assert sent == ("POST", "4", "text/xml")
        assert request.headers["accept-encoding"] == "gzip", "in place of the one that says that it comes as it is"


@pytest.mark.parametrize(("status", "asked"), [(301, 1), (302, 1), (303, 1), (307, 2), (308, 2)])
async def test_a_redirect_that_would_lose_what_is_sent_is_an_answer(status: int, asked: int) -> None:
    """RFC 9110, 15.4: only 307 and 308 keep the method."""
    async with Server() as server, open_fetcher(server.url, OPTIONS) as fetcher:
        server.scripts["/pypi"] = answer(status, Location="/other")
        server.files["/other"] = CONTENT
        async with fetcher.open(server.url + "/pypi", {}, b"<x/>") as incoming:
            assert incoming.status == (status if asked == 1 else 200)
        assert [request.method for request in server.requests] == ["POST"] * asked


async def test_nothing_can_be_sent_to_a_file(tmp_path: Path) -> None:
    async with open_fetcher(tmp_path.as_uri() + "/", OPTIONS) as fetcher:
        with pytest.raises(UpstreamMalformed, match="nothing can be sent"):
            fetcher.open(tmp_path.as_uri() + "/x", {}, b"<x/>")


async def test_an_answer_may_be_left_before_its_end(site: Site) -> None:
    async with site() as (root, fetcher):
        for _ in range(40):
            async with fetcher.open(root + "a%20b+c.bin", {}) as incoming:
                await anext(aiter(incoming.chunks()))


async def test_many_tasks_may_read_at_once(site: Site) -> None:
    async with site() as (root, fetcher):
        fetching = (fetcher.fetch(root + "a%20b+c.bin", {}, limit_bytes=len(CONTENT)) for _ in range(50))
        assert {fetched.body for fetched in await asyncio.gather(*fetching)} == {CONTENT}


@pytest.mark.parametrize("url", ["ftp://files.example/a", "data:,x", "nothing", "", "http://[::1/", "http://"])
async def test_a_url_that_cannot_be_read_is_the_upstreams_fault(site: Site, url: str) -> None:
    async with site() as (_, fetcher):
        with pytest.raises(UpstreamFault):
            await fetcher.fetch(url, {}, limit_bytes=100)
        with pytest.raises(UpstreamFault):
            async with fetcher.open(url, {}):
                pass
