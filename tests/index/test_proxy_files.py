"""What a proxy keeps of files: within its limit, by last use, and what core metadata it offers."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pypim.core.errors import IntegrityFault, MetadataNotFound, UpstreamFault
from pypim.core.names import parse_name
from pypim.core.patterns import ProjectPatterns
from pypim.core.records import Owner
from tests.index.proxies import APP, OWNER, Home, eventually, everything, named
from tests.store import values
from tests.web.lies import LyingUpstream
from tests.web.uploading import Upload
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from pypim.index.proxy import ProxyIndex
    from tests.conftest import ServeWorld

PAYLOAD = 100_000
VERSIONS = ("1.0", "2.0", "3.0", "4.0")
WORLD = World.of(project("app", *(release(version, wheel(payload=PAYLOAD)) for version in VERSIONS)))
LIMIT = int(PAYLOAD * 2.9)
"""Room for two files."""


def name_of(version: str) -> str:
    return f"app-{version}-py3-none-any.whl"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "store")


async def fetch(proxy: ProxyIndex, home: Home, *versions: str) -> None:
    for version in versions:
        home.clock.pass_by(1)
        page = await proxy.project(APP)
        assert await everything(await proxy.content(APP, named(page, name_of(version))))
        await proxy.settle()


def held(home: Home) -> set[str]:
    return {name.split("-")[1] for name in home.held_files()}


# --- room -----------------------------------------------------------------------------------------------------------
async def test_the_least_recently_used_files_make_room(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url, max_size=LIMIT) as proxy:
        await fetch(proxy, home, "1.0", "2.0")
        home.clock.pass_by(100)
        await fetch(proxy, home, "1.0")
        home.clock.pass_by(100)
        await fetch(proxy, home, "3.0")
        assert held(home) == {"1.0", "3.0"}
        await fetch(proxy, home, "2.0")
        assert len(server.asked(f"*{name_of('2.0')}")) == 2, "what was dropped is fetched again"


async def test_a_file_that_was_just_asked_for_is_not_dropped(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url, max_size=LIMIT) as proxy:
        await fetch(proxy, home, *VERSIONS)
        assert held(home) == set(VERSIONS)
        home.clock.pass_by(100)
        await fetch(proxy, home, "1.0")
        page = await proxy.project(APP)
        assert page.files


async def test_room_is_made_once_files_are_no_longer_young_whether_anything_comes_or_not(
    serve: ServeWorld, home: Home
) -> None:
    """max-size: what was kept within a minute goes afterwards, and so does what an earlier process left."""
    server = serve(WORLD)
    with home.catalog() as catalog:
        cached = catalog.of(OWNER).cached
        async with home.open(server.url, max_size=LIMIT, young_seconds=0.06) as proxy:
            page = await proxy.project(APP)
            for version in VERSIONS:  # at one moment, so that all of them are young
                await everything(await proxy.content(APP, named(page, name_of(version))))
            await proxy.settle()
            assert held(home) == set(VERSIONS)
            home.clock.pass_by(1)
            await eventually(lambda: cached.size("proxy") <= LIMIT)
            await proxy.settle()
            assert len(held(home)) == 2
        limit = int(PAYLOAD * 1.5)
        async with home.open(server.url, max_size=limit, young_seconds=0.06) as proxy:
            file = named(await proxy.project(APP), name_of(next(iter(held(home)))))
            await proxy.content(APP, file)
            home.clock.pass_by(1)
            await eventually(lambda: cached.size("proxy") <= limit)


async def test_a_use_is_written_down_by_itself(serve: ServeWorld, home: Home) -> None:
    """Another worker that makes room must know of it."""
    server = serve(WORLD)
    async with home.open(server.url, young_seconds=0.06) as proxy:
        await fetch(proxy, home, "1.0")
        home.clock.pass_by(5)
        used_at = home.clock.now().timestamp()
        assert await proxy.content(APP, named(await proxy.project(APP), name_of("1.0")))
        with home.catalog() as catalog:
            cached = catalog.of(OWNER).cached
            await eventually(lambda: cached.oldest("proxy", used_at + 1)[0].used_at == used_at)


async def test_pinned_files_stay(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    pinned = ProjectPatterns.compile(("app<2",), "pinned")
    async with home.open(server.url, max_size=LIMIT, pinned=pinned) as proxy:
        for version in VERSIONS:
            await fetch(proxy, home, version)
            home.clock.pass_by(100)
        assert held(home) == {"1.0", "4.0"}


async def test_files_of_a_mirror_stay(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    with home.catalog() as catalog:
        async with home.open(server.url, max_size=LIMIT) as proxy:
            await fetch(proxy, home, "1.0")
            file = named(await proxy.project(APP), name_of("1.0"))
            catalog.generations.begin("main", values.selection_of(file), 1.0)
            for version in VERSIONS[1:]:
                await fetch(proxy, home, version)
                home.clock.pass_by(100)
        assert held(home) == {"1.0", "3.0", "4.0"}
        assert {file.filename for file in catalog.cached.oldest("proxy", 1e12)} == {name_of("3.0"), name_of("4.0")}


async def test_what_a_mirror_holds_is_not_fetched_again(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        await fetch(proxy, home, "1.0")
    with home.catalog() as catalog:
        held_rows = [(identity, APP, one) for identity, one in catalog.holdings.holdings()]
        catalog.of(OWNER).cached.drop("proxy", [identity for identity, _, _ in held_rows])
        mirror = Owner(index="mirror", upstream=OWNER.upstream)
        catalog.of(mirror).holdings.record(held_rows)
    server.forget_requests()
    async with home.open(server.url) as proxy:
        await fetch(proxy, home, "1.0")
    assert not server.asked("*.whl")


async def test_a_file_that_somebody_deleted_is_fetched_again(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        await fetch(proxy, home, "1.0")
        for path in (home.files / "packages").rglob("*.whl"):
            path.unlink()
        await fetch(proxy, home, "1.0")
        assert held(home) == {"1.0"}


async def test_a_file_that_is_listed_and_not_there_makes_the_page_be_read_again(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        file = named(await proxy.project(APP), name_of("1.0"))
        server.world = World.of(project("app", release("4.0", wheel(payload=PAYLOAD))))
        with pytest.raises(UpstreamFault):
            await proxy.content(APP, file)
        async with asyncio.timeout(5):
            while len((await proxy.project(APP)).files) > 1:
                home.clock.pass_by(0.1)
                await asyncio.sleep(0.002)


# --- core metadata --------------------------------------------------------------------------------------------------
async def test_what_the_upstream_offers_is_offered_and_passed_on(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    built = WORLD.file(name_of("1.0"))
    for _ in range(2):
        async with home.open(server.url) as proxy:
            file = named(await proxy.project(APP), built.filename)
            assert file.core_metadata == built.metadata_sha256
            assert await proxy.metadata_bytes(APP, file) == built.metadata
            assert await proxy.metadata_bytes(APP, file) == built.metadata
            await proxy.settle()
    assert len(server.asked("*.metadata")) == 1
    assert not server.asked("*.whl")


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.parametrize("status", [403, 404, 503])
async def test_what_is_offered_and_missing_is_read_out_of_the_wheel(
    serve: ServeWorld, home: Home, status: int, *, has_ranges: bool
) -> None:
    """Case 21: advertised `.metadata` missing upstream (404) is no 404 of ours, for that is fatal in pip and uv."""
    server = serve(WORLD, ranges=has_ranges)
    server.misbehave("*.metadata", faults.status(status))
    built = WORLD.file(name_of("1.0"))
    for _ in range(2):
        async with home.open(server.url) as proxy:
            file = named(await proxy.project(APP), built.filename)
            asked = (proxy.metadata_bytes(APP, file) for _ in range(5))
            assert await asyncio.gather(*asked) == [built.metadata] * 5
            await proxy.settle()
            assert named(await proxy.project(APP), built.filename).core_metadata == built.metadata_sha256
    if not has_ranges:
        assert len(server.asked("*.whl")) == 2, "a range was asked for, and then the wheel, which was kept"
        assert built.filename in home.held_files()


async def test_what_is_offered_and_cannot_be_had_is_no_longer_offered(home: Home) -> None:
    """Case 21: a wheel that cannot be read has none."""
    with LyingUpstream() as upstream:
        broken = Upload(name_of("1.0"), b"no archive", "app", "1.0")
        offered: dict[str, Any] = {"core-metadata": True}
        upstream.lists("app", broken, **offered)
        async with home.open(upstream.url) as proxy:
            (file,) = (await proxy.project(APP)).files
            assert file.core_metadata
            with pytest.raises(MetadataNotFound):
                await proxy.metadata_bytes(APP, file)
            await proxy.settle()
            assert not (await proxy.project(APP)).files[0].core_metadata


async def test_metadata_that_cannot_be_had_for_now_is_a_fault_of_the_upstream(serve: ServeWorld, home: Home) -> None:
    """Case 21: 404 would mean that there is none."""
    server = serve(WORLD, ranges=False)
    server.misbehave("*.metadata", faults.status(404))
    server.misbehave("*.whl", faults.wrong_bytes())
    async with home.open(server.url) as proxy:
        file = named(await proxy.project(APP), name_of("1.0"))
        with pytest.raises((UpstreamFault, IntegrityFault)):
            await proxy.metadata_bytes(APP, file)
        server.behave()
        assert await proxy.metadata_bytes(APP, file) == WORLD.file(name_of("1.0")).metadata


async def test_what_is_not_the_wheels_is_no_longer_offered_once_it_is_held(serve: ServeWorld, home: Home) -> None:
    """Case 22: `.metadata` bytes ≠ the wheel's METADATA → refuse to advertise: pip ≥ 26.2 aborts."""
    world = World.of(project("app", release("1.0", wheel(sidecar_requires=["other"]))))
    built = world.file(name_of("1.0"))
    server = serve(world)
    async with home.open(server.url) as proxy:
        assert named(await proxy.project(APP), built.filename).core_metadata == built.metadata_sha256
        await fetch(proxy, home, "1.0")
        file = named(await proxy.project(APP), built.filename)
        body = await proxy.metadata_bytes(APP, file)
        assert file.core_metadata == hashlib.sha256(body).hexdigest() != built.metadata_sha256
        assert b"other" not in body


