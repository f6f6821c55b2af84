"""The power goes in the middle: what was not synced is gone, torn or half there; what was promised stands all the same.

"No listed file without right bytes": no row says held before its bytes and its name are durable, no page has its name
before its files do, and no upload is answered before all of it is.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.faults.power import VARIANTS
from tests.faults.runs import DIED, Driver
from tests.faults.scenes import Scene
from tests.faults.test_system_calls import Shelf, listed, unsound, wrong_files
from tests.faults.uploads import made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the driver forks, and asks what a descriptor is")

UPLOADS = ["wheel 1.0", "sdist 2.0"]


def lose_power(scene: Scene, start: int, step: int) -> Iterator[str]:
    """For each n: stop at the n-th operation, and go on from whatever the disk may have."""
    number = start
    while True:
        folder, out = scene.copy(f"lost-{number}"), scene.folder / f"left-{number}"
        outcome = scene.run(folder, stop_at=number, power_lost=str(out), calls_below=str(folder))
        shutil.rmtree(folder)
        if outcome.status != DIED:
            assert number > start, outcome.stderr
            return
        for variant in range(VARIANTS):
            left = out / str(variant)
            where = f"{number} ({outcome.stopped_at}), variant {variant}"
            yield from (f"{where}: {one}" for one in scene.finish(left))
            yield from (f"{where}: {one}" for one in unsound(scene.driver, left))
        shutil.rmtree(out)
        number += step


@pytest.mark.parametrize(("name", "start", "step"), [("second", 5, 67), ("linked", 20, 83), ("prune", 9, 37)])
def test_a_run_that_loses_power_is_finished_by_the_next_one(tmp_path: Path, name: str, start: int, step: int) -> None:
    with Scene(name, tmp_path) as scene:
        assert list(lose_power(scene, start, step)) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("name", ["second", "linked", "publish", "prune"])
def test_a_run_that_loses_power_anywhere(tmp_path: Path, name: str, part: int) -> None:
    with Scene(name, tmp_path) as scene:
        assert list(lose_power(scene, 1 + part, 4)) == []


def lose_power_of_server(folder: Path, start: int, step: int) -> Iterator[str]:
    with Driver(folder / "home") as driver:
        shelf = Shelf(folder, driver)
        shelf.prepare()
        number = start
        while True:
            copy, out = shelf.copy(f"lost-{number}"), folder / f"left-{number}"
            outcome = shelf.serve(copy, UPLOADS, stop_at=number, power_lost=str(out), calls_below=str(copy))
            shutil.rmtree(copy)
            if not outcome.stopped_at:
                assert number > start
                return
            for variant in range(VARIANTS):
                left = out / str(variant)
                where = f"{number} ({outcome.stopped_at}), variant {variant}"
                kept = listed(left)
                for upload, answer in zip(UPLOADS, outcome.operations, strict=False):
                    if answer == "200" and made(upload).filename not in kept:
                        yield f"{where}: {upload} was answered 200 and is lost"
                yield from (f"{where}: {one}" for one in (*wrong_files(left), *unsound(driver, left)))
                if (again := shelf.serve(left, UPLOADS)).operations != ["200", "200"]:
                    yield f"{where}: the next server answers {again.operations}"
                yield from (f"{where}, then: {one}" for one in (*wrong_files(left), *unsound(driver, left)))
            shutil.rmtree(out)
            number += step


def test_no_upload_that_was_answered_is_lost_with_the_power(tmp_path: Path) -> None:
    assert list(lose_power_of_server(tmp_path, 12, 19)) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_upload_that_was_answered_is_lost_wherever_the_power_goes(tmp_path: Path) -> None:
    assert list(lose_power_of_server(tmp_path, 1, 1)) == []
