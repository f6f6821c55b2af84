"""A file on its way: one request for all, right bytes or a fault, and never a wrong byte as the end of a file."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import IntegrityFault, UpstreamFault
from pypim.core.names import parse_name
from tests.index.proxies import APP, Home, everything, named
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.core.model import DistFile
    from pypim.index.proxy import ProxyIndex
    from pypim.ports import Arriving
    from tests.conftest import ServeWorld
    from tests.worlds.faults import Fault
    from tests.worlds.server import WorldServer

WORLD = World.of(project("app", release("1.0", wheel(payload=750_000))), project("lib", "1.0"))
BIG = WORLD.file("app-1.0-py3-none-any.whl")
"""More than is held back, and than is looked at whole."""
LIB = parse_name("lib")
SMALL = WORLD.file("lib-1.0-py3-none-any.whl")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "store")


@pytest.fixture
def server(serve: ServeWorld) -> WorldServer:
    return serve(WORLD)


@pytest.fixture
async def proxy(server: WorldServer, home: Home) -> AsyncIterator[ProxyIndex]:
    async with home.open(server.url) as opened:
        yield opened


async def big(proxy: ProxyIndex) -> DistFile:
    return named(await proxy.project(APP), BIG.filename)


async def small(proxy: ProxyIndex) -> DistFile:
    return named(await proxy.project(LIB), SMALL.filename)


async def arriving(proxy: ProxyIndex) -> Arriving:
    content = await proxy.content(APP, await big(proxy))
    assert not isinstance(content, Path)
    return content


def test_the_file_is_large_enough() -> None:
    assert BIG.size > 1 << 19


async def test_sixty_four_readers_make_one_request(server: WorldServer, home: Home, proxy: ProxyIndex) -> None:
    server.misbehave("*.whl", faults.drip(1 << 15, 0.001))
    file = await big(proxy)

    async def read(chunk: int) -> bytes:
        return await everything(await proxy.content(APP, file), chunk)

    contents = await asyncio.gather(*(read(1000 * (number + 1)) for number in range(64)))
    assert all(content == BIG.content for content in contents)
    assert len(server.asked("*.whl")) == 1
    await proxy.settle()
    assert home.held_files() == [BIG.filename, BIG.filename + ".metadata"]
    assert not list((home.folder / "turns").iterdir()), "no lock is left"


@pytest.mark.parametrize("start", [0, 1, 70_000, -1, -65_536, -65_537, -100_000])
async def test_a_range_of_an_arriving_file_has_the_right_bytes(
    server: WorldServer, proxy: ProxyIndex, start: int
) -> None:
    """Case 29: a range on a file still being pulled has the right bytes, and is never truncated."""
    server.misbehave("*.whl", faults.drip(1 << 15, 0.001))
    reader = await arriving(proxy)
    begin = start % BIG.size
    assert reader.size == BIG.size
    content = b""
    while piece := await reader.read(begin + len(content), 10_000):
        content += piece
    assert content == BIG.content[begin:]
    assert await reader.read(BIG.size, 1) == b""
    reader.close()


async def test_the_first_bytes_come_while_the_rest_is_on_its_way(server: WorldServer, proxy: ProxyIndex) -> None:
    server.misbehave("*.whl", faults.drip(1 << 14, 0.01))
    reader = await arriving(proxy)
    assert await reader.read(0, 1 << 20)
    assert proxy._arrivals.is_arriving((await big(proxy)).identity)
    reader.close()
    reader.close()


async def test_a_first_reader_that_vanishes_does_not_disturb(
    server: WorldServer, home: Home, proxy: ProxyIndex
) -> None:
    gate = threading.Event()
    server.misbehave("*.whl", faults.hold(gate))
    file = await big(proxy)
    first = asyncio.create_task(proxy.content(APP, file))
    other = asyncio.create_task(proxy.content(APP, file))
    reader = await first
    assert not isinstance(reader, Path)
    reader.close()
    gate.set()
    assert await everything(await other) == BIG.content
    await proxy.settle()
    assert BIG.filename in home.held_files()
    assert len(server.asked("*.whl")) == 1


async def test_who_is_cancelled_while_waiting_does_not_disturb(server: WorldServer, proxy: ProxyIndex) -> None:
    gate = threading.Event()
    server.misbehave("*.whl", faults.hold(gate))
    file = await small(proxy)  # a small one is waited for
    tasks = [asyncio.create_task(proxy.content(LIB, file)) for _ in range(3)]
    while not server.asked("*.whl"):
        await asyncio.sleep(0.001)
    tasks[0].cancel()
    gate.set()
    for task in tasks[1:]:
        assert await everything(await task) == SMALL.content
    assert len(server.asked("*.whl")) == 1


async def test_the_file_is_kept_also_when_all_readers_have_gone(home: Home, proxy: ProxyIndex) -> None:
    (await arriving(proxy)).close()
    await proxy.settle()
    assert BIG.filename in home.held_files()


# --- a broken upstream ----------------------------------------------------------------------------------------------
WRONG: dict[str, Fault] = {
    "wrong bytes": faults.wrong_bytes(),
    "shorter": faults.shorter(10),
    "longer": faults.longer(10),
    "an error page": faults.instead(b"<html>sorry</html>", "text/html"),
    "more announced than comes": faults.announce_only(BIG.size + 10),
    "endless": faults.announce(1 << 30),
    "one byte differs at the end": lambda response: faults.instead(response.body[:-1] + b"?")(response),
    "404": faults.status(404),
    "410": faults.status(410),
    "403": faults.status(403),
    "401": faults.status(401),
    "500": faults.status(500),
    "no answer": faults.no_answer(),
    "a loop": faults.endless_redirect(),
    "to file:": faults.redirect("file:///etc/passwd"),
}


@pytest.mark.parametrize("fault", WRONG.values(), ids=WRONG)
async def test_no_wrong_body_is_complete_or_kept_and_it_heals(
    server: WorldServer, home: Home, proxy: ProxyIndex, fault: Fault
) -> None:
    """Upstream bytes ≠ advertised sha256 → not cached, not served."""
    server.misbehave("*.whl", fault)
    for file, project_name, size in ((await big(proxy), APP, BIG.size), (await small(proxy), LIB, SMALL.size)):
        received = 0

        async def read(file: DistFile = file, project_name: str = project_name) -> None:
            nonlocal received
            reader = await proxy.content(parse_name(project_name), file)
            assert not isinstance(reader, Path)
            while piece := await reader.read(received, 1 << 16):
                received += len(piece)

        with pytest.raises((UpstreamFault, IntegrityFault)):
            await read()
        assert received < size
    await proxy.settle()
    assert home.held_files() == []
    server.behave()
    assert await everything(await proxy.content(APP, await big(proxy))) == BIG.content
    assert await everything(await proxy.content(LIB, await small(proxy))) == SMALL.content


async def test_a_small_wrong_file_is_refused_before_the_first_byte(server: WorldServer, proxy: ProxyIndex) -> None:
    """Then the answer is 502, and no broken connection."""
    server.misbehave("*.whl", faults.wrong_bytes())
    file = await small(proxy)
    with pytest.raises(IntegrityFault):
        await proxy.content(LIB, file)


async def test_what_was_cut_is_gone_on_with(server: WorldServer, proxy: ProxyIndex) -> None:
    server.misbehave("*.whl", faults.cut_after(200_000), times=2)
    reader = await arriving(proxy)
    assert await everything(reader) == BIG.content
    ranges = [request.headers.get("range") for request in server.asked("*.whl")]
    assert ranges[0] is None
    assert len(ranges) == 3
    assert all(asked is not None for asked in ranges[1:])


async def test_without_ranges_a_cut_is_a_fault_and_the_next_attempt_begins_anew(
    server: WorldServer, home: Home, proxy: ProxyIndex
) -> None:
    """Upstream dies mid-file → the client's connection is aborted, nothing is cached."""
    server.options.ranges = False
    server.misbehave("*.whl", faults.cut_after(300_000), times=1)
    reader = await arriving(proxy)
    with pytest.raises(UpstreamFault):
        await everything(reader)
    await proxy.settle()
    assert home.held_files() == []
    assert await everything(await arriving(proxy)) == BIG.content


