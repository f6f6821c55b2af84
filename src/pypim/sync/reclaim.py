"""Finds again what is in the store without a record: after a run that was killed, or when the catalog was lost."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from pypim.core.archive import wheel_metadata
from pypim.core.errors import CorruptBlob, StoreUnreadable
from pypim.core.examine import blob_of
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Blob, Holding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypim.core.plan import PlannedFile
    from pypim.sync.model import Stack

_METADATA = ".metadata"


async def reclaim(stack: Stack, planned: Sequence[PlannedFile]) -> dict[str, Holding]:
    """Record those of the planned files that stand in the store after all (identity → holding).

    As `Strays.reclaim`. Raises StoreUnreadable.
    """
    strays = Strays(stack)
    found = await strays.reclaim(planned)
    strays.tell()
    return found


class Strays:
    """What stands in the store without a record, listed once."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._reclaimed = 0
        self._paths: dict[str, list[str]] = {}
        for path in stack.blobs.stray(holding for _, holding in stack.holdings.holdings()):
            if not path.endswith(_METADATA):
                self._paths.setdefault(path.rpartition("/")[2], []).append(path)

    async def reclaim(self, planned: Iterable[PlannedFile]) -> dict[str, Holding]:
        """Record those of the planned files that stand in the store after all (identity → holding).

        A file counts only where its bytes have the sha256 that the index lists and stand under their own digest, and
        where a wheel's `.metadata` stands beside it as it is in the wheel. Everything else is fetched.
        Raises StoreUnreadable.
        """
        stack = self._stack
        found: dict[str, Holding] = {}
        rows = []
        for item in planned if self._paths else ():
            for path in self._paths.get(item.file.filename, ()):
                holding = await asyncio.to_thread(_read, stack, item, path)
                if holding is not None:
                    found[item.file.identity] = holding
                    rows.append((item.file.identity, item.project, holding))
        if rows:
            # Whoever put them there may have been killed before they, or their names, had reached the disk.
            await stack.blobs.confirm(found.values())
            await asyncio.to_thread(stack.holdings.record, rows)
            self._reclaimed += len(rows)
        return found

    def tell(self) -> None:
        """Say how many there were, if any."""
        if self._reclaimed:
            text = f"{self._reclaimed} files of an interrupted run stood in the store and were reclaimed"
            self._stack.reporter.note(text)


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
    with place.open("rb", buffering=0) as stream:
        found = blob_of(stream)
    if found.sha256 != item.file.sha256 or found.blake2b_256 != blob.blake2b_256:
        return None
    blob = found
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
