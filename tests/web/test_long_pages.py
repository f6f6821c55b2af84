"""Pages that are too long for a worker: what clients see is byte for byte what a server without a limit answers."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypim.wiring_ready import LongPage
from tests.sync.mirror import pypim
from tests.web.asking import HTML, JSON, Answer, ask, files_of
from tests.web.serving import RunningServer
from tests.web.uploading import Upload, send
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import ServeWorld

LIMIT = LongPage(most_bytes=3000, most_files=3, most_read_bytes=3000)
MIDDLE = LongPage(most_bytes=3000, most_files=3)
"""A worker asks for such pages itself, and makes nothing of them."""
limits = pytest.mark.parametrize("limit", [LIMIT, MIDDLE], ids=["long", "middle"])
WORLD = World.of(
    project("lib", *(release(f"{number}.0", wheel(), sdist()) for number in range(1, 6))),
    project("short", release("1.0", wheel())),
)
CONFIGURATION = """
[upstreams.up]
url = "{url}"
retries = 0
[access]
open-on-loopback = true
[server]
default-index = "proxy"
[indexes.mirror]
kind = "mirror"
[indexes.mirror.filters]
formats = ["wheel", "sdist"]
[indexes.mirror.packages]
lib = ">=1"
short = "latest"
[indexes.proxy]
kind = "proxy"
{more}
[indexes.hosted]
kind = "hosted"
[indexes.other]
kind = "hosted"
[indexes.group]
kind = "group"
members = ["other", "proxy"]
[indexes.merged]
kind = "group"
members = ["other", "proxy"]
merge = ["lib"]
[indexes.outer]
kind = "group"
members = ["other", "group"]
"""
INDEXES = ["mirror", "proxy", "hosted", "group", "merged", "outer"]


def configured(folder: Path, url: str, more: str = "") -> Path:
    path = folder / "pypim.toml"
    path.write_text(CONFIGURATION.format(url=url, more=more), "utf-8")
    return path


@pytest.fixture
def config(serve: ServeWorld, tmp_path: Path) -> Path:
    """A store in which the mirror is synced and the hosted index has all files of the project."""
    path = configured(tmp_path, serve(WORLD).url)
    pypim("-c", path, "sync").expect()
    with RunningServer(path) as server:
        for file in WORLD.files:
            if file.filename.startswith("lib"):
                version = file.filename.split("-")[1].removesuffix(".tar.gz")
                sent = send(server, Upload(file.filename, file.content, "lib", version), "/hosted/legacy/")
                assert sent.status == 200, sent
    return path


@contextmanager
def scribes_ended() -> Iterator[None]:
    """What servers of this test started has ended with them."""
    yield
    assert not scribes()


def scribes() -> list[int]:
    """The processes that this one has started for long pages."""
    tasks = Path("/proc/self/task").glob("*/children")
    started = [int(one) for listing in tasks for one in listing.read_text().split()]
    return [one for one in started if b"pypim.wiring_long" in Path(f"/proc/{one}/cmdline").read_bytes()]


def answers_of(server: RunningServer, index: str) -> dict[str, Answer]:
    """Everything that can be asked of that page and its files; addresses without the port."""
    base = f"{server.url}/{index}"
    found: dict[str, Answer] = {}
    for accept in (JSON, HTML, "text/html"):
        found[f"page {accept}"] = page = ask(f"{base}/simple/lib/", Accept=accept)
        found[f"head {accept}"] = ask(f"{base}/simple/lib/", "HEAD", Accept=accept)
        found[f"gzip {accept}"] = ask(f"{base}/simple/lib/", Accept=accept, Accept_Encoding="gzip")
        found[f"same {accept}"] = ask(f"{base}/simple/lib/", Accept=accept, If_None_Match=page.headers["etag"])
    for path in ("pypi/lib/json", "pypi/lib/2.0/json", "integrity/lib/1.0/lib-1.0-py3-none-any.whl/provenance"):
        found[path] = ask(f"{base}/{path}")
    found["api"] = ask(f"{server.url}/api/v1/indexes/{index}/projects/lib")
    found["why"] = ask(f"{server.url}/api/v1/indexes/{index}/why/lib")
    for name, entry in files_of(f"{base}/simple/lib/").items():
        found[f"file {name}"] = ask(entry["url"])
        found[f"range {name}"] = ask(entry["url"], Range="bytes=5-20")
        found[f"metadata {name}"] = ask(entry["url"] + ".metadata")
    found["no file"] = ask(f"{base}/packages/aa/bb/{'c' * 60}/lib-1.0-py3-none-any.whl")
    return {what: comparable(answer, server.url.encode()) for what, answer in found.items()}


def comparable(answer: Answer, address: bytes) -> Answer:
    """An answer without what differs with the time or with the port of the server."""
    left_out = {"date", "etag"} if address in answer.body else {"date"}
    is_packed = answer.headers.get("content-encoding") == "gzip"
    body = gzip.decompress(answer.body) if is_packed else answer.body
    headers = {name: text for name, text in answer.headers.items() if name not in left_out}
    return answer._replace(headers=headers, body=body.replace(address, b""))


@limits
@pytest.mark.parametrize("index", INDEXES)
def test_every_answer_is_the_same_byte_for_byte(config: Path, index: str, limit: LongPage) -> None:
    with RunningServer(config, None) as server:
        whole = answers_of(server, index)
        assert not scribes()
    with scribes_ended(), RunningServer(config, limit) as server:
        assert answers_of(server, index) == whole
        assert scribes(), "nothing was long"
    assert whole[f"page {JSON}"].status == whole["file lib-1.0-py3-none-any.whl"].status == 200
    assert whole[f"gzip {JSON}"].body == whole[f"page {JSON}"].body


@limits
@pytest.mark.parametrize("index", ["proxy", "group", "merged", "outer"])
def test_a_proxy_that_knows_nothing_yet(serve: ServeWorld, tmp_path: Path, index: str, limit: LongPage) -> None:
    upstream = serve(WORLD)
    with RunningServer(configured(tmp_path, upstream.url), limit) as server:
        entries = files_of(f"{server.url}/{index}/simple/lib/")
        assert sorted(entries) == sorted(file.filename for file in WORLD.files if file.filename.startswith("lib"))
        asked = upstream.counts()["/simple/lib/"]
        most = 2 if limit is LIMIT else 1
        assert asked <= most, "once as far as it is not very long, and once by the other process"
        for entry in entries.values():
            assert hashlib.sha256(ask(entry["url"]).body).hexdigest() == entry["hashes"]["sha256"]
        for accept in (JSON, HTML):
            assert ask(f"{server.url}/{index}/simple/lib/", Accept=accept).status == 200
        assert upstream.counts()["/simple/lib/"] == asked
        assert ask(f"{server.url}/{index}/simple/none/").status == 404


@limits
def test_what_changes_upstream_is_seen_and_what_does_not_is_not_made_again(
    serve: ServeWorld, tmp_path: Path, limit: LongPage
) -> None:
    upstream = serve(WORLD)
    more = 'max-age = "0 seconds"\nstale-while-revalidate = "0 seconds"'
    with RunningServer(configured(tmp_path, upstream.url, more), limit) as server:
        first = ask(f"{server.url}/simple/lib/", Accept=JSON)
        again = ask(f"{server.url}/simple/lib/", Accept=JSON)
        assert again.headers["etag"] == first.headers["etag"]
        releases = (release(f"{number}.0", wheel(), sdist()) for number in range(1, 9))
        upstream.world = World.of(project("lib", *releases))
        assert "lib-8.0.tar.gz" in files_of(f"{server.url}/simple/lib/")
        upstream.misbehave("*", faults.no_answer())
        assert "lib-8.0.tar.gz" in files_of(f"{server.url}/simple/lib/"), "the older answer is given meanwhile"


@limits
def test_a_page_that_becomes_short_is_an_ordinary_one(serve: ServeWorld, tmp_path: Path, limit: LongPage) -> None:
    upstream = serve(WORLD)
    more = 'max-age = "0 seconds"\nstale-while-revalidate = "0 seconds"'
    with RunningServer(configured(tmp_path, upstream.url, more), limit) as server:
        assert len(files_of(f"{server.url}/simple/lib/")) == 10
        upstream.world = World.of(project("lib", release("5.0", wheel())))
        assert list(files_of(f"{server.url}/simple/lib/")) == ["lib-5.0-py3-none-any.whl"]


def test_what_is_uploaded_is_on_a_long_page_at_once(config: Path) -> None:
    with RunningServer(config, LIMIT) as server:
        assert len(files_of(f"{server.url}/hosted/simple/lib/")) == 10
        content = World.of(project("lib", release("9.0", wheel()))).file("lib-9.0-py3-none-any.whl").content
        sent = send(server, Upload("lib-9.0-py3-none-any.whl", content, "lib", "9.0"), "/hosted/legacy/")
        assert sent.status == 200, sent
        assert "lib-9.0-py3-none-any.whl" in files_of(f"{server.url}/hosted/simple/lib/")


def test_files_are_held_beforehand(serve: ServeWorld, tmp_path: Path) -> None:
    """POST /requirements.txt, also where a requirement names a long page."""
    with RunningServer(configured(tmp_path, serve(WORLD).url), LIMIT) as server:
        told = ask(f"{server.url}/requirements.txt", "POST", b"lib==4.0\nshort\nlib>7\n")
        assert told.status == 200
        assert told.text.splitlines() == [
            "held lib==4.0: 4.0, 2 files",
            "held short: 1.0, 1 files",
            "failed lib>7: proxy has no release that matches",
        ]


def test_a_process_that_is_killed_is_started_again(serve: ServeWorld, tmp_path: Path) -> None:
    with RunningServer(configured(tmp_path, serve(WORLD).url), LIMIT) as server:
        assert ask(f"{server.url}/simple/lib/").status == 200
        for one in scribes():
            os.kill(one, signal.SIGKILL)
        assert ask(f"{server.url}/pypi/lib/json").status == 200


def test_two_servers_on_one_store(config: Path) -> None:
    """What one has made, the other may replace: nobody is sent what is not there any more."""
    with RunningServer(config, LIMIT) as one, RunningServer(config, LIMIT) as other:
        for server in (one, other, one, other):
            found = ask(f"{server.url}/hosted/simple/lib/", Accept=JSON)
            assert len(found.document["files"]) == 10
        for path in sorted((config.parent / ".pypim").rglob("*.files")):
            path.unlink()
        assert len(files_of(f"{one.url}/hosted/simple/lib/")) == 10
        assert len(files_of(f"{other.url}/hosted/simple/lib/")) == 10


def test_the_configuration_is_that_of_the_server_whatever_becomes_of_its_file(
    serve: ServeWorld, tmp_path: Path
) -> None:
    """A file with a mistake is not reloaded, and the old configuration stays: also for what other processes make."""
    path = configured(tmp_path, serve(WORLD).url)
    with RunningServer(path, LIMIT) as server:
        path.write_text("nonsense = 1\n")
        assert ask(f"{server.url}/simple/lib/").status == 200
        assert ask(f"{server.url}/pypi/lib/json").status == 200
        assert ask(f"{server.url}/simple/", Accept=JSON).status == 200
