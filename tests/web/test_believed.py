"""What is believed of whom: one store has indexes of many upstreams, and what one of them says or has is not others'.

Every attack on real sockets: an upstream lists a sha256 that it got to know, and hopes that its word, or somebody
else's bytes, are taken for those of another index.
"""

from __future__ import annotations

import hashlib
import http.client
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.clients.clients import pins, uv_compile
from tests.sync.mirror import pypim
from tests.web import uploading
from tests.web.asking import JSON, ask, files_of
from tests.web.lies import LyingUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.web.conftest import Running
    from tests.web.serving import RunningServer

LIB = uploading.wheel("lib", "1.0", requires=("beta",))
FORGED = uploading.wheel("lib", "1.0", requires=("evilpkg",))
BETA, EVILPKG = uploading.wheel("beta"), uploading.wheel("evilpkg")
SECRET = uploading.wheel("secret", payload=400_000)
EVIL_METADATA = b"Metadata-Version: 2.1\nName: lib\nVersion: 1.0\nRequires-Dist: evilpkg\n"
HEAD = """
[store]
path = "data"
[access]
open-on-loopback = true
[upstreams.good]
url = "{good}"
retries = 0
[upstreams.evil]
url = "{evil}"
retries = 0
"""
PROXIES = (
    HEAD
    + """
[indexes.good]
kind = "proxy"
upstream = "good"
[indexes.evil]
kind = "proxy"
upstream = "evil"
[indexes.copy]
kind = "mirror"
upstream = "good"
publish = "tree"
[indexes.copy.packages]
lib = "latest"
"""
)
PRIVATE = (
    HEAD
    + """
[indexes.private]
kind = "hosted"
read = "authenticated"
[indexes.closed]
kind = "proxy"
upstream = "good"
read = "authenticated"
[indexes.evil]
kind = "proxy"
upstream = "evil"
[indexes.copy]
kind = "mirror"
upstream = "evil"
[indexes.copy.packages]
secret = "latest"
"""
)


@pytest.fixture
def upstreams() -> Iterator[tuple[LyingUpstream, LyingUpstream]]:
    """A good one and an evil one; both list the same hash."""
    with LyingUpstream() as good, LyingUpstream() as evil:
        yield good, evil


Upstreams = tuple[LyingUpstream, LyingUpstream]


def written(text: str, upstreams: Upstreams) -> str:
    return text.format(good=upstreams[0].url, evil=upstreams[1].url)


def lie(upstreams: Upstreams, kind: str) -> None:
    """The good one offers no core metadata, which is what its proxy learns by itself."""
    good, evil = upstreams
    for upload in (LIB, BETA):
        good.lists(upload.name, upload)
    good.lists(EVILPKG.name, EVILPKG)
    good.has_ranges = kind != "no ranges"
    if kind == "advertised":
        evil.lists("lib", LIB, metadata=EVIL_METADATA, content=b"")
    else:
        evil.lists("lib", LIB, content=FORGED.content, size=len(FORGED.content))


def poison(server: RunningServer) -> None:
    """Make the store learn what the evil upstream says."""
    (entry,) = files_of(f"{server.url}/evil/simple/lib/").values()
    answer = ask(entry["url"] + ".metadata")
    assert (answer.status, b"evilpkg" in answer.body) == (200, True), "the attack itself must go through"


# --- core metadata ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["advertised", "ranges"])
def test_what_an_upstream_says_of_a_hash_is_not_said_by_another(
    upstreams: Upstreams, running: Running, kind: str
) -> None:
    lie(upstreams, kind)
    server = running(written(PROXIES, upstreams))
    poison(server)
    (entry,) = files_of(f"{server.url}/good/simple/lib/").values()
    assert entry["core-metadata"] != {"sha256": hashlib.sha256(EVIL_METADATA).hexdigest()}
    answer = ask(entry["url"] + ".metadata")
    assert (answer.status, b"beta" in answer.body, b"evilpkg" in answer.body) == (200, True, False)
    server.restart()
    poison(server)
    (entry,) = files_of(f"{server.url}/good/simple/lib/").values()
    assert b"evilpkg" not in ask(entry["url"] + ".metadata").body


