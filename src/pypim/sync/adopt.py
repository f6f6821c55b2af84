"""Finds again what is in the store without a record: after a run that was killed, or when the catalog was lost."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pypim.core.archive import wheel_metadata
from pypim.core.errors import CorruptBlob, StoreUnreadable
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Blob, Holding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.core.plan import PlannedFile
    from pypim.sync.model import Stack

_METADATA = ".metadata"
_READ_BYTES = 1 << 20


async def adopt(stack: Stack, planned: Sequence[PlannedFile]) -> dict[str, Holding]:
    """Record those of the planned files that stand in the store after all (identity → holding).

    A file counts only where its bytes have the sha256 that the index lists and stand under their own digest, and
    where a wheel's `.metadata` stands beside it as it is in the wheel. Everything else is fetched.
    Raises StoreUnreadable.
    """
    by_name: dict[str, list[str]] = {}
    for path in stack.blobs.stray(holding for _, holding in stack.holdings.holdings()):
        if not path.endswith(_METADATA):
            by_name.setdefault(path.rpartition("/")[2], []).append(path)
    found: dict[str, Holding] = {}
    rows = []
    for item in planned if by_name else ():
        for path in by_name.get(item.file.filename, ()):
            holding = _read(stack, item, path)
            if holding is not None:
                found[item.file.identity] = holding
                rows.append((item.file.identity, item.project, holding))
    if rows:
        # Whoever put them there may have been killed before they, or their names, had reached the disk.
        await stack.blobs.confirm(found.values())
        stack.holdings.record(rows)
        stack.reporter.note(f"{len(rows)} files of an interrupted run stood in the store and were taken over")
    return found


def _read(stack: Stack, item: PlannedFile, path: str) -> Holding | None:
    try:
        return _holding(stack, item, path)
    except FileNotFoundError:
        return None  # a link that leads nowhere
    except OSError as error:
        raise StoreUnreadable(error.filename or path, error.strerror or str(error)) from error


def _holding(stack: Stack, item: PlannedFile, path: str) -> Holding | None:
    """What the file at that path would be held as; None where it is not what is wanted. Raises OSError."""
    parts = path.split("/")  # packages, aa, bb, the rest of the digest, file name
    blob = Blob(sha256=item.file.sha256 or "", blake2b_256="".join(parts[1:-1]), size=item.file.size or 0)
    place = stack.blobs.path(Holding(filename=item.file.filename, blob=blob))
    sha256, blake2b, size = hashlib.sha256(), hashlib.blake2b(digest_size=32), 0
    with place.open("rb", buffering=0) as stream:
        while chunk := stream.read(_READ_BYTES):
            sha256.update(chunk)
            blake2b.update(chunk)
            size += len(chunk)
    if sha256.hexdigest() != item.file.sha256 or blake2b.hexdigest() != blob.blake2b_256:
        return None
    blob = Blob(sha256=sha256.hexdigest(), blake2b_256=blake2b.hexdigest(), size=size)
    metadata_sha256 = None
    if parse_filename(item.file.filename, item.project).kind is FileKind.WHEEL:
        try:
            with place.open("rb") as stream:
                metadata = wheel_metadata(stream, item.file.filename)
        except CorruptBlob:
            metadata = None
        beside = place.with_name(place.name + _METADATA)
        if metadata is not None and (not beside.is_file() or beside.read_bytes() != metadata):
            return None
        metadata_sha256 = hashlib.sha256(metadata).hexdigest() if metadata is not None else None
    return Holding(filename=item.file.filename, blob=blob, metadata_sha256=metadata_sha256)
