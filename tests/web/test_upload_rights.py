"""A token for some projects uploads those, by the name that is in the file."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING

from tests.clients.clients import run
from tests.web.uploading import BOUNDARY, CONFIG, Answer, Upload, body_of, listed, request, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Running
    from tests.web.serving import RunningServer


def token_for(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pypim", "-c", str(folder / "pypim.toml"), "token", "create", "--index", "private"]
    return run([*command, *options]).expect_ok().stdout.strip()


def authorised(token: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"__token__:{token}".encode()).decode()}


def send_with(server: RunningServer, token: str, upload: Upload, **changed: str | None) -> Answer:
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", **authorised(token)}
    return request(server, "POST", "/private/legacy/", body_of(upload, **changed), headers)


def test_a_token_uploads_the_projects_that_it_names(running: Running, tmp_path: Path) -> None:
    """Whatever the form says: rights are those on the project that the file is of."""
    folder = tmp_path / "server"
    server = running(CONFIG.replace("open-on-loopback = true", ""))
    token = token_for(folder, "--label", "ci", "--project", "acme-*", "--may", "upload")
    ours, theirs = wheel("acme-app"), wheel("theirs")
    assert send_with(server, token, ours).status == 200
    for fields in ({}, {"name": "acme-theirs"}, {"name": None}):
        assert send_with(server, token, theirs, **fields).status == 403
    assert listed(server, "theirs") == {}
    assert listed(server, "acme-app") == {ours.filename: ours.sha256}


def test_who_may_upload_may_not_for_that_reason_delete_or_yank(running: Running, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    server = running(CONFIG.replace("open-on-loopback = true", ""))
    upload = token_for(folder, "--label", "ci", "--may", "upload")
    delete = token_for(folder, "--label", "admin", "--may", "delete")
    assert send_with(server, upload, wheel()).status == 200
    project = "/api/v1/indexes/private/projects/ours"
    asked = [
        ("DELETE", f"{project}/files/{wheel().filename}", None, delete),
        ("POST", f"{project}/1.0/yank", b"", None),
        ("PUT", f"{project}/status", b'{"status": "archived"}', None),
    ]
    for method, path, body, _ in asked:
        assert request(server, method, path, body).status == 401
        assert request(server, method, path, body, authorised(upload)).status == 403
    assert listed(server)
    for method, path, body, allowed in asked:
        if allowed is not None:
            assert request(server, method, path, body, authorised(allowed)).status == 200
    assert listed(server) == {}
    lines = [json.loads(line) for line in (folder / "data" / "audit.jsonl").read_text().splitlines()]
    entries = [line for line in lines if "token" not in line["action"]]  # making them is told, too
    assert [entry["visitor"] for entry in entries if entry["outcome"] == "done"] == ["ci", "admin"]
    assert [entry["visitor"] for entry in entries if entry["outcome"] == "not-permitted"] == ["ci"] * 3
    secrets = (upload, delete, base64.b64encode(f"__token__:{upload}".encode()).decode())
    assert not any(secret in json.dumps(entries) for secret in secrets)