def test_uv_resolves_by_the_good_upstreams_word(upstreams: Upstreams, running: Running) -> None:
    lie(upstreams, "advertised")
    server = running(written(PROXIES, upstreams))
    poison(server)
    assert pins(uv_compile(f"{server.url}/good/simple/", ["lib"])) == {"lib": "1.0", "beta": "1.0"}


@pytest.mark.parametrize("kind", ["advertised", "ranges"])
def test_the_closure_of_a_sync_is_not_what_another_upstream_says(
    upstreams: Upstreams, running: Running, tmp_path: Path, kind: str
) -> None:
    lie(upstreams, kind)
    server = running(written(PROXIES, upstreams))
    poison(server)
    server.restart()
    config = tmp_path / "server" / "pypim.toml"
    pypim("-c", config, "sync", "--index", "copy").expect()
    names = sorted(path.name for path in (tmp_path / "server" / "tree" / "simple").iterdir() if path.is_dir())
    assert names == ["beta", "lib"]


def test_what_checked_bytes_say_counts_for_an_upstream_that_lies(
    upstreams: Upstreams, running: Running, tmp_path: Path
) -> None:
    """The other way round: the bytes have come, and an upstream says something else of them."""
    lie(upstreams, "advertised")
    server = running(written(PROXIES, upstreams))
    (entry,) = files_of(f"{server.url}/good/simple/lib/").values()
    assert ask(entry["url"]).body == LIB.content
    server.restart()
    (entry,) = files_of(f"{server.url}/evil/simple/lib/").values()
    answer = ask(entry["url"] + ".metadata")
    assert (answer.status, b"beta" in answer.body) == (200, True), "anyone may read the index that has the bytes"


# --- files ------------------------------------------------------------------------------------------------------------
def test_a_private_file_does_not_leave_through_an_open_proxy(upstreams: Upstreams, running: Running) -> None:
    upstreams[1].lists("secret", SECRET, content=b"")
    upstreams[0].lists("other", LIB)
    server = running(written(PRIVATE, upstreams))
    assert uploading.send(server, SECRET).status == 200
    (entry,) = files_of(f"{server.url}/evil/simple/secret/").values()
    for url in (entry["url"], entry["url"] + ".metadata"):
        answer = ask(url)
        assert answer.status >= 400, url
        assert b"secret of a generated world" not in answer.body
    assert "core-metadata" not in entry or not entry["core-metadata"]


def test_a_private_file_does_not_leave_through_a_mirror(upstreams: Upstreams, running: Running, tmp_path: Path) -> None:
    upstreams[1].lists("secret", SECRET, content=b"", metadata=b"Metadata-Version: 2.1\nName: secret\nVersion: 1.0\n")
    server = running(written(PRIVATE, upstreams))
    assert uploading.send(server, SECRET).status == 200
    config = tmp_path / "server" / "pypim.toml"
    pypim("-c", config, "sync", "--index", "copy", "--keep-going").expect(1)
    page = ask(f"{server.url}/copy/simple/secret/", Accept=JSON)
    assert page.status == 404 or page.document["files"] == []
    for path in (f"files/{SECRET.filename}", f"simple/secret/{SECRET.filename}"):
        assert ask(f"{server.url}/copy/{path}").status == 404


def test_what_the_own_upstream_really_has_is_fetched_though_somebody_uploaded_it(
    upstreams: Upstreams, running: Running, tmp_path: Path
) -> None:
    """The blob being there already is no error, and the file counts from then on."""
    upstreams[1].lists("secret", SECRET)
    server = running(written(PRIVATE, upstreams))
    assert uploading.send(server, SECRET).status == 200
    config = tmp_path / "server" / "pypim.toml"
    pypim("-c", config, "sync", "--index", "copy").expect()
    assert any(SECRET.filename in one for one in upstreams[1].asked)
    for index in ("copy", "evil"):
        (entry,) = files_of(f"{server.url}/{index}/simple/secret/").values()
        assert ask(entry["url"]).body == SECRET.content
    assert sum(one.endswith(SECRET.filename) for one in upstreams[1].asked) <= 2, "and once for both, but for its head"


