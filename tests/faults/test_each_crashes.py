"""A sync project by project, broken on purpose at every operation: what stands is right, and the next run ends it."""

from __future__ import annotations

import errno
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.faults.nth import crash_at, fail_at
from tests.faults.scenes import SECOND, Scene

if TYPE_CHECKING:
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
