"""What the commands that ask say of a mirror, in prose and in JSON: list, status, doctor, update and metadata."""

from __future__ import annotations

import re
import shutil
import sqlite3
from datetime import datetime

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, sentences
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project("app", "1.0", "2.0", requires=["Lib_X"]),
    project("lib-x", release("1.0", wheel(), sdist())),
    project("unrelated", "1.0"),
)


@pytest.fixture
def synced(serve: ServeWorld, mirror: Mirror) -> Mirror:
    mirror.configure(serve(WORLD).url, packages={"app": "*"}, filters={"formats": ["wheel", "sdist"]})
    mirror.sync()
    return mirror


def test_list_names_the_releases_that_are_held(synced: Mirror) -> None:
    document = synced.run("list", "--json").expect().document
    assert document["command"] == "list"
    assert [(row["index"], row["project"], row["version"]) for row in document["releases"]] == [
        ("main", "app", "1.0"),
        ("main", "app", "2.0"),
        ("main", "lib-x", "1.0"),
    ]
    text = synced.run("list").expect().stdout
    assert re.search(r"^app 1\.0 +\(1 file", text, re.MULTILINE)
    assert re.search(r"^lib-x 1\.0 +\(2 files", text, re.MULTILINE)


def test_list_of_a_project_names_its_files(synced: Mirror) -> None:
    """By any spelling of its name."""
    (row,) = synced.run("list", "LIB.X", "--json").expect().document["releases"]
    truth = WORLD.file("lib_x-1.0.tar.gz")
    assert row["files"][1] == {
        "filename": truth.filename,
        "size": truth.size,
        "sha256": truth.sha256,
        "is_held": True,
        "path": truth.path,
    }
    text = synced.run("list", "lib-x").expect().stdout
    assert "lib_x-1.0.tar.gz" in text
    assert "lib_x-1.0-py3-none-any.whl" in text
    error = synced.run("list", "unrelated", "--json").expect(3).error
    assert "unrelated" in error["message"]


def test_status_says_state_and_size(synced: Mirror) -> None:
    """State and size of each index, last sync, last serial."""
    document = synced.run("status", "--json").expect().document
    assert document["command"] == "status"
    (row,) = document["indexes"]
    size = sum(file.size for file in WORLD.files if file.project != "unrelated")
    assert datetime.fromisoformat(row.pop("last_sync")).tzinfo is not None
    assert row == {
        "index": "main",
        "kind": "mirror",
        "upstream": "world",
        "state": "published",
        "projects": 2,
        "releases": 3,
        "files": 4,
        "file_bytes": size,
        "waiting_removals": 0,
        "last_outcome": "done",
        "last_serial": None,
        "path": str(synced.tree),
    }
    text = synced.run("status").expect().stdout
    assert "2 projects, 3 releases, 4 files" in text
    assert str(synced.tree) in text


def test_status_before_the_first_sync(serve: ServeWorld, mirror: Mirror) -> None:
    """Nothing is made by asking."""
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    (row,) = mirror.run("status", "--json").expect().document["indexes"]
    assert (row["state"], row["files"], row["last_sync"]) == ("empty", 0, None)
    assert "never" in mirror.run("status").expect().stdout
    assert mirror.run("list", "--json").expect().document["releases"] == []
    assert [path.name for path in mirror.folder.iterdir()] == ["pypim.toml"]


