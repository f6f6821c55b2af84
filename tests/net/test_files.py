"""file: URLs: paths, folders as pages, and what can go wrong on a disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable
from pypim.net.files import FileFetcher

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.records import Fetched

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


async def read(url: str, headers: dict[str, str] | None = None) -> Fetched:
    return await FileFetcher().fetch(url, headers or {}, limit_bytes=1 << 20)


async def test_urls_are_percent_decoded_and_localhost_is_this_machine(tmp_path: Path) -> None:
    (tmp_path / "ä #?%.txt").write_bytes(b"here")
    url = (tmp_path / "ä #?%.txt").as_uri()
    assert (await read(url)).body == b"here"
    assert (await read(url.replace("file://", "file://localhost") + "#sha256=00")).body == b"here"


@pytest.mark.parametrize("url", ["file://other.example/etc/hostname", "http://files.example/x"])
async def test_other_hosts_and_schemes_are_refused(url: str) -> None:
    with pytest.raises(UpstreamMalformed):
        await read(url)


async def test_a_folder_answers_with_its_page_in_the_format_that_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(b"html")
    (tmp_path / "index.v1_json").write_bytes(b"json")
    html, json = await read(tmp_path.as_uri()), await read(tmp_path.as_uri() + "/", JSON)
    assert (html.body, html.headers["content-type"]) == (b"html", "text/html")
    assert (json.body, json.headers["content-type"]) == (b"json", "application/vnd.pypi.simple.v1+json")
    assert html.url == tmp_path.as_uri() + "/index.html", "relative links are resolved against the final URL"


async def test_a_folder_without_a_page_is_listed_with_sizes(tmp_path: Path) -> None:
    (tmp_path / "b <1>.whl").write_bytes(b"12345")
    (tmp_path / "a").mkdir()
    (tmp_path / ".hidden").write_bytes(b"")
    listing = await read(tmp_path.as_uri())
    assert listing.url == tmp_path.as_uri() + "/"
    assert listing.body.decode().splitlines()[2:-1] == [
        '<a href="a/">a</a><br>',
        '<a href="b%20%3C1%3E.whl" data-size="5">b &lt;1&gt;.whl</a><br>',
    ]


async def test_if_modified_since_counts_where_there_is_no_etag(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    first = await read(path.as_uri())
    asked = {"If-Modified-Since": first.headers["last-modified"]}
    assert (await read(path.as_uri(), asked)).status == 304
    os.utime(path, (4e9, 4e9))
    assert (await read(path.as_uri(), asked)).status == 200
    assert (await read(path.as_uri(), {"If-Modified-Since": "yesterday"})).status == 200
    assert (await read(path.as_uri(), {"If-None-Match": first.headers["etag"], **asked})).status == 200


async def test_a_range_of_a_file_that_changed_is_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    etag = (await read(path.as_uri())).headers["etag"]
    assert (await read(path.as_uri(), {"Range": "bytes=5-", "If-Range": etag})).body == b"56789"
    assert (await read(path.as_uri(), {"Range": "bytes=5-", "If-Range": '"other"'})).status == 200


async def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UpstreamUnavailable, match="not a regular file"):
        await read((tmp_path / "pipe").as_uri())
    with pytest.raises(UpstreamUnavailable, match="cannot be read"):
        await read("file:///a%00b")
    with pytest.raises(UpstreamUnavailable, match="cannot be read"):
        await read("file:///" + "x" * 5000)


async def test_a_file_below_a_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    assert (await read((tmp_path / "x" / "y").as_uri())).status == 404


async def test_a_file_that_shrinks_while_it_is_read_is_a_transient_fault(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(1 << 20))
    async with FileFetcher().open(path.as_uri(), {}) as incoming:
        path.write_bytes(bytes(1 << 19))
        with pytest.raises(UpstreamUnavailable, match="became shorter") as caught:
            async for _ in incoming.chunks():
                pass
    assert caught.value.is_transient
