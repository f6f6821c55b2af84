"""Core metadata on the cheapest way that works: advertised, unadvertised, by ranges, from the whole file."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from packaging.utils import canonicalize_name

from pypim.core.errors import DigestMismatch, MetadataNotFound, SizeMismatch, UpstreamUnavailable
from pypim.core.model import CoreMetadata, DistFile, MetadataSource
from pypim.core.names import parse_name
from pypim.core.records import Owner
from pypim.store.catalog import Catalog
from tests.worlds import faults
from tests.worlds.specs import FileSpec, legacy, project, release, sdist, wheel
from tests.worlds.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.index.conftest import Kept
    from tests.worlds.server import WorldServer

APP = canonicalize_name("app")
UNADVERTISED = {"advertise_metadata": False}
NO_SIDECAR = {**UNADVERTISED, "serve_metadata": False}


def world(*files: FileSpec) -> World:
    made = files or (wheel(payload=200_000),)
    return World.of(project("app", release("1.0", *made, requires=["lib>=1"])))


async def learn(kept: Kept, server: WorldServer, number: int = 0) -> tuple[CoreMetadata, DistFile]:
    async with kept.run(server.url) as (index, metadata):
        file = (await index.project(APP)).files[number]
        return await metadata.metadata(APP, file), file


def staged(kept: Kept, file: DistFile) -> str:
    """The sha256 of what the reading of metadata left for the transfer."""
    blob = kept.blobs.stage(file.identity)
    try:
        return blob.digest("sha256") if blob.size else ""
    finally:
        blob.close()


async def test_the_advertised_metadata_is_read_and_its_digest_checked(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    metadata, file = await learn(kept, server)
    assert (metadata.source, metadata.requires_dist, metadata.faults) == (MetadataSource.ADVERTISED, ("lib>=1",), ())
    assert not server.asked("*.whl")
    assert staged(kept, file) == ""


async def test_it_is_learned_once_and_remembered(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, metadata):
        file = (await index.project(APP)).files[0]
        await asyncio.gather(*(metadata.metadata(APP, file) for _ in range(10)))
    await learn(kept, server)
    assert len(server.asked("*.metadata")) == 1


@pytest.mark.parametrize("status", [404, 403, 410])
async def test_advertised_metadata_that_is_not_there_falls_back_with_a_note(
    serve: ServeWorld, kept: Kept, status: int
) -> None:
    server = serve(world())
    server.misbehave("*.metadata", faults.status(status))
    metadata, _ = await learn(kept, server)
    assert (metadata.source, metadata.requires_dist) == (MetadataSource.RANGES, ("lib>=1",))
    assert "advertised" in metadata.faults[0]


async def test_advertised_metadata_with_another_digest_is_not_believed(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    server.misbehave("*.metadata", faults.instead(b"Metadata-Version: 2.1\nName: app\nVersion: 1.0\n\n"))
    metadata, file = await learn(kept, server)
    assert (metadata.source, metadata.requires_dist) == (MetadataSource.RANGES, ("lib>=1",))
    assert str(file.core_metadata) in metadata.faults[0]


async def test_unadvertised_metadata_is_found_and_remembered_for_the_upstream(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **UNADVERTISED)
    metadata, file = await learn(kept, server)
    assert file.core_metadata is None
    assert (metadata.source, metadata.requires_dist) == (MetadataSource.SIDECAR, ("lib>=1",))
    assert kept.capabilities.capability("up", "sidecar") is True


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(404),
        faults.status(403),
        faults.instead(b"<!DOCTYPE html><html>Welcome", "text/html"),
        faults.instead(b"Metadata-Version: 2.1\nName: other\nVersion: 1\n\n"),
    ],
)
async def test_an_upstream_without_sidecars_is_asked_for_one_once(
    serve: ServeWorld, kept: Kept, fault: faults.Fault
) -> None:
    server = serve(world(wheel(payload=200_000), wheel("cp311-abi3-linux_x86_64")), **UNADVERTISED)
    server.misbehave("*.metadata", fault)
    for number in (0, 1):
        metadata, _ = await learn(kept, server, number)
        assert (metadata.source, metadata.faults) == (MetadataSource.RANGES, ())
    assert len(server.asked("*.metadata")) == 1
    assert kept.capabilities.capability("up", "sidecar") is False


async def test_a_sidecar_that_is_said_not_to_be_there_is_not_asked_for(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, reader):
        file = msgspec.structs.replace((await index.project(APP)).files[0], core_metadata=False)
        assert (await reader.metadata(APP, file)).source is MetadataSource.RANGES
    assert not server.asked("*.metadata")


async def test_ranges_read_a_small_part_of_the_wheel(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(wheel(payload=3_000_000)), **NO_SIDECAR)
    metadata, file = await learn(kept, server)
    assert (metadata.source, metadata.requires_dist) == (MetadataSource.RANGES, ("lib>=1",))
    assert kept.capabilities.capability("up", "ranges") is True
    assert {request.status for request in server.asked("*.whl")} == {206}
    assert len(server.asked("*.whl")) <= 3
    assert staged(kept, file) == ""


async def test_ranges_work_without_a_known_size(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), format="html_only", json_api=False, **NO_SIDECAR)
    metadata, file = await learn(kept, server)
    assert file.size is None
    assert metadata.source is MetadataSource.RANGES


async def test_without_ranges_the_whole_wheel_is_read_once_and_left_for_the_transfer(
    serve: ServeWorld, kept: Kept
) -> None:
    server = serve(world(wheel(payload=200_000), wheel("cp311-abi3-linux_x86_64")), ranges=False, **NO_SIDECAR)
    for number in (0, 1):
        metadata, file = await learn(kept, server, number)
        assert (metadata.source, metadata.requires_dist) == (MetadataSource.WHEEL, ("lib>=1",))
        assert staged(kept, file) == file.sha256
    assert kept.capabilities.capability("up", "ranges") is False
    assert len(server.asked("*.whl")) == 3, "one that showed that there are no ranges, then each file once"


async def test_an_interrupted_whole_read_goes_on_where_it_was(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(wheel(payload=500_000)), **NO_SIDECAR)
    kept.capabilities.keep_capability("up", "ranges", is_offered=False)
    server.misbehave("*.whl", faults.cut_after(300_000), times=1)
    metadata, file = await learn(kept, server)
    assert metadata.source is MetadataSource.WHEEL
    assert [request.headers.get("range") for request in server.asked("*.whl")] == [None, "bytes=300000-"]
    assert staged(kept, file) == file.sha256


@pytest.mark.parametrize("fault", [faults.wrong_bytes(), faults.longer(10), faults.shorter(10)])
async def test_a_wheel_with_wrong_bytes_is_an_integrity_fault_and_leaves_nothing(
    serve: ServeWorld, kept: Kept, fault: faults.Fault
) -> None:
    server = serve(world(), ranges=False, **NO_SIDECAR)
    server.misbehave("*.whl", fault)
    async with kept.run(server.url) as (index, reader):
        file = (await index.project(APP)).files[0]
        with pytest.raises((DigestMismatch, SizeMismatch)):
            await reader.metadata(APP, file)
    assert staged(kept, file) == ""


async def test_a_size_announced_above_the_listed_one_is_refused(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), ranges=False, **NO_SIDECAR)
    server.misbehave("*.whl", faults.announce(10_000_000_000))
    async with kept.run(server.url) as (index, reader):
        file = (await index.project(APP)).files[0]
        with pytest.raises(SizeMismatch):
            await reader.metadata(APP, file)


async def test_a_bomb_in_a_wheel_is_not_found_and_never_unfolds(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **NO_SIDECAR)
    bomb = faults.bomb_wheel("app", "1.0")
    server.misbehave("*.whl", faults.instead(bomb))
    async with kept.run(server.url) as (index, reader):
        listed = (await index.project(APP)).files[0]
        digest = hashlib.sha256(bomb).hexdigest()
        file = msgspec.structs.replace(listed, size=len(bomb), sha256=digest)
        with pytest.raises(MetadataNotFound):
            await reader.metadata(APP, file)


async def test_a_wheel_that_is_listed_and_gone_is_not_found_with_all_that_was_tried(
    serve: ServeWorld, kept: Kept
) -> None:
    server = serve(world(), **UNADVERTISED)
    server.misbehave("/packages/*", faults.status(404))
    with pytest.raises(MetadataNotFound, match="sidecar") as caught:
        await learn(kept, server)
    assert len(caught.value.tried) == 3


async def test_an_upstream_that_is_down_is_a_fault_and_not_an_absence(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **UNADVERTISED)
    server.misbehave("/packages/*", faults.status(503))
    with pytest.raises(UpstreamUnavailable):
        await learn(kept, server)
    assert kept.capabilities.capability("up", "sidecar") is None
    assert kept.capabilities.capability("up", "ranges") is None


async def test_one_odd_wheel_does_not_take_ranges_from_all_others(serve: ServeWorld, kept: Kept) -> None:
    liar = FileSpec(metadata=b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n\n")
    server = serve(world(liar), **NO_SIDECAR)
    with pytest.raises(MetadataNotFound, match="metadata of other"):
        await learn(kept, server)
    assert kept.capabilities.capability("up", "ranges") is None


async def test_metadata_of_another_project_is_worth_nothing(serve: ServeWorld, kept: Kept) -> None:
    liar = FileSpec(metadata=b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n\n")
    server = serve(world(liar))
    with pytest.raises(MetadataNotFound, match="metadata of other"):
        await learn(kept, server)


@pytest.mark.parametrize(("spec", "is_read"), [(wheel(), False), (sdist(), True)])
async def test_what_checked_bytes_say_counts_for_every_upstream(
    serve: ServeWorld, kept: Kept, tmp_path: Path, spec: FileSpec, *, is_read: bool
) -> None:
    """A whole file has the sha256 that is listed; a `.metadata` beside it is only what an upstream says."""
    server = serve(world(spec))
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        other = catalog.of(Owner(index="other", upstream="https://elsewhere.example/simple/")).metadata
        own = kept.cache = catalog.of(Owner(index="main", upstream=server.url)).metadata
        _, file = await learn(kept, server)
        assert file.sha256 is not None
        assert own.metadata(file.sha256) is not None
        assert (other.metadata(file.sha256) is not None) is is_read
        async with kept.run(server.url) as (_, reader):
            said = b"Metadata-Version: 2.1\nName: app\nVersion: 1.0\nRequires-Dist: other\n\n"
            assert reader.said([(parse_name("app"), file, said)]) == {file.identity}
        assert other.metadata(file.sha256) is not None, "what is in the file itself was seen"


async def test_an_sdist_is_read_whole_and_left_for_the_transfer(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(sdist()))
    metadata, file = await learn(kept, server)
    assert (metadata.source, metadata.requires_dist) == (MetadataSource.PKG_INFO, ("lib>=1",))
    assert staged(kept, file) == file.sha256


async def test_other_kinds_say_nothing_and_are_not_fetched(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(legacy("egg")))
    metadata, _ = await learn(kept, server)
    assert metadata == CoreMetadata(name=None, version=None, source=MetadataSource.NONE)
    assert not server.asked("/packages/*")
