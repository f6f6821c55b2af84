"""Single members out of a foreign tar archive, read once from front to back in bounded memory; nothing is extracted.

The standard library's reader keeps every member, and reads extended headers and compressed blocks as long as they
claim to be; this one reads a foreign archive with limits on all of them.
"""

from __future__ import annotations

import bz2
import lzma
import re
import tarfile
from typing import TYPE_CHECKING, NamedTuple, Protocol

from isal import igzip_lib

from pypim.core.zip_reading import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

_MAX_UNPACKED_BYTES = 2 << 30
_MAX_MEMBERS = 100_000
_MAX_EXTENDED_HEADER_BYTES = 1 << 20
_MAX_XZ_MEMORY_BYTES = 128 << 20
_BLOCK = tarfile.BLOCKSIZE
_CHUNK = 1 << 16
_PAX_RECORD = re.compile(rb"(\d{1,9}) ([^=\n]+)=")
_MAX_SIZE_DIGITS = 18
_SPARSE_HEADER_FLAG = 482
_SPARSE_BLOCK_FLAG = 504
"""Where an old GNU sparse header, and each block that goes on with it, says that one more block follows."""
_EXTENDED_HEADERS = frozenset(
    (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)
)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


def _gzip() -> _Decompressor:
    return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY_BYTES)


_DECOMPRESSORS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": _xz,
}


class Unpacked:
    """The bytes of a stream after decompression, in whatever way its first bytes say; never more than the limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._pending = stream.read(_CHUNK)
        self._new = next((new for magic, new in _DECOMPRESSORS.items() if self._pending.startswith(magic)), None)
        self._decompressor = self._new() if self._new else None
        self._rest = b""
        self._total = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises ValueError beyond the limit, EOFError when cut short."""
        pieces: list[bytes] = []
        while size > 0 and (piece := self._piece(size)):
            pieces.append(piece)
            size -= len(piece)
            self._total += len(piece)
            if self._total > _MAX_UNPACKED_BYTES:
                raise ValueError(f"it unpacks to more than {_MAX_UNPACKED_BYTES:,} bytes")
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Read and forget; raises EOFError when there are fewer bytes."""
        while size > 0:
            piece = self.read(min(size, _CHUNK))
            if not piece:
                raise EOFError("it was cut short")
            size -= len(piece)

    @property
    def has_rest(self) -> bool:
        """Whether bytes were read that belong to no part: other than zeros, which tapes are padded with."""
        return bool(self._rest.strip(b"\0"))

    def _piece(self, size: int) -> bytes:
        """At least one byte and at most `size`; none at the end."""
        if self._decompressor is None:
            data = self._pending or self._stream.read(_CHUNK)
            self._pending = data[size:]
            return data[:size]
        while True:
            if self._decompressor.eof and not self._begin_next_part():
                return b""
            if self._decompressor.needs_input and not self._pending:
                self._pending = self._stream.read(_CHUNK)
                if not self._pending:
                    raise EOFError("it was cut short")
            data, self._pending = self._pending, b""
            if piece := self._decompressor.decompress(data, size):
                return piece

    def _begin_next_part(self) -> bool:
        """Compressed files may be written one behind the other; anything else behind the first is padding."""
        assert self._decompressor is not None
        assert self._new is not None
        rest = self._decompressor.unused_data or self._pending or self._stream.read(_CHUNK)
        if not any(rest.startswith(magic) for magic in _DECOMPRESSORS):
            self._rest = self._rest or rest
            return False
        self._pending = rest
        self._decompressor = self._new()
        return True


class Member(NamedTuple):
    """One member of an archive, before its content."""

    info: tarfile.TarInfo
    path: str
    size: int
    """Of its content, in bytes."""
    extended: dict[str, str]
    """What the extended headers before it say: `path`, `linkpath`, `size`, and whatever is about sparse files."""


def walk_tar(stream: BinaryIO, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    """(path, content) of every regular member, with None for those not wanted.

    Raises ValueError, EOFError, tarfile.TarError or the decompressors' errors where the archive is broken.
    """
    unpacked = Unpacked(stream)
    for member in members(unpacked):
        if member.info.isreg():
            yield member.path, content_of(unpacked, member, is_wanted)
        else:
            skip_content(unpacked, member)


def members(unpacked: Unpacked) -> Iterator[Member]:
    """Every member, of whatever type; its content is to be read or skipped before the next. Raises as `walk_tar`."""
    extended: dict[str, str] = {}
    for number in range(_MAX_MEMBERS + 1):
        info = _header(unpacked, is_first=number == 0)
        if info is None:
            return
        if info.type in _EXTENDED_HEADERS:
            extended |= _extended_header(info, unpacked)
            continue
        yield Member(info, extended.get("path", info.name), _size(extended, info), extended)
        extended = {}
    raise ValueError(f"it has more than {_MAX_MEMBERS:,} members")


def skip_content(unpacked: Unpacked, member: Member) -> None:
    """Pass over it: links, folders and devices have no content, whatever size they give."""
    if member.info.isreg() or member.info.type not in tarfile.SUPPORTED_TYPES:
        unpacked.skip(_padded(member.size))


def _header(unpacked: Unpacked, *, is_first: bool) -> tarfile.TarInfo | None:
    """The next member's header; None at the end of the archive."""
    block = unpacked.read(_BLOCK)
    if not is_first and not block.strip(b"\0"):
        return None  # The end is marked by empty blocks, which some writers leave out.
    info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    flag = _SPARSE_HEADER_FLAG
    while info.type == tarfile.GNUTYPE_SPARSE and block[flag]:
        block, flag = unpacked.read(_BLOCK), _SPARSE_BLOCK_FLAG
        if len(block) < _BLOCK:
            raise EOFError("it was cut short")
    return info


def _extended_header(info: tarfile.TarInfo, unpacked: Unpacked) -> dict[str, str]:
    """What it says of the member behind it, of what `Member.extended` has."""
    if not 0 <= info.size <= _MAX_EXTENDED_HEADER_BYTES:
        raise ValueError(f"it has an extended header of {info.size:,} bytes")
    body = unpacked.read(info.size)
    unpacked.skip(_padded(info.size) - len(body))
    if info.type in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
        key = "path" if info.type == tarfile.GNUTYPE_LONGNAME else "linkpath"
        return {key: body.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    if info.type not in {tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE}:
        return {}
    found = {}
    position = 0
    while record := _PAX_RECORD.match(body, position):
        value = body[record.end() : position + int(record[1]) - 1]
        found[record[2].decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        position = max(position + int(record[1]), record.end())
    return {key: value for key, value in found.items() if key in {"path", "linkpath", "size"} or "sparse" in key}


def _size(extended: dict[str, str], info: tarfile.TarInfo) -> int:
    text = extended.get("size", "")
    size = int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_SIZE_DIGITS else info.size
    if size < 0:
        raise ValueError("it has a member of negative size")
    return size


def content_of(unpacked: Unpacked, member: Member, is_wanted: Callable[[str], bool]) -> bytes | None:
    """The content of a regular member; None, passed over, where it is not wanted."""
    path, size = member.path, member.size
    if not is_wanted(path):
        unpacked.skip(_padded(size))
        return None
    if size > MAX_ENTRY_BYTES:
        raise ValueError(f"{path} has more than {MAX_ENTRY_BYTES:,} bytes")
    content = unpacked.read(size)
    unpacked.skip(_padded(size) - len(content))
    return content


def _padded(size: int) -> int:
    """Members fill whole blocks."""
    return -(-size // _BLOCK) * _BLOCK
