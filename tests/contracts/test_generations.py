"""The contract of Generations, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.errors import NotFound
from pypim.core.names import parse_name
from pypim.core.plan import Outline, outline_of
from pypim.core.selection import ChosenRelease, Selection
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryGenerations
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Generations

EMPTY = Selection()


@pytest.fixture(params=["catalog", "memory"])
def generations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Generations]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.generations
    else:
        yield MemoryGenerations()


def test_an_index_without_a_finished_generation_has_no_current_one(generations: Generations) -> None:
    assert generations.current("main") is None
    generations.begin("main", values.selection(), 1.0)
    assert generations.current("main") is None


@pytest.mark.parametrize("selection", [EMPTY, values.selection()], ids=["empty", "full"])
def test_the_selection_comes_back_equal(generations: Generations, selection: Selection) -> None:
    begun = generations.begin("main", selection, 1.0)
    assert generations.selection(begun.number) == selection
    generations.finish(begun, 2.0)
    assert generations.selection(begun.number) == selection


def test_finishing_is_the_flip(generations: Generations) -> None:
    first = generations.begin("main", EMPTY, 1.0)
    assert (first.index, first.started_at, first.finished_at) == ("main", 1.0, None)
    generations.finish(first, 2.0)
    assert generations.current("main") == msgspec.structs.replace(first, finished_at=2.0)
    second = generations.begin("main", values.selection(), 3.0)
    assert second.number > first.number
    assert generations.current("main") == msgspec.structs.replace(first, finished_at=2.0)
    generations.finish(second, 4.0)
    assert generations.current("main") == msgspec.structs.replace(second, finished_at=4.0)


def test_the_current_selection_is_that_of_the_current_generation(generations: Generations) -> None:
    assert generations.current_selection("main") is None
    begun = generations.begin("main", values.selection(), 1.0)
    assert generations.current_selection("main") is None
    generations.finish(begun, 2.0)
    generations.begin("main", EMPTY, 3.0)
    assert generations.current_selection("main") == values.selection()
    assert generations.current_selection("other") is None


def test_an_outline_is_the_current_selection_without_its_files(generations: Generations) -> None:
    assert generations.outline("main") == Outline()
    begun = generations.begin("main", values.selection(), 1.0)
    assert generations.outline("main") == Outline()
    generations.finish(begun, 2.0)
    outline = generations.outline("main")
    assert outline == outline_of(values.selection())
    assert [(one.project, one.version, one.kept, len(one.reasons)) for one in outline.releases] == [
        ("click", "8.1.7", 1, 1),
        ("flask", "3.0.0", 2, 2),
    ]
    assert (outline.problems, outline.warnings) == (values.selection().problems, values.selection().warnings)


def test_older_generations_are_dropped_at_the_flip(generations: Generations) -> None:
    first = generations.begin("main", values.selection(), 1.0)
    generations.finish(first, 2.0)
    second = generations.begin("main", EMPTY, 3.0)
    assert generations.selection(first.number) == values.selection()
    generations.finish(second, 4.0)
    with pytest.raises(NotFound):
        generations.selection(first.number)


def test_an_unfinished_generation_is_replaced_by_the_next(generations: Generations) -> None:
    killed = generations.begin("main", values.selection(), 1.0)
    begun = generations.begin("main", EMPTY, 2.0)
    assert begun.number > killed.number
    with pytest.raises(NotFound):
        generations.selection(killed.number)
    with pytest.raises(NotFound):
        generations.finish(killed, 3.0)
    assert generations.current("main") is None
    assert generations.selection(begun.number) == EMPTY


def test_indexes_do_not_touch_each_other(generations: Generations) -> None:
    main = generations.begin("main", values.selection(), 1.0)
    other = generations.begin("other", EMPTY, 1.0)
    generations.finish(other, 2.0)
    generations.finish(main, 3.0)
    assert generations.selection(main.number) == values.selection()
    assert generations.selection(other.number) == EMPTY
    current = generations.current("other")
    assert current is not None
    assert current.number == other.number


def test_a_number_that_was_never_given(generations: Generations) -> None:
    with pytest.raises(NotFound):
        generations.selection(4711)


def test_a_generation_that_was_begun_and_not_finished_is_an_interruption(generations: Generations) -> None:
    assert not generations.is_interrupted("main")
    begun = generations.begin("main", EMPTY, 1.0)
    assert generations.is_interrupted("main")
    assert not generations.is_interrupted("other")
    generations.finish(begun, 2.0)
    assert not generations.is_interrupted("main")


def test_listed_are_the_files_of_current_and_unfinished_generations_of_all_indexes(generations: Generations) -> None:
    def of(*filenames: str) -> Selection:
        files = tuple(values.dist_file(filename) for filename in filenames)
        return Selection(releases=(ChosenRelease(project=parse_name("a"), version="1", files=files, reasons=()),))

    def identities(*filenames: str) -> set[str]:
        return {values.dist_file(filename).identity for filename in filenames}

    assert generations.listed() == set()
    first = generations.begin("main", of("a-1.tar.gz", "b-1.tar.gz"), 1.0)
    generations.finish(first, 2.0)
    generations.finish(generations.begin("other", of("b-1.tar.gz", "c-1.tar.gz"), 2.0), 3.0)
    second = generations.begin("main", of("d-1.tar.gz"), 3.0)
    assert generations.listed() == identities("a-1.tar.gz", "b-1.tar.gz", "c-1.tar.gz", "d-1.tar.gz")
    assert generations.listed(besides="main") == identities("b-1.tar.gz", "c-1.tar.gz")
    assert generations.listed(besides="other") == identities("a-1.tar.gz", "b-1.tar.gz", "d-1.tar.gz")
    generations.finish(second, 4.0)
    assert generations.listed() == identities("b-1.tar.gz", "c-1.tar.gz", "d-1.tar.gz")
