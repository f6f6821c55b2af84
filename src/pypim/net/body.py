"""A body put together from chunks, decoded from gzip, and never longer than it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from isal import isal_zlib

from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable
from pypim.core.upstream_errors import UpstreamTooLong

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator

_GZIP_OR_ZLIB = 32 + 15
_STEP_BYTES = 1 << 20
_USUAL_BYTES = 4 << 20
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment] # its stub calls the class an instance


class _Decompressor(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Sink:
    """Collects decoded bytes up to the limit; the limit is checked after every step, so a bomb never unfolds.

    Only one body at a time grows beyond what is usual: many of them at once would fill the memory all the same.
    """

    def __init__(self, url: str, limit_bytes: int, large: asyncio.Lock | None) -> None:
        self._url = url
        self._limit = limit_bytes
        self._large = large
        self._has_turn = False
        self._first = b""
        self._rest = bytearray()

    async def add(self, part: bytes) -> None:
        size = len(self._first) + len(self._rest) + len(part)
        if size > self._limit:
            raise too_long(self._url, self._limit)
        if size > _USUAL_BYTES and self._large is not None and not self._has_turn:
            await self._large.acquire()
            self._has_turn = True
        if self._first:
            self._rest += part
        else:
            self._first = part

    def close(self) -> None:
        """Let go of the bytes, which the traceback of a fault would keep, and let the next large body grow."""
        self._first, self._rest = b"", bytearray()
        if self._large is not None and self._has_turn:
            self._large.release()
            self._has_turn = False

    def body(self) -> bytes:
        return self._first + self._rest if self._rest else self._first


def too_long(url: str, limit_bytes: int) -> UpstreamTooLong:
    """The fault of an answer that exceeds its limit."""
    return UpstreamTooLong(url, limit_bytes)


async def _unfold(decompressor: _Decompressor, data: bytes, sink: _Sink) -> _Decompressor:
    """Decode one chunk step by step; a body may be several gzip members in a row (RFC 1952, 2.2)."""
    while True:
        part = decompressor.decompress(data, _STEP_BYTES)
        await sink.add(part)
        if decompressor.eof:
            data = decompressor.unused_data
            if not data:
                return decompressor
            decompressor = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
            continue
        data = decompressor.unconsumed_tail
        if not data and len(part) < _STEP_BYTES:
            return decompressor


async def read_body(
    chunks: AsyncIterator[bytes], encoding: str | None, url: str, limit_bytes: int, large: asyncio.Lock | None = None
) -> bytes:
    """Read a body to its end and decode it (gzip and deflate, the only encodings that are ever asked for).

    `large`, where there is one, is held while the body is larger than usual.
    Raises UpstreamMalformed for another encoding, broken data, or more than `limit_bytes` after decoding;
    UpstreamUnavailable (transient) when the encoded data stops short.
    """
    sink = _Sink(url, limit_bytes, large)
    name = (encoding or "identity").strip().lower()
    if name not in {"identity", "", "gzip", "x-gzip", "deflate"}:
        raise UpstreamMalformed(url, f"the answer has the content encoding {name[:40]!r}, which was not asked for")
    try:
        if name in {"identity", ""}:
            async for chunk in chunks:
                await sink.add(chunk)
        else:
            await _decode(chunks, name, url, sink)
        return sink.body()
    finally:
        sink.close()


async def _decode(chunks: AsyncIterator[bytes], name: str, url: str, sink: _Sink) -> None:
    decompressor: _Decompressor | None = None
    async for chunk in chunks:
        if not chunk:
            continue
        if decompressor is None or decompressor.eof:
            decompressor = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            decompressor = await _unfold(decompressor, chunk, sink)
        except _BROKEN as error:
            raise UpstreamMalformed(url, f"the answer is not valid {name}: {error}") from error
    if decompressor is not None and not decompressor.eof:
        raise UpstreamUnavailable(url, f"the {name} data of the answer stops short", is_transient=True)
