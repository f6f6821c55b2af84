"""A sync project by project, broken on purpose at every operation: what stands is right, and the next run ends it."""

from __future__ import annotations

import errno
import shutil
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.faults.invariants import end_waiting, violations
from tests.faults.nth import crash_at, fail_at
from tests.faults.runs import complaints
from tests.faults.scenes import SECOND, Scene
from tests.faults.system_calls import READS, SOCKETS, WRITES, can_announce
from tests.faults.test_system_calls import FAULTS, break_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")

SCENES = ["each", "each-again"]
LEAST_OPERATIONS = 80
EVERY = 6

_CONFIG = """
[store]
path = "data"
[upstreams.main]
url = "{url}"
retries = 0
[targets.here]
python = ["3.12"]
platforms = ["linux"]
[indexes.main]
targets = ["here"]
publish = "public"
on-removal = "prune"
jobs = 2
dependencies = {{ follow = false }}
[indexes.main.patterns]
"{pattern}" = "latest"
"""


class EachScene(Scene):
    """A mirror of everything: `each` from nothing; `each-again` where projects changed, came, and are not wanted."""

    def _begin(self) -> None:
        template = self.folder / "template"
        template.mkdir()
        self._write(template, ".*")
        if self.name == "each-again":
            outcome = self.run(template)
            assert outcome.status == 0, outcome
            self.server.world = SECOND
            self._write(template, "(?!gone).*")

    def finish(self, folder: Path) -> Iterable[str]:
        """At a time when nothing on the to-do has to wait."""
        end_waiting(self.mirror(folder))
        return super().finish(folder)

    def _write(self, folder: Path, pattern: str) -> None:
        (folder / "pypim.toml").write_text(_CONFIG.format(url=self.server.url, pattern=pattern))


@pytest.mark.parametrize("name", SCENES)
def test_a_sync_stopped_anywhere_leaves_a_right_mirror_that_the_next_one_completes(tmp_path: Path, name: str) -> None:
    with EachScene(name, tmp_path) as scene:
        crash_at(scene, count(1, 19), least=LEAST_OPERATIONS)


@pytest.mark.parametrize("name", SCENES)
def test_a_disk_that_fails_anywhere_is_told_in_one_message_and_loses_nothing(tmp_path: Path, name: str) -> None:
    with EachScene(name, tmp_path) as scene:
        fail_at(scene, count(4, 41), errno.ENOSPC, least=LEAST_OPERATIONS)


def prune_after_stops(scene: Scene, numbers: Iterable[int]) -> Iterator[str]:
    """What is wrong with the pages after a sync that was stopped there, and a prune that came before the next one."""
    for number in numbers:
        folder = scene.copy(f"pruned-{number}")
        stopped = scene.run(folder, stop_at=number)
        if not stopped.stopped_at:
            assert number > LEAST_OPERATIONS
            return
        pruned = scene.driver.run("-c", str(folder / "pypim.toml"), "prune")
        found = [*complaints(pruned), *violations(scene.mirror(folder))]
        yield from (f"{number} ({stopped.stopped_at}), then prune {pruned.status}: {one}" for one in found)
        shutil.rmtree(folder)


def test_a_prune_after_a_sync_that_was_stopped_takes_no_file_from_a_page(tmp_path: Path) -> None:
    with EachScene("each-again", tmp_path) as scene:
        assert list(prune_after_stops(scene, count(3, 13))) == []


@pytest.mark.slow
def test_a_prune_after_a_sync_that_was_stopped_anywhere(tmp_path: Path) -> None:
    with EachScene("each-again", tmp_path) as scene:
        assert list(prune_after_stops(scene, count(1))) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(EVERY))
@pytest.mark.parametrize("name", SCENES)
def test_a_sync_stopped_at_every_single_operation(tmp_path: Path, name: str, part: int) -> None:
    with EachScene(name, tmp_path) as scene:
        crash_at(scene, count(1 + part, EVERY), least=LEAST_OPERATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(EVERY))
@pytest.mark.parametrize("name", SCENES)
def test_a_disk_that_fails_at_every_single_operation(tmp_path: Path, name: str, part: int) -> None:
    with EachScene(name, tmp_path) as scene:
        fail_at(scene, count(1 + part, EVERY), errno.EIO, least=LEAST_OPERATIONS)


# --- system calls that fail -------------------------------------------------------------------------------------------
can_break_calls = pytest.mark.skipif(
    not can_announce(), reason="this system does not tell a parent of its child's calls"
)


@can_break_calls
@pytest.mark.parametrize("name", SCENES)
def test_a_call_that_fails_is_told_in_one_message_and_loses_nothing(tmp_path: Path, name: str) -> None:
    """Many projects are under way at once: what ends them all is one error of ours, not a group of them."""
    with EachScene(name, tmp_path) as scene:
        found = [
            one
            for kind, step in ((READS, 61), (WRITES, 149), (SOCKETS, 17))
            for one in break_calls(scene, kind, 5, step)
        ]
    assert found == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@can_break_calls
@pytest.mark.parametrize("part", range(EVERY))
@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("name", SCENES)
def test_every_single_call_that_fails(tmp_path: Path, name: str, kind: str, part: int) -> None:
    with EachScene(name, tmp_path) as scene:
        assert break_calls(scene, kind, 1 + part, EVERY) == []
