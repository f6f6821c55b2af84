"""A whole sync broken on purpose at every operation: what stands is right, what was done stays, the next run ends it.

"For n = 1, 2, … fail the n-th write, fsync, rename; restart, verify: no listed file without right bytes, no
half-visible generation." The runs are real, against a real server; an operation is one of the file system or the
beginning or end of a transaction of the catalog.
"""

from __future__ import annotations

import errno
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.faults.nth import crash_at, fail_at
from tests.faults.runs import DIED, complaints
from tests.faults.scenes import Scene

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")

SCENES = ["first", "second", "linked"]
FAULTS = [errno.ENOSPC, errno.EIO]
LEAST_OPERATIONS = 100
EVERY = 6
"""Parts into which a loop over every operation is cut, so that they run side by side."""


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("part", [0, 1])
def test_a_sync_stopped_anywhere_leaves_a_right_mirror_that_the_next_one_completes(
    tmp_path: Path, name: str, part: int
) -> None:
    with Scene(name, tmp_path) as scene:
        crash_at(scene, count(1 + 8 * part, 16), least=LEAST_OPERATIONS)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("error", FAULTS, ids=["full", "broken"])
def test_a_disk_that_fails_anywhere_is_told_in_one_message_and_loses_nothing(
    tmp_path: Path, name: str, error: int
) -> None:
    with Scene(name, tmp_path) as scene:
        fail_at(scene, count(3 + FAULTS.index(error) * 10, 20), error, least=LEAST_OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(EVERY))
@pytest.mark.parametrize("name", SCENES)
def test_a_sync_stopped_at_every_single_operation(tmp_path: Path, name: str, part: int) -> None:
    with Scene(name, tmp_path) as scene:
        crash_at(scene, count(1 + part, EVERY), least=LEAST_OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(EVERY))
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("error", FAULTS, ids=["full", "broken"])
def test_a_disk_that_fails_at_every_single_operation(tmp_path: Path, name: str, error: int, part: int) -> None:
    with Scene(name, tmp_path) as scene:
        fail_at(scene, count(1 + part, EVERY), error, least=LEAST_OPERATIONS)


@pytest.mark.parametrize("name", ["second", "linked"])
def test_a_removal_that_was_stopped_goes_on_with_the_next_sync(tmp_path: Path, name: str) -> None:
    """`on-removal = "prune"`: nothing is left for anyone to prune by hand."""
    with Scene(name, tmp_path) as scene:
        operations = scene.run(scene.copy("whole")).operations
        begun = next(n for n, text in enumerate(operations, 1) if text.startswith("unlink") and "/packages/" in text)
        for number in range(begun, len(operations) - 1, 5):
            folder = scene.copy(f"removal-{number}")
            outcome = scene.run(folder, stop_at=number)
            assert outcome.status == DIED
            assert list(scene.finish(folder)) == [], outcome.stopped_at


def test_a_sync_stopped_between_flip_and_removal_still_removes(tmp_path: Path) -> None:
    """What the rules no longer choose is pruned as `on-removal` says, whenever a run was killed."""
    with Scene("second", tmp_path) as scene:
        folder = scene.copy("flipped")
        outcome = scene.run(folder, stop_before="COMMIT DELETE FROM holdings")
        assert outcome.status == DIED
        assert list(scene.finish(folder)) == []


def test_a_disk_that_is_full_while_other_files_arrive_is_told_in_one_message(tmp_path: Path) -> None:
    """A file that is complete in the moment in which another one cannot be written is not begun to be kept."""
    with Scene("second", tmp_path) as scene:
        operations = scene.run(scene.copy("whole")).operations
        arriving = [number for number, text in enumerate(operations, 1) if text.endswith(".part")]
        for number in range(arriving[0] - 1, arriving[-1] + 2):
            for turn in range(3):
                outcome = scene.run(scene.copy(f"full-{number}-{turn}"), stop_at=number, raises=errno.ENOSPC)
                assert complaints(outcome) == []
                assert outcome.status == 8
