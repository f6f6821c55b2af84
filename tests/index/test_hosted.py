"""An index of one's own projects, as the server asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import CorruptBlob, MetadataNotFound, ProjectNotFound
from pypim.core.hosted import HostedFile
from pypim.core.model import ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.patterns import ProjectPatterns
from pypim.index.hosted import HostedIndex
from pypim.store.blobs import LocalBlobs
from pypim.store.epochs import LocalEpochs
from pypim.store.memory_hosted import MemoryHosted
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OURS = parse_name("ours")
WHEEL, METADATA = b"the bytes of a wheel", b"Metadata-Version: 2.1\nName: ours\n"


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path, tmp_path / "staging", is_durable=False)


@pytest.fixture
def epochs(tmp_path: Path) -> Iterator[LocalEpochs]:
    with LocalEpochs.open(tmp_path) as epochs:
        yield epochs


@pytest.fixture
def hosted() -> MemoryHosted:
    return MemoryHosted()


@pytest.fixture
def index(hosted: MemoryHosted, blobs: LocalBlobs, epochs: LocalEpochs) -> HostedIndex:
    return HostedIndex("private", hosted, blobs, epochs, ProjectPatterns.compile(["acme-*"], "reserve"))


async def add(hosted: MemoryHosted, blobs: LocalBlobs) -> HostedFile:
    holding = values.holding(WHEEL, "ours-1.0-py3-none-any.whl", METADATA)
    staged = blobs.stage("one")
    staged.write(WHEEL)
    await blobs.keep(staged, holding, METADATA)
    file = HostedFile(
        project=OURS,
        filename=parse_safe_filename(holding.filename),
        version="1.0",
        sha256=holding.blob.sha256,
        blake2b_256=holding.blob.blake2b_256,
        size=holding.blob.size,
        uploaded_at=1_700_000_000.123456,
        uploaded_by="alice",
        metadata_sha256=holding.metadata_sha256,
    )
    assert hosted.add("private", file, hosted.standing("private", OURS, file.filename))
    return file


async def test_a_page_has_all_that_the_simple_api_may_say(
    index: HostedIndex, hosted: MemoryHosted, blobs: LocalBlobs
) -> None:
    """PEP 700: size and upload-time (that of receipt) on every file; PEP 714: the hash of the core metadata."""
    with pytest.raises(ProjectNotFound):
        await index.project(OURS)
    added = await add(hosted, blobs)
    page = await index.project(OURS)
    [file] = page.files
    assert file.upload_time == "2023-11-14T22:13:20.123456Z"
    assert (file.size, file.sha256, file.core_metadata) == (len(WHEEL), added.sha256, added.metadata_sha256)
    assert (file.identity, page.versions, file.provenance) == (added.identity, ("1.0",), None)
    assert (await index.content(OURS, file)).read_bytes() == WHEEL
    assert await index.metadata_bytes(OURS, file) == METADATA


async def test_what_somebody_took_from_the_store_is_no_404(
    index: HostedIndex, hosted: MemoryHosted, blobs: LocalBlobs
) -> None:
    added = await add(hosted, blobs)
    [file] = (await index.project(OURS)).files
    blobs.delete(added.holding)
    with pytest.raises(CorruptBlob):
        await index.content(OURS, file)
    with pytest.raises(CorruptBlob):
        await index.metadata_bytes(OURS, file)
    with pytest.raises(MetadataNotFound):
        await index.metadata_bytes(OURS, values.dist_file("ours-1.0.tar.gz"))


async def test_names_are_reserved_by_pattern_and_for_good_once_used(
    index: HostedIndex, hosted: MemoryHosted, blobs: LocalBlobs, epochs: LocalEpochs
) -> None:
    """A project that it has or had is never looked up elsewhere."""
    assert index.reserves(parse_name("Acme.Suite"))
    assert not index.reserves(OURS)
    added = await add(hosted, blobs)
    epochs.advance("private")
    assert index.reserves(OURS)
    hosted.remove("private", added.filename, "", 1.0)
    epochs.advance("private")
    assert index.reserves(OURS)
    assert (await index.project(OURS)).files == ()


async def test_the_list_leaves_out_what_is_in_quarantine(
    index: HostedIndex, hosted: MemoryHosted, blobs: LocalBlobs
) -> None:
    """PEP 792; serials are there and above 0 from the beginning, as mirrors want them."""
    listed = await index.project_list()
    assert (listed.projects, listed.last_serial) == ({}, 1)
    await add(hosted, blobs)
    assert list((await index.project_list()).projects) == [OURS]
    hosted.mark("private", OURS, ProjectStatus.QUARANTINED, None, 1.0)
    assert (await index.project_list()).projects == {}
    assert (await index.project(OURS)).status is ProjectStatus.QUARANTINED


async def test_the_mark_is_the_epoch(index: HostedIndex, epochs: LocalEpochs) -> None:
    before = index.mark(OURS)
    assert index.mark(OURS) == before
    epochs.advance("private")
    assert index.mark(OURS) != before
