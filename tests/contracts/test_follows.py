"""The contract of Follows, on every kind of upstream that can be followed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from pypim.core.followed import Way
from pypim.core.names import parse_name
from pypim.index.flat import FlatIndex
from pypim.index.undecided import UndecidedIndex
from tests.index.conftest import Kept
from tests.worlds.specs import project, release
from tests.worlds.tree import write_tree
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pypim.ports import Follows
    from tests.conftest import ServeWorld

APP, LIB, NOTHING = (parse_name(name) for name in ("app", "lib", "nothing"))
WORLD = World.of(project("app", "1.0", release("2.0")), project("lib", "1.0"))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "store")


@asynccontextmanager
async def opened(kept: Kept, url: str, *, is_undecided: bool) -> AsyncIterator[Follows]:
    async with kept.fetcher(url) as fetcher:
        simple = kept.remote(url, fetcher)
        flat = FlatIndex("up", url, fetcher)
        yield UndecidedIndex(simple, flat, url, kept.capabilities) if is_undecided else simple


@pytest.mark.parametrize("is_undecided", [False, True])
async def test_an_update_asks_once_a_run(serve: ServeWorld, kept: Kept, *, is_undecided: bool) -> None:
    server = serve(WORLD)
    async with opened(kept, server.url, is_undecided=is_undecided) as follows:
        first = await follows.update()
        assert first is not None
        assert (first.outcome, first.projects, first.way) == ("first", 2, Way.JSON)
        assert await follows.update() == first
    assert [request.path for request in server.requests] == ["/simple/", "/pypi"]
    async with opened(kept, server.url, is_undecided=is_undecided) as follows:
        again = await follows.update()
    assert again is not None
    assert again.outcome == "unchanged"


@pytest.mark.parametrize("is_undecided", [False, True])
async def test_only_pages_are_asked_for_where_that_is_wanted(
    serve: ServeWorld, kept: Kept, *, is_undecided: bool
) -> None:
    server = serve(WORLD)
    async with opened(kept, server.url, is_undecided=is_undecided) as follows:
        found = await follows.ask([APP, LIB, NOTHING])
        assert (found.way, found.new, found.changed, found.removed) == (Way.PROJECTS, 2, 0, 0)
    assert not server.asked("/simple/"), "the list is not among them"
    server.world = WORLD.releasing("lib", release("3.0"))
    async with opened(kept, server.url, is_undecided=is_undecided) as follows:
        found = await follows.ask([APP, LIB, NOTHING])
        assert (found.new, found.changed, found.removed) == (0, 1, 0)


async def test_a_tree_on_disk_can_be_followed(tmp_path: Path, kept: Kept) -> None:
    url = write_tree(WORLD, tmp_path / "tree")
    for outcome in ("first", "unchanged"):
        async with opened(kept, url, is_undecided=False) as follows:
            found = await follows.update()
        assert found is not None
        assert (found.outcome, found.projects) == (outcome, 2)


async def test_a_page_of_files_has_no_list(serve: ServeWorld, kept: Kept) -> None:
    server = serve(WORLD)
    async with opened(kept, f"{server.root}/flat", is_undecided=True) as follows:
        assert await follows.update() is None
