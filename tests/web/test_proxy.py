"""A proxy over real sockets at both ends: whatever its upstream does, no client gets a wrong byte as a whole file."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import socket
import time
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import pytest

from tests.web.asking import HTML, JSON, Answer, ask, files_of
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from tests.conftest import ServeWorld
    from tests.web.conftest import Running

WORLD = World.of(
    project("big", release("1.0", wheel(payload=2_000_000))),
    project("small", *(release(f"{number}.0", wheel(), sdist()) for number in range(1, 6))),
    project("local", release("1!1.0+cu124", wheel())),
)
BIG = WORLD.file("big-1.0-py3-none-any.whl")


def configuration(url: str, more: str = "") -> str:
    return f"""
[store]
path = "data"
[upstreams.up]
url = "{url}"
retries = 0
read-timeout = 5
[server]
default-index = "cache"
[indexes.cache]
kind = "proxy"
upstream = "up"
{more}
"""


def content_of(answer: Answer) -> str:
    assert answer.status == 200, answer
    assert int(answer.headers["content-length"]) == len(answer.body)
    return hashlib.sha256(answer.body).hexdigest()


def test_pages_and_files_pass_through_once(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    for _ in range(2):
        for name in ("big", "small", "local"):
            for entry in files_of(f"{server.url}/simple/{name}/").values():
                assert content_of(ask(entry["url"])) == entry["hashes"]["sha256"]
                if entry.get("core-metadata"):
                    body = ask(entry["url"] + ".metadata").body
                    assert hashlib.sha256(body).hexdigest() == entry["core-metadata"]["sha256"]
    assert set(upstream.counts().values()) == {1}
    assert not upstream.asked("/simple/"), "the list is only asked for when somebody asks for it"
    server.restart()
    upstream.misbehave("*", faults.no_answer())
    for entry in files_of(f"{server.url}/simple/big/").values():
        assert content_of(ask(entry["url"])) == entry["hashes"]["sha256"]


@pytest.mark.parametrize(("status", "asked_for", "told"), [(429, "20", "20"), (503, "3600", "60")])
def test_clients_do_not_wait_for_an_upstream_that_asks_for_patience(
    serve: ServeWorld, running: Running, status: int, asked_for: str, told: str
) -> None:
    """RFC 9110, 10.2.3: Retry-After is handed on at once; without an answer, pip gives up after 15 seconds."""
    upstream = serve(WORLD)
    upstream.misbehave("*", faults.status(status, retry_after=asked_for))
    server = running(configuration(upstream.url).replace("retries = 0", "retries = 4"))
    began = time.monotonic()
    answer = ask(f"{server.url}/simple/small/")
    assert (answer.status, answer.headers["retry-after"]) == (502, told)
    assert time.monotonic() - began < 10
    upstream.behave()
    assert files_of(f"{server.url}/simple/small/")


def test_sixty_four_clients_of_a_cold_file_make_one_request(serve: ServeWorld, running: Running) -> None:
    """Row: 64 clients asking for one cold file make one upstream request; so do 50 asking for its page."""
    upstream = serve(WORLD)
    upstream.misbehave("*.whl", faults.drip(1 << 16, 0.002))
    server = running(configuration(upstream.url))
    with ThreadPoolExecutor(64) as clients:
        pages = list(clients.map(lambda _: files_of(f"{server.url}/simple/big/"), range(50)))
        (entry,) = pages[0].values()
        digests = set(clients.map(lambda _: content_of(ask(entry["url"])), range(64)))
    assert digests == {BIG.sha256}
    assert len(upstream.asked("/simple/big/")) == 1
    assert len(upstream.asked("*.whl")) == 1


@pytest.mark.parametrize("asked", ["0-99", "-16384", "1000000-1999999", "1500000-"])
def test_a_range_of_a_file_that_is_still_arriving(serve: ServeWorld, running: Running, asked: str) -> None:
    """Case 29: correct bytes or 200 full, never truncated 206."""
    upstream = serve(WORLD)
    upstream.misbehave("*.whl", faults.drip(1 << 16, 0.002))
    server = running(configuration(upstream.url))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    answer = ask(entry["url"], Range=f"bytes={asked}")
    first, _, last = asked.partition("-")
    start = int(first) if first else BIG.size - int(last)
    stop = int(last) + 1 if first and last else BIG.size
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{BIG.size}"
    assert answer.body == BIG.content[start:stop]


@pytest.mark.parametrize(
    "asked", ["0-99", "1000-200000", "0-262143", "-65537", f"{BIG.size - 65_540}-{BIG.size - 65_530}"]
)
def test_a_short_range_of_a_file_with_wrong_bytes_is_502(serve: ServeWorld, running: Running, asked: str) -> None:
    """Case 31: a part of wrong bytes is never complete, wherever in the file it is."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    upstream.misbehave("*.whl", faults.wrong_bytes())
    assert ask(entry["url"], Range=f"bytes={asked}").status == 502
    upstream.behave()
    assert ask(entry["url"], Range=f"bytes={asked}").status == 206


