"""Files over a real socket: ranges, validators, names, and nothing that no page lists."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.asking import JSON, ask, files_of
from tests.web.conftest import Running
from tests.web.test_simple_api import configuration
from tests.worlds.specs import FileSpec
from tests.worlds.world import World, project, release, sdist, wheel

LARGE = "big-1.0-py3-none-any.whl"
LOCAL = "foo-1!1.0+local.1-py3-none-any.whl"
WORLD = World.of(
    project("big", release("1.0", wheel(payload=3_000_000))),
    project("foo", release("1!1.0+local.1", wheel()), release("0.5", sdist())),
)


class Held:
    """A running server, the folder of its store, and the entries of its pages by filename."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.files = {**files_of(f"{url}/simple/big/"), **files_of(f"{url}/simple/foo/")}

    def content(self, filename: str) -> bytes:
        return ask(self.files[filename]["url"]).body


@pytest.fixture
def held(serve: ServeWorld, running: Running, tmp_path: Path) -> Held:
    server = running(configuration(serve(WORLD).url, {"big": ["1.0"], "foo": [">=0"]}))
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync").expect()
    return Held(server.url, tmp_path / "server" / "data")


def test_a_file_is_whole_and_lasts(held: Held) -> None:
    """Case 32: no encoding ever, and a length always."""
    for entry in held.files.values():
        answer = ask(entry["url"], Accept_Encoding="gzip, deflate")
        assert answer.status == 200
        assert hashlib.sha256(answer.body).hexdigest() == entry["hashes"]["sha256"]
        assert int(answer.headers["content-length"]) == len(answer.body) == entry["size"]
        assert "content-encoding" not in answer.headers
        assert answer.headers["cache-control"] == "max-age=365000000, immutable, public"


def test_the_shape_of_the_address(held: Held) -> None:
    for filename, entry in held.files.items():
        digest = hashlib.blake2b(held.content(filename), digest_size=32).hexdigest()
        path = urlsplit(entry["url"]).path
        assert path == f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{quote(filename)}"


def test_names_raw_and_encoded(held: Held) -> None:
    """Case 25: uv asks for what stands there, pip encodes `+` and `!`."""
    folder = held.files[LOCAL]["url"].rpartition("/")[0]
    for written in (LOCAL, quote(LOCAL, safe=""), LOCAL.replace("-", "%2D")):
        assert ask(f"{folder}/{written}").body == held.content(LOCAL)


def test_head(held: Held) -> None:
    """Case 27."""
    answer = ask(held.files[LARGE]["url"], "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) == held.files[LARGE]["size"]
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    "asked", ["bytes=-16384", "bytes=0-0", "bytes=100-2000000", "bytes=2999990-", "bytes=5-99999999"]
)
def test_parts(held: Held, asked: str) -> None:
    """Case 28."""
    content = held.content(LARGE)
    answer = ask(held.files[LARGE]["url"], Range=asked)
    start, _, end = asked.removeprefix("bytes=").partition("-")
    expected = content[int(start) : int(end) + 1 if end else None] if start else content[-int(end) :]
    assert answer.status == 206
    assert answer.body == expected
    first = int(start) if start else len(content) - int(end)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(content)}"
    assert answer.headers["content-length"] == str(len(expected))


def test_parts_that_are_not_there(held: Held) -> None:
    """Case 28: 416 with the size; several ranges, or none that can be read, count as none."""
    url, size = held.files[LARGE]["url"], held.files[LARGE]["size"]
    for asked in ("bytes=999999999-", "bytes=-0", f"bytes={'9' * 26}-", f"bytes={'9' * 26}-{'9' * 5000}"):
        answer = ask(url, Range=asked)
        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{size}"
    for asked in (f"bytes=0-{'9' * 26}", f"bytes=-{'9' * 26}", f"bytes={'0' * 26}-"):
        assert len(ask(url, Range=asked).body) == size
    for asked in ("bytes=0-1,5-6", "lines=1-2", "bytes=5-3", "bytes=x"):
        assert ask(url, Range=asked).status == 200


