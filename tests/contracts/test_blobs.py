"""The contract of Blobs and StagedBlob, on LocalBlobs with and without durability."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import CorruptBlob, DigestMismatch, OutOfSpace
from pypim.core.examine import state_of
from pypim.store import atomic
from pypim.store.apart import BlobsApart
from pypim.store.blobs import LocalBlobs
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pypim.ports import Blobs

CONTENT = b"the bytes of a wheel"
METADATA = b"Metadata-Version: 2.1\nName: flask\n"


@pytest.fixture(params=[True, False], ids=["durable", "not-durable"])
def open_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LocalBlobs]:
    """Opens the same folder, as the next run of the program would."""
    return lambda: LocalBlobs(tmp_path, tmp_path / ".pypim" / "staging", is_durable=request.param)


@pytest.fixture(params=["store", "apart"])
def blobs(request: pytest.FixtureRequest, open_blobs: Callable[[], LocalBlobs]) -> Blobs:
    return open_blobs() if request.param == "store" else BlobsApart(open_blobs(), "https://index.example/simple/")


def files_under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


async def test_a_kept_file_stands_where_pypi_would_have_it(blobs: Blobs, tmp_path: Path) -> None:
    """File URLs end in packages/aa/bb/<60 hex>/<filename>: BLAKE2b-256 of the content, split 2/2/60."""
    staged = blobs.stage("flask")
    staged.write(CONTENT[:5])
    staged.write(CONTENT[5:])
    holding = values.holding(CONTENT, metadata=METADATA)
    await blobs.keep(staged, holding, METADATA)
    digest = hashlib.blake2b(CONTENT, digest_size=32).hexdigest()
    path = tmp_path / "packages" / digest[:2] / digest[2:4] / digest[4:] / holding.filename
    assert blobs.path(holding) == path
    assert path.read_bytes() == CONTENT
    assert path.with_name(path.name + ".metadata").read_bytes() == METADATA
    assert files_under(tmp_path / ".pypim") == set()


@pytest.mark.parametrize("copies", [False, True])
async def test_a_file_that_stands_elsewhere_gets_a_place_here_too(
    blobs: Blobs, tmp_path: Path, *, copies: bool
) -> None:
    """By a link or as a copy, durable once it is confirmed; the file itself is only read."""
    source = tmp_path / "elsewhere.whl"
    source.write_bytes(CONTENT)
    state = state_of(source.stat())
    assert state is not None
    holding = values.holding(CONTENT, metadata=METADATA)
    for _ in range(2):  # again is not an error
        assert blobs.place(source, state, holding, METADATA, copies=copies) is not copies
    await blobs.confirm([holding])
    path = blobs.path(holding)
    assert path.read_bytes() == source.read_bytes() == CONTENT
    assert path.with_name(path.name + ".metadata").read_bytes() == METADATA
    assert path.samefile(source) is not copies
    assert blobs.found(holding)
    assert files_under(tmp_path / ".pypim") == set()
    blobs.delete(holding)
    assert source.read_bytes() == CONTENT


@pytest.mark.parametrize("copies", [False, True])
async def test_a_file_that_has_changed_gets_no_place(blobs: Blobs, tmp_path: Path, *, copies: bool) -> None:
    source = tmp_path / "elsewhere.whl"
    source.write_bytes(CONTENT)
    state = state_of(source.stat())
    assert state is not None
    source.write_bytes(CONTENT + b"more")
    with pytest.raises(CorruptBlob, match="changed while it was read"):
        blobs.place(source, state, values.holding(CONTENT), None, copies=copies)
    assert files_under(tmp_path) == {"elsewhere.whl"}


async def test_a_link_that_is_put_in_the_place_of_a_file_gets_no_place(blobs: Blobs, tmp_path: Path) -> None:
    """What is linked is what was hashed, and never what a symbolic link leads to."""
    source, other = tmp_path / "elsewhere.whl", tmp_path / "other.whl"
    source.write_bytes(CONTENT)
    other.write_bytes(CONTENT)
    state = state_of(source.stat())
    assert state is not None
    source.unlink()
    source.symlink_to(other)
    with pytest.raises(CorruptBlob, match="changed while it was read"):
        blobs.place(source, state, values.holding(CONTENT), None, copies=False)


async def test_nothing_has_its_name_before_keep(blobs: Blobs, tmp_path: Path) -> None:
    staged = blobs.stage("flask")
    staged.write(CONTENT)
    assert not (tmp_path / "packages").exists()
    staged.discard()
    assert files_under(tmp_path) == set()


async def test_a_staged_blob_knows_its_size_and_digests(blobs: Blobs) -> None:
    staged = blobs.stage("flask")
    assert staged.size == 0
    assert staged.digest("sha256") == hashlib.sha256().hexdigest()
    assert staged.digest("md5") == hashlib.md5().hexdigest()
    with staged.open() as nothing:
        assert nothing.read() == b""
    staged.write(CONTENT)
    assert staged.size == len(CONTENT)
    assert staged.digest("sha256") == hashlib.sha256(CONTENT).hexdigest()
    assert staged.digest("blake2b_256") == hashlib.blake2b(CONTENT, digest_size=32).hexdigest()
    assert staged.digest("sha512") == hashlib.sha512(CONTENT).hexdigest()
    with staged.open() as content:
        assert content.read() == CONTENT
    staged.close()


async def test_an_interrupted_download_finds_its_part_in_the_next_run(open_blobs: Callable[[], LocalBlobs]) -> None:
    first = open_blobs().stage("flask")
    first.write(CONTENT[:7])
    first.close()
    for _ in range(2):  # the next run, and once more in the same process
        blobs = open_blobs()
        staged = blobs.stage("flask")
        assert staged.size == 7
        staged.close()
        again = blobs.stage("flask")
        assert again.size == 7
        again.write(CONTENT[7:])
        holding = values.holding(CONTENT)
        await blobs.keep(again, holding, None)
        assert blobs.path(holding).read_bytes() == CONTENT
        new = blobs.stage("flask")
        assert new.size == 0
        new.write(CONTENT[:7])
        new.close()


async def test_a_process_that_died_leaves_a_part_that_is_hashed_again(open_blobs: Callable[[], LocalBlobs]) -> None:
    dead = open_blobs().stage("flask")
    dead.write(CONTENT[:3])  # never closed
    staged = open_blobs().stage("flask")
    assert staged.size == 3
    assert staged.digest("sha256") == hashlib.sha256(CONTENT[:3]).hexdigest()
    staged.discard()
    dead.close()


async def test_restart_forgets_what_was_written(blobs: Blobs) -> None:
    staged = blobs.stage("flask")
    staged.restart()
    staged.write(b"wrong bytes that are longer than the right ones")
    staged.restart()
    assert staged.size == 0
    staged.write(CONTENT)
    holding = values.holding(CONTENT)
    await blobs.keep(staged, holding, None)
    assert blobs.path(holding).read_bytes() == CONTENT


async def test_restart_of_a_resumed_part(open_blobs: Callable[[], LocalBlobs]) -> None:
    first = open_blobs().stage("flask")
    first.write(b"wrong")
    first.close()
    staged = open_blobs().stage("flask")
    staged.restart()
    staged.write(CONTENT)
    with staged.open() as content:
        assert content.read() == CONTENT
    staged.discard()


async def test_one_key_staged_twice_gives_two_files(blobs: Blobs) -> None:
    one, two = blobs.stage("flask"), blobs.stage("flask")
    one.write(b"one")
    two.write(b"two!")
    holdings = values.holding(b"one", "one-1.tar.gz"), values.holding(b"two!", "two-1.tar.gz")
    await asyncio.gather(blobs.keep(one, holdings[0], None), blobs.keep(two, holdings[1], None))
    assert [blobs.path(holding).read_bytes() for holding in holdings] == [b"one", b"two!"]


async def test_wrong_bytes_never_get_a_name(blobs: Blobs, tmp_path: Path) -> None:
    """A file is never visible under its name before its hash has been checked."""
    staged = blobs.stage("flask")
    staged.write(b"other bytes")
    with pytest.raises(DigestMismatch):
        await blobs.keep(staged, values.holding(CONTENT), METADATA)
    assert not (tmp_path / "packages").exists()
    staged.restart()
    staged.write(CONTENT)
    await blobs.keep(staged, values.holding(CONTENT), METADATA)


async def test_keeping_what_is_already_there_is_not_an_error(blobs: Blobs) -> None:
    holding = values.holding(CONTENT, metadata=METADATA)
    for _ in range(2):
        staged = blobs.stage("flask")
        staged.write(CONTENT)
        await blobs.keep(staged, holding, METADATA)
        staged.close()
        staged.discard()
    assert blobs.path(holding).read_bytes() == CONTENT


async def test_keeping_repairs_damaged_bytes(blobs: Blobs) -> None:
    holding = values.holding(CONTENT)
    for content in (CONTENT, CONTENT):
        staged = blobs.stage("flask")
        staged.write(content)
        await blobs.keep(staged, holding, None)
        assert blobs.path(holding).read_bytes() == CONTENT
        blobs.path(holding).write_bytes(b"X" * len(CONTENT))


async def test_a_file_without_bytes_can_be_kept(blobs: Blobs) -> None:
    holding = values.holding(b"", "empty-1.tar.gz")
    await blobs.keep(blobs.stage("empty"), holding, None)
    assert blobs.path(holding).read_bytes() == b""


async def test_delete_leaves_no_trace_and_may_be_repeated(blobs: Blobs, tmp_path: Path) -> None:
    kept = values.holding(CONTENT, metadata=METADATA)
    other = values.holding(b"other", "other-1.tar.gz")
    for content, holding, metadata in ((CONTENT, kept, METADATA), (b"other", other, None)):
        staged = blobs.stage(holding.filename)
        staged.write(content)
        await blobs.keep(staged, holding, metadata)
    blobs.delete(kept)
    blobs.delete(kept)
    assert files_under(tmp_path) == {other.path}
    assert len(list((tmp_path / "packages").iterdir())) == 1
    blobs.delete(other)
    assert list((tmp_path / "packages").iterdir()) == []


async def test_many_keeps_at_once(blobs: Blobs) -> None:
    async def keep(number: int) -> None:
        content = str(number).encode() * 100
        staged = blobs.stage(f"key {number}")
        staged.write(content)
        holding = values.holding(content, f"many-{number}.tar.gz", METADATA)
        await blobs.keep(staged, holding, METADATA)
        assert blobs.path(holding).read_bytes() == content

    await asyncio.gather(*(keep(number) for number in range(200)))


async def test_a_full_disk_is_out_of_space_and_the_bytes_so_far_stay(blobs: Blobs) -> None:
    def full(operation: str, _path: str) -> None:
        if operation == "write":
            raise OSError(28, "No space left on device")

    staged = blobs.stage("flask")
    staged.write(CONTENT[:4])
    with atomic.observed(full), pytest.raises(OutOfSpace) as caught:
        staged.write(CONTENT[4:])
    assert caught.value.free_bytes is not None
    assert staged.size == 4
    staged.write(CONTENT[4:])
    holding = values.holding(CONTENT)
    await blobs.keep(staged, holding, None)
    assert blobs.path(holding).read_bytes() == CONTENT


async def test_a_closed_blob_takes_no_bytes(blobs: Blobs) -> None:
    staged = blobs.stage("flask")
    staged.close()
    with pytest.raises(ValueError, match="closed"):
        staged.write(b"x")


def test_what_one_upstream_began_to_send_is_not_gone_on_with_by_another(open_blobs: Callable[[], LocalBlobs]) -> None:
    one, other = (BlobsApart(open_blobs(), f"https://{name}.example/simple/") for name in ("one", "other"))
    staged = one.stage("flask")
    staged.write(CONTENT)
    staged.close()
    fresh, again = other.stage("flask"), one.stage("flask")
    assert (fresh.size, again.size) == (0, len(CONTENT))
    fresh.discard()
    again.discard()
