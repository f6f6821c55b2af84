"""The contract of Holdings, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryHoldings
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.ports import Holdings

FLASK = parse_name("flask")
WHEEL = values.holding(b"wheel", metadata=b"Name: flask")
SDIST = values.holding(b"sdist", "flask-3.0.0.tar.gz")


@pytest.fixture(params=["catalog", "memory"])
def holdings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Holdings]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.holdings
    else:
        yield MemoryHoldings()


def test_nothing_is_held_at_first(holdings: Holdings) -> None:
    assert list(holdings.holdings()) == []


def test_rows_come_back_equal(holdings: Holdings) -> None:
    holdings.record([("wheel#1", FLASK, WHEEL), ("sdist#2", FLASK, SDIST)])
    assert dict(holdings.holdings()) == {"wheel#1": WHEEL, "sdist#2": SDIST}


def test_recording_again_is_not_an_error_and_the_last_row_counts(holdings: Holdings) -> None:
    holdings.record([("one", FLASK, WHEEL)])
    holdings.record([("one", FLASK, WHEEL), ("one", FLASK, SDIST)])
    assert dict(holdings.holdings()) == {"one": SDIST}


def test_one_blob_may_stand_under_two_identities(holdings: Holdings) -> None:
    holdings.record([("one", FLASK, WHEEL), ("two", FLASK, WHEEL)])
    holdings.forget(["one"])
    assert dict(holdings.holdings()) == {"two": WHEEL}


def test_forgetting_what_is_not_there_is_not_an_error(holdings: Holdings) -> None:
    holdings.record([("one", FLASK, WHEEL)])
    holdings.forget(["none", "one", "one"])
    holdings.forget([])
    assert list(holdings.holdings()) == []


def test_recording_is_all_or_nothing(holdings: Holdings) -> None:
    def rows() -> Iterator[tuple[str, NormalizedName, Holding]]:
        yield "one", FLASK, WHEEL
        raise RuntimeError("the caller gave up")

    with pytest.raises(RuntimeError):
        holdings.record(rows())
    assert list(holdings.holdings()) == []
    holdings.record([("two", FLASK, SDIST)])
    assert dict(holdings.holdings()) == {"two": SDIST}
