"""The files of a store as one upstream's: what another began to send is not gone on with.

Else a part that a closed index left behind would be given out, or taken as held, by an index whose upstream merely
lists the same name and hash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pypim.core.model import Holding
    from pypim.core.records import FileState
    from pypim.ports import Blobs, StagedBlob


class BlobsApart:
    """The Blobs of one upstream: the same as the store's, but for what is staged."""

    def __init__(self, blobs: Blobs, upstream: str) -> None:
        """`upstream` is what is kept under what the upstream says."""
        self._blobs = blobs
        self._upstream = upstream

    def stage(self, key: str) -> StagedBlob:
        """A place for bytes from that upstream."""
        return self._blobs.stage(f"{key} {self._upstream}")

    async def keep(self, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        """As of the store."""
        await self._blobs.keep(staged, holding, metadata)

    def path(self, holding: Holding) -> Path:
        """Where the bytes are."""
        return self._blobs.path(holding)

    def delete(self, holding: Holding) -> None:
        """As of the store."""
        self._blobs.delete(holding)

    def place(self, source: Path, state: FileState, holding: Holding, metadata: bytes | None, *, copies: bool) -> bool:
        """As of the store."""
        return self._blobs.place(source, state, holding, metadata, copies=copies)

    def confirm_deletions(self) -> None:
        """As of the store."""
        self._blobs.confirm_deletions()

    async def confirm(self, holdings: Iterable[Holding]) -> None:
        """As of the store."""
        await self._blobs.confirm(holdings)

    def found(self, holding: Holding) -> bool:
        """Whether a file of that size stands there."""
        return self._blobs.found(holding)

    def alone(self) -> AbstractContextManager[None]:
        """As of the store."""
        return self._blobs.alone()

    def stray(self, known: Iterable[Holding]) -> dict[str, int]:
        """As of the store."""
        return self._blobs.stray(known)

    def delete_stray(self, paths: Iterable[str]) -> None:
        """As of the store."""
        self._blobs.delete_stray(paths)

    def free_bytes(self) -> int | None:
        """Room on the device."""
        return self._blobs.free_bytes()
