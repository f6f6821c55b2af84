"""`--offline` asks nobody; a plan believes the upstream's word of how long a page is good, and is remembered."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.sync.mirror import LINUX_OPTIONS, Mirror, added, pypim, report_of, wheels
from tests.worlds import faults
from tests.worlds.world import World, project, release

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.worlds.server import WorldServer

WORLD = World.of(
    project("app", "1.0", release("2.0", requires=["lib"])), project("lib", "1.0"), project("other", "1.0")
)


def serve_fresh(serve: ServeWorld, cache_control: str | None = "max-age=600") -> WorldServer:
    server = serve(WORLD)
    server.misbehave("/simple/*", faults.changed_headers(cache_control=cache_control))
    return server


def plans(mirror: Mirror) -> list[tuple[Any, ...]]:
    """What the catalog remembers."""
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog:
        return catalog.execute("SELECT index_name, fresh_until > 0 FROM plans").fetchall()


# --- offline --------------------------------------------------------------------------------------------------------
def test_an_offline_plan_is_made_of_what_is_known(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.run("metadata").expect()
    server.forget_requests()
    assert added(mirror.plan("--offline")) == wheels("app 2.0", "lib 1.0")
    assert not server.requests


def test_what_is_not_known_is_named_and_how_to_learn_it(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.run("metadata").expect()
    mirror.configure(server.url, packages={"app": "latest", "other": "latest"})
    server.forget_requests()
    error = mirror.run("plan", "--offline", "--json").expect(6).error
    assert "/simple/other/" in error["message"]
    assert "--offline" in error["message"]
    assert "without --offline" in error["hint"]
    assert not server.requests


def test_offline_it_is_known_what_the_upstream_does_not_have(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest", "no-such-project": "latest"})
    mirror.run("metadata", "--keep-going").expect(1)
    server.forget_requests()
    report = mirror.plan("--offline", "--keep-going", status=1)
    assert [problem["kind"] for problem in report["problems"]] == ["missing"]
    assert report["faults"] == []
    assert not server.requests


def test_a_project_that_comes_after_all_is_found(serve: ServeWorld, mirror: Mirror) -> None:
    """That there was none is believed offline only, or for as long as the upstream said."""
    server = serve(World.of(project("app", "1.0")))
    mirror.configure(server.url, packages={"app": "latest", "lib": "latest"})
    mirror.sync("--keep-going", status=1)
    mirror.sync("--keep-going", status=1)
    server.world = WORLD
    mirror.sync()
    assert mirror.published().keys() == {"app", "lib"}


def test_an_offline_sync_publishes_what_is_held_already(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest", "other": "latest"})
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"})
    server.forget_requests()
    mirror.sync("--offline")
    assert mirror.published().keys() == {"app", "lib"}
    mirror.configure(server.url, packages={"app": ["latest", "1.0"]})
    mirror.run("metadata").expect()
    server.forget_requests()
    assert "app-1.0" in mirror.refuses("--offline", status=6)["message"]
    assert not server.requests


def test_offline_prove_and_why_not_ask_nobody(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.forget_requests()
    mirror.run("prove", "--offline").expect()
    mirror.run("why-not", "app==1.0", "--offline").expect()
    assert not server.requests


def test_a_folder_of_this_machine_is_nobody(tmp_path: Path, serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    options = ("--to", tmp_path / "copy", "--upstream", mirror.url, *LINUX_OPTIONS, "--json")
    outcome = pypim("plan", "app", "--offline", *options).expect()
    assert added(report_of(outcome)) == wheels("app 2.0", "lib 1.0")


# --- freshness ------------------------------------------------------------------------------------------------------
def test_a_plan_does_not_ask_for_what_is_fresh(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve_fresh(serve)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.forget_requests()
    mirror.plan()
    mirror.run("sync", "--dry-run").expect()
    assert not server.requests
    mirror.run("why-not", "app==1.0").expect()
    assert not server.asked("/simple/*")


def test_a_sync_always_asks(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve_fresh(serve)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.world = server.world.releasing("lib", release("1.1"))
    mirror.sync()
    assert mirror.published()["lib"] == ["lib-1.1-py3-none-any.whl"]


@pytest.mark.parametrize("cache_control", ["max-age=0", "max-age=600, no-cache", "no-store", None])
def test_a_plan_asks_for_what_is_not_fresh(serve: ServeWorld, mirror: Mirror, cache_control: str | None) -> None:
    server = serve_fresh(serve, cache_control)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    server.world = server.world.releasing("lib", release("1.1"))
    assert added(mirror.plan()) == wheels("lib 1.1")


# --- memory ---------------------------------------------------------------------------------------------------------
def test_a_plan_that_would_be_the_same_is_not_made_again(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve_fresh(serve).url, packages={"app": "latest"})
    mirror.run("metadata").expect()
    first = mirror.run("plan")
    assert plans(mirror) == [("main", 1)]
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite", isolation_level=None)) as catalog:
        # Had the second one looked at these, it could not be the same.
        catalog.executescript("DROP TRIGGER metadata_replaced; UPDATE metadata SET decoded = '{}'")
    assert mirror.run("plan").stdout == first.stdout
    assert mirror.run("plan", "--offline").stdout == first.stdout


def test_it_is_made_again_when_anything_has_changed(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve_fresh(serve)
    file = mirror.folder / "more.txt"
    mirror.configure(server.url, packages={"app": "latest"}, requirements=["more.txt"])
    file.write_text("lib\n")
    mirror.run("metadata").expect()
    assert added(mirror.plan()) == wheels("app 2.0", "lib 1.0")
    file.write_text("other\n")
    assert added(mirror.plan()) == wheels("app 2.0", "lib 1.0", "other 1.0")
    mirror.configure(server.url, packages={"app": "1.0"}, requirements=["more.txt"])
    mirror.run("metadata").expect()
    assert added(mirror.plan()) == wheels("app 1.0", "other 1.0")
    mirror.sync()
    assert added(mirror.plan()) == []
    file.unlink()
    mirror.run("plan").expect(2)


def test_variables_in_a_file_are_never_taken_from_memory(
    serve: ServeWorld, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.configure(serve_fresh(serve).url, requirements=["more.txt"])
    (mirror.folder / "more.txt").write_text("app==${WANTED}\n")
    for version in ("1.0", "2.0"):
        monkeypatch.setenv("WANTED", version)
        mirror.run("metadata").expect()
        assert f"app-{version}-py3-none-any.whl" in added(mirror.plan())
    assert plans(mirror) == []


def test_a_plan_with_an_age_is_made_every_time(serve: ServeWorld, mirror: Mirror) -> None:
    """`filters.min-age` makes the answer depend on the day."""
    mirror.configure(serve_fresh(serve).url, packages={"app": "latest"}, filters={"min-age": "1 day"})
    mirror.run("metadata").expect()
    mirror.plan()
    assert plans(mirror) == []


def test_what_is_not_fresh_is_remembered_for_offline_only(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve_fresh(serve, None)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.run("metadata").expect()
    mirror.plan("--offline")
    assert plans(mirror) == [("main", 0)]
    server.forget_requests()
    mirror.plan()
    assert server.requests


def test_no_store_is_made_to_remember_a_plan(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve_fresh(serve).url, packages={"app": "latest"})
    mirror.plan()
    assert not mirror.store.exists()
