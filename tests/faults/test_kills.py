"""Runs killed at random moments and then finished: the quick version of `python -m bench.kills`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bench.kills import Kills
from tests.faults.runs import Driver
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")
def test_no_kill_leaves_a_missing_short_or_wrong_file_or_loses_work(tmp_path: Path) -> None:
    with WorldServer(World(), Options(latency_s=0.001)) as server, Driver(tmp_path / "home") as driver:
        kills = Kills(tmp_path, 20260101, driver, server, projects=10)
        kills.measure(runs=1)
        kills.run(20)
    assert kills.tally.violations == []
    assert kills.tally.kills.total() >= 20
