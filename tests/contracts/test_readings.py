"""The contract of Readings, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryHoldings
from pypim.store.memory_readings import MemoryReadings
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Holdings, Readings

FLASK = parse_name("flask")
WHEEL = values.holding(b"wheel", metadata=b"Name: flask")
STORED_AT = 1000.0


@pytest.fixture(params=["catalog", "memory"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Holdings, Readings]]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite", now=lambda: STORED_AT) as catalog:
            yield catalog.holdings, catalog.readings
    else:
        holdings = MemoryHoldings()
        yield holdings, MemoryReadings(holdings, lambda: STORED_AT)


def test_what_was_never_read_was_whole_when_it_was_stored(both: tuple[Holdings, Readings]) -> None:
    holdings, readings = both
    assert readings.last_read() == {}
    holdings.record([("one", FLASK, WHEEL)])
    assert readings.last_read() == {"one": STORED_AT}


def test_the_last_reading_counts(both: tuple[Holdings, Readings]) -> None:
    holdings, readings = both
    holdings.record([("one", FLASK, WHEEL), ("two", FLASK, WHEEL)])
    readings.note_read(["one"], 2000.0)
    readings.note_read(["one"], 3000.0)
    assert readings.last_read() == {"one": 3000.0, "two": STORED_AT}


def test_the_oldest_is_that_of_what_is_held_now(both: tuple[Holdings, Readings]) -> None:
    holdings, readings = both
    assert readings.oldest() is None
    holdings.record([("one", FLASK, WHEEL), ("two", FLASK, WHEEL)])
    readings.note_read(["one"], 2000.0)
    assert readings.oldest() == STORED_AT
    readings.note_read(["two"], 3000.0)
    assert readings.oldest() == 2000.0
    holdings.forget(["one"])
    assert readings.oldest() == 3000.0


def test_what_is_not_held_does_not_matter(both: tuple[Holdings, Readings]) -> None:
    holdings, readings = both
    readings.note_read(["none"], 2000.0)
    holdings.record([("one", FLASK, WHEEL)])
    readings.note_read(["one"], 2000.0)
    holdings.forget(["one"])
    assert readings.last_read() == {}
