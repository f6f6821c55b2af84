"""`pypim update`, and how an upstream's changes reach a mirror of all of it with the next sync."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.worlds import faults
from tests.worlds.specs import project, release
from tests.worlds.world import World

if TYPE_CHECKING:
    from tests.conftest import ServeWorld
    from tests.sync.mirror import Document, Mirror

WORLD = World.of(*(project(f"zope-{number}", "1.0") for number in range(30)), project("app", "1.0"))


def everything(mirror: Mirror, url: str, **upstream: object) -> None:
    mirror.configure(url, upstream=upstream, patterns={"zope-.*": "*"}, on_removal="prune")


def updated(mirror: Mirror, *options: str, status: int = 0) -> Document:
    (row,) = mirror.run("update", "--json", *options).expect(status).document["indexes"]
    found: Document = row
    return found


def rows_at(mirror: Mirror, revision: int) -> int:
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog:
        count: int = catalog.execute("SELECT count(*) FROM listed WHERE revision = ?", (revision,)).fetchone()[0]
    return count


def test_k_changes_write_k_rows(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    everything(mirror, server.url)
    assert updated(mirror)["new"] == 31
    assert rows_at(mirror, 0) == 31
    server.world = server.world.having(project("zope-3", "1.0", "2.0"), project("zope-new", "1.0"))
    row = updated(mirror)
    assert (row["outcome"], row["new"], row["changed"], row["way"]) == ("changed", 1, 1, "json")
    assert (rows_at(mirror, 0), rows_at(mirror, 1)) == (30, 2)
    assert updated(mirror)["outcome"] == "unchanged"
    assert "1 new, 1 changed" not in mirror.run("update").expect().stdout


def test_quarantines_yanks_and_their_ends_reach_the_mirror_by_the_next_sync(serve: ServeWorld, mirror: Mirror) -> None:
    """Whatever changes at the upstream changes a serial, and only the pages of such projects are asked for."""
    server = serve(WORLD)
    mirror.configure(server.url, patterns={"zope-.*": "*"}, on_removal="keep")
    mirror.sync()
    changes = (
        project("zope-1", release("1.0", yanked="broken")),
        project("zope-2", "1.0", status="quarantined"),
        project("zope-4", "1.0", status="deprecated"),
    )
    server.world = server.world.having(*changes)
    server.forget_requests()
    mirror.sync()
    assert {request.path for request in server.requests if request.path.startswith("/simple/z")} == {
        "/simple/zope-1/",
        "/simple/zope-2/",
        "/simple/zope-4/",
    }
    assert mirror.page("zope-1")["files"][0]["yanked"] == "broken"
    assert mirror.published()["zope-2"] == []
    assert mirror.page("zope-4")["project-status"]["status"] == "deprecated"
    server.world = server.world.having(*(project(one.name, "1.0") for one in changes))
    mirror.sync()
    for one in changes:
        page = mirror.page(one.name)
        assert (page["files"][0].get("yanked", False), page.get("project-status")) == (False, None)


def test_a_project_that_leaves_the_list_leaves_the_mirror_when_that_is_certain(
    serve: ServeWorld, mirror: Mirror
) -> None:
    server = serve(WORLD)
    everything(mirror, server.url)
    mirror.sync()
    server.world = server.world.without("zope-1")
    mirror.sync()
    assert "zope-1" in mirror.published()
    assert updated(mirror)["missing"] == 1
    assert "1 project missing, not yet believed to be gone" in mirror.run("update").expect().stdout
    assert "31 projects listed, 1 of them missing" in mirror.run("status").expect().stdout
    assert updated(mirror, "--accept-removals")["removed"] == 1
    mirror.sync()
    assert "zope-1" not in mirror.published()


@pytest.mark.parametrize("follow", [{}, {"follow": "html"}])
def test_a_project_whose_page_is_back_is_back_though_the_list_is_the_same(
    serve: ServeWorld, mirror: Mirror, follow: Document
) -> None:
    """Its page was missing for long enough; the list named it all the time, and does not change by that."""
    server = serve(WORLD)
    everything(mirror, server.url, **{"removal-confirmations": 1, "removal-time": "0 seconds", **follow})
    mirror.sync()
    before = mirror.published()
    server.world = server.world.releasing("zope-7", release("2.0"))
    server.misbehave("/simple/zope-7/", faults.status(404))
    mirror.sync()
    assert "zope-7" not in mirror.published()
    server.behave()
    mirror.sync()
    assert mirror.published().keys() == before.keys()
    assert updated(mirror)["projects"] == len(WORLD.names)


def test_a_mass_deletion_stops_a_sync_as_well_and_says_what_to_do(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    everything(mirror, server.url, **{"most-removed": 5})
    mirror.sync()
    before = mirror.published()
    server.world = server.world.without(*(f"zope-{number}" for number in range(8)))
    for command in ("sync", "update"):
        error = mirror.run(command, "--json").expect(4).error
        assert error["code"] == "mass-removal"
        assert "8 of 31 projects are not there any more" in error["message"]
        assert "pypim update --accept-removals" in error["hint"]
    assert mirror.published() == before
    assert updated(mirror, "--accept-removals")["removed"] == 8
    mirror.sync()
    assert len(mirror.published()) == 22


def test_an_upstream_that_is_behind_changes_nothing_and_the_exit_status_is_1(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    everything(mirror, server.url, follow="json")
    older = WORLD
    server.world = newer = older.having(project("zope-0", "1.0", "2.0"))
    mirror.sync()
    server.world = older
    assert updated(mirror, status=1)["outcome"] == "behind"
    assert "it answered with something older than is known" in mirror.run("update").expect(1).stdout
    assert "the upstream is behind what is known since" in mirror.run("status").expect().stdout
    server.world = newer
    assert updated(mirror)["outcome"] == "unchanged"
    assert "behind" not in mirror.run("status").expect().stdout


def test_only_the_projects_that_matter_are_asked_for_where_that_is_set(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, upstream={"follow": "projects"}, packages={"app": "latest", "zope-1": "latest"})
    mirror.sync()
    server.forget_requests()
    row = updated(mirror)
    assert (row["way"], row["outcome"], row["changed"]) == ("projects", "unchanged", 0)
    assert sorted(request.path for request in server.requests) == ["/simple/app/", "/simple/zope-1/"]
    assert {request.status for request in server.requests} == {304}
    server.world = server.world.having(project("app", "1.0", "2.0"))
    assert updated(mirror)["changed"] == 1


def test_pages_that_fail_together_are_one_fault(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, upstream={"follow": "projects"}, packages={"app": "latest", "zope-1": "latest"})
    mirror.sync()
    server.misbehave("/simple/*/", faults.status(500))
    refused = mirror.run("update", "--json").expect(6)
    assert refused.error["code"] == "upstream-unavailable"


def test_a_page_of_files_is_no_list_of_projects(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(f"{server.root}/flat", packages={"app": "latest"})
    row = updated(mirror)
    assert (row["way"], row["projects"]) == (None, 31)


@pytest.mark.parametrize("command", ["update", "sync"])
def test_an_upstream_that_fails_is_no_news(serve: ServeWorld, mirror: Mirror, command: str) -> None:
    server = serve(WORLD)
    everything(mirror, server.url)
    mirror.sync()
    before = mirror.published()
    server.misbehave("/simple/", faults.instead(b"<html><a href='x/'>sorry</a>", "text/html"))
    assert mirror.run(command, "--json").expect(4).error["code"] == "mass-removal"
    server.behave()
    server.misbehave("/simple/", faults.status(404))
    mirror.run(command).expect(6)
    assert mirror.published() == before


def test_a_plan_changes_nothing_of_what_is_known(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    everything(mirror, server.url)
    mirror.sync()
    server.world = server.world.having(project("zope-new", "1.0"))
    plan = mirror.plan()
    assert "zope-new" in {one["project"] for one in plan["plan"]["releases"]}
    assert rows_at(mirror, 1) == 0
    mirror.sync()
    assert "zope-new" in mirror.published()
    assert rows_at(mirror, 1) == 1
