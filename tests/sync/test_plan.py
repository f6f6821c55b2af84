"""`plan` is exactly `sync --dry-run`: what would be added and removed, and nothing on disk is changed."""

from __future__ import annotations

import os
from pathlib import Path

from tests.conftest import ServeWorld
from tests.sync.mirror import (
    LINUX_OPTIONS,
    Mirror,
    added,
    pypim,
    pypim_process,
    releases_in,
    removed,
    report_of,
    wheels,
)
from tests.worlds.world import World, project, release, wheel

WORLD = World.of(
    project("app", release("1.0", wheel(payload=2000)), release("2.0", wheel(payload=3000), requires=["lib"])),
    project("lib", "1.0"),
)


def everything_below(folder: Path) -> dict[str, tuple[bytes | None, int]]:
    """Path → content and modification time of everything, pypim's own state included."""
    return {
        str(path): (path.read_bytes() if path.is_file() else None, path.stat().st_mtime_ns)
        for path in sorted([folder, *folder.rglob("*")])
    }


def test_a_plan_for_a_new_folder_makes_no_folder(serve: ServeWorld, tmp_path: Path) -> None:
    target = tmp_path / "not" / "yet"
    outcome = pypim("plan", "app", "--to", target, "--upstream", serve(WORLD).url, *LINUX_OPTIONS, "--json").expect()
    assert added(report_of(outcome)) == wheels("app 2.0", "lib 1.0")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_changes_nothing_on_disk(serve: ServeWorld, mirror: Mirror, tmp_path: Path) -> None:
    """Not in the store, not in the tree, not beside them; though the upstream has moved on and must be asked."""
    server = serve(WORLD, advertise_metadata=False, serve_metadata=False, ranges=False)
    mirror.configure(server.url, packages={"app": "1.0"})
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"})
    server.world = server.world.releasing("lib", release("1.1", requires=["app"]))
    before = everything_below(tmp_path)
    for command in (["plan"], ["sync", "--dry-run"], ["plan", "--json"]):
        mirror.run(*command).expect()
        assert everything_below(tmp_path) == before
    assert mirror.plan()["plan"] == report_of(mirror.run("sync", "--dry-run", "--json").expect())["plan"]
    os.sync()
    assert everything_below(tmp_path) == before


def test_a_plan_says_what_a_sync_then_does(serve: ServeWorld, mirror: Mirror) -> None:
    """With sizes and totals; and after the sync there is nothing to do."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "1.0"})
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"})
    report = mirror.plan()
    assert (added(report), removed(report)) == (wheels("app 2.0", "lib 1.0"), wheels("app 1.0"))
    sizes = {file.filename: file.size for file in server.world.files}
    plan = report["plan"]
    assert plan["fetch_bytes"] == plan["total_bytes"] == sum(sizes[name] for name in added(report))
    assert plan["removed_bytes"] == sizes["app-1.0-py3-none-any.whl"]
    assert plan["total_files"] == 2
    assert plan["unknown_sizes"] == 0
    done = mirror.sync()
    assert done["plan"] == plan
    assert done["fetched_files"] == 2
    assert done["fetched_bytes"] == plan["fetch_bytes"]
    after = mirror.plan()
    assert (added(after), removed(after)) == ([], [])
    assert releases_in(after) == ["app 2.0", "lib 1.0"]


def test_a_plan_in_prose(serve: ServeWorld, mirror: Mirror) -> None:
    """A line for each release that changes with what wants it, then the totals."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "1.0"})
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"})
    text = mirror.run("plan").expect().stdout
    assert "+ app 2.0" in text
    assert "- app 1.0" in text
    assert "+ lib 1.0" in text
    assert "app 2.0: lib" in text
    assert "to fetch: 2 files" in text
    assert "to remove: 1 file" in text
    mirror.sync()
    assert "nothing to add and nothing to remove" in mirror.run("plan").expect().stdout


def test_unknown_sizes_are_counted(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD, format="html_only", json_api=False).url, packages={"app": "latest"})
    plan = mirror.plan()["plan"]
    assert (plan["unknown_sizes"], plan["fetch_bytes"]) == (2, 0)
    assert "2 of unknown size" in mirror.run("plan").expect().stdout


def test_standard_output_holds_one_document_and_nothing_else(serve: ServeWorld, tmp_path: Path) -> None:
    """`--json` prints one JSON document on standard output; progress, logs and prose go to standard error."""
    server = serve(WORLD)
    for command in (["plan"], ["sync"], ["sync", "--dry-run"]):
        place = ("--to", str(tmp_path / "m"), "--upstream", server.url, *LINUX_OPTIONS)
        outcome = pypim_process(*command, "app", *place, "--json", cwd=tmp_path).expect()
        assert set(outcome.document) == {"command", "indexes", "free_bytes", "lacking_bytes"}
        assert outcome.document["command"] == ("sync" if command == ["sync"] else "plan")
    quiet = pypim_process("-q", "sync", "--to", tmp_path / "m", cwd=tmp_path).expect()
    assert (quiet.stdout, quiet.stderr) == ("", "")