def test_a_part_of_another_file_is_the_whole(held: Held) -> None:
    """Case 28: If-Range."""
    url = held.files[LARGE]["url"]
    etag = ask(url, "HEAD").headers["etag"]
    assert ask(url, Range="bytes=0-9", If_Range=etag).status == 206
    assert ask(url, Range="bytes=0-9", If_Range='"other"').status == 200
    assert ask(url, If_None_Match=etag).status == 304


def test_metadata_is_that_of_the_wheel(held: Held) -> None:
    for filename, entry in held.files.items():
        if filename.endswith(".whl"):
            answer = ask(f"{entry['url']}.metadata")
            assert hashlib.sha256(answer.body).hexdigest() == entry["core-metadata"]["sha256"]
            assert answer.headers["content-length"] == str(len(answer.body))


def test_what_no_page_lists_is_not_served(held: Held) -> None:
    """Neither another name under a right digest, nor another digest, nor a file of the store itself."""
    url = held.files[LARGE]["url"]
    assert ask(url.replace("big-1.0", "big-2.0")).status == 404
    assert ask(url.replace("/packages/", "/packages/00/", 1)).status == 404
    assert ask(f"{url}.asc").status == 404
    assert ask(f"{held.url}/packages/../catalog.sqlite").status in {400, 404}
    assert ask(f"{held.url}/data/catalog.sqlite").status == 404


def test_a_file_that_is_gone_is_a_fault_and_never_a_404(held: Held) -> None:
    """So that no client goes elsewhere for it."""
    path = held.folder / urlsplit(held.files[LARGE]["url"]).path[1:]
    path.unlink()
    answer = ask(held.files[LARGE]["url"], Accept="application/json")
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/json"
    assert "verify --repair" in answer.document["message"]


def test_nginx_may_send_the_bytes(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """Whoever did not come through it would get an empty answer: those have the bytes from us."""
    text = configuration(serve(WORLD).url, {"big": ["1.0"]}) + '[server]\naccelerated = "/held"\n'
    server = running(text)
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync").expect()
    entry: dict[str, Any] = files_of(f"{server.url}/simple/big/")[LARGE]
    answer = ask(entry["url"], X_Forwarded_For="10.1.2.3")
    assert answer.body == b""
    assert answer.headers["x-accel-redirect"] == "/held" + urlsplit(entry["url"]).path
    direct = ask(entry["url"])
    assert "x-accel-redirect" not in direct.headers, "a client of this machine, and no proxy"
    assert hashlib.sha256(direct.body).hexdigest() == entry["hashes"]["sha256"]
    server = running(text + 'trusted-proxies = ["10.0.0.1"]\n')
    elsewhere = ask(f"{server.url}{urlsplit(entry['url']).path}", X_Forwarded_For="10.1.2.3")
    assert elsewhere.body == direct.body, "not from where nginx is"


def test_an_index_below_a_path(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """A proxy in front may keep the path or take it away."""
    server = running(configuration(serve(WORLD).url, {"big": ["1.0"]}) + '[server]\nroot-path = "/pypi"\n')
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync").expect()
    for base in (server.url, f"{server.url}/pypi"):
        assert ask(f"{base}/simple/big/", Accept=JSON).status == 200
        assert ask(f"{base}/simple/Big/").headers["location"] == "/pypi/simple/big/"
        assert ask(files_of(f"{base}/simple/big/")[LARGE]["url"], "HEAD").status == 200


def test_files_with_names_that_leave_room_for_doubt(serve: ServeWorld, running: Running, tmp_path: Path) -> None:
    """Cases 46 and 48: whose file it is, only the page says."""
    odd = ["foo-bar-1.0-1.tar.gz", "foo-bar-2004d.tar.gz"]
    world = World.of(
        project(
            "foo-bar",
            release("1.0.post1", FileSpec(kind="sdist", filename=odd[0])),
            release("2004d", FileSpec(kind="sdist", filename=odd[1])),
        )
    )
    text = configuration(serve(world).url, {}) + '[indexes.cache]\nkind = "proxy"\n'
    server = running(text)
    for filename, entry in files_of(f"{server.url}/cache/simple/foo-bar/").items():
        assert filename in odd
        assert ask(entry["url"]).status == 200
