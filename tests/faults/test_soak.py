"""Ten syncs over an upstream that changes and misbehaves: the quick version of `python -m bench.soak`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.soak import Soak
from tests.faults.runs import Driver
from tests.worlds.server import WorldServer
from tests.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")
ALONE = "[indexes.main.dependencies]\nfollow = false\n"


def soak(folder: Path, syncs: int, seed: int, **options: str | int) -> Soak:
    with WorldServer(World()) as server, Driver(folder / "home") as driver:
        run = Soak(folder, seed, driver, server, **options)
        run.run(syncs, every=5 if syncs < 50 else 25)
    return run


@pytest.mark.parametrize(
    ("seed", "publish", "more"), [(1, "public", ""), (2, "data", ALONE)], ids=["resolved", "alone"]
)
def test_the_end_is_what_a_new_mirror_has(tmp_path: Path, seed: int, publish: str, more: str) -> None:
    run = soak(tmp_path, 10, seed, projects=12, publish=publish, more=more)
    assert run.tally.violations == []
    assert run.tally.compared == 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("publish", "more"), [("public", ""), ("data", ""), ("data", ALONE)])
def test_three_hundred_syncs(tmp_path: Path, publish: str, more: str) -> None:
    assert soak(tmp_path, 300, 7, publish=publish, more=more).tally.violations == []
