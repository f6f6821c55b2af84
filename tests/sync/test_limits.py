"""A sync with `max-time` or `max-bytes` stops in good order, says so, and the next one goes on."""

from __future__ import annotations

import threading

import msgspec
import pytest

from pypim.config.load import load
from pypim.core.plan import make_plan
from pypim.sync.limits import Limits
from pypim.sync.run import expand_roots, select
from pypim.sync.silent import SilentReporter
from pypim.sync.transfer import Transfer
from pypim.wiring import OpenStore, open_stack, open_store, request_of, run
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, wheels
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

WORLD = World.of(project("app", "1.0", requires=["big"]), project("big", release("1.0", wheel(payload=200_000))))


def test_the_last_file_that_takes_too_long_is_left_for_the_next_run(serve: ServeWorld, mirror: Mirror) -> None:
    """Every file was begun when the time was over, and one of them never ends: the run must say that it stopped."""
    server = serve(WORLD)
    gate = threading.Event()
    server.misbehave("*/big-1.0*.whl", faults.hold(gate))
    mirror.configure(server.url, packages={"app": "latest"})
    config = load(mirror.config)
    (index,) = config.mirrors

    async def work(store: OpenStore) -> tuple[Limits, Transfer]:
        async with open_stack(store, index, SilentReporter()) as stack:
            request = msgspec.structs.replace(request_of(config, index), max_seconds=0.3)
            roots, _ = await expand_roots(stack, request)
            selected = await select(stack, request, roots, keeps_going=False)
            transfer, limits = Transfer(stack, request), Limits(stack, request, grace_seconds=0.2)
            await limits.transfer(transfer, make_plan(selected.selection, None, {}).fetch)
            return limits, transfer

    with open_store(config, writable=True) as store:
        limits, transfer = run(work(store))
    gate.set()
    assert limits.reason == "max-time is over"
    assert [holding.filename for holding in transfer.held.values()] == wheels("app 1.0")
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 1.0"), "big": wheels("big 1.0")}


@pytest.mark.slow
def test_what_a_run_could_not_fetch_in_time_is_not_said_to_be_done(serve: ServeWorld, mirror: Mirror) -> None:
    """The same with the time of grace that a run really gives."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    report = mirror.sync("--max-rate", "1 kB", "--max-time", "1 seconds")
    assert report["outcome"] == "stopped"
    assert "max-time is over: 1 of 2 files are left" in report["warnings"][0]
    assert not mirror.tree.exists()


def test_a_summary_of_a_run_that_stopped_says_what_is_held_by_then(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    told = mirror.run("sync", "--max-bytes", "1").expect().stdout
    assert "1 of 2 files are left for the next run" in told
    assert " held" not in told
    assert "2 files" in mirror.run("sync").expect().stdout.partition("; ")[2]
