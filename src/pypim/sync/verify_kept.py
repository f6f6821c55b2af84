"""Verifies what only the server fills: the uploads of hosted indexes, and what proxies keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.sync.verify import VerifyReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypim.core.model import Holding
    from pypim.ports import Blobs, Cached
    from pypim.sync.reading import Reading

_LOST = "; not repaired: only an upload has ever brought it, so take it from a backup"
_DROPPED = "; dropped, and fetched again when somebody asks for it"


async def verify_kept(
    index: str, own: Mapping[str, Holding], blobs: Blobs, reading: Reading, *, cached: Cached | None, repairs: bool
) -> VerifyReport:
    """Re-read those files of one index that are due, each an identity and what it should be.

    `cached` are the files of proxies, where it is one of them: with `repairs` it drops what is damaged. Of a hosted
    index nothing can be fetched again. Raises StoreFault.
    """
    held = reading.due(own)
    damages = await reading.read(held, blobs.path)
    if repairs and damages and cached is not None:
        with blobs.alone():
            for holding in cached.drop(index, [damage.identity for damage in damages]):
                blobs.delete(holding)
    remark = _DROPPED if cached is not None else _LOST
    if repairs:
        damages = [
            msgspec.structs.replace(damage, is_repaired=cached is not None, reason=damage.reason + remark)
            for damage in damages
        ]
    total_bytes = sum(holding.blob.size for holding in held.values())
    return VerifyReport(
        files=len(held), file_bytes=total_bytes, damages=tuple(damages), passed_over=len(own) - len(held)
    )
