"""LocalBlobs beyond its port: the order of syncs, cancellation, sweeping, finding and listing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path

import pytest

from pypim.core.errors import StoreUnreadable, StoreUnwritable
from pypim.store import atomic
from pypim.store.blobs import LocalBlobs
from tests.store import values

METADATA = b"Name: x\n"


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path, tmp_path / ".pypim" / "staging")


async def test_keep_returns_when_bytes_and_names_are_durable(blobs: LocalBlobs) -> None:
    """Nothing is recorded as held before it is durable: write < sync < rename < sync < return."""
    log: list[tuple[str, str]] = []

    async def keep(number: int) -> None:
        content = bytes([number]) * 50
        staged = blobs.stage(str(number))
        await asyncio.sleep(number / 2000)
        staged.write(content)
        holding = values.holding(content, f"f{number}-1.tar.gz", METADATA)
        await blobs.keep(staged, holding, METADATA)
        log.append(("return", str(blobs.path(holding))))

    with atomic.observed(lambda operation, path: log.append((operation, path))):
        await asyncio.gather(*(keep(number) for number in range(40)))
    syncs = [at for at, (operation, _) in enumerate(log) if operation == "sync"]
    for number in range(40):
        path = str(blobs.path(values.holding(bytes([number]) * 50, f"f{number}-1.tar.gz")))
        staged = blobs.staging / hashlib.sha256(str(number).encode()).hexdigest()[:40]
        order = [("write", f"{staged}.part"), ("write", f"{staged}.metadata")]
        order += [("rename", path + ".metadata"), ("rename", path), ("return", path)]
        bytes_in, beside_in, beside_named, named, returned = map(log.index, order)
        assert any(max(bytes_in, beside_in) < at < beside_named for at in syncs)
        assert beside_named < named
        assert any(named < at < returned for at in syncs)


async def test_a_steady_stream_costs_no_more_syncs_than_rounds_have_time_to_gather(tmp_path: Path) -> None:
    """Each round that has new files waits for more; one between two of them makes names durable and nothing else."""
    gather_seconds = 0.05
    blobs = LocalBlobs(tmp_path, tmp_path / ".pypim" / "staging", gather_seconds=gather_seconds)

    async def keep(number: int) -> None:
        staged = blobs.stage(str(number))
        staged.write(bytes([number]))
        await asyncio.sleep(number / 200)
        await blobs.keep(staged, values.holding(bytes([number]), f"f{number}-1.tar.gz"), None)

    begun = time.perf_counter()
    await asyncio.gather(*(keep(number) for number in range(60)))
    assert blobs.syncs <= 2 * (time.perf_counter() - begun) / gather_seconds + 2


async def test_a_burst_shares_its_syncs(blobs: LocalBlobs) -> None:
    async def keep(number: int) -> None:
        staged = blobs.stage(str(number))
        staged.write(bytes([number]))
        await blobs.keep(staged, values.holding(bytes([number]), f"f{number}-1.tar.gz"), None)

    await asyncio.gather(*(keep(number) for number in range(100)))
    assert blobs.syncs == 2


async def test_a_cancelled_caller_changes_nothing_for_the_file(blobs: LocalBlobs) -> None:
    staged = blobs.stage("x")
    staged.write(b"x")
    holding = values.holding(b"x")
    keeping = asyncio.create_task(blobs.keep(staged, holding, None))
    await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    staged.close()
    other = blobs.stage("y")
    other.write(b"y")
    await blobs.keep(other, values.holding(b"y"), None)  # a later round ends after the earlier one
    assert blobs.path(holding).read_bytes() == b"x"
    assert list(blobs.staging.iterdir()) == []
    assert blobs.stage("x").size == 0


async def test_a_failed_sync_reaches_every_caller_and_leaves_no_name(blobs: LocalBlobs, tmp_path: Path) -> None:
    """After a failed sync nobody knows what is on the disk, so the bytes are dropped."""

    def broken(operation: str, path: str) -> None:
        if operation == "sync":
            raise OSError(5, "Input/output error", path)

    async def keep(number: int) -> None:
        staged = blobs.stage(str(number))
        staged.write(b"x" * number)
        try:
            await blobs.keep(staged, values.holding(b"x" * number, "x-1.tar.gz", METADATA), METADATA)
        finally:
            staged.close()

    with atomic.observed(broken):
        outcomes = await asyncio.gather(*(keep(number) for number in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, StoreUnwritable) for outcome in outcomes)
    assert list(blobs.iter_files()) == []
    assert list((tmp_path / ".pypim" / "staging").iterdir()) == []
    await keep(3)


async def test_a_rename_that_fails_concerns_its_caller_alone(blobs: LocalBlobs) -> None:
    holdings = [values.holding(b"a", "a-1.tar.gz"), values.holding(b"b", "b-1.tar.gz")]

    def broken(operation: str, path: str) -> None:
        if operation == "rename" and path.endswith("a-1.tar.gz"):
            raise OSError(13, "Permission denied", path)

    staged = [blobs.stage("a"), blobs.stage("b")]
    for blob, content in zip(staged, (b"a", b"b"), strict=True):
        blob.write(content)
    keeps = (blobs.keep(blob, holding, METADATA) for blob, holding in zip(staged, holdings, strict=True))
    with atomic.observed(broken):
        outcomes = await asyncio.gather(*keeps, return_exceptions=True)
    assert isinstance(outcomes[0], StoreUnwritable)
    assert outcomes[1] is None
    assert {path for path, _ in blobs.iter_files()} == {holdings[1].path, holdings[1].path + ".metadata"}
    assert staged[0].size == 1
    await blobs.keep(staged[0], holdings[0], METADATA)
    assert blobs.found(holdings[0])


async def test_found_looks_at_name_and_size(blobs: LocalBlobs) -> None:
    holding = values.holding(b"content", metadata=METADATA)
    assert not blobs.found(holding)
    staged = blobs.stage("x")
    staged.write(b"content")
    await blobs.keep(staged, holding, METADATA)
    assert blobs.found(holding)
    path = blobs.path(holding)
    path.with_name(path.name + ".metadata").unlink()
    assert not blobs.found(holding)
    path.write_bytes(b"short")
    assert not blobs.found(values.holding(b"content"))


async def test_what_stands_there_already_is_made_durable(blobs: LocalBlobs, tmp_path: Path) -> None:
    """As a killed run leaves it: under its name, and perhaps not yet on the disk."""
    holding = values.holding(b"x", metadata=b"Name: x")
    path = blobs.path(holding)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    path.with_name(path.name + ".metadata").write_bytes(b"Name: x")
    operations: list[str] = []
    with atomic.observed(lambda operation, _: operations.append(operation)):
        await blobs.confirm([])
        assert operations == []
        await blobs.confirm([holding])
    assert operations
    assert set(operations) == {"sync"}


async def test_what_cannot_be_read_is_a_fault_of_the_store(blobs: LocalBlobs) -> None:
    """Links in a circle stand for a disk that fails, whoever runs this."""
    holding = values.holding(b"x")
    path = blobs.path(holding)
    path.parent.mkdir(parents=True)
    path.symlink_to(path.name)
    with pytest.raises(StoreUnreadable) as caught:
        blobs.found(holding)
    assert str(path) in caught.value.message
    staged = blobs.stage("key")
    staged.write(b"x")
    staged.close()
    part = Path(staged.file)
    part.unlink()
    part.symlink_to(part.name)
    with pytest.raises(StoreUnreadable) as caught:
        blobs.stage("key")
    assert str(part) in caught.value.message


async def test_every_file_is_listed_with_its_size(blobs: LocalBlobs) -> None:
    assert list(blobs.iter_files()) == []
    holding = values.holding(b"content", metadata=METADATA)
    staged = blobs.stage("x")
    staged.write(b"content")
    await blobs.keep(staged, holding, METADATA)
    assert dict(blobs.iter_files()) == {holding.path: 7, holding.path + ".metadata": len(METADATA)}


async def test_strays_are_what_no_holding_names(blobs: LocalBlobs, tmp_path: Path) -> None:
    known = values.holding(b"known", "known-1.tar.gz")
    for content, filename in ((b"known", "known-1.tar.gz"), (b"orphan", "orphan-1.tar.gz")):
        staged = blobs.stage(filename)
        staged.write(content)
        await blobs.keep(staged, values.holding(content, filename), METADATA)
    orphan = values.holding(b"orphan", "orphan-1.tar.gz").path
    stray = blobs.stray([known])
    assert stray == {orphan: 6, orphan + ".metadata": len(METADATA), known.path + ".metadata": len(METADATA)}
    blobs.delete_stray(stray)
    blobs.delete_stray(stray)
    assert blobs.stray([known]) == {}
    assert dict(blobs.iter_files()) == {known.path: 5}
    assert not (tmp_path / orphan).parent.parent.exists()


async def test_parts_are_stray_when_they_are_old_and_not_in_use(tmp_path: Path) -> None:
    now = 1_700_000_000.0
    blobs = LocalBlobs(tmp_path, tmp_path / ".pypim" / "staging", now=lambda: now)
    assert blobs.stray([]) == {}
    parts = [blobs.stage(key) for key in ("old", "young", "used")]
    for part, age in zip(parts, (90000, 3600, 90000), strict=True):
        part.write(b"xyz")
        os.utime(part.file, (now - age, now - age))
    parts[0].close()
    parts[1].close()
    stray = blobs.stray([])
    assert stray == {f".pypim/staging/{Path(parts[0].file).name}": 3}
    blobs.delete_stray(stray)
    assert blobs.stage("old").size == 0
    assert blobs.stage("young").size == 3
    assert Path(parts[2].file).exists()
    parts[2].discard()


@pytest.mark.parametrize("path", ["../outside", "packages/../file", "/etc/none", ".pypim/lock", ".pypim/staging/../x"])
def test_nothing_but_strays_is_ever_deleted(blobs: LocalBlobs, path: str) -> None:
    with pytest.raises(ValueError, match="neither"):
        blobs.delete_stray([path])


def test_the_free_space_is_known(blobs: LocalBlobs) -> None:
    assert (blobs.free_bytes() or 0) > 0
