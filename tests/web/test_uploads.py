"""Uploads over HTTP, case by case of what the upload API asks for."""

from __future__ import annotations

import base64
import json
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.web.uploading import (
    BOUNDARY,
    CONFIG,
    Upload,
    body_of,
    changed,
    form_body,
    listed,
    page,
    request,
    sdist,
    send,
    wheel,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.web.conftest import Running
    from tests.web.serving import RunningServer

FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
UV_ACCEPT = "application/json;q=0.9, text/plain;q=0.8, text/html;q=0.7"


@pytest.fixture
def server(running: Running) -> RunningServer:
    return running(CONFIG)


def sent_together(uploads: Iterable[tuple[RunningServer, Upload]]) -> dict[str, int]:
    """Send all at once; the status of each, by the sha256 of the file."""
    statuses: dict[str, int] = {}

    def client(server: RunningServer, upload: Upload) -> None:
        statuses[upload.sha256] = send(server, upload).status

    threads = [threading.Thread(target=client, args=one) for one in uploads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def audit(tmp_path: Path) -> list[dict[str, str]]:
    text = (tmp_path / "server" / "data" / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_is_listed_before_the_answer(server: RunningServer) -> None:
    """Case 34: the page lists the file before the upload is answered, and is never kept."""
    assert page(server).status == 404
    for version in ("1.0", "1.1", "1.2"):
        assert send(server, wheel(version=version)).status == 200
        assert wheel(version=version).filename in listed(server)
    answer = page(server)
    assert answer.headers["cache-control"] == "no-cache"
    document = answer.json()
    assert isinstance(document, dict)
    assert document["versions"] == ["1.0", "1.1", "1.2"]
    for file in document["files"]:
        assert file["size"] == len(wheel(version=file["filename"].split("-")[1]).content)
        assert file["upload-time"].endswith("Z")
        assert len(file["core-metadata"]["sha256"]) == 64
        assert "provenance" not in file


def test_the_bytes_and_the_metadata_come_back(server: RunningServer) -> None:
    assert send(server, wheel()).status == 200
    document = page(server).json()
    assert isinstance(document, dict)
    [file] = document["files"]
    path = "/private/" + file["url"].removeprefix("../../")
    assert request(server, "GET", path + ".metadata").body.startswith("Metadata-Version: 2.1\nName: ours\n")
    assert request(server, "HEAD", path).headers["content-length"] == str(len(wheel().content))


def test_an_archived_project_takes_no_uploads(server: RunningServer, tmp_path: Path) -> None:
    """Case 44, PEP 792: archived projects MUST NOT accept uploads, and MUST offer their files."""
    send(server, wheel())
    status = "/api/v1/indexes/private/projects/ours/status"
    assert request(server, "PUT", status, b'{"status": "archived", "reason": "use theirs"}').status == 200
    for upload in (wheel(version="2.0"), wheel()):
        answer = send(server, upload)
        assert answer.status == 403
        assert "archived" in answer.body
        assert "use theirs" in answer.body
    document = page(server).json()
    assert isinstance(document, dict)
    assert document["project-status"] == {"status": "archived", "reason": "use theirs"}
    assert len(document["files"]) == 1
    assert request(server, "PUT", status, b'{"status": "active"}').status == 200
    assert send(server, wheel(version="2.0")).status == 200
    assert [entry["outcome"] for entry in audit(tmp_path)] == [
        "done", "done", "upload-refused", "upload-refused", "done", "done",
    ]  # fmt: skip


def test_a_project_in_quarantine_offers_nothing(server: RunningServer) -> None:
    """PEP 792: quarantined projects MUST NOT accept uploads nor offer files; case 43: they are not in the list."""
    send(server, wheel())
    document = page(server).json()
    assert isinstance(document, dict)
    path = "/private/" + document["files"][0]["url"].removeprefix("../../")
    status = "/api/v1/indexes/private/projects/ours/status"
    assert request(server, "PUT", status, b'{"status": "quarantined"}').status == 200
    assert send(server, wheel(version="2.0")).status == 403
    assert listed(server) == {}
    assert page(server).status == 200
    assert request(server, "GET", path).status == 404
    assert "ours" not in request(server, "GET", "/private/simple/").body


def test_the_same_bytes_again_are_taken_other_bytes_are_not(server: RunningServer) -> None:
    """Case 63: identical bytes: 200. Other bytes under the name: 409, and the text begins `File already exists`."""
    assert send(server, wheel()).status == 200
    before = page(server).body
    assert send(server, wheel()).status == 200
    assert page(server).body == before
    answer = send(server, changed(wheel()))
    assert answer.status == 409
    assert answer.body.startswith("File already exists")
    assert listed(server) == {wheel().filename: wheel().sha256}


def test_concurrent_identical_uploads_make_one_file(server: RunningServer) -> None:
    """Case 63: concurrent identical uploads make one file."""
    upload = wheel(payload=300_000)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(send(server, upload).status)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 6
    assert listed(server) == {upload.filename: upload.sha256}


def test_concurrent_uploads_of_different_bytes_make_one_file(server: RunningServer) -> None:
    uploads = [wheel(payload=200_000), changed(wheel(payload=200_000))]
    statuses = sent_together((server, one) for one in uploads)
    assert sorted(statuses.values()) == [200, 409]
    winner = next(sha256 for sha256, status in statuses.items() if status == 200)
    assert listed(server) == {uploads[0].filename: winner}


def test_without_the_slash_there_is_an_absolute_redirect(server: RunningServer) -> None:
    """Case 65: `/legacy` → 308 with an absolute Location: uv follows no other, and twine says what is wrong."""
    for path in ("/legacy", "/private/legacy"):
        answer = send(server, wheel(), path)
        assert (answer.status, answer.headers["location"]) == (308, server.url + path + "/")
    forwarded = {"x-forwarded-proto": "https", "x-forwarded-host": "pypi.example"}
    answer = request(server, "POST", "/private/legacy", b"", forwarded)
    assert answer.headers["location"] == "https://pypi.example/private/legacy/"


@pytest.mark.parametrize("host", ["", "Host: evil.example/x?\r\n", "Host: a b\r\n", "Host: user@evil.example\r\n"])
def test_a_redirect_names_no_host_that_is_none(server: RunningServer, host: str) -> None:
    """RFC 9110, 7.2: where the request says no host, or none that could be one, the address that it came to counts."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
        line.sendall(f"GET /private/legacy HTTP/1.0\r\n{host}\r\n".encode())
        head = line.makefile("rb").read().partition(b"\r\n\r\n")[0].decode().lower()
    assert " 400 " in head or f"location: {server.url}/private/legacy/" in head.splitlines()


def test_the_default_index_takes_uploads_at_legacy(server: RunningServer) -> None:
    assert send(server, wheel(), "/legacy/").status == 200
    assert listed(server)
    assert send(server, wheel(), "/nothing/legacy/").status == 404


@pytest.mark.parametrize("action", ["submit", "submit_pkg_info", "doc_upload"])
def test_other_actions_are_gone(server: RunningServer, action: str) -> None:
    """Case 66: 410 for the actions of old; and never the phrase that makes poetry register a project first."""
    registration = form_body([(":action", action), ("name", "ours"), ("version", "1.0")], [])  # it has no file
    register = request(server, "POST", "/private/legacy/", registration, FORM)
    for answer in (send(server, wheel(), action=action), register):
        assert answer.status == 410
        assert "was ever registered" not in answer.body


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"protocol_version": "2"}, 400),
        ({"protocol_version": None}, 200),
        ({"action": None}, 400),
        ({"name": "theirs"}, 400),
        ({"name": "OURS"}, 200),
        ({"version": "1.1"}, 400),
        ({"version": "1.0.0"}, 200),
        ({"sha256_digest": "0" * 64}, 400),
        ({"sha256_digest": "nonsense"}, 400),
        ({"blake2_256_digest": "0" * 64}, 400),
        ({"md5_digest": "0" * 32}, 400),
        ({"sha256_digest": None, "blake2_256_digest": None}, 200),
        ({"filetype": "sdist"}, 400),
        ({"filetype": "bdist_egg"}, 400),
        ({"pyversion": "UNKNOWN"}, 200),
        ({"gpg_signature": "whatever"}, 200),
        ({"attestations": "[]"}, 200),
        ({"attestations": "not json"}, 200),
        ({"attestations": '[{"version":1}]'}, 200),
    ],
)
def test_what_the_form_says_must_be_so(server: RunningServer, fields: dict[str, str | None], status: int) -> None:
    """Cases 66, 67 and 73: name, version, type and every digest that is given must be the file's; attestations that we
    cannot use are no reason to refuse.
    """
    assert request(server, "POST", "/private/legacy/", body_of(wheel(), **fields), FORM).status == status
    assert bool(listed(server)) == (status == 200)


@pytest.mark.parametrize(
    "filename",
    [
        "../ours-1.0-py3-none-any.whl",
        "a\\ours-1.0-py3-none-any.whl",
        "ours-1.0-py3-none-any.whl\x07",
        f"ours-1.0-py3-none-any{'x' * 300}.whl",
        ".whl",
        "",
        "ours-1.1-py3-none-any.whl",
        "theirs-1.0-py3-none-any.whl",
        "ours-1.0-py3.whl",
        "ours-1.0.zip",
        "ours-1.0-py3-none-any.exe",
    ],
)
def test_a_file_has_the_name_that_belongs_to_it(server: RunningServer, filename: str, tmp_path: Path) -> None:
    """Cases 67 and 68: 400, and nothing is written: a path, control characters, 300 characters, another project."""
    answer = send(server, Upload(filename, wheel().content, "ours", "1.0"))
    assert answer.status == 400
    assert listed(server) == {}
    assert not list((tmp_path / "server" / "data" / "packages").rglob("*.whl"))


def test_all_faults_are_told_at_once_as_uv_prints_them(server: RunningServer) -> None:
    """JSON where Accept prefers it, of exactly the type application/json: uv prints another one raw."""
    upload = wheel(requires=("six @ https://files.example/six.whl", "b>=1.0.*", "c ; extra == 'x' or nonsense == '1'"))
    fields = upload.fields(name="theirs", version="7", sha256_digest="0" * 64)
    body = form_body(fields, [("content", upload.filename, upload.content)])
    answer = request(server, "POST", "/private/legacy/", body, {**FORM, "accept": UV_ACCEPT})
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert isinstance(document, dict)
    assert document["code"].startswith("400 ")
    assert document["title"] == "Bad Request"
    for part in ("sha256_digest", "theirs", "'7'", "six @", "b>=1.0.*", "nonsense"):
        assert part in document["message"]


def test_an_upload_may_be_sent_again(server: RunningServer) -> None:
    """Case 72: twine posts again after a 5xx: what was taken once is taken again, with nothing changed."""
    assert [send(server, sdist()).status for _ in range(3)] == [200] * 3
    assert listed(server) == {sdist().filename: sdist().sha256}


def test_attestations_of_the_file_are_kept(server: RunningServer) -> None:
    """Case 73, PEP 740: one subject, with the name and the sha256 of the file; others are ignored, never a fault."""
    attestation = attestation_of(wheel().filename, wheel().sha256)
    others = [attestation_of("theirs-1.0-py3-none-any.whl", wheel().sha256), {"version": 1}]
    assert send(server, wheel(), attestations=json.dumps([attestation, *others])).status == 200
    answer = request(server, "GET", f"/private/integrity/ours/1.0/{wheel().filename}/provenance")
    document = answer.json()
    assert isinstance(document, dict)
    [bundle] = document["attestation_bundles"]
    assert bundle["attestations"] == [attestation]


def attestation_of(filename: str, sha256: str) -> dict[str, object]:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": sha256}}],
    }
    encoded = base64.b64encode(json.dumps(statement).encode()).decode()
    return {"version": 1, "verification_material": {}, "envelope": {"statement": encoded, "signature": "AA=="}}


def test_what_flit_and_uv_leave_out_may_be_left_out(server: RunningServer) -> None:
    """Case 74: flit sends no pyversion for an sdist, and md5 and sha256 only; uv no Content-Type with the file."""
    import hashlib

    md5 = hashlib.md5(sdist().content).hexdigest()
    assert send(server, sdist(), pyversion=None, blake2_256_digest=None, md5_digest=md5).status == 200


def test_a_project_without_files_keeps_its_name(server: RunningServer, tmp_path: Path) -> None:
    """Case 35: a private name with no files left: 200 with none, never 404, for uv would then ask the next index."""
    send(server, wheel())
    path = f"/api/v1/indexes/private/projects/ours/files/{wheel().filename}"
    assert request(server, "DELETE", path + "?reason=a%20secret").status == 200
    answer = page(server)
    assert answer.status == 200
    assert listed(server) == {}
    assert request(server, "DELETE", path).status == 404
    answer = send(server, wheel())
    assert answer.status == 400
    assert "deleted" in answer.body
    assert send(server, wheel(version="1.1")).status == 200
    [deletion] = [entry for entry in audit(tmp_path) if entry["action"] == "delete" and entry["outcome"] == "done"]
    assert deletion["reason"] == "a secret"
    assert deletion["filename"] == wheel().filename


def test_a_release_is_yanked_and_taken_back(server: RunningServer, tmp_path: Path) -> None:
    """PEP 592; case 16: JSON true without a reason, HTML `data-yanked=""`."""
    send(server, wheel())
    send(server, sdist())
    path = "/api/v1/indexes/private/projects/Ours/1.0/yank"
    for body, expected in ((b"", True), (b'{"reason": "it <breaks> \\"all\\""}', 'it <breaks> "all"')):
        assert request(server, "POST", path, body).status == 200
        document = page(server).json()
        assert isinstance(document, dict)
        assert [file["yanked"] for file in document["files"]] == [expected, expected]
    assert request(server, "DELETE", path).status == 200
    document = page(server).json()
    assert isinstance(document, dict)
    assert all("yanked" not in file or file["yanked"] is False for file in document["files"])
    assert request(server, "POST", path.replace("1.0", "3.0")).status == 404
    assert request(server, "POST", path, b'{"why": "?"}').status == 400
    for body in (b"\xff", b'{"reason": "\\u0000"}', b'{"reason": "\\ud800"}', b'{"reason": "' + b"x" * 2000 + b'"}'):
        assert request(server, "POST", path, body).status == 400
    told = [(entry["action"], entry["outcome"]) for entry in audit(tmp_path)[2:]]
    assert told[:4] == [("yank", "done"), ("yank", "done"), ("unyank", "done"), ("yank", "not-hosted")]
    assert told[4:] == [("yank", "invalid-change")] * 5


def test_two_servers_on_one_store_agree(running: Running) -> None:
    """What one has answered, the other lists at once; and a name is given once, whoever is asked."""
    servers = [running(CONFIG), running(CONFIG)]
    for number in range(6):
        uploads = [wheel(version=f"1.{number}"), changed(wheel(version=f"1.{number}"))]
        statuses = sent_together(zip(servers, uploads, strict=True))
        assert sorted(statuses.values()) == [200, 409]
        winner = next(sha256 for sha256, status in statuses.items() if status == 200)
        for server in servers:
            assert listed(server)[uploads[0].filename] == winner


def test_versions_that_are_equal_are_one_release(server: RunningServer) -> None:
    """Case 47: 1.0 and 1.0.0 are one release; file names stay as they are."""
    for upload in (wheel(version="1.0"), sdist(version="1.0.0")):
        assert send(server, upload).status == 200
    assert request(server, "POST", "/api/v1/indexes/private/projects/ours/v1/yank").status == 200
    document = page(server).json()
    assert isinstance(document, dict)
    assert document["versions"] == ["1.0"]
    assert [file["yanked"] for file in document["files"]] == [True, True]
    assert {file["filename"] for file in document["files"]} == {
        "ours-1.0-py3-none-any.whl",
        "ours-1.0.0.tar.gz",
    }


def test_what_is_uploaded_to_a_group_goes_to_its_first_hosted_member(running: Running) -> None:
    groups = '[indexes.other]\nkind = "hosted"\n[indexes.all]\nkind = "group"\nmembers = ["other", "private"]\n'
    server = running(CONFIG.replace('"private"\n', '"all"\n', 1) + groups)
    for path, version in (("/all/legacy/", "1.0"), ("/legacy/", "1.1")):
        assert send(server, wheel(version=version), path).status == 200
    assert len(listed(server, index="other")) == len(listed(server, index="all")) == 2
    assert listed(server, index="private") == {}


def test_hatch_finds_what_is_there_already(server: RunningServer) -> None:
    """hatch reads {upload address}/+simple/{project}/ and skips what is listed."""
    send(server, wheel())
    answer = request(server, "GET", "/private/legacy/+simple/ours/", headers={"accept": "*/*"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert f">{wheel().filename}</a>" in answer.body


def test_chunked_bodies_are_taken(server: RunningServer) -> None:
    import http.client
    from urllib.parse import urlsplit

    body = body_of(wheel(payload=200_000))
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    pieces = (body[start : start + 777] for start in range(0, len(body), 777))
    connection.request("POST", "/private/legacy/", pieces, FORM, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert listed(server)


def test_whoever_waits_to_be_asked_is_told_first(running: Running) -> None:
    """Expect: 100-continue (RFC 9110, 10.1.1): the refusal comes instead of the 100."""
    import socket
    from urllib.parse import urlsplit

    server = running(CONFIG.replace("open-on-loopback = true", ""))
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        head = "POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_credentials_are_asked_for_and_the_refusal_is_told(running: Running, tmp_path: Path) -> None:
    server = running(CONFIG.replace("open-on-loopback = true", ""))
    answer = send(server, wheel(payload=3_000_000))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    [entry] = audit(tmp_path)
    assert (entry["action"], entry["outcome"], entry["visitor"]) == ("upload", "credentials-needed", "")


def test_what_is_too_large_is_refused(running: Running) -> None:
    server = running(CONFIG.replace('kind = "hosted"', 'kind = "hosted"\nmax-file-size = 100_000\n'))
    answer = send(server, wheel(payload=200_000))
    assert answer.status == 413
    assert "100,000" in answer.body
    assert send(server, wheel(payload=10_000)).status == 200


def test_a_development_release_may_be_replaced_where_that_is_allowed(running: Running) -> None:
    server = running(CONFIG.replace('kind = "hosted"', 'kind = "hosted"\noverwrite = "development"\n'))
    for upload, status in (
        (wheel(version="2.0.dev1"), 200),
        (changed(wheel(version="2.0.dev1")), 200),
        (wheel(version="2.0"), 200),
        (changed(wheel(version="2.0")), 409),
    ):
        assert send(server, upload).status == status
    assert listed(server) == {
        wheel(version="2.0.dev1").filename: changed(wheel(version="2.0.dev1")).sha256,
        wheel(version="2.0").filename: wheel(version="2.0").sha256,
    }


def test_who_may_begin_projects_may_be_nobody(running: Running) -> None:
    server = running(CONFIG.replace('kind = "hosted"', 'kind = "hosted"\ncreate = "nobody"\n'))
    assert send(server, wheel()).status == 403
    assert page(server).status == 404


def test_what_breaks_off_leaves_nothing(server: RunningServer, tmp_path: Path) -> None:
    """Case 64: killed midway: no visible file, and the name is not used up."""
    import socket
    from urllib.parse import urlsplit

    upload = wheel(payload=3_000_000)
    body = body_of(upload)
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        head = f"POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    assert listed(server) == {}
    assert send(server, upload).status == 200
    assert listed(server) == {upload.filename: upload.sha256}


def test_who_stalls_is_cut_off_once(running: Running, tmp_path: Path) -> None:
    """408 after the server's request-timeout, and not a second time of waiting."""
    import socket
    import time
    from urllib.parse import urlsplit

    server = running(CONFIG.replace("[server]\n", "[server]\nrequest-timeout = 2\n"))
    address = urlsplit(server.url)
    began = time.monotonic()
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        head = f"POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['content-type']}\r\n"
        client.sendall(f"{head}Content-Length: 50000\r\n\r\n--{BOUNDARY}".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - began < 3.9
    assert [entry["outcome"] for entry in audit(tmp_path)] == ["request-timeout"]


def test_what_was_taken_is_there_after_a_restart(server: RunningServer) -> None:
    for upload in (wheel(), sdist()):
        assert send(server, upload).status == 200
    before = page(server).body
    server.restart()
    assert page(server).body == before
