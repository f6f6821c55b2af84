"""An index that follows no dependencies and is chosen by patterns: project by project."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from urllib.request import Request, urlopen

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, stamps_below, wheels
from tests.worlds import faults
from tests.worlds.pages import JSON_TYPE
from tests.worlds.world import World, project, release

WORLD = World.of(
    project("app", "1.0", "2.0", requires=["lib"]),
    project("lib", "1.0"),
    project("zope-a", "1.0", "1.1"),
    project("zope-b", "0.1"),
)
ALL: Document = {"patterns": {".*": "latest"}, "dependencies": {"follow": False}}


def test_everything_is_mirrored(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    report = mirror.sync()
    assert report["outcome"] == "done"
    assert mirror.published() == {
        "app": wheels("app 2.0"),
        "lib": wheels("lib 1.0"),
        "zope-a": wheels("zope_a 1.1"),
        "zope-b": wheels("zope_b 0.1"),
    }
    assert mirror.sync()["outcome"] == "unchanged"
    server.world = server.world.releasing("lib", release("2.0"))
    server.forget_requests()
    report = mirror.sync()
    assert report["outcome"] == "done"
    assert report["fetched_files"] == 1
    assert mirror.published()["lib"] == wheels("lib 2.0")


def test_completeness_of_a_whole_mirror(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    (found,) = mirror.run("status", "--completeness", "--json").expect().document["completeness"]
    assert found["is_complete"]
    assert (found["projects"], found["complete_projects"], found["files"], found["held_files"]) == (4, 4, 4, 4)
    assert found["file_bytes"] == found["held_bytes"] > 0
    assert (found["unseen_projects"], found["missing"]) == (0, [])


def test_filters_of_whole_projects(serve: ServeWorld, mirror: Mirror) -> None:
    """Size, number of releases, status: what they take away is not there, and `why-not` names them with the remedy."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL, filters={"max_releases": 1})
    mirror.sync()
    assert sorted(mirror.published()) == ["lib", "zope-b"]
    (answer,) = mirror.run("why-not", "app", "--json").expect().document["indexes"]
    assert answer["verdict"] == "filters.max-releases: 2 releases, 1 are allowed"
    assert answer["remedy"] == "Raise filters.max-releases to 2 or more."


def everything(world: World) -> dict[str, list[str]]:
    """What a mirror of all shows: the newest release of each project."""
    newest = {name: max(world.files_of(name), key=lambda file: file.version) for name in world.names}
    return {name: [file.filename] for name, file in newest.items()}


