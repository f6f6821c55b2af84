"""What the commands that ask say of a mirror, in prose and in JSON: list, status, doctor, update and metadata."""

from __future__ import annotations

import json
import re
import shlex
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from pypim.cli.doctor import room_check
from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, files_below, pypim, sentences
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
    known = row.pop("known")
    assert (known["projects"], known["files"], known["file_bytes"]) == (2, 4, size)
    assert row == {
        "index": "main",
        "kind": "mirror",
        "upstream": "world",
        "members": [],
        "followed": None,
        "todo": [],
        "state": "published",
        "projects": 2,
        "releases": 3,
        "files": 4,
        "file_bytes": size,
        "waiting_removals": 0,
        "last_outcome": "done",
        "last_serial": 2,
        "path": str(synced.tree),
    }
    text = synced.run("status").expect().stdout
    assert "2 projects, 3 releases, 4 files" in text
    assert str(synced.tree) in text


def test_status_tells_the_highest_serial_that_was_told(serve: ServeWorld, mirror: Mirror) -> None:
    """A plain sync reads pages, each with the serial of its project; an upstream without serials tells none."""
    server = serve(WORLD, serials=False)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    assert mirror.run("status", "--json").expect().document["indexes"][0]["last_serial"] is None
    told = serve(WORLD.having(project("app", "1.0", "2.0", "3.0", requires=["Lib_X"])))
    mirror.configure(told.url, packages={"app": "latest"})
    mirror.sync()
    assert mirror.run("status", "--json").expect().document["indexes"][0]["last_serial"] == 4
    assert "upstream serial: 4" in mirror.run("status").expect().stdout


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
    """Only the first step: the upstream's project list and serials, and once whether there is a changelog."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    document = mirror.run("update", "--json").expect().document
    (row,) = document["indexes"]
    assert row.pop("seconds") >= 0
    assert row == {
        "index": "main",
        "upstream": "world",
        "way": "json",
        "outcome": "first",
        "projects": 3,
        "new": 3,
        "changed": 0,
        "removed": 0,
        "missing": 0,
        "last_serial": 3,
        "dropped": [],
    }
    assert [request.path for request in server.requests] == ["/simple/", "/pypi"]
    (row,) = mirror.run("status", "--json").expect().document["indexes"]
    asked_at = row["followed"].pop("asked_at")
    assert datetime.fromisoformat(asked_at).tzinfo is not None
    assert row["followed"] == {"way": "json", "serial": 3, "projects": 3, "missing": 0, "behind_since": None}
    assert row["last_serial"] == 3
    assert "world lists 3 projects, serial 3 (json); nothing new in" in mirror.run("update").expect().stdout
    assert f"followed by json: 3 projects listed\n  upstream last asked: {asked_at[:10]}" in mirror.run("status").stdout
    assert server.requests[-1].status == 304
    server.misbehave("/simple/", faults.status(500))
    mirror.run("update").expect(6)
    assert not mirror.tree.exists()


def test_metadata_goes_only_up_to_metadata(serve: ServeWorld, mirror: Mirror) -> None:
    """Pages and core metadata of all that is asked for, and no distribution file; problems give exit 1."""
    server = serve(WORLD)
    mirror.configure(server.url, upstream={"removal-confirmations": 1}, packages={"app": "latest"})
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


def checks_of(mirror: Mirror, *options: str, status: int = 0) -> dict[str, Document]:
    document = mirror.run("doctor", "--json", *options).expect(status).document
    assert document["command"] == "doctor"
    return {check["subject"]: check for check in document["checks"]}


def test_doctor_finds_nothing_wrong_with_what_is_fine(synced: Mirror) -> None:
    before = files_below(synced.folder)
    checks = checks_of(synced)
    assert all(check["state"] == "fine" for check in checks.values()), checks
    assert {"configuration", "python", "store", "room", "catalog", "index main", "pages of main", "upstream world"} <= (
        checks.keys()
    )
    assert all(set(check) == {"subject", "state", "detail", "remedy"} for check in checks.values())
    assert files_below(synced.folder) == before
    text = synced.run("doctor").expect().stdout
    assert text.count("ok ") == len(checks)
    assert "upstream world" not in checks_of(synced, "--offline")


def test_doctor_names_what_is_wrong_with_its_remedy(synced: Mirror) -> None:
    """Exit 8."""
    (synced.store / WORLD.file("lib_x-1.0.tar.gz").path).unlink()
    (synced.tree / "simple" / "app" / "index.html").unlink()
    checks = checks_of(synced, status=8)
    assert "lib_x-1.0.tar.gz" in checks["index main"]["detail"]
    assert "verify --repair" in checks["index main"]["remedy"]
    assert "app" in checks["pages of main"]["detail"]
    text = synced.run("doctor").expect(8).stdout
    assert text.count("bad ") == 2
    synced.run("verify", "--repair").expect()
    assert {check["state"] for check in checks_of(synced).values()} == {"fine"}


@pytest.mark.parametrize("name", ["app/index.v1_json", "app/index.html", "index.v1_json", "index.html"])
@pytest.mark.parametrize("content", [None, b"rotten"])
def test_doctor_looks_at_both_forms_of_pages_and_of_the_list(synced: Mirror, name: str, content: bytes | None) -> None:
    path = synced.tree / "simple" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    is_seen = content is None or "/" not in name
    check = checks_of(synced, "--offline", status=8 if is_seen else 0)["pages of main"]
    assert check["state"] == ("fault" if is_seen else "fine")
    assert ("app" in check["detail"]) is (is_seen and "/" in name)
    assert ("list of projects" in check["detail"]) is ("/" not in name)
    synced.run("verify", "--repair").expect()
    assert checks_of(synced, "--offline")["pages of main"]["state"] == "fine"


@pytest.mark.parametrize(
    ("free_bytes", "state"),
    [(None, "fine"), (10**12, "fine"), (900_000_000, "warning"), (1_000_000, "warning"), (4096, "fault")],
)
def test_little_room_is_a_warning_and_none_is_a_fault(free_bytes: int | None, state: str) -> None:
    check = room_check(free_bytes)
    assert check.state == state
    assert bool(check.remedy) is (state != "fine")


def test_hints_can_be_pasted(synced: Mirror, serve: ServeWorld, tmp_path: Path) -> None:
    """They name the mirror that the command was about, with --to, -c and --index."""
    (synced.store / WORLD.file("lib_x-1.0.tar.gz").path).unlink()
    options = f"-c {synced.config} --index main"
    check = checks_of(synced, "--offline", "--index", "main", status=8)["index main"]
    assert check["remedy"] == f"Run `pypim verify --repair {options}`."
    assert f"`pypim verify --repair {options}`" in synced.run("verify", "--index", "main").expect(7).stdout
    error = synced.run("why", "nobody", "--json").expect(3).error
    assert f"`pypim why-not 'nobody' -c {synced.config}`" in error["hint"]
    folder = tmp_path / "a b"
    pypim("sync", "lib-x", "--to", folder, "--upstream", serve(WORLD).url, *LINUX_OPTIONS).expect()
    (answer,) = pypim("why-not", "lib-x", "--to", folder, "--json").expect().document["indexes"]
    assert answer["remedy"] == f"Ask `pypim why lib-x --to '{folder}'` for the reasons."
    (folder / WORLD.file("lib_x-1.0-py3-none-any.whl").path).write_bytes(b"damaged")
    said = pypim("verify", "--to", folder).expect(7).stdout
    (command,) = re.findall("`([^`]*)`", said)
    program, *words = shlex.split(command)
    assert program == "pypim"
    pypim(*words).expect()
    pypim("verify", "--to", folder).expect()


def test_a_plan_that_does_not_fit_says_so(mirror: Mirror, tmp_path: Path) -> None:
    """In prose and with --json, before anybody begins to fetch."""
    page = {
        "meta": {"api-version": "1.1"},
        "name": "huge",
        "versions": ["1.0"],
        "files": [
            {
                "filename": "huge-1.0-py3-none-any.whl",
                "url": "huge-1.0-py3-none-any.whl",
                "hashes": {"sha256": "0" * 64},
                "size": 10**14,
            }
        ],
    }
    folder = tmp_path / "simple" / "huge"
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps(page))
    mirror.configure((tmp_path / "simple").as_uri(), packages={"huge": "latest"}, dependencies={"follow": False})
    document = mirror.run("plan", "--json").expect().document
    assert document["lacking_bytes"] == 10**14 - document["free_bytes"] > 0
    assert "not enough room" in mirror.run("plan").expect().stdout
    mirror.refuses(status=8)


def test_doctor_asks_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    server.misbehave("*", faults.status(502))
    check = checks_of(mirror, status=8)["upstream world"]
    assert "502" in check["detail"]
    assert not [path for path in mirror.folder.iterdir() if path != mirror.config]


def test_a_catalog_that_is_damaged_is_named_and_can_be_made_anew(synced: Mirror) -> None:
    """Exit 8; and `doctor --rebuild` finds the files that are on disk by their hash: a sync fetches nothing."""
    before = synced.published()
    catalog = synced.store / "catalog.sqlite"
    catalog.write_bytes(b"this is no database, and it is long enough to be looked at as one" * 100)
    for command in ("sync", "list", "status", "verify"):
        error = synced.run(command, "--json").expect(8).error
        assert error["code"] == "corrupt-catalog"
        assert "pypim doctor --rebuild" in error["hint"]
    check = checks_of(synced, "--offline", status=8)["catalog"]
    assert sentences([check])
    told = synced.run("doctor", "--rebuild").expect(1)
    assert "not all of holdings, hosted_changes, users" in told.stdout
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
