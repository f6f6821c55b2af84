"""A flat page or folder as an Index (pip's `--find-links`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from pypim.core.errors import ProjectNotFound, UpstreamUnavailable
from pypim.index.flat import FlatIndex
from tests.worlds.specs import project, sdist, wheel
from tests.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.index.conftest import Kept

APP = canonicalize_name("my-app")


def world() -> World:
    return World.of(project("My.App", "1.0", "2.0", files=(wheel(), sdist())), project("lib", "1.0"))


async def test_a_page_of_links_is_grouped_by_project_and_read_once(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.fetcher(server.root) as fetcher:
        index = FlatIndex("flat", f"{server.root}/flat", fetcher)
        assert set((await index.project_list()).projects) == {APP, "lib"}
        assert len((await index.project(APP)).files) == 4
        with pytest.raises(ProjectNotFound):
            await index.project(canonicalize_name("other"))
    assert len(server.requests) == 1


async def test_a_folder_lists_its_files_with_sizes(tmp_path: Path, kept: Kept) -> None:
    folder = tmp_path / "my wheels"
    world().write_flat(folder)
    (folder / "notes.txt").write_text("not a distribution file")
    (folder / "strange.tar.gz").write_text("of nobody knows what")
    url = folder.as_uri()
    async with kept.fetcher(url) as fetcher:
        index = FlatIndex("flat", url, fetcher)
        projects = await index.project_list()
        page = await index.project(APP)
        fetched = await fetcher.fetch(page.files[0].url, {}, limit_bytes=1 << 20)
    assert set(projects.projects) == {APP, "lib"}
    assert projects.dropped == ("strange.tar.gz: its project cannot be told from its name",)
    assert [file.size for file in page.files] == [(folder / file.filename).stat().st_size for file in page.files]
    assert len(fetched.body) == page.files[0].size


async def test_a_folder_that_is_not_there_is_the_upstreams_fault(tmp_path: Path, kept: Kept) -> None:
    url = (tmp_path / "nothing").as_uri()
    async with kept.fetcher(url) as fetcher:
        with pytest.raises(UpstreamUnavailable, match="no such page or folder"):
            await FlatIndex("flat", url, fetcher).project_list()
