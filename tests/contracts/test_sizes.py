"""The contracts of Sizes and of the SizeReader that fills them, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import UpstreamUnavailable
from pypim.core.records import FetchOptions
from pypim.index.sizes import RemoteSizes
from pypim.net.fetchers import open_fetcher
from pypim.store.catalog import Catalog
from pypim.store.memory import MemorySizes, OverlaySizes
from tests.store import values
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.world import World, project

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pypim.core.model import DistFile
    from pypim.ports import SizeReader, Sizes

SHA256 = "a" * 64
APP = World.of(project("app", "1.0")).file("app-1.0-py3-none-any.whl")
LIMIT_BYTES = 10_000


# --- Sizes ----------------------------------------------------------------------------------------------------------
@pytest.fixture(params=["catalog", "memory", "overlay"])
def sizes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sizes]:
    match request.param:
        case "catalog":
            with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
                yield catalog.of(values.owner(credentials="c0ffee")).sizes
        case "memory":
            yield MemorySizes()
        case _:
            yield OverlaySizes(MemorySizes())


def test_what_was_kept_is_known(sizes: Sizes) -> None:
    assert sizes.size(SHA256) is None
    sizes.keep_size(SHA256, 5)
    sizes.keep_size("b" * 64, 0)
    sizes.keep_size(SHA256, 1 << 40)
    assert (sizes.size(SHA256), sizes.size("b" * 64)) == (1 << 40, 0)


def test_an_overlay_reads_the_other_and_never_writes_to_it() -> None:
    under = MemorySizes()
    under.keep_size(SHA256, 5)
    overlay = OverlaySizes(under)
    assert overlay.size(SHA256) == 5
    overlay.keep_size(SHA256, 0)
    overlay.keep_size("b" * 64, 1)
    assert (overlay.size(SHA256), under.size(SHA256), under.size("b" * 64)) == (0, 5, None)


# --- SizeReader -----------------------------------------------------------------------------------------------------
@pytest.fixture
def server() -> Iterator[WorldServer]:
    with WorldServer(World.of(project("app", "1.0")), Options()) as started:
        yield started


@pytest.fixture
def known() -> MemorySizes:
    return MemorySizes()


@pytest.fixture
async def reader(server: WorldServer, known: MemorySizes) -> AsyncIterator[SizeReader]:
    async with open_fetcher(server.url, FetchOptions(retries=0)) as fetcher:
        yield RemoteSizes(fetcher, known)


def listed(server: WorldServer, **fields: object) -> DistFile:
    return values.dist_file(APP.filename, url=f"{server.root}/{APP.path}", **{"sha256": APP.sha256, **fields})


@pytest.mark.parametrize("ranges", [True, False], ids=["a range", "the whole file"])
async def test_the_size_is_learned_from_one_answer_and_remembered(
    server: WorldServer, reader: SizeReader, known: MemorySizes, *, ranges: bool
) -> None:
    server.options.ranges = ranges
    assert await reader.size(listed(server), limit_bytes=LIMIT_BYTES) == APP.size
    assert await reader.size(listed(server), limit_bytes=1) == APP.size
    assert len(server.requests) == 1
    assert known.size(APP.sha256) == APP.size


async def test_what_is_listed_is_believed(server: WorldServer, reader: SizeReader) -> None:
    assert await reader.size(listed(server, size=7), limit_bytes=LIMIT_BYTES) == 7
    assert not server.requests


async def test_without_a_hash_nothing_is_remembered(
    server: WorldServer, reader: SizeReader, known: MemorySizes
) -> None:
    """Nothing would tell whether the same bytes still stand behind an address."""
    for _ in range(2):
        assert await reader.size(listed(server, sha256=None), limit_bytes=LIMIT_BYTES) == APP.size
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_of_a_file_that_is_not_there_nobody_can_tell(
    server: WorldServer, reader: SizeReader, status: int
) -> None:
    server.misbehave("*.whl", faults.status(status))
    assert await reader.size(listed(server), limit_bytes=LIMIT_BYTES) is None


async def test_an_upstream_that_fails_is_a_fault(server: WorldServer, reader: SizeReader) -> None:
    server.misbehave("*.whl", faults.status(503))
    with pytest.raises(UpstreamUnavailable):
        await reader.size(listed(server), limit_bytes=LIMIT_BYTES)


async def test_where_no_answer_says_a_length_the_bytes_are_counted_up_to_the_limit(
    server: WorldServer, reader: SizeReader, known: MemorySizes
) -> None:
    server.options.ranges = False
    server.misbehave("*.whl", faults.chunked())
    above = await reader.size(listed(server), limit_bytes=10)
    assert above is not None
    assert above > 10
    assert known.size(APP.sha256) is None, "it may be larger still"
    assert await reader.size(listed(server), limit_bytes=LIMIT_BYTES) == APP.size
    assert known.size(APP.sha256) == APP.size
