"""`pypim prune` beside a server that takes uploads: what is listed stays, what was deleted goes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from tests.clients.clients import run
from tests.web.uploading import CONFIG, listed, request, sdist, send, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.web.conftest import Running


def packages(folder: Path) -> set[str]:
    return {path.name for path in (folder / "packages").rglob("*") if path.is_file()}


def prune(folder: Path) -> dict[str, object]:
    command = [sys.executable, "-m", "pypim", "-c", str(folder / "pypim.toml"), "--json", "prune"]
    document = json.loads(run(command).expect_ok().stdout)
    assert isinstance(document, dict)
    return document


def test_prune_takes_what_was_deleted_and_leaves_what_is_listed(running: Running, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    server = running(CONFIG)
    for upload in (wheel(), sdist()):
        assert send(server, upload).status == 200
    before = packages(folder / "data")
    prune(folder)
    assert packages(folder / "data") == before == {wheel().filename, wheel().filename + ".metadata", sdist().filename}
    path = f"/api/v1/indexes/private/projects/ours/files/{wheel().filename}"
    assert request(server, "DELETE", path).status == 200
    prune(folder)
    assert packages(folder / "data") == {sdist().filename}
    assert listed(server) == {sdist().filename: sdist().sha256}
    assert send(server, wheel(version="1.1")).status == 200
    assert len(listed(server)) == 2


def test_two_indexes_share_the_bytes_and_prune_knows_both(running: Running, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    server = running(CONFIG + '[indexes.second]\nkind = "hosted"\n')
    for index in ("private", "second"):
        assert send(server, wheel(), f"/{index}/legacy/").status == 200
    path = f"/api/v1/indexes/private/projects/ours/files/{wheel().filename}"
    assert request(server, "DELETE", path).status == 200
    prune(folder)
    assert listed(server) == {}
    assert listed(server, index="second") == {wheel().filename: wheel().sha256}
    assert wheel().filename in packages(folder / "data")