def test_what_a_closed_proxy_has_does_not_leave_through_an_open_one(upstreams: Upstreams, running: Running) -> None:
    good, evil = upstreams
    good.lists("secret", SECRET)
    evil.lists("secret", SECRET, content=b"")
    opened = written(PRIVATE, upstreams).replace('upstream = "good"\nread = "authenticated"', 'upstream = "good"')
    server = running(opened)
    (entry,) = files_of(f"{server.url}/closed/simple/secret/").values()
    assert ask(entry["url"]).body == SECRET.content
    server.restart()  # it is recorded by then
    (entry,) = files_of(f"{server.url}/evil/simple/secret/").values()
    assert ask(entry["url"]).body == SECRET.content, "anyone may read it there, so nothing is revealed"
    closed = running(written(PRIVATE, upstreams))
    (entry,) = files_of(f"{closed.url}/evil/simple/secret/").values()
    assert ask(entry["url"]).status >= 400


def test_what_is_arriving_at_a_closed_proxy_does_not_leave_through_an_open_one(
    upstreams: Upstreams, running: Running
) -> None:
    """Clients of one proxy wait for what another process of it fetches, and read along; those of others do not."""
    good, evil = upstreams
    good.lists("secret", SECRET)
    evil.lists("secret", SECRET, content=b"")
    opened = written(PRIVATE, upstreams).replace('upstream = "good"\nread = "authenticated"', 'upstream = "good"')
    servers = running(opened), running(written(PRIVATE, upstreams))
    urls = [
        next(iter(files_of(f"{server.url}/{index}/simple/secret/").values()))["url"]
        for server, index in zip(servers, ("closed", "evil"), strict=True)
    ]
    good.goes_on.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(as_much_as_comes, urls[0])
        while not any(one.endswith(SECRET.filename) for one in good.asked[1:]):
            time.sleep(0.01)
        second = pool.submit(as_much_as_comes, urls[1])
        assert SECRET.content[:1000] not in second.result()
        good.goes_on.set()
        assert first.result() == SECRET.content


def test_a_part_of_a_private_file_is_not_gone_on_with(upstreams: Upstreams, running: Running) -> None:
    """What a closed index began to receive stays in the staging folder, and whoever goes on with it gives it out."""
    good, evil = upstreams
    good.lists("secret", SECRET)
    good.breaks_at = 300_000
    evil.lists("secret", SECRET, content=bytes(len(SECRET.content)))
    opened = written(PRIVATE, upstreams).replace('upstream = "good"\nread = "authenticated"', 'upstream = "good"')
    server = running(opened)
    (entry,) = files_of(f"{server.url}/closed/simple/secret/").values()
    assert SECRET.content[:1000] in as_much_as_comes(entry["url"])
    (entry,) = files_of(f"{server.url}/evil/simple/secret/").values()
    assert SECRET.content[:1000] not in as_much_as_comes(entry["url"])


def as_much_as_comes(url: str) -> bytes:
    """Of a file; of an answer that is none, nothing."""
    try:
        answer = ask(url)
    except http.client.IncompleteRead as broken:
        return broken.partial
    return answer.body if answer.status == 200 else b""


def test_two_proxies_of_one_upstream_fetch_a_file_once(upstreams: Upstreams, running: Running) -> None:
    good, _ = upstreams
    good.lists("lib", LIB)
    same = PROXIES.replace('kind = "proxy"\nupstream = "evil"', 'kind = "proxy"\nupstream = "good"')
    server = running(written(same.replace('kind = "proxy"', 'kind = "proxy"\nread = "anyone"'), upstreams))
    for index in ("good", "evil"):
        (entry,) = files_of(f"{server.url}/{index}/simple/lib/").values()
        assert ask(entry["url"]).body == LIB.content
    whole = [one for one in good.asked if one == f"GET /files/lib/{LIB.filename}"]
    assert len(whole) <= 3, "its end is read for its core metadata"


# --- credentials ------------------------------------------------------------------------------------------------------
ONE = """
[store]
path = "data"
[upstreams.up]
url = "{url}"
retries = 0
[indexes.cache]
kind = "proxy"
upstream = "up"
max-age = "1 hour"
stale-if-error = "1 day"
"""
ALICE = f"Basic {b64encode(b'alice:pw').decode()}"


