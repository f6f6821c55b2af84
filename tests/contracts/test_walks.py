"""The contract of Walks, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.names import parse_name
from pypim.core.records import Walk
from pypim.store.catalog import Catalog
from pypim.store.memory_walks import MemoryWalks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Walks

WALK = Walk("digest", "https://index.example/simple/", since=None, until=7, after="lib")
APP, LIB = parse_name("app"), parse_name("lib")


@pytest.fixture(params=["catalog", "memory"])
def walks(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Walks]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.walks
    else:
        yield MemoryWalks()


def test_the_last_walk_of_an_index_is_remembered(walks: Walks) -> None:
    assert walks.walk("main") is None
    walks.keep_walk("main", WALK)
    assert walks.walk("main") == WALK
    ended = msgspec.structs.replace(WALK, since=3, after="", is_ended=True)
    walks.keep_walk("main", ended)
    walks.keep_walk("other", WALK)
    assert (walks.walk("main"), walks.walk("other")) == (ended, WALK)


def test_a_project_is_looked_at_again_when_its_time_has_come(walks: Walks) -> None:
    walks.keep_revisits("main", {LIB: 5.0, APP: 9.0})
    walks.keep_revisits("other", {APP: 1.0})
    assert walks.revisits("main", 4.0) == []
    assert walks.revisits("main", 5.0) == [LIB]
    assert walks.revisits("main", 10.0) == [APP, LIB]
    walks.keep_revisits("main", {LIB: 20.0, APP: None})
    assert walks.revisits("main", 10.0) == []
    assert walks.revisits("main", 20.0) == [LIB]
    walks.keep_revisits("main", {})
