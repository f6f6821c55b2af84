"""A mirror of everything while its upstream is not to be believed: nothing is lost by it, and everything settles."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, wheels
from tests.worlds import faults
from tests.worlds.pages import JSON_TYPE
from tests.worlds.world import World, project, release

WORLD = World.of(*(project(f"p{number}", "1.0") for number in range(6)))
ALL: Document = {"patterns": {".*": "*"}, "dependencies": {"follow": False}, "on_removal": "prune"}
SOON: Document = {"removal-time": "2 seconds", "follow": "json"}


def todo_of(mirror: Mirror) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog:
        return catalog.execute("SELECT project, code FROM todo ORDER BY project").fetchall()


def complete(mirror: Mirror, status: int = 0) -> Document:
    (found,) = mirror.run("status", "--completeness", "--json").expect(status).document["completeness"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("spoilt", ["/simple/p3/", "/simple/p?/"])
def test_what_the_list_names_is_never_gone_because_of_its_page(serve: ServeWorld, mirror: Mirror, spoilt: str) -> None:
    """One 404, or 404 of all pages once: the list names them all the time, and the mirror recovers by itself."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **ALL)
    mirror.sync()
    server.world = server.world.releasing("p3", release("1.0"), release("2.0"))
    mirror.run("update").expect()
    server.misbehave(spoilt, faults.status(404))
    mirror.sync(status=1)
    assert todo_of(mirror) == [("p3", "unconfirmed-absence")]
    found = complete(mirror, 1)
    assert (found["unseen_projects"], [one["project"] for one in found["missing"]]) == (0, ["p3"])
    server.behave()
    for _ in range(3):
        with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
            catalog.execute("UPDATE listed SET missing_since = 1 WHERE missing_since IS NOT NULL")
        mirror.run("update").expect()
    report = mirror.sync()
    assert report["deleted_files"] == 0
    assert mirror.published()["p3"] == wheels("p3 1.0", "p3 2.0")
    assert len(mirror.published()) == 6
    assert todo_of(mirror) == []
    assert complete(mirror)["is_complete"]


def test_what_waited_is_settled_once_its_project_is_removed(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **ALL)
    mirror.sync()
    server.world = server.world.releasing("p3", release("1.0"), release("2.0"))
    mirror.run("update").expect()
    server.misbehave("/simple/p3/", faults.status(404))
    mirror.sync(status=1)
    server.world = server.world.without("p3").releasing("p4", release("1.0"), release("2.0"))
    mirror.run("update", "--accept-removals").expect()
    assert mirror.sync()["faults"] == []
    assert "p3" not in mirror.published()
    assert todo_of(mirror) == []


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("code", ["stale-page", "unconfirmed-absence", "upstream-unavailable"])
def test_what_waited_is_settled_once_nothing_asks_for_it(
    serve: ServeWorld, mirror: Mirror, code: str, *, follow: bool
) -> None:
    server = serve(WORLD, serials=True)
    everything = {**ALL, "dependencies": {"follow": follow}}
    mirror.configure(server.url, upstream=SOON, **everything)
    mirror.sync()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(
            "INSERT INTO todo (index_name, project, code, error, attempts, first_at, tried_at, next_at,"
            " is_accepted) VALUES ('main', 'p3', ?, 'x', 1, 1, 1, 1e11, 0)",
            (code,),
        )
    mirror.configure(server.url, upstream=SOON, **{**everything, "patterns": {"p[0-2]": "*"}})
    assert mirror.sync()["faults"] == []
    assert todo_of(mirror) == []


def test_the_clock_may_jump_without_leaving_anything_to_wait_for_years(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **ALL)
    server.misbehave("/simple/p3/", faults.status(500))
    mirror.sync(status=1)
    server.behave()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE todo SET tried_at = 1e11, next_at = 1e11 + 900")
    assert mirror.sync()["outcome"] == "done"
    assert todo_of(mirror) == []


