"""The contract of Epochs, in one process and between several."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING

import pytest

from pypim.store.epochs import EPOCHS_NAME, LocalEpochs, MemoryEpochs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Epochs


@pytest.fixture(params=["local", "memory"])
def epochs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Epochs]:
    if request.param == "memory":
        yield MemoryEpochs()
    else:
        with LocalEpochs.open(tmp_path) as opened:
            yield opened


def test_a_counter_only_grows(epochs: Epochs) -> None:
    first = epochs.epoch("main")
    assert first >= 1
    epochs.advance("main")
    second = epochs.epoch("main")
    assert second > first
    epochs.advance("main")
    assert epochs.epoch("main") > second


def test_other_indexes_need_not_look_again(epochs: Epochs) -> None:
    before = epochs.epoch("other")
    epochs.advance("main")
    assert epochs.epoch("other") == before


def _advance(folder: Path, times: int) -> None:
    with LocalEpochs.open(folder) as epochs:
        for _ in range(times):
            epochs.advance("main")


def test_no_change_of_any_process_is_lost(tmp_path: Path) -> None:
    with LocalEpochs.open(tmp_path) as epochs:
        before = epochs.epoch("main")
        spawn = multiprocessing.get_context("spawn")
        processes = [spawn.Process(target=_advance, args=(tmp_path, 500)) for _ in range(3)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert epochs.epoch("main") >= before + 1500


def test_a_file_that_was_lost_begins_later_than_the_one_before(tmp_path: Path) -> None:
    """Counters begin at the time, and no index changes every second for ever."""
    started = int(time.time())
    (tmp_path / EPOCHS_NAME).write_bytes(b"cut off")
    with LocalEpochs.open(tmp_path) as epochs:
        assert epochs.epoch("main") >= started
