"""The contract of Holdings, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.records import Owner
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


@pytest.fixture(params=["catalog", "own", "memory"])
def holdings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Holdings]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.holdings
    elif request.param == "own":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.of(values.owner()).holdings
    else:
        yield MemoryHoldings()


def test_nothing_is_held_at_first(holdings: Holdings) -> None:
    assert list(holdings.holdings()) == []


def test_rows_come_back_equal(holdings: Holdings) -> None:
    holdings.record([("wheel#1", FLASK, WHEEL), ("sdist#2", FLASK, SDIST)])
    assert dict(holdings.holdings()) == {"wheel#1": WHEEL, "sdist#2": SDIST}


def test_all_of_them_are_gone_through_some_at_a_time(holdings: Holdings) -> None:
    rows = [(f"file{number}#a", FLASK, WHEEL) for number in range(5)]
    holdings.record(rows)
    assert [identity for identity, _ in holdings.holdings_after("", 2)] == ["file0#a", "file1#a"]
    assert holdings.holdings_after("file1#a", 9) == [(identity, WHEEL) for identity, _, _ in rows[2:]]
    assert list(holdings.holdings_after("file4#a", 9)) == []


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


def test_some_records_are_asked_for_among_many(holdings: Holdings) -> None:
    """By identity, or all of one file name: two records may stand for one file (listed with and without a hash)."""
    rows = {f"{WHEEL.filename}#a": WHEEL, f"{WHEEL.filename}#https://b": WHEEL, f"{SDIST.filename}#c": SDIST}
    holdings.record([(identity, FLASK, holding) for identity, holding in rows.items()])
    first, second, third = rows
    assert holdings.holdings_of([first, third, "nothing#d"]) == {first: WHEEL, third: SDIST}
    assert holdings.holdings_of([]) == {}
    assert holdings.beside([WHEEL]) == {first: WHEEL, second: WHEEL}
    assert holdings.beside([]) == {}


@pytest.mark.parametrize("kind", ["catalog", "memory"])
def test_what_an_index_recorded_is_its_own(kind: str, tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        holdings: Holdings = catalog.of(values.owner()).holdings if kind == "catalog" else MemoryHoldings()
        holdings.record([("wheel#1", FLASK, WHEEL), ("sdist#2", FLASK, SDIST)])
        assert dict(holdings.own()) == {"wheel#1": WHEEL, "sdist#2": SDIST}
        assert holdings.own_of(["sdist#2", "none"]) == {"sdist#2": SDIST}
        holdings.forget(["wheel#1"])
        assert dict(holdings.own()) == {"sdist#2": SDIST}


UPSTREAM, ELSEWHERE = "https://index.example/simple/", "https://elsewhere.example/simple/"


@pytest.mark.parametrize(
    ("other", "is_own"),
    [
        (values.owner("main", UPSTREAM), True),
        (values.owner("other", UPSTREAM), True),
        (values.owner("main", ELSEWHERE), True),
        (values.owner("other", ELSEWHERE), False),
        (Owner(index="other", upstream=ELSEWHERE, also=("main",)), True),
        (values.owner("main", UPSTREAM, "c0ffee"), True),
    ],
)
def test_a_file_counts_for_an_index_that_it_came_to_or_that_reads_the_same_upstream(
    other: Owner, tmp_path: Path, *, is_own: bool
) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.of(values.owner("main", UPSTREAM)).holdings.record([("wheel#1", FLASK, WHEEL)])
        assert bool(catalog.of(other).holdings.own()) is is_own
        assert bool(catalog.of(other).holdings.own_of(["wheel#1"])) is is_own
        assert bool(catalog.of(other).cached.held(FLASK)) is is_own


@pytest.mark.parametrize("other", [values.owner(), values.owner("main", UPSTREAM, "0ther")])
def test_what_came_with_credentials_counts_with_those_only(other: Owner, tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.of(values.owner("main", UPSTREAM, "c0ffee")).holdings.record([("wheel#1", FLASK, WHEEL)])
        assert catalog.of(other).holdings.own() == []
        catalog.of(other).holdings.record([("wheel#1", FLASK, WHEEL)])
        assert [identity for identity, _ in catalog.of(other).holdings.own()] == ["wheel#1"]


def test_what_was_uploaded_counts_for_nobody_else(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.holdings.record([("wheel#1", FLASK, WHEEL)])
        everybody = Owner(index="main", upstream=UPSTREAM, also=("", "other", "hosted"))
        assert catalog.of(everybody).holdings.own() == []
        assert catalog.holdings.own() == []
