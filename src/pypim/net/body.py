"""A body put together from chunks, decoded from gzip, and never longer than it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from isal import isal_zlib

from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_GZIP_OR_ZLIB = 32 + 15
_STEP_BYTES = 1 << 20
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
    """Collects decoded bytes up to the limit; the limit is checked after every step, so a bomb never unfolds."""

    def __init__(self, url: str, limit_bytes: int) -> None:
        self._url = url
        self._limit = limit_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._limit:
            raise too_long(self._url, self._limit)
        self._parts.append(part)

    def body(self) -> bytes:
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def too_long(url: str, limit_bytes: int) -> UpstreamMalformed:
    """The fault of an answer that exceeds its limit."""
    return UpstreamMalformed(url, f"the answer is longer than {limit_bytes:,} bytes")


def _unfold(decompressor: _Decompressor, data: bytes, sink: _Sink) -> _Decompressor:
    """Decode one chunk step by step; a body may be several gzip members in a row (RFC 1952, 2.2)."""
    while True:
        part = decompressor.decompress(data, _STEP_BYTES)
        sink.add(part)
        if decompressor.eof:
            data = decompressor.unused_data
            if not data:
                return decompressor
            decompressor = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
            continue
        data = decompressor.unconsumed_tail
        if not data and len(part) < _STEP_BYTES:
            return decompressor


async def read_body(chunks: AsyncIterator[bytes], encoding: str | None, url: str, limit_bytes: int) -> bytes:
    """Read a body to its end and decode it (gzip and deflate, the only encodings that are ever asked for).

    Raises UpstreamMalformed for another encoding, broken data, or more than `limit_bytes` after decoding;
    UpstreamUnavailable (transient) when the encoded data stops short.
    """
    sink = _Sink(url, limit_bytes)
    name = (encoding or "identity").strip().lower()
    if name in {"identity", ""}:
        async for chunk in chunks:
            sink.add(chunk)
        return sink.body()
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise UpstreamMalformed(url, f"the answer has the content encoding {name[:40]!r}, which was not asked for")
    await _decode(chunks, name, url, sink)
    return sink.body()


async def _decode(chunks: AsyncIterator[bytes], name: str, url: str, sink: _Sink) -> None:
    decompressor: _Decompressor | None = None
    async for chunk in chunks:
        if not chunk:
            continue
        if decompressor is None or decompressor.eof:
            decompressor = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
        try:
            decompressor = _unfold(decompressor, chunk, sink)
        except _BROKEN as error:
            raise UpstreamMalformed(url, f"the answer is not valid {name}: {error}") from error
    if decompressor is not None and not decompressor.eof:
        raise UpstreamUnavailable(url, f"the {name} data of the answer stops short", is_transient=True)
