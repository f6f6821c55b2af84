"""Every option and every fault of the server shows on the wire."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import ssl
import threading
import tracemalloc
import zipfile
import zlib
from dataclasses import dataclass

import pytest
import trustme

from tests.conftest import ServeWorld
from tests.worlds import faults
from tests.worlds.nasty import HOSTILE_NAMES, NASTY_ANCHORS, NASTY_ENTRIES
from tests.worlds.pages import JSON_TYPE
from tests.worlds.server import WorldServer
from tests.worlds.site import negotiated
from tests.worlds.world import BuiltFile, World, project, release, sdist, wheel

APP = project("app", release("1.0", wheel(payload=5000), sdist(), requires=["lib"]))


@dataclass
class Got:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def fetch(server: WorldServer, path: str, *, method: str = "GET", port: int = 0, **headers: str) -> Got:
    """Ask once on a fresh connection, with nothing clever in between."""
    connection = http.client.HTTPConnection("127.0.0.1", port or server.port, timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return Got(response.status, response.headers, response.read())
    finally:
        connection.close()


def page_of(server: WorldServer, name: str = "app") -> dict[str, object]:
    page: dict[str, object] = json.loads(fetch(server, f"/simple/{name}/", Accept=JSON_TYPE).body)
    return page


def wheel_of(server: WorldServer) -> BuiltFile:
    return server.world.file("app-1.0-py3-none-any.whl")


def test_negotiation_follows_the_quality_values() -> None:
    """PEP 691: the highest q wins; what is listed with q=0 is never sent; without Accept, HTML."""
    pip = f"{JSON_TYPE}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
    assert negotiated(pip) == JSON_TYPE
    assert negotiated("*/*") == "text/html"
    assert negotiated(f"{JSON_TYPE};q=0, text/html") == "text/html"
    assert negotiated(f"{JSON_TYPE};q=0.1, text/html;q=0.5") == "text/html"


def test_pages_tell_as_much_as_the_options_let_them(serve: ServeWorld) -> None:
    server = serve(APP, dates=False, sizes=False, advertise_metadata=False, hashes="md5")
    entry = page_of(server)["files"][0]  # type: ignore[index]
    assert set(entry) == {"filename", "url", "hashes", "requires-python", "yanked"}
    assert set(entry["hashes"]) == {"md5"}
    server.options.format = "html_only"
    got = fetch(server, "/simple/app/", Accept=JSON_TYPE)
    assert got.headers["Content-Type"] == "text/html"
    assert b"#md5=" in got.body
    assert b"data-size" not in got.body
    server.options.html_attributes = server.options.sizes = True
    assert b"data-size" in fetch(server, "/simple/app/").body


def test_unnormalised_and_slashless_paths_are_redirected(serve: ServeWorld) -> None:
    server = serve(project("a-b", "1"))
    for path in ["/simple/A.B/", "/simple/a-b", "/simple/A_b"]:
        got = fetch(server, path)
        assert (got.status, got.headers["Location"]) == (301, "/simple/a-b/")
    assert fetch(server, "/simple").headers["Location"] == "/simple/"
    assert fetch(server, "/simple/none/").status == 404


def test_a_quarantined_project_is_off_the_list_and_has_no_files(serve: ServeWorld) -> None:
    """PEP 792: quarantined projects must not offer files."""
    server = serve(project("bad", "1", status="quarantined"), project("good", "1"))
    listed = json.loads(fetch(server, "/simple/", Accept=JSON_TYPE).body)
    assert [item["name"] for item in listed["projects"]] == ["good"]
    assert page_of(server, "bad")["files"] == []


def test_validators_answer_304_and_a_change_ends_that(serve: ServeWorld) -> None:
    server = serve(APP)
    tag = fetch(server, "/simple/app/").headers["ETag"]
    got = fetch(server, "/simple/app/", If_None_Match=tag)
    assert (got.status, got.body) == (304, b"")
    server.world = server.world.releasing("app", release("2.0"))
    assert fetch(server, "/simple/app/", If_None_Match=tag).status == 200
    server.options.etags = False
    assert "ETag" not in fetch(server, "/simple/app/").headers
    server.options.last_modified = True
    date = fetch(server, "/simple/app/").headers["Last-Modified"]
    assert fetch(server, "/simple/app/", If_Modified_Since=date).status == 304


def test_ranges_follow_rfc_9110(serve: ServeWorld) -> None:
    server = serve(APP)
    built = wheel_of(server)
    path = f"/{built.path}"
    got = fetch(server, path, Range="bytes=10-19")
    assert (got.status, got.body) == (206, built.content[10:20])
    assert got.headers["Content-Range"] == f"bytes 10-19/{built.size}"
    assert fetch(server, path, Range="bytes=-7").body == built.content[-7:]
    assert fetch(server, path, Range=f"bytes={built.size - 3}-").body == built.content[-3:]
    assert fetch(server, path, Range="bytes=999999-").status == 416
    assert fetch(server, path, Range="bytes=10-", If_Range='"other"').status == 200
    head = fetch(server, path, method="HEAD")
    assert (head.headers["Accept-Ranges"], head.headers["Content-Length"]) == ("bytes", str(built.size))
    server.options.ranges = False
    assert fetch(server, path, Range="bytes=10-19").status == 200


def test_metadata_can_be_advertised_and_absent_or_there_unadvertised(serve: ServeWorld) -> None:
    server = serve(APP)
    built = wheel_of(server)
    assert fetch(server, f"/{built.path}.metadata").body == built.metadata
    server.options.serve_metadata = False
    assert fetch(server, f"/{built.path}.metadata").status == 404


def test_lying_metadata_has_the_digest_of_the_lie(serve: ServeWorld) -> None:
    server = serve(project("app", release("1.0", wheel(sidecar_requires=["other"]), requires=["lib"])))
    built = wheel_of(server)
    assert b"Requires-Dist: other" in (built.metadata or b"")
    with zipfile.ZipFile(io.BytesIO(built.content)) as archive:
        assert b"Requires-Dist: lib" in archive.read("app-1.0.dist-info/METADATA")
    entry = page_of(server)["files"][0]  # type: ignore[index]
    assert entry["core-metadata"] == {"sha256": built.metadata_sha256}


def test_the_json_api_lists_dates_and_sizes(serve: ServeWorld) -> None:
    server = serve(APP)
    document = json.loads(fetch(server, "/pypi/App/json").body)
    assert document["releases"]["1.0"][0]["upload_time_iso_8601"] == "2024-01-01T12:00:00.000000Z"
    assert document["releases"]["1.0"][0]["size"] == wheel_of(server).size
    assert "releases" not in json.loads(fetch(server, "/pypi/app/1.0/json").body)
    server.options.json_api = False
    assert fetch(server, "/pypi/app/json").status == 404


def test_files_may_be_on_another_port_or_relative_or_flat(serve: ServeWorld) -> None:
    server = serve(APP, files_on_other_port=True)
    built = wheel_of(server)
    assert str(page_of(server)["files"][0]["url"]).startswith(server.other_root)  # type: ignore[index]
    assert fetch(server, f"/{built.path}", port=server.other_port).body == built.content
    server.options.relative_urls = True
    server.options.pypi_shaped = False
    assert page_of(server)["files"][0]["url"] == f"../../packages/{built.filename}"  # type: ignore[index]
    assert fetch(server, f"/packages/{built.filename}").body == built.content


def test_basic_auth_is_asked_for(serve: ServeWorld) -> None:
    server = serve(APP, basic_auth=("me", "secret"))
    got = fetch(server, "/simple/app/")
    assert (got.status, got.headers["WWW-Authenticate"]) == (401, 'Basic realm="world"')
    assert fetch(server, "/simple/app/", Authorization="Basic bWU6c2VjcmV0").status == 200


def test_errors_come_as_often_as_told_and_requests_are_recorded(serve: ServeWorld) -> None:
    server = serve(APP)
    server.misbehave("/simple/app/", faults.status(503), times=1)
    server.misbehave("/simple/app/", faults.status(429, retry_after="1"), times=2)
    statuses = [fetch(server, "/simple/app/", X_Mark=str(n)).status for n in range(3)]
    assert statuses == [429, 429, 200]
    assert [request.status for request in server.asked("/simple/*")] == statuses
    assert server.requests[0].headers["x-mark"] == "0"
    server.misbehave("/simple/app/", faults.status(429, retry_after="1"))
    assert fetch(server, "/simple/app/").headers["Retry-After"] == "1"
    server.behave()
    assert fetch(server, "/simple/app/").status == 200
    server.forget_requests()
    assert server.requests == []


def test_bodies_can_be_cut_spoiled_shortened_and_lengthened(serve: ServeWorld) -> None:
    server = serve(APP)
    built = wheel_of(server)
    path = f"/{built.path}"
    server.misbehave("*.whl", faults.cut_after(100), times=1)
    with pytest.raises(http.client.IncompleteRead) as cut:
        fetch(server, path)
    assert cut.value.partial == built.content[:100]
    server.misbehave("*.whl", faults.wrong_bytes(), times=1)
    wrong = fetch(server, path).body
    assert len(wrong) == built.size
    assert wrong != built.content
    server.misbehave("*.whl", faults.shorter(5), times=1)
    assert fetch(server, path).body == built.content[:-5]
    server.misbehave("*.whl", faults.longer(5), times=1)
    assert fetch(server, path).body == built.content + b"\0" * 5
    server.misbehave("*.whl", faults.no_answer(), times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        fetch(server, path)
    assert fetch(server, path).body == built.content


def test_slow_and_held_bodies_arrive_whole(serve: ServeWorld) -> None:
    server = serve(APP)
    built = wheel_of(server)
    gate = threading.Event()
    server.misbehave("*.whl", faults.hold(gate), times=1)
    server.misbehave("*.tar.gz", faults.drip(64, 0.001))
    assert len(fetch(server, f"/{server.world.file('app-1.0.tar.gz').path}").body) > 64
    opener = threading.Timer(0.05, gate.set)
    opener.start()
    assert fetch(server, f"/{built.path}").body == built.content
    opener.join()


def test_redirects_go_nowhere_good(serve: ServeWorld) -> None:
    server = serve(APP)
    server.misbehave("/simple/app/", faults.redirect("file:///etc/passwd"), times=1)
    assert fetch(server, "/simple/app/").headers["Location"] == "file:///etc/passwd"
    server.misbehave("/simple/app/", faults.endless_redirect())
    path = "/simple/app/"
    for turn in range(3):
        path = fetch(server, path).headers["Location"]
        assert path == f"/simple/app/?turn={turn + 1}"


def test_ten_gigabytes_are_announced_and_nearly_sent(serve: ServeWorld) -> None:
    server = serve(APP)
    server.misbehave("*.whl", faults.announce(10 * faults.GIB))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", f"/{wheel_of(server).path}")
    response = connection.getresponse()
    assert response.headers["Content-Length"] == str(10 * faults.GIB)
    assert len(response.read(1 << 22)) == 1 << 22
    response.close()
    connection.close()
    server.behave()
    server.misbehave("*.whl", faults.announce_only(10 * faults.GIB))
    with pytest.raises(http.client.IncompleteRead):
        fetch(server, f"/{wheel_of(server).path}")


def test_bombs_are_small_on_the_wire_and_large_when_unpacked(serve: ServeWorld) -> None:
    server = serve(APP)
    size = 64 << 20
    server.misbehave("/simple/app/", faults.gzip_bomb(size))
    got = fetch(server, "/simple/app/")
    assert got.headers["Content-Encoding"] == "gzip"
    assert len(got.body) < 200_000
    assert len(gzip.decompress(got.body)) == size
    bomb = faults.bomb_wheel("app", "1.0", size)
    assert len(bomb) < 200_000
    tracemalloc.start()
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive, archive.open("app-1.0.dist-info/METADATA") as member:
        assert member.read(22) == b"Metadata-Version: 2.1\n"
    tracemalloc.stop()
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        assert archive.testzip() is None


def test_pages_carry_nasty_entries_beside_the_good_ones(serve: ServeWorld) -> None:
    server = serve(APP)
    server.misbehave("/simple/app/", faults.more_entries(NASTY_ENTRIES, NASTY_ANCHORS))
    files = page_of(server)["files"]
    assert isinstance(files, list)
    assert len(files) == len(NASTY_ENTRIES) + 2
    assert {
        item["filename"]
        for item in files
        if isinstance(item, dict) and "url" in item and "hashes" in item and isinstance(item.get("filename"), str)
    } >= set(HOSTILE_NAMES)
    text = fetch(server, "/simple/app/").body.decode()
    assert all(anchor in text for anchor in NASTY_ANCHORS)
    assert "app-1.0.tar.gz</a>" in text


def test_pages_can_be_replaced_and_changed(serve: ServeWorld) -> None:
    server = serve(APP)

    def to_version_2(page: dict[str, object]) -> None:
        page["meta"] = {"api-version": "2.0"}

    server.misbehave("/simple/app/", faults.changed_page(to_version_2), times=1)
    assert page_of(server)["meta"] == {"api-version": "2.0"}
    server.misbehave("/simple/app/", faults.instead(b"<html>Sign in</html>", "text/html"), times=1)
    assert fetch(server, "/simple/app/", Accept=JSON_TYPE).body == b"<html>Sign in</html>"
    server.misbehave("/simple/app/", faults.changed_headers(content_type="application/json", etag=None), times=1)
    got = fetch(server, "/simple/app/")
    assert (got.headers["Content-Type"], "Etag" in got.headers) == ("application/json", False)


def test_gzip_pages_unpack_to_the_same(serve: ServeWorld) -> None:
    server = serve(APP)
    plain = fetch(server, "/simple/app/").body
    server.options.gzip_pages = True
    packed = fetch(server, "/simple/app/", Accept_Encoding="gzip")
    assert zlib.decompress(packed.body, 31) == plain


def test_connections_are_kept_and_counted(serve: ServeWorld) -> None:
    server = serve(APP)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for _ in range(5):
        connection.request("GET", "/simple/app/")
        assert connection.getresponse().read()
    connection.close()
    assert server.connections == 1
    assert server.peak_in_flight == 1
    assert server.counts() == {"/simple/app/": 5}


def test_tls_is_served_with_a_certificate_of_the_tests_own() -> None:
    authority = trustme.CA()
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)
    with WorldServer(World.of(APP), tls=theirs) as server:
        assert server.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=ours, timeout=20)
        connection.request("GET", "/simple/app/")
        assert b"app-1.0.tar.gz" in connection.getresponse().read()
        connection.close()