def test_an_old_page_that_was_accepted_is_no_lack(serve: ServeWorld, mirror: Mirror) -> None:
    """It is taken as it is, with a flag, until its project changes again."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **ALL)
    mirror.sync()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(
            "INSERT INTO todo (index_name, project, code, error, attempts, first_at, tried_at, next_at, is_accepted)"
            " VALUES ('main', 'p3', 'stale-page', 'x', 1, 1, 1, 1, 1)"
        )
    assert complete(mirror)["missing"] == []
    mirror.sync()


def test_an_old_page_that_was_accepted_is_followed_by_the_new_one_without_a_change(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """A cache between that catches up after days says so to nobody: the mirror asks again by itself."""
    server = serve(WORLD, serials=True)
    impatient = {**SOON, "stale-after": "0 seconds"}
    mirror.configure(server.url, upstream=impatient, **ALL)
    mirror.sync()
    with urlopen(Request(f"{server.url}p3/", headers={"Accept": JSON_TYPE})) as answer:
        old_copy, old_tag = faults.instead(answer.read(), JSON_TYPE), faults.changed_headers(etag='"old"')
    server.world = server.world.releasing("p3", release("1.0"), release("2.0"))
    server.misbehave("/simple/p3/", lambda response: old_tag(old_copy(response)))
    mirror.sync()
    assert mirror.published()["p3"] == wheels("p3 1.0")
    assert complete(mirror)["missing"] == []
    server.behave()
    mirror.sync()
    assert mirror.published()["p3"] == wheels("p3 1.0"), "it is asked for again a day later"
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        assert catalog.execute("UPDATE todo SET next_at = 1").rowcount == 1
    mirror.sync()
    assert mirror.published()["p3"] == wheels("p3 1.0", "p3 2.0")
    assert todo_of(mirror) == []


@pytest.mark.parametrize("follow", [True, False])
def test_what_is_gone_by_its_page_alone_is_asked_for_again(serve: ServeWorld, mirror: Mirror, *, follow: bool) -> None:
    """A changelog that did not tell that it went does not tell that it is back, and the list is not read any more."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **{**ALL, "dependencies": {"follow": follow}})
    mirror.run("update").expect()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE listed SET is_gone = 1, missing_since = 1, misses = 3 WHERE name = 'p3'")
        catalog.execute(
            "INSERT INTO todo (index_name, project, code, error, attempts, first_at, tried_at, next_at, is_accepted)"
            " VALUES ('main', 'p3', 'unconfirmed-absence', 'x', 3, 1, 1, 1e11, 1)"
        )
    mirror.sync()
    assert "p3" not in mirror.published()
    assert not server.asked("/simple/p3/")
    assert complete(mirror)["is_complete"]
    assert "taken as it is" in mirror.run("status").expect().stdout
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        assert catalog.execute("UPDATE todo SET next_at = 1").rowcount == 1
    mirror.sync()
    assert mirror.published()["p3"] == wheels("p3 1.0")
    assert todo_of(mirror) == []


def test_what_is_asked_for_by_name_and_was_removed_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    """As by a mirror that begins now: nothing that cannot be had is passed over in silence."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **ALL, packages={"p3": "*"})
    mirror.sync()
    server.world = server.world.without("p3")
    mirror.run("update", "--accept-removals").expect()
    for _ in range(2):
        report = mirror.sync(status=1)
        assert [problem["project"] for problem in report["problems"]] == ["p3"]
        assert "p3" not in mirror.published()
        assert [one["project"] for one in complete(mirror, 1)["missing"]] == ["p3"]
    server.world = server.world.having(project("p3", "2.0"))
    assert mirror.sync()["problems"] == []
    assert mirror.published()["p3"] == wheels("p3 2.0")


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("is_rebuilt", [True, False])
def test_what_was_removed_while_the_catalog_was_lost_leaves_the_tree(
    serve: ServeWorld, mirror: Mirror, *, is_rebuilt: bool, follow: bool
) -> None:
    """No record tells of its page, and a prune deletes the files that it names; what only fails stays as it is."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **{**ALL, "dependencies": {"follow": follow}})
    mirror.sync()
    (mirror.store / "catalog.sqlite").unlink()
    if is_rebuilt:
        mirror.run("doctor", "--rebuild").expect()
    server.world = server.world.without("p3")
    if not follow:
        server.misbehave("/simple/p4/", faults.status(500))
    mirror.sync(status=0 if follow else 1)
    assert sorted(mirror.tree.glob("simple/p3/*")) == []
    assert len(list(mirror.tree.glob("simple/p4/*"))) == 2
    server.behave()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE todo SET next_at = 1")
    mirror.sync()
    assert sorted(mirror.published()) == ["p0", "p1", "p2", "p4", "p5"]