def test_two_upstreams_with_one_url_and_other_credentials_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "pypim.toml"
    url = "http://files.example/simple"
    for first, second in (
        (f'url = "{url}/"\ntoken = "t"', f'url = "{url}"'),
        (f'url = "{url}/"\nusername = "a"\npassword = "b"', f'url = "{url}/"\nusername = "a"\npassword = "c"'),
        (f'url = "{url}/"\nheaders = {{ X-Key = "k" }}', f'url = "{url}/"'),
        (f'url = "{url.replace("//", "//u:p@")}/"', f'url = "{url}/"'),
    ):
        config.write_text(
            f"[upstreams.one]\n{first}\n[upstreams.two]\n{second}\n"
            '[indexes.a]\nkind = "proxy"\nupstream = "one"\n[indexes.b]\nkind = "proxy"\nupstream = "two"\n',
            "utf-8",
        )
        for words in (("config", "check"), ("status",)):
            said = pypim("-c", config, *words).expect(2).stderr
            assert "it has the URL of one, and other credentials" in said
            assert 'Write upstream = "one"' in said
    same = f'url = "{url}/"\ntoken = "t"'
    config.write_text(
        f'[upstreams.one]\n{same}\n[upstreams.two]\n{same}\n[indexes.a]\nkind = "proxy"\nupstream = "one"\n', "utf-8"
    )
    pypim("-c", config, "config", "check").expect()


@pytest.mark.parametrize("is_warm", [False, True])
def test_what_was_kept_with_credentials_is_not_answered_without(running: Running, *, is_warm: bool) -> None:
    with LyingUpstream() as upstream:
        upstream.lists("lib", LIB)
        upstream.authorization = ALICE
        server = running(ONE.format(url=upstream.url_as("alice:pw")))
        if is_warm:
            (entry,) = files_of(f"{server.url}/cache/simple/lib/").values()
            assert ask(entry["url"]).body == LIB.content
            assert ask(f"{server.url}/cache/simple/", Accept=JSON).status == 200
        without = running(ONE.format(url=upstream.url))
        for path in ("lib/", "", f"lib/{LIB.filename}"):
            answer = ask(f"{without.url}/cache/simple/{path}", Accept=JSON)
            assert answer.status >= 400, (path, answer)
        if is_warm:
            stolen = entry["url"].replace(server.url, without.url)
            assert ask(stolen).status >= 400
            assert ask(stolen + ".metadata").status >= 400


def test_what_was_kept_without_credentials_is_asked_for_anew_with_them(running: Running) -> None:
    with LyingUpstream() as upstream:
        upstream.lists("lib", LIB)
        page = upstream.answers.pop("/simple/lib/")
        server = running(ONE.format(url=upstream.url))
        assert ask(f"{server.url}/cache/simple/lib/", Accept=JSON).status == 404
        upstream.answers["/simple/lib/"] = page
        server = running(ONE.format(url=upstream.url_as("alice:pw")))
        assert list(files_of(f"{server.url}/cache/simple/lib/")) == [LIB.filename]


def test_no_secret_stands_in_the_store(running: Running, tmp_path: Path) -> None:
    with LyingUpstream() as upstream:
        upstream.lists("lib", LIB)
        server = running(ONE.format(url=upstream.url_as("alice:s3cret-pw")))
        (entry,) = files_of(f"{server.url}/cache/simple/lib/").values()
        assert ask(entry["url"]).body == LIB.content
        ask(f"{server.url}/cache/simple/", Accept=JSON)
    for path in (tmp_path / "server" / "data").rglob("*"):
        if path.is_file():
            assert b"s3cret-pw" not in path.read_bytes(), path


def test_a_mirror_without_credentials_does_not_go_on_with_what_came_with_them(tmp_path: Path) -> None:
    with LyingUpstream() as upstream:
        upstream.lists("lib", LIB)
        upstream.authorization = ALICE
        config = tmp_path / "pypim.toml"
        mirror = '[store]\npath = "data"\n[upstreams.up]\nurl = "{url}"\nretries = 0\n[indexes.main]\nkind = "mirror"\n'
        mirror += '[indexes.main.packages]\nlib = "latest"\n[indexes.main.dependencies]\nfollow = false\n'
        config.write_text(mirror.format(url=upstream.url_as("alice:pw")), "utf-8")
        pypim("-c", config, "sync").expect()
        config.write_text(mirror.format(url=upstream.url), "utf-8")
        assert "credentials" in pypim("-c", config, "sync").stderr
        assert "credentials" in pypim("-c", config, "plan").stderr
