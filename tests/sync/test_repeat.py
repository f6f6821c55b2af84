"""A second sync with nothing new upstream downloads nothing and writes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, files_below, pypim, report_of, stamps_below
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project("app", "1.0", requires=["lib", "src"]),
    project("lib", "1.0", "2.0"),
    project("src", release("1.0", sdist())),
)


@pytest.mark.parametrize(
    "options",
    [{}, {"etags": False, "last_modified": True}, {"format": "html_only", "json_api": False}, {"format": "json_1_0"}],
    ids=lambda options: " ".join(options) or "usual",
)
def test_a_second_sync_asks_only_whether_it_is_still_so(serve: ServeWorld, tmp_path: Path, options: Document) -> None:
    """Every request of it is conditional and answered 304; no file of the tree is touched."""
    server = serve(WORLD, **options)
    target = tmp_path / "mirror"
    pypim("sync", "app", "--to", target, "--upstream", server.url, *LINUX_OPTIONS).expect()
    before = stamps_below(target)
    server.forget_requests()
    report = report_of(pypim("sync", "--to", target, "--json").expect())
    assert report["outcome"] == "unchanged"
    assert (report["fetched_files"], report["fetched_bytes"], report["pages_written"]) == (0, 0, 0)
    assert stamps_below(target) == before
    assert {request.status for request in server.requests} == {304}
    assert not server.asked("*/packages/*")
    again = pypim("sync", "--to", target).expect()
    assert "nothing new" in again.stdout


def test_without_validators_the_pages_are_asked_for_again_and_nothing_else(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD, etags=False)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    before = stamps_below(mirror.tree)
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert sorted(request.path for request in server.requests) == ["/simple/app/", "/simple/lib/", "/simple/src/"]
    assert stamps_below(mirror.tree) == before


def test_what_is_new_upstream_is_all_that_is_fetched_and_written(serve: ServeWorld, mirror: Mirror) -> None:
    """Only the new file comes, and only the page that it is on is written; the list of projects stays."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest", "lib": "2 latest"})
    mirror.sync()
    before = stamps_below(mirror.tree)
    server.world = server.world.releasing("lib", release("3.0"))
    server.forget_requests()
    report = mirror.sync()
    assert report["outcome"] == "done"
    assert report["fetched_files"] == 1
    assert [request.path.rpartition("/")[2] for request in server.asked("/packages/*.whl")] == [
        "lib-3.0-py3-none-any.whl"
    ]
    changed = {path for path, stamp in stamps_below(mirror.tree).items() if before.get(path) != stamp}
    pages = {path for path in changed if path.startswith("simple/") and "." in path.rpartition("/")[2]}
    assert pages == {"simple/lib/index.html", "simple/lib/index.v1_json"}
    # lib 1.0 is no longer one of the two newest.
    assert mirror.published()["lib"] == ["lib-2.0-py3-none-any.whl", "lib-3.0-py3-none-any.whl"]


def test_a_new_root_fetches_nothing_that_is_held(serve: ServeWorld, mirror: Mirror) -> None:
    """What one root brought is there for the next one."""
    server = serve(WORLD.having(project("other", "1.0", requires=["lib"])))
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.forget_requests()
    mirror.configure(server.url, packages={"app": "latest", "other": "latest"})
    mirror.sync()
    assert {request.path.rpartition("/")[2] for request in server.asked("/packages/*")} == {
        "other-1.0-py3-none-any.whl",
        "other-1.0-py3-none-any.whl.metadata",
    }


def test_two_syncs_from_scratch_write_the_same_bytes(serve: ServeWorld, tmp_path: Path) -> None:
    """The order of answers leaves no trace."""
    server = serve(WORLD)
    trees = []
    for name in ("one", "two"):
        mirror = Mirror(tmp_path / name).configure(server.url, packages={"app": "latest"})
        mirror.sync()
        trees.append(files_below(mirror.tree))
    assert trees[0] == trees[1]


def test_a_tree_that_was_deleted_is_written_again(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    shutil.rmtree(mirror.tree)
    mirror.sync()
    assert files_below(mirror.tree) == before


def test_a_tree_is_written_where_the_configuration_now_says(serve: ServeWorld, mirror: Mirror) -> None:
    """`publish` may be changed, or given later."""
    url = serve(WORLD).url
    mirror.configure(url, packages={"app": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    mirror.configure(url, packages={"app": "latest"}, publish="elsewhere")
    mirror.sync()
    assert files_below(mirror.folder / "elsewhere") == before


def test_with_a_pattern_only_the_list_is_asked_for_while_serials_stay(serve: ServeWorld, mirror: Mirror) -> None:
    """What changes any project that was looked at, or the configuration, is noticed all the same."""
    server = serve(WORLD.having(project("zope-a", "1.0", requires=["lib"])))
    mirror.configure(server.url, packages={"app": "latest"}, patterns={"zope-.*": "latest"})
    mirror.sync()
    mirror.sync()  # finds out that there is no changelog
    before = stamps_below(mirror.tree)
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert [(request.path, request.status) for request in server.requests] == [("/simple/", 304)]
    assert stamps_below(mirror.tree) == before
    server.world = server.world.having(project("zope-b", "1.0"))
    mirror.sync()
    assert "zope-b" in mirror.published()
    server.world = server.world.releasing("lib", release("2.1"))
    mirror.sync()
    assert mirror.published()["lib"] == ["lib-2.1-py3-none-any.whl"]
    (mirror.folder / "more.txt").write_text("lib==1.0\n")
    mirror.configure(server.url, packages={"app": "latest"}, patterns={"zope-.*": "latest"}, requirements=["more.txt"])
    mirror.sync()
    assert mirror.published()["lib"] == ["lib-1.0-py3-none-any.whl", "lib-2.1-py3-none-any.whl"]
    (mirror.folder / "more.txt").write_text("-c limits.txt\n")
    (mirror.folder / "limits.txt").write_text("lib<2\n")
    mirror.sync()
    assert mirror.published()["lib"] == ["lib-1.0-py3-none-any.whl"]


def test_the_short_way_tells_what_the_long_one_would(serve: ServeWorld, mirror: Mirror) -> None:
    """Which releases stay, why, and what is to be known of them: no script may take a quick run for an empty mirror."""
    world = WORLD.having(
        project("zope-a", release("1.0", sdist(metadata_version="2.1"), requires=["lib[nothing]"])),
        project("zope-win", release("1.0", wheel("cp312-cp312-win_amd64"))),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"app": "latest"}, patterns={"zope-.*": "latest"})
    mirror.sync()
    mirror.sync()  # finds out that there is no changelog
    full = mirror.plan()
    server.forget_requests()
    short = mirror.sync()
    assert [request.path for request in server.requests] == ["/simple/"], "this was the short way"
    assert short["outcome"] == "unchanged"
    assert short["plan"] == full["plan"]
    assert short["problems"] == full["problems"] != []
    assert short["warnings"] == full["warnings"] != []


def test_metadata_that_was_learned_is_not_asked_for_again(serve: ServeWorld, mirror: Mirror) -> None:
    """`metadata` leaves what it learned in the catalog, and the next sync uses it."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    document = mirror.run("metadata", "--json").expect().document
    assert document["indexes"][0]["projects"] == 3
    assert not server.asked("/packages/*.whl")
    server.forget_requests()
    mirror.sync()
    assert not server.asked("*.metadata")
    assert {request.status for request in server.asked("/simple/*")} == {304}
