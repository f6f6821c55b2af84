"""A clock that jumps, by years, forwards and back: nothing is believed for years, nobody is locked out, all stands."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pypim.core.access_errors import TooManyAttempts
from pypim.core.freshness import Limits, Trust
from pypim.core.records import KeptPlan
from pypim.store.epochs import LocalEpochs
from pypim.store.lock import StoreLock
from pypim.sync.recall import recall
from pypim.web.failures import Failures
from tests.conftest import ServeWorld
from tests.index.proxies import APP, Home
from tests.sync.mirror import Mirror, wheels
from tests.sync.test_removal import DROPPED, MovableClock, names_below, shrink, sync_at
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release

DECADE = timedelta(days=3650)
WORLD = World.of(project("app", release("1.0"), release("2.0")))


def set_back(home: Home, span: timedelta) -> None:
    home.clock.pass_by(-span.total_seconds())


async def test_a_proxy_asks_again_after_the_clock_was_set_back(serve: ServeWorld, tmp_path: Path) -> None:
    """Neither what it has in memory nor what is on the disk is fresh until that time comes again."""
    server = serve(WORLD)
    home = Home(tmp_path / "proxy")
    home.clock.pass_by(DECADE.total_seconds())
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
        assert len(server.asked("/simple/app/")) == 1
        set_back(home, DECADE)
        server.world = server.world.releasing("app", release("3.0"))
        page = await proxy.project(APP)
        assert len(page.files) == 3
        assert len(server.asked("/simple/app/")) == 2
        await proxy.project(APP)
        assert len(server.asked("/simple/app/")) == 2, "what was asked for now is fresh now"
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
        assert len(server.asked("/simple/app/")) == 2


async def test_a_proxy_asks_again_when_the_clock_has_jumped_ahead_and_serves_what_it_has(
    serve: ServeWorld, tmp_path: Path
) -> None:
    server = serve(WORLD)
    home = Home(tmp_path / "proxy")
    async with home.open(server.url, limits=Limits(stale_if_error=1e12)) as proxy:
        await proxy.project(APP)
        home.clock.pass_by(DECADE.total_seconds())
        server.misbehave("*", faults.status(503))
        assert len((await proxy.project(APP)).files) == 2
        set_back(home, DECADE)
        server.behave()
        assert len((await proxy.project(APP)).files) == 2


def test_what_waits_for_its_removal_waits_from_now_on_after_the_clock_was_set_back(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """Noted in ten years, deleted in ten years and a month: a note of the future begins anew."""
    shrink(mirror, serve, "prune-after 30 days")
    clock = MovableClock()
    clock.moment += DECADE
    sync_at(mirror, clock)
    clock.moment -= DECADE
    assert sync_at(mirror, clock).deleted_files == 0
    clock.moment += timedelta(days=29)
    assert sync_at(mirror, clock).deleted_files == 0
    clock.moment += timedelta(days=2)
    assert sync_at(mirror, clock).deleted_files == 2
    assert not set(DROPPED) & set(names_below(mirror.store))
    mirror.run("verify").expect()


def test_what_is_listed_stays_whatever_the_clock_says(serve: ServeWorld, mirror: Mirror) -> None:
    """A jump ahead ends the wait of what no index lists; what is listed has none."""
    shrink(mirror, serve, "prune-after 30 days")
    clock = MovableClock()
    for span in (DECADE, -DECADE, -DECADE, DECADE * 3):
        clock.moment += span
        sync_at(mirror, clock)
        assert mirror.published() == {"app": wheels("app 2.0"), "lib": wheels("lib 1.0")}
        mirror.run("verify").expect()


def test_min_age_and_a_clock_that_was_set_back_take_nothing_away(serve: ServeWorld, mirror: Mirror) -> None:
    """Before its upload every release is too young: the sync is refused, and what is held stays as it was."""
    server: WorldServer = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"}, filters={"min-age": "3 days"}, on_removal="prune")
    mirror.sync()
    clock = MovableClock()
    clock.moment -= DECADE
    with pytest.raises(Exception, match="app"):
        sync_at(mirror, clock)
    assert mirror.published() == {"app": wheels("app 2.0")}
    mirror.run("verify").expect()
    mirror.sync()


def test_a_plan_of_the_future_is_made_again() -> None:
    class Kept:
        """The plans of a catalog whose pages were fetched by a clock that was ten years ahead."""

        def version(self) -> int:
            return 1

        def plan(self, index: str) -> object:
            return KeptPlan(request="told", inputs=(), version=1, fresh_until=now + DECADE.total_seconds(), answer=b"")

    now = time.time()
    found = recall(Kept(), "main", "told", lambda _: "", Trust.FRESH, now)  # type: ignore[arg-type]
    assert found is None


def test_whoever_failed_once_is_not_locked_out_for_years() -> None:
    now = [1e9]
    failures = Failures(3, lambda: now[0])
    for _ in range(3):
        failures.count("192.0.2.1")
    with pytest.raises(TooManyAttempts):
        failures.check("192.0.2.1")
    now[0] -= DECADE.total_seconds()
    with pytest.raises(TooManyAttempts):
        failures.check("192.0.2.1")
    now[0] += 61
    failures.check("192.0.2.1")


def test_epochs_only_grow(tmp_path: Path) -> None:
    """A counter is above the time of its last change; it stays so when the file is made anew."""
    with LocalEpochs.open(tmp_path) as epochs:
        before = epochs.epoch("main")
        for _ in range(3):
            epochs.advance("main")
            assert epochs.epoch("main") > before
            before = epochs.epoch("main")


def test_a_lock_of_the_future_holds_nobody_up(tmp_path: Path) -> None:
    """The system holds it, not a time that is written down."""
    with StoreLock(tmp_path, "sync", now=lambda: datetime(2999, 1, 1, tzinfo=UTC)):
        pass
    with StoreLock(tmp_path, "sync", now=lambda: datetime(1999, 1, 1, tzinfo=UTC)):
        pass