def test_status_names_how_the_last_run_ended(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    server.misbehave("*/lib_x*.whl", faults.wrong_bytes())
    mirror.refuses(status=7)
    (row,) = mirror.run("status", "--json").expect().document["indexes"]
    assert row["last_outcome"] == "digest-mismatch"
    mirror.sync("--keep-going", status=1)
    (row,) = mirror.run("status", "--json").expect().document["indexes"]
    assert row["last_outcome"] == "partial"
    assert "(partial)" in mirror.run("status").expect().stdout


def test_update_asks_for_the_list_and_nothing_else(serve: ServeWorld, mirror: Mirror) -> None:
    """Only the first step: the upstream's project list and serials."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    document = mirror.run("update", "--json").expect().document
    assert document == {
        "command": "update",
        "indexes": [{"index": "main", "upstream": "world", "projects": 3, "last_serial": 3, "dropped": []}],
    }
    assert [request.path for request in server.requests] == ["/simple/"]
    assert mirror.run("status", "--json").expect().document["indexes"][0]["last_serial"] == 3
    assert "lists 3 projects, serial 3" in mirror.run("update").expect().stdout
    assert server.requests[-1].status == 304
    server.misbehave("/simple/", faults.status(500))
    mirror.run("update").expect(6)
    assert not mirror.tree.exists()


def test_metadata_goes_only_up_to_metadata(serve: ServeWorld, mirror: Mirror) -> None:
    """Pages and core metadata of all that is asked for, and no distribution file; problems give exit 1."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    document = mirror.run("metadata", "--json").expect().document
    (row,) = document["indexes"]
    assert (row["index"], row["projects"], row["releases"], row["files"]) == ("main", 2, 2, 2)
    assert not server.asked("*.whl")
    assert not mirror.tree.exists()
    assert "2 projects, 2 releases and 2 files would be held" in mirror.run("metadata").expect().stdout
    with sqlite3.connect(f"file:{mirror.store / 'catalog.sqlite'}?mode=ro", uri=True) as catalog:
        names = {name for (name,) in catalog.execute("SELECT project FROM metadata")}
        assert {name.lower().replace("_", "-") for name in names} == {"app", "lib-x"}
        assert catalog.execute("SELECT count(*) FROM files").fetchone() == (4,)
    catalog.close()
    server.world = server.world.without("lib-x")
    assert "lib-x" in mirror.run("metadata", "--keep-going").expect(1).stdout
    mirror.run("metadata").expect(3)


def findings_of(mirror: Mirror, *options: str, status: int = 0) -> dict[str, Document]:
    document = mirror.run("doctor", "--json", *options).expect(status).document
    assert document["command"] == "doctor"
    return {finding["subject"]: finding for finding in document["findings"]}


def test_doctor_finds_nothing_wrong_with_what_is_fine(synced: Mirror) -> None:
    before = files_below(synced.folder)
    findings = findings_of(synced)
    assert all(finding["is_fine"] for finding in findings.values()), findings
    assert {"configuration", "python", "store", "room", "catalog", "index main", "pages of main", "upstream world"} <= (
        findings.keys()
    )
    assert all(set(finding) == {"subject", "is_fine", "detail", "remedy"} for finding in findings.values())
    assert files_below(synced.folder) == before
    text = synced.run("doctor").expect().stdout
    assert text.count("ok ") == len(findings)
    assert "upstream world" not in findings_of(synced, "--offline")


def test_doctor_names_what_is_wrong_with_its_remedy(synced: Mirror) -> None:
    """Exit 8."""
    (synced.store / WORLD.file("lib_x-1.0.tar.gz").path).unlink()
    (synced.tree / "simple" / "app" / "index.html").unlink()
    findings = findings_of(synced, status=8)
    assert "lib_x-1.0.tar.gz" in findings["index main"]["detail"]
    assert "verify --repair" in findings["index main"]["remedy"]
    assert "app" in findings["pages of main"]["detail"]
    text = synced.run("doctor").expect(8).stdout
    assert text.count("bad ") == 2
    synced.run("verify", "--repair").expect()
    assert not [finding for finding in findings_of(synced).values() if not finding["is_fine"]]


def test_doctor_asks_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    server.misbehave("*", faults.status(502))
    finding = findings_of(mirror, status=8)["upstream world"]
    assert "502" in finding["detail"]
    assert not [path for path in mirror.folder.iterdir() if path != mirror.config]


def test_a_catalog_that_is_damaged_is_named_and_can_be_made_anew(synced: Mirror) -> None:
    """Exit 8; and after moving it aside a sync finds the files that are on disk by their hash, and fetches nothing."""
    before = synced.published()
    catalog = synced.store / "catalog.sqlite"
    catalog.write_bytes(b"this is no database, and it is long enough to be looked at as one" * 100)
    for command in ("sync", "list", "status", "verify"):
        error = synced.run(command, "--json").expect(8).error
        assert error["code"] == "corrupt-catalog"
        assert "aside" in error["hint"]
    finding = findings_of(synced, "--offline", status=8)["catalog"]
    assert sentences([finding])
    shutil.move(catalog, catalog.with_suffix(".aside"))
    report = synced.sync()
    assert report["fetched_bytes"] == 0
    assert synced.published() == before


def test_a_catalog_of_a_newer_pypim_is_left_alone(synced: Mirror) -> None:
    """Exit 8: schema too new."""
    with sqlite3.connect(synced.store / "catalog.sqlite") as catalog:
        catalog.execute("PRAGMA user_version = 999")
    catalog.close()
    before = files_below(synced.folder)
    error = synced.run("sync", "--json").expect(8).error
    assert error["code"] == "schema-too-new"
    assert "999" in error["message"]
    after = files_below(synced.folder)
    assert {path for path in after if after[path] != before.get(path)} <= {"data/lock"}
