"""A run of a mirror project by project that ends while a file is on its way: nothing is taken for done that is not."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.clients.clients import clean_environ
from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below, wheels
from tests.worlds import faults
from tests.worlds.world import World, project, release

ALL: Document = {"patterns": {".*": "latest"}, "dependencies": {"follow": False}}
NAMED = ["a-big", *(f"a{number:03}" for number in range(70))]
"""More than are published together, so that the large file holds up none of the walk."""
OTHERS = [f"p{number:03}" for number in range(30)]
MANY = World.of(*(project(name, "1.0") for name in (*NAMED, *OTHERS)))
FEW = World.of(project("app", "1.0"), project("lib", "1.0"), project("other", "1.0"))
_PATIENCE_S = 60.0
_SETTLED_S = 0.3


def started(mirror: Mirror, *arguments: str) -> subprocess.Popen[bytes]:
    """A sync as its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "pypim", "-q", "-c", str(mirror.config), "sync", *arguments],
        env=clean_environ(str(mirror.folder)),
        cwd=mirror.folder,
    )


def wait_for(claim: Callable[[], bool]) -> None:
    """Until it holds."""
    ends_at = time.monotonic() + _PATIENCE_S
    while not claim():
        assert time.monotonic() < ends_at
        time.sleep(0.05)


@pytest.mark.parametrize("end", ["kill", pytest.param("max-time", marks=pytest.mark.slow)])
def test_a_walk_goes_past_no_named_project_that_is_under_way(serve: ServeWorld, mirror: Mirror, end: str) -> None:
    """A run that is killed costs no more than the projects that were under way."""
    server, gate = serve(MANY), threading.Event()
    server.misbehave("/packages/*/a_big-1.0*", faults.hold(gate))
    mirror.configure(server.url, **ALL, packages=dict.fromkeys(NAMED, "*"))
    with started(mirror, *(["--max-time", "3 seconds"] if end == "max-time" else [])) as process:
        try:
            last = mirror.tree / "simple" / OTHERS[-1] / "index.v1_json"
            wait_for(last.exists)
            if end == "kill":
                time.sleep(_SETTLED_S)  # so that the walk has been remembered, wherever it is
                process.kill()
            process.wait(_PATIENCE_S)
        finally:
            process.kill()
            gate.set()
    server.behave()
    (found,) = mirror.run("status", "--completeness", "--json").expect(1).document["completeness"]
    assert not found["is_complete"]
    assert found["unseen_projects"] >= 1
    assert mirror.sync()["outcome"] == "done"
    assert sorted(mirror.published()) == sorted([*NAMED, *OTHERS])
    (found,) = mirror.run("status", "--completeness", "--json").expect().document["completeness"]
    assert found["is_complete"]
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert not server.asked("/simple/*/")


def test_a_walk_goes_past_no_named_project_that_the_limits_left(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(MANY)
    mirror.configure(server.url, **ALL, packages={"p000": "*", "a-big": "*"})
    for _ in range(3):
        assert mirror.sync("--max-bytes", "1 B")["outcome"] == "stopped"
        (found,) = mirror.run("status", "--completeness", "--json").expect(1).document["completeness"]
        assert found["unseen_projects"] + found["projects"] >= len(MANY.names)
    assert mirror.sync()["outcome"] == "done"
    assert sorted(mirror.published()) == sorted(MANY.names)


def test_what_the_to_do_had_is_not_lost_once_its_page_is_read(serve: ServeWorld, mirror: Mirror) -> None:
    """The page is there again, and the run is killed before its file has come."""
    server, gate = serve(FEW), threading.Event()
    mirror.configure(server.url, **ALL)
    mirror.sync()
    server.world = server.world.releasing("lib", release("2.0"))
    server.misbehave("/simple/lib/", faults.status(404))
    mirror.sync(status=1)
    assert mirror.sync(status=1)["fetched_files"] == 0
    server.behave()
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        assert catalog.execute("SELECT project, code FROM todo").fetchall() == [("lib", "unconfirmed-absence")]
        catalog.execute("UPDATE todo SET next_at = 0")
    server.misbehave("/packages/*/lib-2.0*.whl", faults.hold(gate))
    server.forget_requests()
    with started(mirror) as process:
        try:
            wait_for(lambda: bool(server.asked("/packages/*/lib-2.0*.whl")))
        finally:
            process.kill()
            gate.set()
    server.behave()
    assert mirror.sync()["fetched_files"] == 1
    assert mirror.published()["lib"] == wheels("lib 2.0")
    server.forget_requests()
    assert mirror.sync()["outcome"] == "unchanged"
    assert not server.asked("/simple/*/")


def test_files_are_reclaimed_when_the_catalog_was_lost(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(FEW)
    mirror.configure(server.url, **ALL)
    mirror.sync()
    before = files_below(mirror.tree)
    for path in mirror.store.glob("catalog.sqlite*"):
        path.unlink()
    server.forget_requests()
    report = mirror.sync()
    assert report["fetched_files"] == 0
    assert not server.asked("/packages/*.whl"), "no file is downloaded again"
    assert files_below(mirror.tree) == before
    (found,) = mirror.run("status", "--completeness", "--json").expect().document["completeness"]
    assert found["is_complete"]
    mirror.run("verify").expect()
    mirror.run("doctor", "--offline").expect()