def test_a_long_range_of_a_file_with_wrong_bytes_breaks_off(serve: ServeWorld, running: Running) -> None:
    """Case 31: its last bytes wait for the hash of the whole, as those of the file do."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    drip, wrong = faults.drip(1 << 16, 0.002), faults.wrong_bytes()
    upstream.misbehave("*.whl", lambda response: drip(wrong(response)))
    with pytest.raises(http.client.IncompleteRead):
        ask(entry["url"], Range="bytes=1000-1000999")


def test_an_upstream_that_dies_mid_file_breaks_the_connection(serve: ServeWorld, running: Running) -> None:
    """Case 30: no clean end with a short body, nothing cached."""
    upstream = serve(WORLD, ranges=False)
    server = running(configuration(upstream.url))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    upstream.misbehave("*.whl", faults.cut_after(1_000_000))
    with pytest.raises(http.client.IncompleteRead):
        ask(entry["url"])
    upstream.behave()
    assert content_of(ask(entry["url"])) == BIG.sha256


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_file_of_unknown_size_is_never_cut_off_in_silence(serve: ServeWorld, running: Running, version: str) -> None:
    """Case 30: for a client of HTTP/1.0 the end of the connection is that of the body, so its length is always said.

    Where neither page nor upstream say it, the whole file is waited for.
    """
    upstream = serve(WORLD, sizes=False, hashes="none", json_api=False, pypi_shaped=False, advertise_metadata=False)
    server = running(configuration(upstream.url, "metadata = false"))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    chunked, drip, cut = faults.chunked(), faults.drip(1 << 18, 0.01), faults.cut_after(1_000_000)
    upstream.misbehave("*.whl", lambda response: cut(drip(chunked(response))))
    parts = urlsplit(entry["url"])
    request = f"GET {parts.path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()

    def received() -> tuple[bytes, bytes]:
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
            line.sendall(request)
            with line.makefile("rb") as answer:
                head, _, body = answer.read().partition(b"\r\n\r\n")
        return head.lower(), body

    assert b" 502 " in received()[0]
    upstream.behave()
    upstream.misbehave("*.whl", lambda response: drip(chunked(response)))
    head, body = received()
    assert f"content-length: {BIG.size}".encode() in head
    assert body == BIG.content


def test_secrets_in_addresses_of_the_upstream_are_not_passed_on(
    serve: ServeWorld, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 3986, 3.2.1, and signed URLs: neither an answer nor the log has them."""
    upstream = serve(WORLD)
    host = urlsplit(upstream.url).netloc

    def sign(page: dict[str, object]) -> None:
        for entry in cast("list[dict[str, object]]", page["files"]):
            entry["url"] = f"http://user:hunter2@{host}/nothing/{entry['filename']}?X-Amz-Signature=hunter3"

    upstream.misbehave("/simple/small/", faults.changed_page(sign))
    server = running(configuration(upstream.url))
    for entry in files_of(f"{server.url}/simple/small/").values():
        answer = ask(entry["url"], Accept="application/json")
        assert answer.status == 502
        assert "/nothing/" in answer.text
        assert "hunter" not in answer.text
        assert "hunter" not in ask(entry["url"] + ".metadata").text
    assert "/nothing/" in caplog.text
    assert "hunter" not in caplog.text


def test_clients_keep_a_page_as_long_as_the_proxy_does(serve: ServeWorld, running: Running) -> None:
    server = running(configuration(serve(WORLD).url, "max-age = '90 seconds'"))
    assert ask(f"{server.url}/simple/small/").headers["cache-control"] == "max-age=90, public"


