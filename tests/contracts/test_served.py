"""The contract of Served, on an index of every kind, and of the Arriving that a proxy's content may be."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypim.config.load import load
from pypim.core.errors import ProjectNotFound
from pypim.core.names import parse_name
from pypim.wiring_server import open_app
from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.serving import RunningServer
from tests.web.uploading import Upload, send
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.core.model import DistFile
    from pypim.ports import Arriving, Served

KINDS = ["mirror", "proxy", "hosted", "group"]
LIB = parse_name("lib")
WORLD = World.of(project("lib", release("1.0", wheel(payload=3_000_000), sdist())))
CONFIGURATION = """
[upstreams.up]
url = "{url}"
[access]
open-on-loopback = true
[indexes.mirror]
kind = "mirror"
[indexes.mirror.filters]
formats = ["wheel", "sdist"]
[indexes.mirror.packages]
lib = ["1.0"]
[indexes.proxy]
kind = "proxy"
[indexes.hosted]
kind = "hosted"
[indexes.group]
kind = "group"
members = ["hosted", "proxy"]
"""


@asynccontextmanager
async def opened(serve: ServeWorld, folder: Path, kind: str) -> AsyncIterator[Served]:
    config = folder / "pypim.toml"
    config.write_text(CONFIGURATION.format(url=serve(WORLD).url), "utf-8")
    if kind == "mirror":
        (await asyncio.to_thread(pypim, "-c", config, "sync")).expect()
    if kind == "hosted":
        with RunningServer(config) as server:
            for file in WORLD.files:
                sent = send(server, Upload(file.filename, file.content, "lib", "1.0"), "/hosted/legacy/")
                assert sent.status == 200, sent
    async with open_app(load(config)) as app:
        yield app.context.indexes[kind]


async def read(content: Path | Arriving) -> bytes:
    """All of it, whichever it is."""
    if isinstance(content, Path):
        return content.read_bytes()
    try:
        found = b""
        while part := await content.read(len(found), 1 << 20):
            found += part
        return found
    finally:
        content.close()


def wheel_of(files: tuple[DistFile, ...]) -> DistFile:
    return next(file for file in files if file.filename.endswith(".whl"))


@pytest.mark.parametrize("kind", KINDS)
async def test_what_a_page_lists_can_be_had(serve: ServeWorld, tmp_path: Path, kind: str) -> None:
    async with opened(serve, tmp_path, kind) as served:
        assert served.name == kind
        page = await served.project(LIB)
        assert sorted(file.filename for file in page.files) == sorted(file.filename for file in WORLD.files)
        for file in page.files:
            content = await read(await served.content(LIB, file))
            assert hashlib.sha256(content).hexdigest() == file.sha256
        metadata = await served.metadata_bytes(LIB, wheel_of(page.files))
        assert metadata == next(file.metadata for file in WORLD.files if file.filename.endswith(".whl"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_mark_stays_while_nothing_changes(serve: ServeWorld, tmp_path: Path, kind: str) -> None:
    async with opened(serve, tmp_path, kind) as served:
        for name in (LIB, None):
            await (served.project_list() if name is None else served.project(name))
            await (served.project_list() if name is None else served.project(name))
            assert served.mark(name) == served.mark(name)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_not_there_is_said_to_be_missing(serve: ServeWorld, tmp_path: Path, kind: str) -> None:
    async with opened(serve, tmp_path, kind) as served:
        with pytest.raises(ProjectNotFound):
            await served.project(parse_name("nothing"))
        assert LIB in (await served.project_list()).projects


async def test_a_file_that_is_arriving_can_be_read_from_anywhere(serve: ServeWorld, tmp_path: Path) -> None:
    """Case 29: the right bytes, as soon as they are there."""
    expected = next(file.content for file in WORLD.files if file.filename.endswith(".whl"))
    async with opened(serve, tmp_path, "proxy") as served:
        file = wheel_of((await served.project(LIB)).files)
        arriving = await served.content(LIB, file)
        assert not isinstance(arriving, Path)
        assert arriving.size == len(expected)
        assert await arriving.read(len(expected) - 10, 100) == expected[-10:]
        assert await arriving.read(5, 10) == expected[5:15]
        assert await arriving.read(len(expected), 10) == b""
        arriving.close()
