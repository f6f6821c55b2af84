"""Uploads that work against the rules of an index: many at once, slowly, without end, or with a full disk beside it."""

from __future__ import annotations

import json
import socket
import stat
import threading
import time
import xmlrpc.client
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.web.uploading import BOUNDARY, CONFIG, Upload, body_of, changed, listed, page, request, sdist, send, wheel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.web.conftest import Running
    from tests.web.serving import RunningServer

FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
STATUS = "/api/v1/indexes/private/projects/ours/status"
CLOSED = CONFIG.replace("open-on-loopback = true", "")


@pytest.fixture
def server(running: Running) -> RunningServer:
    return running(CONFIG)


def audit(tmp_path: Path) -> list[dict[str, str]]:
    text = (tmp_path / "server" / "data" / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def statuses_of(uploads: Iterable[tuple[RunningServer, Upload]]) -> list[int]:
    """Send all at once."""
    statuses: list[int] = []

    def client(server: RunningServer, upload: Upload) -> None:
        statuses.append(send(server, upload).status)

    threads = [threading.Thread(target=client, args=one) for one in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(statuses)


# --- at once ----------------------------------------------------------------------------------------------------------
def test_a_release_has_one_sdist_however_many_come_at_once(running: Running) -> None:
    """Each by itself would be right; two servers on one store are two workers."""
    servers = [running(CONFIG), running(CONFIG)]
    for number in range(4):
        upload = sdist(version=f"1.{number}", payload=100_000)
        names = [upload.filename.replace("ours", spelling) for spelling in ("ours", "Ours", "OURS", "oUrs")]
        uploads = [replace(upload, filename=name) for name in names]
        statuses = statuses_of((servers[place % 2], one) for place, one in enumerate(uploads))
        assert statuses == [200, 400, 400, 400]
    assert len(listed(servers[0])) == 4


def test_a_project_stays_as_small_as_it_must_however_many_files_come_at_once(running: Running) -> None:
    config = CONFIG.replace('kind = "hosted"', 'kind = "hosted"\nmax-project-size = "70 KB"\n')
    servers = [running(config), running(config)]
    uploads = [wheel(version=f"1.{number}", payload=30_000) for number in range(8)]
    assert len(uploads[0].content) < 35_000
    statuses = statuses_of((servers[place % 2], one) for place, one in enumerate(uploads))
    assert statuses == [200] * 2 + [400] * 6
    document = page(servers[0]).json()
    assert isinstance(document, dict)
    assert sum(file["size"] for file in document["files"]) <= 70_000


def test_nothing_is_added_behind_the_word_archived(running: Running) -> None:
    """PEP 792: archived projects MUST NOT accept uploads: not even one that was on its way."""
    servers = [running(CONFIG), running(CONFIG)]
    for number in range(5):
        name = f"ours{number}"
        assert send(servers[0], wheel(name)).status == 200
        path = f"/api/v1/indexes/private/projects/{name}/status"
        mark = threading.Thread(target=request, args=(servers[0], "PUT", path, b'{"status": "archived"}'))
        mark.start()
        statuses_of((servers[1], wheel(name, version=f"2.{one}", payload=200_000)) for one in range(4))
        mark.join()
        call = xmlrpc.client.dumps((0,), "changelog_since_serial").encode()
        answer = request(servers[0], "POST", "/private/pypi", call, {"content-type": "text/xml"})
        [rows], _ = xmlrpc.client.loads(answer.body)
        assert isinstance(rows, list)
        actions = [row[3] for row in rows if row[0] == name]
        mine = actions[actions.index("project archived") :]
        assert mine == ["project archived"]


# --- spelled otherwise ------------------------------------------------------------------------------------------------
def test_a_published_name_is_not_used_again_in_another_spelling(server: RunningServer) -> None:
    """With `overwrite = "never"` other bytes of a file are never listed, whatever their name looks like."""
    upload = wheel("proj-x", "1.0")
    assert send(server, upload).status == 200
    for name in ("Proj_X-1.0-py3-none-any.whl", "proj_x-1.0.0-py3-none-any.whl"):
        answer = send(server, replace(changed(upload), filename=name))
        assert answer.status == 409
        assert answer.body.startswith(f"File already exists ({upload.filename!r}")
    path = f"/api/v1/indexes/private/projects/proj-x/files/{upload.filename}"
    assert request(server, "DELETE", path).status == 200
    for name in (upload.filename, "Proj_X-1.0-py3-none-any.whl", "proj_x-1.0.0-py3-none-any.whl"):
        assert send(server, replace(upload, filename=name)).status == 400
    assert listed(server, "proj-x") == {}


# --- the audit log ----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_audit_log_makes_no_answer_false(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    """What was done is answered as done, a refusal as a refusal; the server's log has the line, /readyz the fault."""
    config = CONFIG.replace("[server]\n", '[server]\naudit-log = "/dev/full"\n')
    mode = Path("/dev/full").stat().st_mode
    server = running(config)
    assert request(server, "GET", "/readyz").status == 200
    assert send(server, wheel()).status == 200
    assert listed(server) == {wheel().filename: wheel().sha256}
    assert send(server, changed(wheel())).status == 409
    closed = running(config.replace("open-on-loopback = true", ""))
    assert send(closed, wheel()).status == 401
    assert request(server, "GET", "/readyz").status == 507
    assert request(server, "GET", "/healthz").status == 200
    assert wheel().filename in caplog.text
    assert Path("/dev/full").stat().st_mode == mode


def test_lines_that_could_not_be_written_are_written_later(running: Running, tmp_path: Path) -> None:
    log = tmp_path / "log" / "audit.jsonl"
    server = running(CONFIG.replace("[server]\n", f'[server]\naudit-log = "{log}"\n'))
    assert send(server, wheel()).status == 200
    assert request(server, "GET", "/readyz").status == 503
    log.parent.mkdir()
    assert send(server, sdist()).status == 200
    assert request(server, "GET", "/readyz").status == 200
    entries = [json.loads(line)["filename"] for line in log.read_text().splitlines()]
    assert entries == [wheel().filename, sdist().filename]


def test_what_says_that_it_is_too_long_is_told(running: Running, tmp_path: Path) -> None:
    """413 by its Content-Length; who has not said who they are is asked that first."""
    config = CONFIG.replace("[server]\n", "[server]\nmax-upload-size = 10_000\n")
    paths = (
        ("POST", "/private/legacy/"),
        ("POST", "/uploadpackage/"),
        ("PUT", "/packages/source/o/ours/ours-1.0.tar.gz"),
    )
    server = running(config)
    for method, path in paths:
        assert request(server, method, path, b"x" * 20_000, FORM).status == 413
    assert [entry["outcome"] for entry in audit(tmp_path)] == ["upload-too-large"] * 3
    closed = running(config.replace("open-on-loopback = true", ""))
    for method, path in paths:
        assert request(closed, method, path, b"x" * 20_000, FORM).status == 401
    assert [entry["outcome"] for entry in audit(tmp_path)[3:]] == ["credentials-needed"] * 3


def test_an_upload_to_what_takes_none_is_told(running: Running, tmp_path: Path) -> None:
    proxy = '[upstreams.up]\nurl = "http://127.0.0.1:9/simple/"\n[indexes.cache]\nkind = "proxy"\n'
    server = running(CONFIG + proxy)
    assert send(server, wheel(), "/cache/legacy/").status == 404
    assert request(server, "DELETE", "/api/v1/indexes/cache/projects/ours/files/x.whl").status == 404
    assert request(server, "DELETE", "/api/v1/indexes/private/projects/-/files/x.whl").status == 404
    told = [(entry["action"], entry["index"], entry["outcome"]) for entry in audit(tmp_path)]
    assert told == [
        ("upload", "cache", "not-hosted"),
        ("delete", "cache", "not-hosted"),
        ("delete", "private", "not-hosted"),
    ]


# --- bytes that are gone ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("damage", ["gone", "other bytes", "metadata gone"])
def test_the_same_file_again_puts_its_bytes_back(server: RunningServer, tmp_path: Path, damage: str) -> None:
    assert send(server, wheel()).status == 200
    [stored] = (tmp_path / "server" / "data" / "packages").rglob("*.whl")
    match damage:
        case "gone":
            stored.unlink()
        case "other bytes":
            stored.write_bytes(b"x" * len(wheel().content))
        case _:
            stored.with_name(stored.name + ".metadata").unlink()
    before = page(server).body
    assert send(server, changed(wheel())).status == 409
    assert send(server, wheel()).status == 200
    assert page(server).body == before
    document = page(server).json()
    assert isinstance(document, dict)
    path = "/private/" + document["files"][0]["url"].removeprefix("../../")
    assert stored.read_bytes() == wheel().content
    assert request(server, "HEAD", path).status == 200
    assert request(server, "GET", path + ".metadata").status == 200
    assert stat.S_ISREG(stored.stat().st_mode)


# --- slow clients -----------------------------------------------------------------------------------------------------
def dripped(server: RunningServer, length: int) -> tuple[bytes, float]:
    """(the answer to an upload of which five bytes come each second, the seconds that it took)."""
    address = urlsplit(server.url)
    began = time.monotonic()
    answer = b""
    with socket.create_connection((address.hostname, address.port)) as client:
        head = f"POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        client.sendall(f"{head}Content-Length: {length}\r\n\r\n--{BOUNDARY}".encode())
        client.settimeout(0.2)
        while not answer and time.monotonic() - began < 15:
            with suppress(TimeoutError):
                client.sendall(b"-")
                answer = client.recv(4096)
        client.settimeout(10)
        while more := client.recv(4096) if answer else b"":
            answer += more
    return answer, time.monotonic() - began


def test_whoever_sends_a_byte_now_and_then_is_cut_off(running: Running, tmp_path: Path) -> None:
    """Each byte comes in time, and all of them never would: 408 once there were fewer than there should be."""
    server = running(CONFIG.replace("[server]\n", "[server]\nrequest-timeout = 1.5\n"))
    answer, seconds = dripped(server, 50_000)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"bytes came of the request" in answer
    assert 1 < seconds < 5
    assert [entry["outcome"] for entry in audit(tmp_path)] == ["request-timeout"]


def test_a_stranger_who_sends_a_byte_now_and_then_is_answered(running: Running) -> None:
    server = running(CLOSED.replace("[server]\n", "[server]\nrequest-timeout = 1.5\n"))
    answer, seconds = dripped(server, 1_000_000)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert seconds < 5


def test_of_a_stranger_no_large_file_is_read(running: Running) -> None:
    """The answer comes at once; a file of a usual size is read first, for most clients do not listen before."""
    answer, seconds = dripped(running(CLOSED), 100_000_000)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert seconds < 2
    assert send(running(CLOSED), wheel(payload=5_000_000)).status == 401


def test_a_slow_line_is_not_cut_off(running: Running) -> None:
    """It takes longer than request-timeout in all, and never stands still."""
    server = running(CONFIG.replace("[server]\n", "[server]\nrequest-timeout = 0.5\n"))
    body = body_of(wheel(payload=60_000))
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        head = f"POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        client.settimeout(0.1)
        for start in range(0, len(body), 5000):
            client.sendall(body[start : start + 5000])
            with suppress(TimeoutError):
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
                return
        client.settimeout(10)
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
