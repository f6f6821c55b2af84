"""The list of all projects of an upstream: asked for with its validators, kept aside as it comes, read as a stream."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from isal import isal_zlib

from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable
from pypim.core.list_stream import HtmlListReader, JsonListReader, NotStreamable, Pairs
from pypim.core.negotiate import PageFormat, page_format, parse_any_project_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pypim.ports import Incoming

MARK_OF_THE_API = b"pypi:repository-version"
_MOST_BYTES = 256 << 20
_MOST_DECODED_BYTES = 512 << 20
_MOST_WHOLE_BYTES = 16 << 20
_IN_MEMORY_BYTES = 16 << 20
_READ_BYTES = 1 << 18
_GZIP_OR_ZLIB = 32 + 15
_BROKEN: type[Exception] = isal_zlib.error  # type: ignore[assignment] # its stub calls the class an instance
_ENCODINGS = frozenset(("", "identity", "gzip", "x-gzip", "deflate"))


class Reader(Protocol):
    """What reads a list piece by piece."""

    last_serial: int | None
    dropped: list[str]

    def feed(self, chunk: bytes) -> Pairs:
        """The projects that are complete now."""

    def finish(self) -> Pairs:
        """The last ones."""


class Body(NamedTuple):
    """An answer that has arrived, still encoded."""

    content: IO[bytes]
    url: str
    encoding: str
    digest: str
    """SHA-256 of its bytes on the wire."""


@contextmanager
def kept_aside() -> Iterator[IO[bytes]]:
    """Where the bytes of an answer wait until all of them are there.

    Nothing may wait for a network while it changes the catalog.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as content:
        yield content


async def received(incoming: Incoming, content: IO[bytes]) -> Body:
    """The whole answer. Raises UpstreamFault; UpstreamMalformed where it is too long, or of an unknown encoding."""
    announced = incoming.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:18]) > _MOST_BYTES:
        raise _too_long(incoming.url, _MOST_BYTES)
    encoding = incoming.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        reason = f"the answer has the content encoding {encoding[:40]!r}, which was not asked for"
        raise UpstreamMalformed(incoming.url, reason)
    digest, size = hashlib.sha256(), 0
    async for chunk in incoming.chunks():
        size += len(chunk)
        if size > _MOST_BYTES:
            raise _too_long(incoming.url, _MOST_BYTES)
        digest.update(chunk)
        content.write(chunk)
    return Body(content, incoming.url, "" if encoding == "identity" else encoding, digest.hexdigest())


def unfolded(body: Body) -> Iterator[bytes]:
    """Its bytes, decoded. Raises UpstreamMalformed or UpstreamUnavailable (transient) where they stop short."""
    size = 0
    for chunk in _decoded(body) if body.encoding else _read(body):
        size += len(chunk)
        if size > _MOST_DECODED_BYTES:
            raise _too_long(body.url, _MOST_DECODED_BYTES)
        yield chunk


def _read(body: Body) -> Iterator[bytes]:
    body.content.seek(0)
    while chunk := body.content.read(_READ_BYTES):
        yield chunk


def _decoded(body: Body) -> Iterator[bytes]:
    """A body may be several gzip members in a row (RFC 1952, 2.2)."""
    decompressor = None
    try:
        for chunk in _read(body):
            data = chunk
            while data:
                if decompressor is None or decompressor.eof:
                    decompressor = isal_zlib.decompressobj(_GZIP_OR_ZLIB)
                part = decompressor.decompress(data, _READ_BYTES)
                yield part
                data = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
    except _BROKEN as error:
        raise UpstreamMalformed(body.url, f"the answer is not valid {body.encoding}: {error}") from error
    if decompressor is not None and not decompressor.eof:
        reason = f"the {body.encoding} data of the answer stops short"
        raise UpstreamUnavailable(body.url, reason, is_transient=True)


def list_reader(content_type: str, url: str) -> tuple[Callable[[], Reader], PageFormat]:
    """What makes readers for lists of that type. Raises UpstreamMalformed for an unknown one."""
    form = page_format(content_type, url)
    kind = JsonListReader if form is PageFormat.JSON else HtmlListReader
    return lambda: kind(url), form


def is_marked(body: Body) -> bool:
    """Whether its head says that it belongs to the Simple API (PEP 629), as a login page's does not."""
    return MARK_OF_THE_API in next(unfolded(body), b"")


def pieces(body: Body, reader: Reader) -> Iterator[Pairs]:
    """The projects, some thousands at a time. Raises NotStreamable, or UpstreamFault."""
    for chunk in unfolded(body):
        if found := reader.feed(chunk):
            yield found
    if found := reader.finish():
        yield found


def whole(body: Body, content_type: str) -> tuple[Pairs, int | None, tuple[str, ...]]:
    """The projects, the serial of all and what was dropped of a list that cannot be read as a stream.

    Raises UpstreamMalformed, also where it is too long for that.
    """
    content = bytearray()
    for chunk in unfolded(body):
        content += chunk
        if len(content) > _MOST_WHOLE_BYTES:
            reason = f"the list of projects is longer than {_MOST_WHOLE_BYTES:,} bytes and written in an unusual way"
            raise UpstreamMalformed(body.url, reason, hint='Set follow = "projects" for this upstream.')
    listed = parse_any_project_list(bytes(content), content_type, body.url)
    return list(listed.projects.items()), listed.last_serial, listed.dropped


def _too_long(url: str, limit_bytes: int) -> UpstreamMalformed:
    return UpstreamMalformed(url, f"the answer is longer than {limit_bytes:,} bytes")


__all__ = [
    "MARK_OF_THE_API",
    "Body",
    "NotStreamable",
    "Reader",
    "is_marked",
    "kept_aside",
    "list_reader",
    "pieces",
    "received",
    "unfolded",
    "whole",
]
