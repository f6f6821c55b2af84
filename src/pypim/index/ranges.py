"""A wheel's METADATA read through ranged requests, without the rest of the wheel (RFC 9110, 14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pypim.core.archive import MissingBytes, SparseFile, wheel_metadata
from pypim.core.errors import NotFound, UpstreamFault, UpstreamMalformed

if TYPE_CHECKING:
    from pypim.core.model import DistFile
    from pypim.ports import Fetcher

_TAIL_BYTES = 65536
_STEP_BYTES = 32768
_MOST_REQUESTS = 8
_MOST_BYTES = 16 << 20
_ATTEMPTS = 3
_OK = 200
_PARTIAL_CONTENT = 206
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


class RangesNotOffered(NotFound):
    """The upstream answers a ranged request with the whole file."""

    code = "ranges-not-offered"


async def read_wheel_metadata(fetcher: Fetcher, file: DistFile) -> bytes:
    """Read the end of the wheel, where its table of contents is, then what that points to.

    Raises RangesNotOffered, UpstreamFault, Refused, or CorruptBlob when it is no wheel.
    """
    asked = f"{max(0, file.size - _TAIL_BYTES)}-{file.size - 1}" if file.size else f"-{_TAIL_BYTES}"
    start, data, total = await _read_range(fetcher, file, asked, _TAIL_BYTES)
    sparse = SparseFile(total)
    sparse.add(start, data)
    received = len(data)
    for _ in range(_MOST_REQUESTS):
        try:
            return wheel_metadata(sparse, file.filename)
        except MissingBytes as missing:
            start = missing.start
            stop = min(total, max(missing.stop, start + _STEP_BYTES))
        received += stop - start
        if received > _MOST_BYTES:
            break
        begun, data, size_now = await _read_range(fetcher, file, f"{start}-{stop - 1}", stop - start)
        if begun != start or size_now != total:
            raise UpstreamMalformed(file.url, "the answers to ranged requests do not fit together")
        sparse.add(start, data)
    raise UpstreamMalformed(file.url, "its METADATA is spread over too many bytes for ranged requests")


async def _read_range(fetcher: Fetcher, file: DistFile, asked: str, most_bytes: int) -> tuple[int, bytes, int]:
    """(where it begins, the bytes, the size of the whole file); a body that breaks off is asked for again."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _read_range_once(fetcher, file, asked, most_bytes)
        except UpstreamFault as fault:
            if not fault.is_transient:
                raise
    return await _read_range_once(fetcher, file, asked, most_bytes)


async def _read_range_once(fetcher: Fetcher, file: DistFile, asked: str, most_bytes: int) -> tuple[int, bytes, int]:
    async with fetcher.open(file.url, {"Range": f"bytes={asked}"}) as incoming:
        if incoming.status == _OK:
            raise RangesNotOffered(f"{file.url}: the whole file comes instead of a range")
        described = _CONTENT_RANGE.fullmatch(incoming.headers.get("content-range", "").strip())
        if incoming.status != _PARTIAL_CONTENT or described is None:
            raise UpstreamMalformed(file.url, f"a ranged request was answered {incoming.status}, without the range")
        start, stop, total = int(described[1]), int(described[2]) + 1, int(described[3])
        if not start < stop <= total or stop - start > most_bytes or file.size not in {None, total}:
            raise UpstreamMalformed(file.url, f"a ranged request for {asked} was answered with {described[0]!r}")
        data = bytearray()
        async for chunk in incoming.chunks():
            data += chunk
            if len(data) > stop - start:
                break
    if len(data) != stop - start:
        raise UpstreamMalformed(file.url, "a ranged request was answered with another number of bytes than announced")
    return start, bytes(data), total
