"""The contract of Generations, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.errors import NotFound
from pypim.core.names import parse_name
from pypim.core.plan import Outline, outline_of
from pypim.core.portions import joined, portions_of
from pypim.core.records import Tally, UnheldFile
from pypim.core.selection import ChosenRelease, Problem, Selection
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryHoldings
from pypim.store.memory_generations import MemoryGenerations
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Generations, Holdings

EMPTY = Selection()


@pytest.fixture(params=["catalog", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Generations, Holdings]]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.generations, catalog.holdings
    else:
        holdings = MemoryHoldings()
        yield MemoryGenerations(holdings), holdings


@pytest.fixture
def generations(store: tuple[Generations, Holdings]) -> Generations:
    return store[0]


@pytest.fixture
def holdings(store: tuple[Generations, Holdings]) -> Holdings:
    return store[1]


def test_an_index_without_a_finished_generation_has_no_current_one(generations: Generations) -> None:
    assert generations.current("main") is None
    generations.begin("main", values.selection(), 1.0)
    assert generations.current("main") is None


def test_every_index_with_a_finished_generation_is_known(generations: Generations) -> None:
    """Nobody else knows of an index that was taken out of the configuration."""
    assert generations.indexes() == []
    generations.begin("unfinished", values.selection(), 1.0)
    for name in ("main", "beside", "main"):
        generations.finish(generations.begin(name, EMPTY, 1.0), 2.0)
    assert generations.indexes() == ["beside", "main"]


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


# --- project by project ---------------------------------------------------------------------------------------------
APP, LIB, NEW = parse_name("app"), parse_name("lib"), parse_name("new")
APP_1, APP_2 = values.dist_file("app-1.tar.gz", size=10), values.dist_file("app-2.tar.gz", size=20)
LIB_1 = values.dist_file("lib-1.tar.gz")


def both(*selections: Selection) -> Selection:
    return joined(selections)


def published(generations: Generations, selection: Selection) -> None:
    generations.finish(generations.begin("main", selection, 1.0), 2.0)


def test_a_selection_cut_into_portions_is_whole_again() -> None:
    assert joined(portions_of(values.selection()).values()) == joined([values.selection()])


def test_amending_some_projects_gives_what_choosing_everything_at_once_gives(generations: Generations) -> None:
    """Those that are not named stay, an empty portion goes, a new one comes."""
    published(generations, both(values.selection_of(APP_1, "app", "1"), values.selection_of(LIB_1, "lib", "1")))
    changed = values.selection_of(APP_2, "app", "2")
    added = values.selection_of(values.dist_file("new-1.tar.gz"), "new", "1")
    begun = generations.amend("main", {APP: changed, LIB: EMPTY, NEW: added}, 3.0)
    assert begun.is_amended
    assert generations.selection(begun.number) == both(changed, added)
    assert generations.portion("main", APP) == values.selection_of(APP_1, "app", "1")
    assert generations.unfinished("main") == [APP, LIB, NEW]
    generations.finish(begun, 4.0)
    assert generations.current_selection("main") == both(changed, added)
    assert (generations.portion("main", APP), generations.portion("main", LIB)) == (changed, EMPTY)
    assert generations.unfinished("main") == []
    assert generations.listed() == {APP_2.identity, values.dist_file("new-1.tar.gz").identity}


def test_a_portion_that_is_the_same_makes_no_difference(generations: Generations) -> None:
    selection = values.selection_of(APP_1, "app", "1")
    published(generations, selection)
    begun = generations.amend("main", {APP: selection, NEW: EMPTY}, 3.0)
    assert generations.unfinished("main") == []
    generations.finish(begun, 4.0)
    assert generations.current_selection("main") == selection
    again = generations.begin("main", selection, 5.0)
    assert not again.is_amended
    assert generations.unfinished("main") == []


def test_what_was_begun_can_be_abandoned(generations: Generations) -> None:
    published(generations, values.selection())
    generations.amend("main", {APP: values.selection_of(APP_1, "app", "1")}, 3.0)
    generations.abandon("main")
    assert not generations.is_interrupted("main")
    assert generations.current_selection("main") == values.selection()


def test_portions_come_in_the_order_of_their_names(generations: Generations) -> None:
    app, lib = values.selection_of(APP_1, "app", "1"), values.selection_of(LIB_1, "lib", "1")
    assert generations.portions("main", "", 10) == []
    published(generations, both(app, lib, Selection(warnings=("of nobody",))))
    assert generations.portions("main", "", 10) == [(APP, app), (LIB, lib)]
    assert generations.portions("main", "", 1) == [(APP, app)]
    assert generations.portions("main", "app", 10) == [(LIB, lib)]
    assert generations.names("main", "", 10) == [APP, LIB]
    assert generations.names("main", "app", 1) == [LIB]
    assert generations.names("other", "", 10) == []


def test_names_are_also_those_of_an_unfinished_generation(generations: Generations) -> None:
    published(generations, values.selection_of(APP_1, "app", "1"))
    generations.amend("main", {NEW: values.selection_of(LIB_1, "new", "1"), APP: EMPTY}, 3.0)
    assert set(generations.names("main", "", 10)) == {APP, NEW}
    assert generations.chosen_among("main", [APP, NEW, LIB]) == {APP, NEW}


def test_some_identities_are_asked_about_among_all_that_are_listed(generations: Generations) -> None:
    published(generations, both(values.selection_of(APP_1, "app", "1"), values.selection_of(LIB_1, "lib", "1")))
    generations.finish(generations.begin("other", values.selection_of(APP_1, "app", "1"), 3.0), 4.0)
    generations.amend("main", {APP: values.selection_of(APP_2, "app", "2")}, 5.0)
    asked = [APP_1.identity, APP_2.identity, "nothing#0"]
    assert generations.listed_among(asked) == {APP_1.identity, APP_2.identity}
    assert generations.listed_among([LIB_1.identity], besides="main") == set()
    assert generations.listed_among(asked, besides="main") == {APP_1.identity}
    assert generations.named_among("main", asked) == {APP_1.identity}
    assert generations.named_among("nowhere", asked) == set()


def test_what_is_chosen_and_held_is_counted(generations: Generations, holdings: Holdings) -> None:
    """Whichever comes first, the row of a file that is held or the generation that names it."""
    assert generations.tally("main") == Tally(0, 0, 0, 0, 0, 0, 0)
    kept = values.holding(b"twelve bytes", "app-1.tar.gz")
    holdings.record([(APP_1.identity, APP, kept)])
    two = both(values.selection_of(APP_1, "app", "1"), values.selection_of(LIB_1, "lib", "1"))
    begun = generations.begin("main", two, 1.0)
    assert generations.tally("main") == Tally(0, 0, 0, 0, 0, 0, 0)
    generations.finish(begun, 2.0)
    assert generations.tally("main") == Tally(2, 1, 2, 2, 10, 1, 12)
    assert generations.unheld("main", 9) == [UnheldFile(LIB, "1", "lib-1.tar.gz", None)]
    holdings.record([(LIB_1.identity, LIB, values.holding(b"1", "lib-1.tar.gz"))])
    assert generations.tally("main") == Tally(2, 2, 2, 2, 10, 2, 13)
    holdings.record([(LIB_1.identity, LIB, values.holding(b"123", "lib-1.tar.gz"))])
    assert generations.tally("main") == Tally(2, 2, 2, 2, 10, 2, 15)
    holdings.forget([APP_1.identity])
    assert generations.tally("main") == Tally(2, 1, 2, 2, 10, 1, 3)
    assert [one.filename for one in generations.unheld("main", 9)] == ["app-1.tar.gz"]
    generations.finish(generations.amend("main", {LIB: EMPTY}, 3.0), 4.0)
    assert generations.tally("main") == Tally(1, 0, 1, 1, 10, 0, 0)


def test_certain_problems_are_told_of_all_projects(generations: Generations) -> None:
    def problem(project: str, *, is_certain: bool) -> Problem:
        return Problem(project=project, requirement="latest", reason="no", is_certain=is_certain)

    told = Selection(problems=(problem("app", is_certain=True), problem("app", is_certain=False)))
    assert generations.problems("main") == ()
    generations.finish(generations.amend("main", {APP: told}, 1.0), 2.0)
    assert generations.problems("main") == (problem("app", is_certain=True),)
    more = Selection(problems=(problem("aaa", is_certain=True),))
    generations.finish(generations.amend("main", {NEW: more}, 3.0), 4.0)
    assert [one.project for one in generations.problems("main")] == ["aaa", "app"]
    current = generations.current_selection("main")
    assert current is not None
    assert list(current.problems) == sorted([*told.problems, *more.problems])
