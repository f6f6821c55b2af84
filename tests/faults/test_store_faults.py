"""The store broken on purpose at every operation: no listed file without right bytes, no work lost that was done."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import OutOfSpace, StoreFault, StoreUnwritable
from pypim.store import atomic
from tests.faults import store_driver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(sys.platform == "win32", reason="the driver forks")
def test_a_process_killed_at_any_operation_leaves_a_store_that_goes_on(tmp_path: Path) -> None:
    """For n = 1, 2, … stop at the n-th write, sync, rename or deletion, look, go on from there, look again."""
    command = [sys.executable, "-m", "tests.faults.store_driver", str(tmp_path)]
    driver = subprocess.run(command, capture_output=True, text=True, check=False)
    assert driver.returncode == 0, driver.stderr
    deaths = int(driver.stdout)
    assert deaths > 40
    for number in range(1, deaths + 2):
        folder = tmp_path / str(number)
        assert list(store_driver.wrong_in(folder)) == [], f"killed at operation {number}"
        asyncio.run(store_driver.work(folder))
        assert list(store_driver.wrong_in(folder)) == [], f"killed at operation {number}, then finished"
        assert store_driver.is_complete(folder), f"killed at operation {number}, then finished"


class Breaking:
    """Simulates a system call that fails once, as on a disk that is full for a moment."""

    def __init__(self, number: int, error: OSError) -> None:
        self.is_spent = False
        self._left = number
        self._error = error

    def __call__(self, operation: str, path: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.is_spent = True
            raise self._error


class Full:
    """Simulates a disk that has room for a number of operations and then for none."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, operation: str, path: str) -> None:
        if operation in {"write", "open", "make-folder"}:
            self._left -= 1
            if self._left < 0:
                raise OSError(28, "No space left on device")


def fault_of_work(folder: Path, observer: atomic.Observer) -> StoreFault | None:
    with atomic.observed(observer):
        try:
            asyncio.run(store_driver.work(folder))
        except StoreFault as fault:
            return fault
    return None


@pytest.mark.parametrize(
    ("error", "family"),
    [(OSError(28, "No space left on device"), OutOfSpace), (OSError(5, "Input/output error"), StoreUnwritable)],
    ids=["full", "broken"],
)
def test_any_operation_that_fails_is_told_and_loses_nothing(
    tmp_path: Path, error: OSError, family: type[StoreFault]
) -> None:
    number = 0
    is_reached = True
    while is_reached:
        number += 1
        folder = tmp_path / str(number)
        folder.mkdir()
        store_driver.prepare(folder)
        breaking = Breaking(number, error)
        fault = fault_of_work(folder, breaking)
        assert isinstance(fault, family if breaking.is_spent else type(None)), f"operation {number}"
        is_reached = breaking.is_spent
        assert list(store_driver.wrong_in(folder)) == [], f"operation {number} failed"
        asyncio.run(store_driver.work(folder))
        assert list(store_driver.wrong_in(folder)) == [], f"operation {number} failed, then finished"
        assert store_driver.is_complete(folder), f"operation {number} failed, then finished"
    assert number > 40


def test_a_disk_that_stays_full_is_told_and_loses_nothing(tmp_path: Path) -> None:
    """From the n-th writing operation on every one fails; what was recorded before is still right."""

    for number in range(20):
        folder = tmp_path / str(number)
        folder.mkdir()
        store_driver.prepare(folder)
        assert isinstance(fault_of_work(folder, Full(number)), OutOfSpace)
        assert list(store_driver.wrong_in(folder)) == []
        asyncio.run(store_driver.work(folder))
        assert store_driver.is_complete(folder)
