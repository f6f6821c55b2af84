"""The loops that stop or break a run at its n-th operation, for one n after the other, and look at what stands."""

from __future__ import annotations

import errno
import re
import shutil
from typing import TYPE_CHECKING

from tests.faults.runs import DIED, complaints

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.scenes import Scene

_BORNE = re.compile("write .*/lock|(open|reserve) .*/spare")
"""What a full disk may lack: who holds the lock, and the room for freeing it."""


def crash_at(scene: Scene, numbers: Iterable[int], least: int) -> None:
    """For each n: gone before the n-th operation; look, finish, look again.

    Until a run gets through, of which `least` operations are not all.
    """
    for number in numbers:
        folder = scene.copy(f"crash-{number}")
        outcome = scene.run(folder, stop_at=number)
        if not outcome.stopped_at:
            assert number > least
            break
        assert outcome.status == DIED
        assert list(scene.finish(folder)) == [], f"stopped before operation {number}: {outcome.stopped_at}"
        shutil.rmtree(folder)


def fail_at(scene: Scene, numbers: Iterable[int], error: int, least: int) -> None:
    """For each n: the n-th operation fails; one message, exit status 8; look, finish, look again; `least` as above."""
    for number in numbers:
        folder = scene.copy(f"fault-{number}")
        outcome = scene.run(folder, stop_at=number, raises=error)
        if not outcome.stopped_at:
            assert number > least
            break
        assert complaints(outcome) == []
        is_borne = error == errno.ENOSPC and _BORNE.match(outcome.stopped_at) is not None
        assert outcome.status == (0 if is_borne else 8), f"{outcome.stopped_at}: {outcome.stderr}"
        assert list(scene.finish(folder)) == [], f"operation {number} failed: {outcome.stopped_at}"
        shutil.rmtree(folder)