@pytest.mark.parametrize("follow", [True, False])
def test_a_new_project_whose_page_is_not_there_yet_is_not_forgotten(
    serve: ServeWorld, mirror: Mirror, *, follow: bool
) -> None:
    """A cache that was asked too early says so for a while, and no change of the project will tell that it is over."""
    server = serve(WORLD, serials=True)
    mirror.configure(server.url, upstream=SOON, **{**ALL, "dependencies": {"follow": follow}})
    mirror.sync()
    server.world = server.world.having(project("p9", "1.0"))
    server.misbehave("/simple/p9/", faults.status(404))
    mirror.sync(status=0 if follow else 1)
    assert todo_of(mirror) == [("p9", "unconfirmed-absence")]
    (missing,) = complete(mirror, 1)["missing"]
    assert (missing["project"], missing["reason"]) == ("p9", "p9: it is listed, and its page is not there (404)")
    server.behave()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE todo SET next_at = 1")
    mirror.sync()
    assert mirror.published()["p9"] == wheels("p9 1.0")
    assert todo_of(mirror) == []


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("format_", ["json", "html_only"])
def test_pages_tell_what_has_changed_where_a_list_has_names_alone(
    serve: ServeWorld, mirror: Mirror, format_: str, *, follow: bool
) -> None:
    """As PEP 691 has it: serials are the warehouse's own. Where nothing tells of a change, there may be one."""
    server = serve(WORLD, serials=False, **({} if format_ == "json" else {"format": format_}))
    mirror.configure(server.url, **{**ALL, "dependencies": {"follow": follow}})
    mirror.sync()
    server.world = server.world.releasing("p3", release("1.0"), release("2.0"))
    mirror.sync()
    assert mirror.published()["p3"] == wheels("p3 1.0", "p3 2.0")
    assert mirror.sync()["outcome"] == "unchanged"


@pytest.mark.parametrize("follow", [True, False])
def test_a_mirror_of_a_published_tree_follows_it(serve: ServeWorld, tmp_path: Path, *, follow: bool) -> None:
    """Every serial in a tree of files is 1, and stays so."""
    server, first, second = serve(WORLD, serials=True), Mirror(tmp_path / "first"), Mirror(tmp_path / "second")
    for one, url in ((first, server.url), (second, f"{first.tree.as_uri()}/simple/")):
        one.folder.mkdir()
        one.configure(url, **{**ALL, "dependencies": {"follow": follow}})
        one.sync()
    server.world = server.world.releasing("p3", release("1.0"), release("2.0"))
    first.sync()
    second.sync()
    assert second.published() == first.published()
    assert second.published()["p3"] == wheels("p3 1.0", "p3 2.0")
    assert second.sync()["outcome"] == "unchanged"


