"""Whether each entry of a zip file unpacks to exactly what its header says: that many bytes, with that checksum.

Whoever installs it finds out else, or worse: takes what another reader passes over. Read in pieces, for an entry may
unpack to gigabytes; how many at most is bounded.
Source: APPNOTE.TXT 4.4 (crc-32, sizes); RFC 1951.
"""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_MOST_BYTES = 8 << 30
"""All entries together: what is read in some ten seconds, and thrice of what the largest wheels have."""
_PIECE = 1 << 20
_LOCAL_HEADER_BYTES = 30
_LENGTHS = struct.Struct("<HH")
_LENGTHS_AT = 26
"""In the header in front of an entry: how long its name and its extra fields are."""
_RAW_DEFLATE = -15
_ERROR: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stub declares an instance


def content_faults(stream: BinaryIO, entries: Iterable[zipfile.ZipInfo]) -> Iterator[str]:
    """One sentence for the first entry that is otherwise.

    Their headers must be known to agree, and their methods to be those that wheels have.
    """
    total = 0
    for entry in entries:
        total += entry.file_size
        if total > _MOST_BYTES:
            yield f"it unpacks to more than {_MOST_BYTES:,} bytes"
            return
        if fault := _content_fault(stream, entry):
            yield f"{entry.orig_filename[:200]!r}: {fault}"
            return


def _content_fault(stream: BinaryIO, entry: zipfile.ZipInfo) -> str | None:
    crc = size = 0
    try:
        for piece in _unpacked(_packed(stream, entry), entry.compress_type):
            crc, size = isal_zlib.crc32(piece, crc), size + len(piece)
            if size > entry.file_size:
                return f"it unpacks to more than the {entry.file_size:,} bytes that its header says"
    except (_ERROR, EOFError) as error:
        return f"it cannot be unpacked: {error}"
    if size != entry.file_size:
        return f"it unpacks to {size:,} bytes, and its header says {entry.file_size:,}"
    return None if crc == entry.CRC else "it has not the checksum (CRC) that its header says"


def _packed(stream: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    stream.seek(entry.header_offset + _LENGTHS_AT)
    name_bytes, extra_bytes = _LENGTHS.unpack(stream.read(_LENGTHS.size))
    stream.seek(entry.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes)
    left = entry.compress_size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise EOFError("it is cut short")
        left -= len(piece)
        yield piece


def _unpacked(packed: Iterator[bytes], method: int) -> Iterator[bytes]:
    """In pieces of bounded length. Raises EOFError where the end is missing, or comes before the last byte."""
    if method == zipfile.ZIP_STORED:
        yield from packed
        return
    reader = isal_zlib.decompressobj(_RAW_DEFLATE)
    for piece in packed:
        if reader.eof:
            raise EOFError("there are other bytes behind its end")
        yield reader.decompress(piece, _PIECE)
        while reader.unconsumed_tail and not reader.eof:
            yield reader.decompress(reader.unconsumed_tail, _PIECE)
    while not reader.eof and (rest := reader.decompress(b"", _PIECE)):
        yield rest
    if not reader.eof:
        raise EOFError("it is cut short")
    if reader.unused_data:
        raise EOFError("there are other bytes behind its end")
