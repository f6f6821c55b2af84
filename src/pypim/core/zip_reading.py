"""Single entries out of a foreign zip file, bounded in entries, bytes and methods whatever its headers say."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

    from pypim.core.sparse import SparseFile

MAX_ENTRY_BYTES = 8 << 20
"""The longest METADATA, PKG-INFO, pyproject.toml or requires.txt that is read."""
_MAX_DIRECTORY_BYTES = 64 << 20
_MAX_ENTRIES = 200_000
_LOCAL_HEADER_BYTES = 30
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_MAX_COMMENT_BYTES = 0xFFFF
_IS_ENCRYPTED = 0x1


def open_zip(stream: BinaryIO | SparseFile) -> zipfile.ZipFile:
    """Read the central directory; raises ValueError or zipfile's errors where it is broken or beyond the bounds."""
    _check_directory(stream)
    try:
        return zipfile.ZipFile(stream)
    except zipfile.BadZipFile as error:
        if isinstance(error.__context__, OSError):  # zipfile takes a disk that fails for a broken file
            raise error.__context__ from None
        raise


def read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, stream: BinaryIO | SparseFile) -> bytes:
    """The content of one entry, its checksum verified; raises ValueError or zipfile's errors."""
    if entry.flag_bits & _IS_ENCRYPTED:
        raise ValueError(f"{entry.filename} is encrypted")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError(
            f"{entry.filename} is compressed with the method {entry.compress_type}, which wheels never use"
        )
    if max(entry.file_size, entry.compress_size) > MAX_ENTRY_BYTES:
        raise ValueError(f"{entry.filename} has more than {MAX_ENTRY_BYTES:,} bytes")
    # One read of all that will be needed, so that a file with holes asks for one range and not for many.
    stream.seek(entry.header_offset)
    stream.read(_LOCAL_HEADER_BYTES + len(entry.filename.encode()) + len(entry.extra) + entry.compress_size)
    with archive.open(entry) as content:
        data = content.read(MAX_ENTRY_BYTES + 1)
    if len(data) != entry.file_size:
        raise ValueError(f"{entry.filename} has {len(data)} bytes, its header says {entry.file_size}")
    return data


def _check_directory(stream: BinaryIO | SparseFile) -> None:
    """Find the directory as zipfile does, and refuse one that would take too much memory to load."""
    end, position = _find_end(stream)
    size, start = end[5], position - end[5]
    if position >= _LOCATOR_64.size + _END_64.size:
        stream.seek(position - _LOCATOR_64.size - _END_64.size)
        tail = stream.read(_LOCATOR_64.size + _END_64.size) or b""
        record = _END_64.unpack_from(tail)
        if tail[_END_64.size :].startswith(b"PK\x06\x07") and record[0] == b"PK\x06\x06":
            size = max(size if size != 0xFFFFFFFF else 0, record[8])  # noqa: PLR2004 - the mark for "see zip64"
            start = position - len(tail) - size
    if size > _MAX_DIRECTORY_BYTES:
        raise ValueError(f"its directory has {size:,} bytes, more than any real file's")
    if start < 0:
        raise ValueError("its directory begins before the file does")
    stream.seek(start)
    if (stream.read(size) or b"").count(b"PK\x01\x02") > _MAX_ENTRIES:
        raise ValueError(f"it has more than {_MAX_ENTRIES:,} entries")


def _find_end(stream: BinaryIO | SparseFile) -> tuple[tuple[bytes, int, int, int, int, int, int, int], int]:
    """The end-of-directory record and where it stands: at the very end, or before a comment."""
    size = stream.seek(0, io.SEEK_END)
    for tail_bytes in (_END.size, _END.size + _MAX_COMMENT_BYTES):
        start = max(size - tail_bytes, 0)
        stream.seek(start)
        tail = stream.read(size - start) or b""
        found = tail.rfind(b"PK\x05\x06")
        if 0 <= found <= len(tail) - _END.size:
            return _END.unpack_from(tail, found), start + found
    raise ValueError("it is not a zip file, or was cut short")