@pytest.mark.parametrize("asked", [ALL, {"packages": {"p1": "latest"}}])
def test_what_was_never_synced_is_not_complete(serve: ServeWorld, mirror: Mirror, asked: Document) -> None:
    """Nothing is known of it: unknown is not complete."""
    server = serve(WORLD)
    server.misbehave("*", faults.status(500))
    mirror.configure(server.url, upstream=SOON, **asked)
    mirror.run("sync").expect(6)
    found = complete(mirror, 1)
    assert (found["is_complete"], found["is_chosen"], found["files"]) == (False, False, 0)
    assert "no sync has chosen yet" in mirror.run("status", "--completeness").expect(1).stdout
    server.behave()
    mirror.sync()
    assert complete(mirror)["is_chosen"]


def test_sizes_that_nobody_says_are_those_that_are_held(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, format="html_only", json_api=False)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    found = complete(mirror)
    assert found["file_bytes"] == found["held_bytes"] > 0


def test_what_wheels_say_is_known_and_excludes_their_dependents(serve: ServeWorld, mirror: Mirror) -> None:
    """Also where the upstream offers no core metadata, and nobody has asked for any."""
    world = World.of(
        project("bad", "1.0", "80.0"),
        project("one", "1.0", requires=["bad>=80"]),
        project("two", "1.0", requires=["one", "bad<2"]),
        project("other", "1.0"),
    )
    server = serve(
        world, format="html_only", json_api=False, serve_metadata=False, advertise_metadata=False, ranges=False
    )
    mirror.configure(server.url, **ALL)
    mirror.sync()
    document = mirror.run("list", "--requires", "bad", "--json").expect().document
    assert {one["project"] for one in document["requirements"]} == {"one", "two"}
    filters = {"exclude": ["bad"], "exclude_dependents": True}
    mirror.configure(server.url, **ALL, filters=filters)
    mirror.sync()
    assert list(mirror.published()) == ["other"]
    server.world = world.having(project("three", "1.0", requires=["two"]))
    report = mirror.run("sync").expect()
    assert "three: let in, for nothing was known" in report.stderr
    assert "pypim metadata" in report.stderr
    mirror.sync()
    assert list(mirror.published()) == ["other"]


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("name", ["index.v1_json", "index.html"])
def test_damage_of_the_list_of_projects_is_found_and_repaired(
    serve: ServeWorld, mirror: Mirror, name: str, *, follow: bool
) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, patterns={"p.*": "*"}, dependencies={"follow": follow})
    mirror.sync()
    mirror.run("verify").expect()
    path = mirror.tree / "simple" / name
    right = path.read_bytes()
    path.write_bytes(b"{")
    assert "the list of projects is not as it was published" in mirror.run("verify").expect(7).stdout
    mirror.run("verify", "--repair").expect()
    assert path.read_bytes() == right
    mirror.run("verify").expect()
    path.unlink()
    mirror.sync()
    assert path.read_bytes() == right
    assert mirror.sync()["outcome"] == "unchanged"
    mirror.run("verify").expect()


def test_an_upstream_with_other_projects_does_not_take_all_of_them_away(serve: ServeWorld, mirror: Mirror) -> None:
    """Its URL was changed: that is a mass deletion like any other, until somebody says that it is right."""
    mirror.configure(serve(WORLD).url, upstream=SOON, **ALL)
    mirror.sync()
    before = mirror.published()
    other = serve(World.of(*(project(f"q{number}", "1.0") for number in range(9))))
    mirror.configure(other.url, upstream=SOON, **ALL)
    for _ in range(2):
        assert mirror.refuses(status=4)["code"] == "mass-removal"
        assert mirror.published() == before
        assert not complete(mirror, 1)["is_complete"]
    mirror.run("update", "--accept-removals").expect()
    mirror.sync()
    assert sorted(mirror.published()) == [f"q{number}" for number in range(9)]


def test_what_was_learned_is_told_also_where_some_of_it_failed(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    server.misbehave("/simple/p3/", faults.status(404))
    server.misbehave("/simple/p4/", faults.status(500))
    mirror.configure(server.url, **ALL)
    outcome = mirror.run("metadata", "--all").expect(6)
    assert "world: 4 projects learned with 4 files" in outcome.stderr