def odd_page(page: dict[str, object]) -> None:
    """Entries that are broken, each in another way."""
    files = cast("list[dict[str, object]]", page["files"])
    files[0]["requires-python"] = "bogus"
    files[1]["requires-python"] = ">=3.5.*"
    files[2]["requires-python"] = '>=3"><x'
    files[2]["provenance"] = "http://insecure.example/x"
    files[3]["provenance"] = "https://index.example/integrity/x"
    files[4]["provenance"] = "http://127.0.0.1:8080/integrity/x"
    files.append({**files[0], "filename": "other-1.8.tar.gz"})
    page["versions"] = ["1.0", "7.0"]


@pytest.mark.parametrize("accept", [JSON, HTML])
def test_what_is_broken_in_entries_is_not_passed_on(serve: ServeWorld, running: Running, accept: str) -> None:
    """Case 15: a Requires-Python that nobody can read is left out: uv would pass over the file, which pip takes.

    Case 73: provenance only where its origin is secure, or this machine. PEP 700: every file's version is listed.
    """
    upstream = serve(WORLD)
    upstream.misbehave("/simple/small/", faults.changed_page(odd_page))
    server = running(configuration(upstream.url))
    text = ask(f"{server.url}/simple/small/", Accept=accept).text
    assert "bogus" not in text
    assert "&quot;" not in text
    assert '"><x' not in text
    assert "3.5.*" in text
    assert "insecure.example" not in text
    assert "https://index.example/integrity/x" in text
    assert "http://127.0.0.1:8080/integrity/x" in text
    assert "other-1.8" not in text
    if accept == JSON:
        assert ask(f"{server.url}/simple/small/", Accept=JSON).document["versions"] == [
            "1.0", "7.0", "2.0", "3.0", "4.0", "5.0",
        ]  # fmt: skip


def test_what_is_listed_is_served(serve: ServeWorld, running: Running) -> None:
    """A file may be had if and only if the page lists it, also where the upstream lists another project's files."""
    upstream = serve(WORLD)
    upstream.misbehave("/simple/small/", faults.changed_page(odd_page))
    server = running(configuration(upstream.url))
    files = files_of(f"{server.url}/simple/small/")
    assert len(files) == 10
    for entry in files.values():
        content_of(ask(entry["url"]))


def test_every_form_of_a_page_lists_the_same_files(serve: ServeWorld, running: Running) -> None:
    """Cases 48 to 50: what the page leaves out, for nobody could fetch it, would end a mirror by the JSON API."""
    strange = [
        *("small-1.0-variants.json", "small-1.0.whlx", "small.tar.gz", "small-1.0.tar.gz.asc"),
        *("small-bar-1.0-1.tar.gz", "small-1.0-py3-none-manylinux_2_28_x86_64-x86_64_v3.whl"),
    ]

    def add(page: dict[str, object]) -> None:
        files = cast("list[dict[str, object]]", page["files"])
        files += [{**files[0], "filename": name} for name in strange]

    upstream = serve(WORLD)
    upstream.misbehave("/simple/small/", faults.changed_page(add))
    server = running(configuration(upstream.url))
    listed = set(files_of(f"{server.url}/simple/small/"))
    assert len(listed) == 10
    releases = ask(f"{server.url}/pypi/small/json").document["releases"]
    assert {file["filename"] for files in releases.values() for file in files} == listed
    described = ask(f"{server.url}/api/v1/indexes/cache/projects/small").document["files"]
    assert {file["filename"] for file in described} == listed
    beside = ask(f"{server.url}/legacy/+simple/small/").text
    assert not [name for name in strange if name in beside]
    for name in strange:
        assert ask(f"{server.url}/packages/source/s/small/{name}").status == 404


def test_nobody_waits_for_the_page_of_another(serve: ServeWorld, running: Running) -> None:
    """Case 77: pages that take long to read, by their length or by their tricks, delay no other answer."""
    upstream = serve(WORLD)
    mark = b'<meta name="pypi:repository-version" content="1.0">'
    entry = b'<a href="/packages/%d/small-1.%d.tar.gz#sha256=%064x">small</a>'
    pages = {
        "small": mark + b"".join(entry % (number, number, number) for number in range(20_000)),
        "tags": mark + b"<a " * 4_000_000,
        "attributes": mark + b'<a href="attributes-1.0.tar.gz" ' + b'a="b" ' * 1_500_000 + b">x</a>",
        "marks": mark + b"<!" * 3_000_000,
        "comments": mark + b"<!--" * 2_000_000,
    }
    for name, body in pages.items():
        upstream.misbehave(f"/simple/{name}/", faults.instead(body, "text/html"))
    server = running(configuration(upstream.url, "metadata = false"))
    with ThreadPoolExecutor(1) as client:
        for name in pages:
            asked = client.submit(ask, f"{server.url}/simple/{name}/", Accept=JSON)
            longest = 0.0
            while not asked.done():
                begun = time.monotonic()
                assert ask(f"{server.url}/healthz").status == 200
                longest = max(longest, time.monotonic() - begun)
            assert asked.result().status in {200, 404, 502}
            assert longest < 0.5, f"{name}: on a machine that has nothing else to do it is a tenth of a second"


