"""What every Index and MetadataReader promises (ports), checked on one world behind each kind of upstream."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from pypim.core.errors import MetadataNotFound, ProjectNotFound, UpstreamFault
from pypim.core.followed import FollowRules
from pypim.core.model import MetadataSource
from pypim.core.records import FetchOptions
from pypim.core.urls import root_url
from pypim.index.conditional import Belief
from pypim.index.download import Downloads
from pypim.index.flat import FlatIndex
from pypim.index.follower import Follower
from pypim.index.metadata import RemoteMetadata
from pypim.index.remote import RemoteIndex
from pypim.index.watching import PageWatch
from pypim.net.fetchers import open_fetcher
from pypim.store.blobs import LocalBlobs
from pypim.store.memory import MemoryCapabilities, MemoryMetadataCache, MemoryPages
from pypim.store.memory_following import MemoryBacklog, MemoryFollowing
from pypim.wiring import SystemClock
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.tree import write_tree
from tests.worlds.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pypim.ports import Index, MetadataReader
    from tests.conftest import ServeWorld

    Upstream = Callable[[], AbstractAsyncContextManager[tuple[Index, MetadataReader]]]

APP = canonicalize_name("my-app")
WORLD = World.of(
    project("My.App", release("1.0", wheel(), sdist(), requires=["lib>=1"]), release("2.0")), project("lib", "1.0")
)
KINDS = ["json", "html", "tree", "page", "folder"]
NOWHERE = "http://127.0.0.1:9/simple/"


@asynccontextmanager
async def opened(url: str, folder: Path, *, is_flat: bool) -> AsyncIterator[tuple[Index, MetadataReader]]:
    capabilities = MemoryCapabilities()
    async with open_fetcher(url, FetchOptions(proxy="", retries=0)) as fetcher:
        blobs = LocalBlobs(folder / "files", folder / "staging")
        reader = RemoteMetadata("up", fetcher, MemoryMetadataCache(), capabilities, Downloads(fetcher, blobs))
        belief = Belief(SystemClock())
        follower = Follower(root_url(url), fetcher, MemoryFollowing(), capabilities, belief, FollowRules())
        watch = PageWatch("main", MemoryBacklog(), follower, capabilities, belief)
        remote = RemoteIndex("up", fetcher, MemoryPages(), capabilities, belief, watch)
        yield (FlatIndex("up", url, fetcher) if is_flat else remote), reader


@pytest.fixture(params=KINDS)
def upstream(request: pytest.FixtureRequest, serve: ServeWorld, tmp_path: Path) -> Upstream:
    kind = request.param
    if kind == "tree":
        url = write_tree(WORLD, tmp_path / "tree")
    elif kind == "folder":
        WORLD.write_flat(tmp_path / "flat")
        url = (tmp_path / "flat").as_uri()
    else:
        server = serve(WORLD, format="html_only" if kind == "html" else "json_1_4")
        url = f"{server.root}/flat" if kind == "page" else server.url
    return lambda: opened(url, tmp_path / "store", is_flat=kind in {"page", "folder"})


async def test_every_project_is_listed_by_its_normalised_name(upstream: Upstream) -> None:
    async with upstream() as (index, _):
        assert set((await index.project_list()).projects) == {APP, "lib"}


async def test_a_page_lists_every_file_under_an_absolute_url(upstream: Upstream) -> None:
    async with upstream() as (index, _):
        page = await index.project(APP)
    assert page.name == APP
    assert sorted(file.filename for file in page.files) == sorted(built.filename for built in WORLD.files_of("my-app"))
    assert all(file.url.partition(":")[0] in {"http", "file"} for file in page.files)
    assert page.dropped == ()


async def test_a_project_that_is_not_there_is_not_found(upstream: Upstream) -> None:
    async with upstream() as (index, _):
        with pytest.raises(ProjectNotFound):
            await index.project(canonicalize_name("nothing"))


async def test_the_metadata_of_every_file_is_learned_without_running_code(upstream: Upstream) -> None:
    async with upstream() as (index, reader):
        for file in (await index.project(APP)).files:
            metadata = await reader.metadata(APP, file)
            assert metadata.source is not MetadataSource.NONE
            assert metadata.requires_dist == (("lib>=1",) if "-1.0" in file.filename else ())
            assert await reader.metadata(APP, file) == metadata


@pytest.mark.parametrize("is_flat", [False, True])
async def test_an_upstream_that_does_not_answer_is_a_fault_and_not_an_absence(tmp_path: Path, is_flat: bool) -> None:
    async with opened(NOWHERE, tmp_path, is_flat=is_flat) as (index, _):
        with pytest.raises(UpstreamFault):
            await index.project(APP)
        with pytest.raises(UpstreamFault):
            await index.project_list()


async def test_a_file_that_is_listed_and_gone_has_no_metadata(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(WORLD)
    async with opened(server.url, tmp_path, is_flat=False) as (index, reader):
        file = (await index.project(APP)).files[0]
        server.world = server.world.without("my-app")
        with pytest.raises(MetadataNotFound):
            await reader.metadata(APP, file)