async def test_a_part_that_an_earlier_process_received_is_not_asked_for_again(
    server: WorldServer, home: Home, proxy: ProxyIndex
) -> None:
    file = await big(proxy)
    server.misbehave("*.whl", faults.cut_after(100_000))
    with pytest.raises(UpstreamFault):
        await everything(await arriving(proxy))
    server.behave()
    server.forget_requests()
    assert await everything(await proxy.content(APP, file)) == BIG.content
    assert server.asked("*.whl")[0].headers["range"].startswith("bytes=")


# --- what little pages say ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hashes", [("md5",), ("sha1",), ("blake2b_256",), ()], ids=["md5", "sha1", "blake2b", "none"])
async def test_once_it_is_held_the_page_has_the_sha256_and_the_size(
    serve: ServeWorld, home: Home, hashes: tuple[str, ...]
) -> None:
    """Case 23: sha1-only upstream → compute sha256. Case 24: only blake2b_256 → add sha256."""
    server = serve(WORLD, json_api=False, pypi_shaped=False)

    def change(page: dict[str, object]) -> None:
        for entry in page["files"]:  # type: ignore[attr-defined] # a page of the Simple API
            content = WORLD.file(entry["filename"]).content
            new = {"blake2b_256": hashlib.blake2b(content, digest_size=32)}
            entry["hashes"] = {name: (new.get(name) or hashlib.new(name, content)).hexdigest() for name in hashes}
            entry.pop("size", None)
            entry.pop("core-metadata", None)

    server.misbehave("/simple/*", faults.changed_page(change))
    async with home.open(server.url) as proxy:
        file = await small(proxy)
        mark = proxy.mark(LIB)
        assert (file.sha256, file.size) == (None, None)
        assert await everything(await proxy.content(LIB, file)) == SMALL.content
        await proxy.settle()
        assert proxy.mark(LIB) != mark
        known = await small(proxy)
        assert (known.sha256, known.size) == (SMALL.sha256, SMALL.size)
        assert known.core_metadata == SMALL.metadata_sha256
        assert await proxy.metadata_bytes(LIB, known) == SMALL.metadata
        for entry in (file, known):
            assert await everything(await proxy.content(LIB, entry)) == SMALL.content
        assert len(server.asked("*.whl")) == 1
    server.misbehave("*.whl", faults.no_answer())
    async with home.open(server.url) as proxy:
        assert await everything(await proxy.content(LIB, await small(proxy))) == SMALL.content


