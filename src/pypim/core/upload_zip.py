"""Whether every reader of a zip file sees the same entries: one after the other, without gaps, said once everywhere.

Installers find entries by the directory at the end, by the headers in front of the contents, or by both; a file that
tells them different things can show one content to a scanner and install another.
Source: APPNOTE.TXT 4.3 (local headers, data descriptors, central directory, zip64 records).
"""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_LOCAL = struct.Struct("<4s5H3L2H")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_EXTRA = struct.Struct("<HH")
_HAS_DESCRIPTOR = 0x8
_UTF8 = 0x800
_IS_ENCRYPTED = 0x1
_TELLING_FLAGS = _IS_ENCRYPTED | _HAS_DESCRIPTOR | _UTF8
_UNICODE_PATH = 0x7075
"""An extra field with another name of the entry, which only some readers believe."""
_UNSAID_16, _UNSAID_32 = 0xFFFF, 0xFFFFFFFF
"""The marks for "see zip64"."""
_DESCRIPTOR_BYTES = {12: ("<LLL", 0), 16: ("<LLL", 4), 20: ("<LQQ", 0), 24: ("<LQQ", 4)}
"""Length of a data descriptor → its fields, and how many bytes of signature stand before them."""
_LARGE_BYTES = 64 << 20
_HIGHEST_RATIO = 50


class _Record(msgspec.Struct):
    """What the record at the end says of the directory."""

    entries: int
    size: int
    offset: int
    start: int
    """Where the record itself begins: the directory ends there."""


def zip_faults(stream: BinaryIO, archive: zipfile.ZipFile, size: int) -> Iterator[str]:
    """One sentence for everything that some reader could see differently; `size` is that of the file, in bytes."""
    entries = archive.infolist()
    record = _record(stream, size)
    if isinstance(record, str):
        yield record
        return
    if record.entries != len(entries) or record.offset + record.size != record.start:
        yield "its directory is not what the record at its end says"
    names = [entry.orig_filename for entry in entries]
    if len(set(names)) != len(names):
        yield "it has two entries with one name"
    for entry in entries:
        if fault := _entry_fault(entry):
            yield fault
    yield from _layout_faults(stream, sorted(entries, key=lambda entry: entry.header_offset), record.offset)
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > max(_LARGE_BYTES, _HIGHEST_RATIO * size):
        yield f"it unpacks to {unpacked:,} bytes, more than {_HIGHEST_RATIO} times its size"


def _record(stream: BinaryIO, size: int) -> _Record | str:
    """The record at the very end; a comment behind it could hold a second one."""
    stream.seek(max(0, size - _END.size - _LOCATOR_64.size - _END_64.size))
    tail = stream.read(_END.size + _LOCATOR_64.size + _END_64.size)
    if len(tail) < _END.size:
        return "it is cut short"
    signature, disk, first_disk, here, entries, length, offset, comment = _END.unpack(tail[-_END.size :])
    if signature != b"PK\x05\x06" or comment:
        return "it has a comment or other bytes behind the end of the zip file"
    if disk or first_disk or here != entries:
        return "it is a part of several"
    start = size - _END.size
    locator = tail[-_END.size - _LOCATOR_64.size : -_END.size]
    if not locator.startswith(b"PK\x06\x07"):
        if entries == _UNSAID_16 or _UNSAID_32 in {length, offset}:
            return "it refers to a zip64 record that is not there"
        return _Record(entries, length, offset, start)
    if len(tail) < _END_64.size + _LOCATOR_64.size + _END.size:
        return "it is cut short"
    return _record_64(tail, _Record(entries, length, offset, start))


def _record_64(tail: bytes, said: _Record) -> _Record | str:
    """The zip64 record right before its locator; what both records say must agree."""
    fields = _END_64.unpack(tail[: _END_64.size])
    start = said.start - _LOCATOR_64.size - _END_64.size
    position = _LOCATOR_64.unpack(tail[_END_64.size : _END_64.size + _LOCATOR_64.size])[2]
    if fields[0] != b"PK\x06\x06" or position != start or fields[1] != _END_64.size - 12:
        return "its zip64 record is not where it should be"
    found = _Record(fields[7], fields[8], fields[9], start)
    agrees = (
        said.entries in {_UNSAID_16, found.entries}
        and said.size in {_UNSAID_32, found.size}
        and said.offset in {_UNSAID_32, found.offset}
    )
    return found if agrees and fields[6] == fields[7] else "its two end records contradict each other"


