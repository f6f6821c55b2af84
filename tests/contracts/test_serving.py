"""The contract of Serving: a mirror's current generation, project by project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.selection import Selection
from pypim.store.catalog import Catalog
from pypim.sync.publish import pages_of
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Serving

OWNER = values.owner()


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog.open(tmp_path / "catalog.sqlite") as opened:
        yield opened


def publish(catalog: Catalog, selection: Selection, *, holds: bool = True) -> int:
    generation = catalog.generations.begin("main", selection, 1.0)
    if holds:
        files = {file.identity: (release.project, file) for release in selection.releases for file in release.files}
        catalog.of(OWNER).holdings.record(
            (identity, project, values.holding(identity.encode(), file.filename))
            for identity, (project, file) in files.items()
        )
    catalog.generations.finish(generation, 2.0)
    return generation.number


def test_nothing_is_served_before_the_first_sync(catalog: Catalog) -> None:
    serving: Serving = catalog.of(OWNER).serving
    assert serving.generation("main") is None
    catalog.generations.begin("main", values.selection(), 1.0)
    assert serving.generation("main") is None


def test_the_pages_are_those_that_a_sync_publishes(catalog: Catalog) -> None:
    selection = values.selection()
    number = publish(catalog, selection)
    expected = pages_of(selection, dict(catalog.holdings.holdings()))
    serving: Serving = catalog.of(OWNER).serving
    assert serving.generation("main") == number
    assert {name: serving.page(number, name) for name in expected} == expected
    assert serving.names(number) == sorted(name for name, page in expected.items() if page.files)
    assert {name: serving.length(number, name) for name in expected} == {
        name: len(page.files) for name, page in expected.items()
    }
    assert serving.length(number, parse_name("nothing")) == 0


def test_only_what_is_held_is_listed(catalog: Catalog) -> None:
    selection = values.selection()
    number = publish(catalog, selection, holds=False)
    assert catalog.of(OWNER).serving.names(number) == []
    assert all(
        page is None or not page.files
        for page in (catalog.of(OWNER).serving.page(number, p.name) for p in selection.projects)
    )


def test_a_project_that_is_not_there_has_no_page(catalog: Catalog) -> None:
    number = publish(catalog, values.selection())
    assert catalog.of(OWNER).serving.page(number, parse_name("nothing")) is None


def test_what_came_to_another_index_is_not_listed(catalog: Catalog) -> None:
    """A file that somebody uploaded, or that came from another upstream, is nobody else's."""
    selection = values.selection()
    number = publish(catalog, selection)
    stranger = catalog.of(values.owner("other", "https://elsewhere.example/simple/")).serving
    assert stranger.names(number) == []
    assert all(page is None or not page.files for page in (stranger.page(number, p.name) for p in selection.projects))