async def test_without_any_hash_a_cut_file_is_never_put_together(serve: ServeWorld, home: Home) -> None:
    """Nothing would tell whether both parts are of one content."""
    server = serve(WORLD, hashes="none", sizes=False, json_api=False, pypi_shaped=False)
    server.misbehave("*.whl", faults.cut_after(300_000), times=1)
    async with home.open(server.url) as proxy:
        with pytest.raises(UpstreamFault):
            await everything(await arriving(proxy))
        assert await everything(await arriving(proxy)) == BIG.content


# --- several processes ----------------------------------------------------------------------------------------------
async def test_two_processes_on_one_store_make_one_request(server: WorldServer, home: Home) -> None:
    server.misbehave("*.whl", faults.drip(1 << 15, 0.001))
    async with home.open(server.url) as one, home.open(server.url) as other:
        file = await big(one)
        contents = await asyncio.gather(*(each.content(APP, file) for each in (one, other)))
        read = await asyncio.gather(*(everything(content) for content in contents))
        assert read == [BIG.content, BIG.content]
    assert len(server.asked("*.whl")) == 1


async def test_what_another_process_receives_is_given_out_as_it_comes(server: WorldServer, home: Home) -> None:
    server.misbehave("*.whl", faults.drip(1 << 15, 0.02))
    async with home.open(server.url) as one, home.open(server.url) as other:
        file = await big(one)
        first = await one.content(APP, file)
        second = await other.content(APP, file)
        assert not isinstance(first, Path)
        assert not isinstance(second, Path)
        assert BIG.content.startswith(await second.read(0, 1000))
        assert home.held_files() == [], "it has not come to its end"
        assert list(await asyncio.gather(everything(first), everything(second))) == [BIG.content, BIG.content]
        await other.settle()
    assert len(server.asked("*.whl")) == 1
    assert BIG.filename in home.held_files()
    assert not list(home.folder.glob("staging-*/*")), "no copy stays"


async def test_where_another_process_fails_this_one_goes_on_from_there(server: WorldServer, home: Home) -> None:
    server.misbehave("*.whl", faults.drip(1 << 15, 0.02))
    async with home.open(server.url) as other:
        async with home.open(server.url) as one:
            file = await big(one)
            first = await one.content(APP, file)
            assert not isinstance(first, Path)
            second = await other.content(APP, file)
            assert not isinstance(second, Path)
            await second.read(0, 1)
            first.close()
        assert await everything(second) == BIG.content
    requests = server.asked("*.whl")
    assert [bool(request.headers.get("range")) for request in requests] == [False, True]


@pytest.mark.parametrize("hashes", ["sha256", "md5", "none"])
async def test_a_file_of_which_nobody_says_the_size(serve: ServeWorld, home: Home, hashes: str) -> None:
    server = serve(WORLD, hashes=hashes, sizes=False, json_api=False, pypi_shaped=False, advertise_metadata=False)
    server.misbehave("*.whl", faults.chunked())
    async with home.open(server.url, learns_metadata=False) as proxy:
        reader = await arriving(proxy)
        assert reader.size == BIG.size, "nothing is sent before that is known"
        assert await everything(reader) == BIG.content
        await proxy.settle()
        assert BIG.filename in home.held_files()
        assert (await big(proxy)).size == BIG.size


async def test_a_file_that_is_too_large_is_not_fetched_to_its_end(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD, sizes=False, json_api=False)
    async with home.open(server.url, limit_bytes=100_000) as proxy:
        with pytest.raises(IntegrityFault):
            await proxy.content(APP, await big(proxy))
        server.misbehave("*.whl", faults.chunked())
        with pytest.raises(IntegrityFault):
            await everything(await arriving(proxy))
        await proxy.settle()
    assert home.held_files() == []