async def test_where_the_upstream_offers_none_it_is_learned_and_then_offered(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD, advertise_metadata=False, serve_metadata=False)
    built = WORLD.file(name_of("1.0"))
    async with home.open(server.url) as proxy:
        file = named(await proxy.project(APP), built.filename)
        assert not file.core_metadata, "nothing is offered before it is certain to be had"
        assert await proxy.metadata_bytes(APP, file) == built.metadata
        await proxy.settle()
        assert named(await proxy.project(APP), built.filename).core_metadata == built.metadata_sha256
    server.misbehave("*", faults.no_answer())
    async with home.open(server.url) as proxy:
        file = named(await proxy.project(APP), built.filename)
        assert file.core_metadata == built.metadata_sha256
        assert await proxy.metadata_bytes(APP, file) == built.metadata


async def test_metadata_that_is_not_to_be_learned_is_not(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD, advertise_metadata=False)
    async with home.open(server.url, learns_metadata=False) as proxy:
        file = named(await proxy.project(APP), name_of("1.0"))
        with pytest.raises(MetadataNotFound):
            await proxy.metadata_bytes(APP, file)
    assert not server.asked("*.metadata")


# --- odd layouts ----------------------------------------------------------------------------------------------------
async def test_local_versions_on_another_host_without_ranges_or_sizes(serve: ServeWorld, home: Home) -> None:
    world = World.of(project("torch", release("2.6.0+cu124", wheel("cp312-cp312-linux_x86_64"))))
    server = serve(world, format="html_only", json_api=False, files_on_other_port=True, sizes=False, dates=False)
    built = next(world.files)
    async with home.open(server.url) as proxy:
        page = await proxy.project(parse_name("torch"))
        (file,) = page.files
        assert file.upload_time is None, "never the time of fetching: a cool-down would break"
        assert file.url.startswith(server.other_root)
        assert await everything(await proxy.content(page.name, file)) == built.content


async def test_an_upstream_in_a_folder(home: Home, tmp_path: Path) -> None:
    WORLD.write_flat(tmp_path / "flat")
    async with home.open((tmp_path / "flat").as_uri(), layout="flat") as proxy:
        await fetch(proxy, home, "1.0")
        assert held(home) == {"1.0"}


async def test_the_newest_wheels_are_learned_before_anybody_asks(serve: ServeWorld, home: Home) -> None:
    """Else uv reads the end of a wheel instead, for which all of it would have to be fetched."""
    server = serve(WORLD, advertise_metadata=False, serve_metadata=False)
    async with home.open(server.url) as proxy:
        page = await proxy.project(APP)
        offered = {file.filename: file.core_metadata or False for file in page.files}
        assert offered == {
            name_of("1.0"): False,
            name_of("2.0"): False,
            **{name_of(version): WORLD.file(name_of(version)).metadata_sha256 for version in ("3.0", "4.0")},
        }
        assert all(request.status == 206 for request in server.asked("*.whl"))
        assert held(home) == set()
