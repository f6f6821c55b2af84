"""The contract of Runs, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import NotFound
from pypim.core.records import Run
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryRuns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Runs


@pytest.fixture(params=["catalog", "memory"])
def runs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runs]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.runs
    else:
        yield MemoryRuns()


def test_a_run_that_has_not_finished_is_not_the_last(runs: Runs) -> None:
    runs.begin_run("sync", "main", 1.0)
    assert runs.last_run("main") is None


def test_the_newest_finished_run_of_the_index_counts(runs: Runs) -> None:
    first = runs.begin_run("sync flask", "main", 1.0)
    second = runs.begin_run("verify", "main", 2.0)
    other = runs.begin_run("sync", "other", 3.0)
    assert len({first, second, other}) == 3
    runs.finish_run(second, 5.0, "done", b'{"files":2}')
    runs.finish_run(first, 6.0, "interrupted", b"{}")
    runs.finish_run(other, 7.0, "done", b'"\xe2\x98\x83"')
    assert runs.last_run("main") == Run(second, "verify", "main", 2.0, 5.0, "done", b'{"files":2}')
    assert runs.last_run("other") == Run(other, "sync", "other", 3.0, 7.0, "done", b'"\xe2\x98\x83"')
    assert runs.last_run("third") is None


def test_a_run_that_never_began_cannot_finish(runs: Runs) -> None:
    with pytest.raises(NotFound):
        runs.finish_run(99, 1.0, "done", b"{}")


def test_the_newest_outcome_is_that_of_the_last_run_that_began_and_unknown_while_it_runs(runs: Runs) -> None:
    assert runs.newest_outcome("main") is None
    first = runs.begin_run("sync", "main", 1.0)
    runs.begin_run("sync", "other", 1.5)
    runs.finish_run(first, 2.0, "done", b"{}")
    assert runs.newest_outcome("main") == "done"
    runs.begin_run("sync", "main", 3.0)
    assert runs.newest_outcome("main") is None
