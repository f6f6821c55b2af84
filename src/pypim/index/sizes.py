"""Learns how large a listed file is where its index does not say: from the head of one answer, where that tells."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.errors import NotAuthorised, UpstreamFault
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from pypim.core.model import DistFile
    from pypim.ports import Fetcher, Incoming, Sizes

_ATTEMPTS = 3
_OK = 200
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_TOTAL = re.compile(r"bytes (?:\d{1,18}-\d{1,18}|\*)/(\d{1,18})", re.ASCII)


class RemoteSizes:
    """The SizeReader for files of one upstream; what is learned of one with a sha256 is kept, for that upstream."""

    def __init__(self, fetcher: Fetcher, known: Sizes) -> None:
        self._fetcher = fetcher
        self._known = known
        self._flights = SingleFlight["int | None"]()

    async def size(self, file: DistFile, *, limit_bytes: int) -> int | None:
        """As listed, as it was learned before, or as the file's address says."""
        size = file.size if file.size is not None or file.sha256 is None else self._known.size(file.sha256)
        if size is None:
            size = await self._flights.value(file.identity, partial(self._learn, file, limit_bytes))
        return size

    async def _learn(self, file: DistFile, limit_bytes: int) -> int | None:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._ask(file, limit_bytes)
            except UpstreamFault as fault:
                if not fault.is_transient:
                    raise
        return await self._ask(file, limit_bytes)

    async def _ask(self, file: DistFile, limit_bytes: int) -> int | None:
        try:
            async with self._fetcher.open(file.url, {"range": "bytes=0-0"}) as incoming:
                size, is_exact = _told(incoming), True
                if size is None and incoming.status == _OK:
                    size = await _counted(incoming, limit_bytes)
                    is_exact = size <= limit_bytes
        except NotAuthorised:
            return None  # how some hosts say "not there"
        if size is not None and is_exact and file.sha256 is not None:
            self._known.keep_size(file.sha256, size)
        return size


def _told(incoming: Incoming) -> int | None:
    """What the head of the answer says (RFC 9110, 8.6 and 14.4)."""
    if incoming.status in {_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE}:
        found = _TOTAL.fullmatch(incoming.headers.get("content-range", "").strip())
        return int(found[1]) if found else None
    if incoming.status != _OK or "transfer-encoding" in incoming.headers:
        return None
    length = incoming.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else None


async def _counted(incoming: Incoming, limit_bytes: int) -> int:
    """The bytes that come, counted until they are too many."""
    size = 0
    async for chunk in incoming.chunks():
        size += len(chunk)
        if size > limit_bytes:
            break
    return size