def test_nothing_is_asked_or_written_where_nothing_changed(serve: ServeWorld, mirror: Mirror) -> None:
    """Nothing-changed runs ask for the list and read no page."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    before = stamps_below(mirror.tree)
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert not server.asked("/simple/*/")
    assert stamps_below(mirror.tree) == before


def test_a_project_that_comes_or_goes_is_in_the_list_or_not(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL, on_removal="prune")
    mirror.sync()
    server.world = server.world.having(project("new", "1.0"))
    mirror.sync()
    assert mirror.published() == everything(server.world)
    mirror.configure(server.url, **{**ALL, "patterns": {"(?!zope).*": "latest"}}, on_removal="prune")
    report = mirror.sync()
    assert sorted(mirror.published()) == ["app", "lib", "new"]
    assert report["deleted_files"] == 2
    assert not list(mirror.store.rglob("zope*.whl"))


def test_a_project_that_fails_waits_and_the_others_go_on(serve: ServeWorld, mirror: Mirror) -> None:
    """One project that fails stays in the to-do with its error and next try; exit status 1 and named in the report."""
    server = serve(WORLD)
    server.misbehave("/simple/lib/", faults.status(500))
    mirror.configure(server.url, **ALL)
    report = mirror.sync(status=1)
    assert report["outcome"] == "partial"
    (fault,) = report["faults"]
    assert fault.startswith("lib: ")
    assert "next try after" in fault
    assert sorted(mirror.published()) == ["app", "zope-a", "zope-b"]
    (found,) = mirror.run("status", "--completeness", "--json").expect(1).document["completeness"]
    (missing,) = found["missing"]
    assert (missing["project"], missing["attempts"], found["is_complete"]) == ("lib", 1, False)
    server.behave()
    with sqlite3.connect(mirror.store / "catalog.sqlite") as catalog:
        catalog.execute("UPDATE todo SET next_at = 0")
    assert mirror.sync()["outcome"] == "done"
    assert mirror.published() == everything(WORLD)


def test_an_old_page_is_not_forgotten_because_another_fault_is_over(serve: ServeWorld, mirror: Mirror) -> None:
    """The file that failed is there now, and the page that lists it is an old copy: the new one is still to come."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    server.world = server.world.releasing("lib", release("2.0"))
    server.misbehave("/packages/*/lib-2.0*", faults.wrong_bytes())
    mirror.sync(status=1)
    server.behave()
    request = Request(f"{server.url}lib/", headers={"Accept": JSON_TYPE})
    with urlopen(request) as answer:
        old_page = answer.read()
    server.world = server.world.releasing("lib", release("3.0"))
    old_copy, old_tag = faults.instead(old_page, JSON_TYPE), faults.changed_headers(etag='"old"')
    server.misbehave("/simple/lib/", lambda response: old_tag(old_copy(response)))
    mirror.sync(status=1)
    assert mirror.published()["lib"] == wheels("lib 2.0")
    server.behave()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        assert catalog.execute("SELECT project, code FROM todo").fetchall() == [("lib", "stale-page")]
        catalog.execute("UPDATE todo SET next_at = 0")
    assert mirror.sync()["outcome"] == "done"
    assert mirror.published()["lib"] == wheels("lib 3.0")


@pytest.mark.parametrize("named", [{}, {"lib": "*"}])
def test_a_project_that_fails_waits_also_where_only_pages_tell(
    serve: ServeWorld, mirror: Mirror, named: Document
) -> None:
    """Before its next try it is left alone, although every walk goes through all projects; a new rule looks at once."""
    server = serve(WORLD, format="html_only", serials=False)
    mirror.configure(server.url, **ALL, packages=named)
    server.misbehave("/simple/lib/", faults.status(500))
    mirror.sync(status=1)
    server.behave()
    server.world = server.world.releasing("app", release("3.0"))
    server.forget_requests()
    (fault,) = mirror.sync(status=1)["faults"]
    assert fault.startswith("lib: ")
    assert "tried" not in fault, "not again"
    assert not server.asked("/simple/lib/")
    assert mirror.published()["app"] == wheels("app 3.0")
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE todo SET next_at = 0")
    server.misbehave("/simple/lib/", faults.status(500))
    (fault,) = mirror.sync(status=1)["faults"]
    assert "tried 2 times" in fault
    server.behave()
    mirror.configure(server.url, **ALL, packages=named, filters={"max_releases": 9})
    assert mirror.sync()["faults"] == []
    assert mirror.published() == everything(server.world)


def test_a_file_that_cannot_be_had_keeps_what_was_there(serve: ServeWorld, mirror: Mirror) -> None:
    """An upstream that fails is never read as "deleted"."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    server.world = server.world.releasing("lib", release("2.0"))
    server.misbehave("/packages/*/lib-2.0*", faults.wrong_bytes())
    report = mirror.sync(status=1)
    assert "lib-2.0-py3-none-any.whl" in report["faults"][0]
    assert mirror.published()["lib"] == wheels("lib 1.0")


def test_an_emptied_tree_is_written_again(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    before = files_below(mirror.tree)
    shutil.rmtree(mirror.tree)
    mirror.sync()
    assert files_below(mirror.tree) == before


@pytest.mark.parametrize("limit", ["--max-bytes", "--max-time"])
def test_a_sync_stops_in_good_order_and_goes_on(serve: ServeWorld, mirror: Mirror, limit: str) -> None:
    """What is complete is published, what is left is told, and the next sync goes on where this one stopped."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    report = mirror.sync(limit, "1 B" if limit == "--max-bytes" else "0 seconds")
    assert report["outcome"] == "stopped"
    assert "left for the next run" in report["warnings"][0]
    fetched = 1 if limit == "--max-bytes" else 0
    assert report["fetched_files"] == fetched
    assert len(mirror.published()) == fetched
    (found,) = mirror.run("status", "--completeness", "--json").expect(1).document["completeness"]
    assert found["unseen_projects"] == 4 - fetched
    server.forget_requests()
    assert mirror.sync()["outcome"] == "done"
    assert mirror.published() == everything(WORLD)
    assert len(server.asked("/packages/*.whl")) == 4 - fetched