def test_wrong_bytes_of_a_small_file_are_502(serve: ServeWorld, running: Running) -> None:
    """Case 31: not cached, not served."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    entry = files_of(f"{server.url}/simple/small/")["small-1.0-py3-none-any.whl"]
    upstream.misbehave("*.whl", faults.wrong_bytes())
    assert ask(entry["url"]).status == 502
    upstream.behave()
    assert content_of(ask(entry["url"])) == entry["hashes"]["sha256"]


@pytest.mark.parametrize("status", [500, 502, 503, 401, 403])
def test_an_upstream_that_fails_is_never_404(serve: ServeWorld, running: Running, status: int) -> None:
    """Case 36: a stale page or 503; with 404 pip would look elsewhere in silence. 401 would ask for credentials."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    upstream.misbehave("*", faults.status(status))
    assert ask(f"{server.url}/simple/big/", Accept=JSON).status in {502, 503, 504}
    upstream.behave()
    assert ask(f"{server.url}/simple/big/", Accept=JSON).status == 200


def test_sha1_and_no_hash_become_sha256(serve: ServeWorld, running: Running) -> None:
    """Cases 23 and 24; and an address that a client read before the file was held is still good."""
    upstream = serve(WORLD, hashes="md5", pypi_shaped=False, json_api=False, format="json_1_0")
    server = running(configuration(upstream.url))
    before = files_of(f"{server.url}/simple/small/")
    for filename, entry in before.items():
        assert set(entry["hashes"]) <= {"md5"}
        assert content_of(ask(entry["url"])) == WORLD.file(filename).sha256
    after = files_of(f"{server.url}/simple/small/")
    while any("md5" in entry["hashes"] for entry in after.values()):
        # The last bytes are given out before what was received is durable.
        after = files_of(f"{server.url}/simple/small/")
    for filename, entry in after.items():
        assert entry["hashes"] == {"sha256": WORLD.file(filename).sha256}
        assert entry["size"] == WORLD.file(filename).size
        assert content_of(ask(entry["url"])) == WORLD.file(filename).sha256
        assert content_of(ask(before[filename]["url"])) == WORLD.file(filename).sha256


def test_names_with_plus_and_exclamation_mark(serve: ServeWorld, running: Running) -> None:
    """Case 25: raw (uv) and percent-encoded (pip) are the same file."""
    server = running(configuration(serve(WORLD).url))
    (entry,) = files_of(f"{server.url}/simple/local/").values()
    plain = entry["url"].replace("%21", "!").replace("%2B", "+")
    quoted = plain.replace("!", "%21").replace("+", "%2B")
    assert content_of(ask(plain)) == content_of(ask(quoted)) == entry["hashes"]["sha256"]


def test_relative_addresses_after_a_redirect(serve: ServeWorld, running: Running) -> None:
    """Case 26: against the final URL."""
    upstream = serve(WORLD, relative_urls=True)
    server = running(configuration(f"{upstream.root}/simple"))
    (entry,) = files_of(f"{server.url}/simple/big/").values()
    assert content_of(ask(entry["url"])) == BIG.sha256


