"""The files of a store without its catalog: what stands under `packages/`, read and hashed again.

A file counts where its bytes have the digest that its place says; the `.metadata` of a wheel is compared with the
wheel, and made again where it is missing or another.
"""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from pypim.core.archive import wheel_metadata
from pypim.core.errors import CorruptBlob, InvalidFilename
from pypim.core.model import Blob, Holding
from pypim.core.names import parse_safe_filename
from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pypim.ports import Reporter
    from pypim.store.blobs import LocalBlobs

_METADATA = ".metadata"
_READ_BYTES = 1 << 20
_THREADS = 2  # hashing lets go of the interpreter's lock, and two readers keep a disk busy
_PLACE = re.compile(r"packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+")


class FoundFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; sizes in bytes."""

    holdings: tuple[Holding, ...]
    damaged: tuple[str, ...]
    """Paths, relative to the store, of files with other bytes than their place says, or that cannot be read."""
    metadata_written: int


class _Look(msgspec.Struct, frozen=True):
    """What came of one path."""

    holding: Holding | None
    path: str
    is_metadata_written: bool = False


def find_files(blobs: LocalBlobs, reporter: Reporter) -> FoundFiles:
    """Read every file. Raises StoreUnwritable or OutOfSpace where a `.metadata` cannot be made again."""
    paths = [(path, size) for path, size in sorted(blobs.iter_files()) if _is_ours(path)]
    reporter.stage("verify", total=len(paths), total_bytes=sum(size for _, size in paths))
    looks: list[_Look] = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="find") as pool:
        for look, (_, size) in zip(pool.map(lambda item: _look(blobs.root, item[0]), paths), paths, strict=True):
            looks.append(look)
            reporter.advance(1, size_bytes=size)
    holdings = [look.holding for look in looks if look.holding is not None]
    if holdings:
        # Whoever put them there may have been killed before they, or their names, had reached the disk.
        atomic.sync_file_system(blobs.root, _paths(blobs, holdings))
    return FoundFiles(
        holdings=tuple(holdings),
        damaged=tuple(look.path for look in looks if look.holding is None),
        metadata_written=sum(look.is_metadata_written for look in looks),
    )


def _paths(blobs: LocalBlobs, holdings: Iterable[Holding]) -> Iterable[Path]:
    for holding in holdings:
        path = blobs.path(holding)
        yield path
        if holding.metadata_sha256 is not None:
            yield path.with_name(path.name + _METADATA)


def _is_ours(path: str) -> bool:
    """Whether a file stands where a blob would, and is none that stands beside one."""
    return _PLACE.fullmatch(path) is not None and not path.endswith(_METADATA)


def _look(root: Path, path: str) -> _Look:
    place = root / path
    sha256, blake2b, size = hashlib.sha256(), hashlib.blake2b(digest_size=32), 0
    try:
        filename = parse_safe_filename(place.name)
        with place.open("rb", buffering=0) as stream:
            while chunk := stream.read(_READ_BYTES):
                sha256.update(chunk)
                blake2b.update(chunk)
                size += len(chunk)
        if blake2b.hexdigest() != "".join(path.split("/")[1:4]):
            return _Look(None, path)
        blob = Blob(sha256=sha256.hexdigest(), blake2b_256=blake2b.hexdigest(), size=size)
        metadata = _metadata_of(place) if filename.endswith(".whl") else None
    except (OSError, InvalidFilename):
        return _Look(None, path)
    if metadata is None:
        return _Look(Holding(filename=filename, blob=blob, metadata_sha256=None), path)
    is_written = _read(place.with_name(place.name + _METADATA)) != metadata
    if is_written:
        atomic.write_atomically(place.with_name(place.name + _METADATA), metadata)
    digest = hashlib.sha256(metadata).hexdigest()
    return _Look(Holding(filename=filename, blob=blob, metadata_sha256=digest), path, is_written)


def _metadata_of(wheel: Path) -> bytes | None:
    try:
        with wheel.open("rb") as stream:
            return wheel_metadata(stream, wheel.name)
    except CorruptBlob:
        return None  # it is kept as it is, without


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
