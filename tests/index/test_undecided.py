"""An upstream of which nobody said whether it is a Simple API or a page of links."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from pypim.core.errors import NotAuthorised, ProjectNotFound, UpstreamUnavailable
from pypim.index.flat import FlatIndex
from pypim.index.undecided import UndecidedIndex
from tests.worlds import faults
from tests.worlds.specs import project, sdist, wheel
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import ServeWorld
    from tests.index.conftest import Kept

APP, LIB, NOTHING = (canonicalize_name(name) for name in ("my-app", "lib", "nothing"))


def world() -> World:
    return World.of(project("My.App", "1.0", "2.0", files=(wheel(), sdist())), project("lib", "1.0"))


@asynccontextmanager
async def opened(kept: Kept, url: str) -> AsyncIterator[UndecidedIndex]:
    async with kept.fetcher(url) as fetcher:
        simple = kept.remote(url, fetcher)
        yield UndecidedIndex(simple, FlatIndex("up", url, fetcher), url, kept.capabilities)


async def test_a_page_of_links_is_recognised_when_a_project_is_asked_for(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with opened(kept, f"{server.root}/flat") as index:
        assert len((await index.project(APP)).files) == 4
        assert len((await index.project(LIB)).files) == 1
        with pytest.raises(ProjectNotFound):
            await index.project(NOTHING)
        assert set((await index.project_list()).projects) == {APP, LIB}
    paths = [request.path for request in server.requests]
    assert paths == ["/flat/my-app/", "/flat"], "after that it is asked for nothing but its one page"


async def test_a_page_of_links_is_recognised_by_its_list(serve: ServeWorld, kept: Kept) -> None:
    """As a list of projects it has one for each file, with a name that is that of a file."""
    server = serve(world())
    async with opened(kept, f"{server.root}/flat") as index:
        assert set((await index.project_list()).projects) == {APP, LIB}


async def test_the_list_of_a_simple_api_is_only_looked_at_while_it_has_never_answered(
    serve: ServeWorld, kept: Kept
) -> None:
    """The full list of an upstream's projects is only asked for when a pattern or `update` needs it."""
    server = serve(world())
    async with opened(kept, server.url) as index:
        for _ in range(2):
            with pytest.raises(ProjectNotFound):
                await index.project(NOTHING)
        assert len(server.asked("/simple/")) == 1
        assert (await index.project(APP)).files
    async with opened(kept, server.url) as index:
        with pytest.raises(ProjectNotFound):
            await index.project(NOTHING)
        assert len(server.asked("/simple/")) == 1, "that it is a Simple API is remembered"
        assert set((await index.project_list()).projects) == {APP, LIB}


async def test_a_fault_of_the_upstream_is_neither(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    server.misbehave("*", faults.status(503))
    async with opened(kept, server.url) as index:
        with pytest.raises(UpstreamUnavailable):
            await index.project(APP)
        with pytest.raises(UpstreamUnavailable):
            await index.project_list()
    server.behave()
    server.misbehave("/simple/*", faults.status(403))
    async with opened(kept, server.url) as index:
        with pytest.raises(NotAuthorised):
            await index.project(APP)


async def test_some_hosts_say_forbidden_of_what_is_not_there(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    server.misbehave("/flat/*-*/", faults.status(403))
    async with opened(kept, f"{server.root}/flat") as index:
        assert (await index.project(APP)).files