def test_a_hidden_file_is_not_served(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    entry = files_of(f"{server.url}/simple/small/")["small-5.0-py3-none-any.whl"]
    path = entry["url"].removeprefix(server.url)
    assert ask(server.url + path).status == 200
    filtered = running(configuration(upstream.url, '[indexes.cache.filters]\nexclude = ["small>=5"]\n'))
    assert "small-5.0-py3-none-any.whl" not in files_of(f"{filtered.url}/simple/small/")
    assert ask(filtered.url + path).status == 404


@pytest.mark.parametrize("reason", [True, "broken <build> & worse"])
def test_a_yank_comes_and_goes(serve: ServeWorld, running: Running, reason: bool | str) -> None:
    """Case 17: yanked and un-yanked upstream, both are seen once the page is asked for again."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url, 'max-age = "0 seconds"\nstale-while-revalidate = "0 seconds"\n'))
    for yanked in (False, reason, False):
        upstream.world = World.of(project("small", release("1.0", wheel(), yanked=yanked)))
        (entry,) = files_of(f"{server.url}/simple/small/").values()
        assert entry.get("yanked", False) == yanked


# --- the list -------------------------------------------------------------------------------------------------------
def test_the_list_is_sent_from_the_disk_in_every_form(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    url = f"{server.url}/simple/"
    for accept, packing in product((JSON, HTML, "text/html"), ("identity", "gzip")):
        answer = ask(url, Accept=accept, Accept_Encoding=packing)
        assert answer.status == 200
        assert answer.media_type == accept
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert answer.headers["cache-control"] == "max-age=600, public"
        assert answer.headers["x-pypi-last-serial"] == str(WORLD.serial)
        assert b"small" in (gzip.decompress(answer.body) if "content-encoding" in answer.headers else answer.body)
        again = ask(url, Accept=accept, Accept_Encoding=packing, If_None_Match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")
        head = ask(url, "HEAD", Accept=accept, Accept_Encoding=packing)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
    assert {entry["name"]: entry["_last-serial"] for entry in ask(url, Accept=JSON).document["projects"]} == {
        spec.name: spec.serial for spec in WORLD.projects
    }
    assert len(upstream.asked("/simple/")) == 1
    server.restart()
    upstream.misbehave("*", faults.no_answer())
    assert ask(f"{server.url}/simple/", Accept=JSON).status == 200


def test_mirroring_calls_are_answered_from_the_list_on_the_disk(serve: ServeWorld, running: Running) -> None:
    """`list_packages_with_serial` and the others tell of a proxy what its list does, and ask the upstream no more."""
    upstream = serve(WORLD)
    server = running(configuration(upstream.url))
    serials = {spec.name: spec.serial for spec in WORLD.projects}
    with xmlrpc.client.ServerProxy(f"{server.url}/pypi") as client:
        assert client.list_packages_with_serial() == serials
        assert client.changelog_last_serial() == WORLD.serial
        oldest = min(serials.values())
        rows = cast("list[list[object]]", client.changelog_since_serial(oldest))
    assert {row[0]: row[4] for row in rows} == {name: own for name, own in serials.items() if own > oldest}
    assert len(upstream.asked("/simple/")) == 1


def test_a_list_that_cannot_be_had_is_502_and_comes_later(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    upstream.misbehave("*", faults.status(503))
    server = running(configuration(upstream.url))
    answer = ask(f"{server.url}/simple/", Accept=JSON)
    assert answer.status == 502
    assert "503" in answer.text
    upstream.behave()
    assert ask(f"{server.url}/simple/", Accept=JSON).status == 200


def test_a_list_that_has_changed_is_seen_once_it_is_asked_for_again(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    server = running(configuration(upstream.url, 'max-age = "0 seconds"\nstale-while-revalidate = "0 seconds"\n'))
    names = [entry["name"] for entry in ask(f"{server.url}/simple/", Accept=JSON).document["projects"]]
    upstream.world = WORLD.without("small")
    changed = [entry["name"] for entry in ask(f"{server.url}/simple/", Accept=JSON).document["projects"]]
    assert set(names) - set(changed) == {"small"}


def test_the_list_of_a_group_shows_what_is_uploaded_at_once(serve: ServeWorld, running: Running) -> None:
    upstream = serve(WORLD)
    more = '[indexes.private]\nkind = "hosted"\n[indexes.all]\nkind = "group"\nmembers = ["private", "cache"]\n'
    server = running(configuration(upstream.url, more + "[access]\nopen-on-loopback = true\n"))

    def names() -> set[str]:
        return {entry["name"] for entry in ask(f"{server.url}/all/simple/", Accept=JSON).document["projects"]}

    assert names() == {"big", "small", "local"}
    built = World.of(project("ours", "1.0")).file("ours-1.0-py3-none-any.whl")
    answer = ask(f"{server.url}/packages/py3/o/ours/{built.filename}", "PUT", built.content)
    assert answer.status == 200, answer
    assert names() == {"big", "small", "local", "ours"}
    assert len(upstream.asked("/simple/")) == 1