def test_a_plan_tells_what_a_sync_would_do_and_changes_nothing(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    plan = mirror.plan()["plan"]
    assert (plan["fetch_files"], plan["total_files"], plan["untold_releases"]) == (4, 4, 0)
    assert [release["project"] for release in plan["releases"]] == ["app", "lib", "zope-a", "zope-b"]
    assert not (mirror.store / "catalog.sqlite").exists()
    mirror.sync()
    assert mirror.plan()["plan"]["fetch_files"] == 0


def test_a_file_that_is_too_young_is_taken_when_it_is_old_enough(serve: ServeWorld, mirror: Mirror) -> None:
    """`min-age`: a project whose file will be old enough is looked at again though nothing has changed."""
    server = serve(WORLD)
    mirror.configure(server.url, **ALL, filters={"min_age": "36500 days"})
    mirror.sync()
    assert mirror.published() == {}
    with sqlite3.connect(mirror.store / "catalog.sqlite") as catalog:
        assert catalog.execute("SELECT count(*) FROM revisits").fetchone() == (4,)
        catalog.execute("UPDATE revisits SET due_at = 0 WHERE project = 'lib'")
    server.forget_requests()
    mirror.sync()
    assert not server.asked("/simple/*/")  # the kept page counts


def test_what_an_older_way_of_choosing_left_is_looked_at(serve: ServeWorld, mirror: Mirror) -> None:
    """From a resolved mirror to one of everything and back; what nothing asks for is gone each time."""
    server = serve(WORLD)
    for _ in range(2):
        mirror.configure(server.url, packages={"app": "latest"}, on_removal="prune")
        mirror.sync()
        assert sorted(mirror.published()) == ["app", "lib"]
        mirror.configure(server.url, **ALL, on_removal="prune")
        mirror.sync()
        assert mirror.published() == everything(WORLD)


def test_what_is_named_comes_first_and_newest_files_first(serve: ServeWorld, mirror: Mirror) -> None:
    """Files in order of need: projects named in `packages` first, newest releases first."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"zope-a": "*"}, **ALL, jobs=1)
    mirror.sync()
    asked = [request.path.rpartition("/")[2] for request in server.asked("/packages/*.whl")]
    assert asked[:2] == ["zope_a-1.1-py3-none-any.whl", "zope_a-1.0-py3-none-any.whl"]


def test_a_named_project_that_is_not_there_is_told(serve: ServeWorld, mirror: Mirror) -> None:
    """A project that cannot be had is named in the report, never skipped in silence, also where nothing is new."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"nothing-here": "latest"}, **ALL)
    for _ in range(2):
        report = mirror.sync(status=1)
        assert [problem["project"] for problem in report["problems"]] == ["nothing-here"]
    assert mirror.published() == everything(WORLD)


def test_why_and_list_read_one_project(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    (kept,) = mirror.run("why", "lib", "--json").expect().document["kept"]
    assert kept["release"]["version"] == "1.0"
    (listed,) = mirror.run("list", "lib", "--json").expect().document["releases"]
    assert [file["filename"] for file in listed["files"]] == wheels("lib 1.0")
    assert len(mirror.run("list", "--json").expect().document["releases"]) == 4
    mirror.run("verify").expect()
    mirror.run("doctor", "--json")
    mirror.run("prune").expect()
    assert mirror.published() == everything(WORLD)


def said(classifier: str) -> faults.Fault:
    """A project says more of itself than the world knows."""

    def fault(response: faults.Response) -> faults.Response:
        if not response.body:
            return response
        document = json.loads(response.body)
        document["info"]["classifiers"] = [classifier]
        return replace(response, body=json.dumps(document).encode())

    return fault


def test_what_a_project_says_of_itself_keeps_it_out(serve: ServeWorld, mirror: Mirror) -> None:
    """Classifiers come from the JSON API; what a project does not say is not held against it."""
    server = serve(WORLD)
    server.misbehave("/pypi/lib/json", said("Private :: Do Not Upload"))
    mirror.configure(server.url, **ALL, filters={"exclude_classifiers": ["private :: *"]})
    mirror.sync()
    assert sorted(mirror.published()) == ["app", "zope-a", "zope-b"]
    (answer,) = mirror.run("why-not", "lib", "--json").expect().document["indexes"]
    assert answer["verdict"] == 'filters.exclude-classifiers: "private :: *" (Private :: Do Not Upload)'
    assert answer["remedy"] == 'Take "private :: *" out of filters.exclude-classifiers.'


def test_without_these_filters_nobody_is_asked_for_that(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    assert not server.asked("/pypi/*/json")


def test_statuses_keep_projects_out(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD.having(project("over", "1.0", status="archived", status_reason="done")))
    mirror.configure(server.url, **ALL)
    mirror.sync()
    assert "over" in mirror.published()
    mirror.configure(server.url, **ALL, filters={"exclude_statuses": ["archived"]}, on_removal="prune")
    mirror.sync()
    assert mirror.published() == everything(WORLD)


def test_a_resolved_mirror_stops_in_good_order_too(serve: ServeWorld, mirror: Mirror) -> None:
    """Nothing is published before everything is there; what was fetched is held."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"}, max_bytes="1 B")
    report = mirror.sync()
    assert (report["outcome"], report["fetched_files"]) == ("stopped", 1)
    assert "1 of 2 files are left" in report["warnings"][0]
    assert not (mirror.tree / "simple").exists()
    server.forget_requests()
    assert mirror.sync()["outcome"] == "done"
    assert len(server.asked("/packages/*.whl")) == 1
    assert sorted(mirror.published()) == ["app", "lib"]


def test_an_upstream_that_is_lost_on_the_way_ends_the_run(serve: ServeWorld, mirror: Mirror) -> None:
    """A hundred failures in a row: not every project is put on the to-do because the upstream has gone."""
    server = serve(World.of(*(project(f"p{number:03}", "1.0") for number in range(150))))
    server.misbehave("/simple/p*/", faults.status(503))
    mirror.configure(server.url, **ALL)
    error = mirror.refuses(status=6)
    assert error["code"] == "upstream-unavailable"
    with sqlite3.connect(mirror.store / "catalog.sqlite") as catalog:
        (waiting,) = catalog.execute("SELECT count(*) FROM todo").fetchone()
        assert waiting < 150
        catalog.execute("UPDATE todo SET next_at = 0")
    server.behave()
    assert mirror.sync()["fetched_files"] == 150


def test_what_was_chosen_as_a_whole_is_walked_through_once(serve: ServeWorld, mirror: Mirror) -> None:
    """Nothing of it remains that was said of the whole, and then nothing is looked at any more."""
    server = serve(WORLD)
    named = dict.fromkeys([*WORLD.names, "nothing-here"], "latest")
    mirror.configure(server.url, packages=named, dependencies={"follow": False})
    mirror.sync("--keep-going", status=1)
    before = files_below(mirror.tree)
    mirror.configure(server.url, **ALL)
    report = mirror.sync()
    assert (report["problems"], report["fetched_files"]) == ([], 0)
    assert files_below(mirror.tree) == before
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert not server.asked("/simple/*/")
