"""The contract of Published, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.records import Removal
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryPublished

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Published

FLASK, CLICK = parse_name("flask"), parse_name("click")


@pytest.fixture(params=["catalog", "memory"])
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Published]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.published
    else:
        yield MemoryPublished()


def test_nothing_stands_at_first(published: Published) -> None:
    assert published.page_digests("main") == {}
    assert published.removals("main") == {}


def test_written_pages_are_recorded_and_removed_ones_forgotten(published: Published) -> None:
    published.keep_page_digests("main", {FLASK: "one", CLICK: "two"})
    published.keep_page_digests("other", {FLASK: "theirs"})
    assert published.page_digests("main") == {FLASK: "one", CLICK: "two"}
    published.keep_page_digests("main", {FLASK: "three", CLICK: None, parse_name("never"): None})
    assert published.page_digests("main") == {FLASK: "three"}
    assert published.page_digests("other") == {FLASK: "theirs"}


def test_files_wait_until_they_are_settled(published: Published) -> None:
    one, two = Removal("one#1", FLASK, 10.0), Removal("two#2", CLICK, 20.0)
    published.keep_removals("main", [one, two], [])
    published.keep_removals("other", [one], [])
    assert published.removals("main") == {"one#1": one, "two#2": two}
    published.keep_removals("main", [], ["one#1", "never"])
    assert published.removals("main") == {"two#2": two}
    assert published.removals("other") == {"one#1": one}


def test_a_file_that_waits_may_be_given_again(published: Published) -> None:
    published.keep_removals("main", [Removal("one#1", FLASK, 10.0)], [])
    published.keep_removals("main", [Removal("one#1", FLASK, 30.0)], [])
    assert published.removals("main") == {"one#1": Removal("one#1", FLASK, 30.0)}


def test_pages_that_go_are_told_from_those_that_stay(published: Published) -> None:
    """A page loses its place in the list before it goes: its digest is empty until then."""
    published.keep_page_digests("main", {FLASK: "one", CLICK: "two", parse_name("app"): ""})
    assert published.page_digests_of("main", [FLASK, parse_name("app"), parse_name("never")]) == {
        FLASK: "one",
        parse_name("app"): "",
    }
    assert published.page_names("main", "", 9) == [CLICK, FLASK]
    assert published.page_names("main", "click", 9) == [FLASK]
    assert published.page_names("main", "", 1) == [CLICK]
    assert published.leaving("main") == ["app"]
    assert published.leaving("other") == []


def test_it_is_known_whether_the_list_is_that_of_the_pages(published: Published) -> None:
    assert published.list_digest("main") is None
    published.keep_list_digest("main", "one")
    published.keep_list_digest("main", "two")
    assert (published.list_digest("main"), published.list_digest("other")) == ("two", None)
    published.keep_list_digest("main", None)
    assert published.list_digest("main") is None