def _entry_fault(entry: zipfile.ZipInfo) -> str | None:
    name = entry.orig_filename
    shown = repr(name[:200])
    if entry.flag_bits & _IS_ENCRYPTED:
        return f"{shown} is encrypted"
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        return f"{shown} is compressed with the method {entry.compress_type}, which wheels never use"
    if _UNICODE_PATH in _extra_fields(entry.extra):
        return f"{shown} has a second name"
    parts = name.removesuffix("/").split("/")
    if "\\" in name or any(ord(char) < ord(" ") for char in name) or {"", ".", ".."}.intersection(parts):
        return f"{shown} is no path inside the archive"
    return f"{shown} is no path inside the archive" if ":" in parts[0] else None


def _extra_fields(extra: bytes) -> set[int]:
    """The kinds of the extra fields of an entry."""
    found = set()
    while len(extra) >= _EXTRA.size:
        kind, length = _EXTRA.unpack_from(extra)
        found.add(kind)
        extra = extra[_EXTRA.size + length :]
    return found


def _layout_faults(stream: BinaryIO, entries: list[zipfile.ZipInfo], directory: int) -> Iterator[str]:
    """Each entry must begin where the one before ends; the first at 0, and the directory behind the last."""
    position = 0
    for number, entry in enumerate(entries):
        if entry.header_offset != position:
            yield f"there are bytes between its entries, before {entry.orig_filename[:200]!r}"
            return
        following = entries[number + 1].header_offset if number + 1 < len(entries) else directory
        fault = _local_fault(stream, entry, following)
        if fault:
            yield f"{entry.orig_filename[:200]!r}: {fault}"
            return
        position = following
    if position != directory:
        yield "there are bytes before its directory"


def _local_fault(stream: BinaryIO, entry: zipfile.ZipInfo, following: int) -> str | None:
    """What the header in front of an entry says otherwise than the directory."""
    stream.seek(entry.header_offset)
    header = stream.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        return "its own header is cut short"
    signature, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(header)
    name = stream.read(name_length)
    if signature != b"PK\x03\x04" or method != entry.compress_type or (flags ^ entry.flag_bits) & _TELLING_FLAGS:
        return "its own header contradicts the directory"
    if name != entry.orig_filename.encode("utf-8" if flags & _UTF8 else "cp437", "surrogateescape"):
        return "it has another name in its own header"
    has_descriptor = bool(flags & _HAS_DESCRIPTOR)
    said = (crc, packed, unpacked)
    expected = (entry.CRC, entry.compress_size, entry.file_size)
    # With zip64 the sizes stand in the extra field; with a descriptor nothing need be said here.
    if any(a not in {b, _UNSAID_32} and not (has_descriptor and a == 0) for a, b in zip(said, expected, strict=True)):
        return "its own header contradicts the directory"
    end = entry.header_offset + _LOCAL.size + name_length + extra_length + entry.compress_size
    return _descriptor_fault(stream, end, following - end, expected, has_descriptor=has_descriptor)


def _descriptor_fault(
    stream: BinaryIO, end: int, length: int, expected: tuple[int, int, int], *, has_descriptor: bool
) -> str | None:
    """What stands between the content of an entry and the next one: nothing, or a descriptor that says the same."""
    if not has_descriptor:
        return "there are other bytes behind it" if length else None
    form, skipped = _DESCRIPTOR_BYTES.get(length, ("", 0))
    if not form:
        return "there are other bytes behind it"
    stream.seek(end)
    descriptor = stream.read(length)
    is_signed = not skipped or descriptor.startswith(b"PK\x07\x08")
    if len(descriptor) < length or not is_signed or struct.unpack(form, descriptor[skipped:]) != expected:
        return "the descriptor behind it contradicts the directory"
    return None
