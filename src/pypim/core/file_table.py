"""The files of a page as bytes in which one of them is found by its path, without reading the others.

A number of rows, the rows in the order of their keys, and what they lead to: the entries of the page, one by one.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

import msgspec

from pypim.core.model import DistFile
from pypim.core.served import file_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COUNT = struct.Struct(">Q")
_ROW = struct.Struct(">16sQI")
"""The key, where the entry begins behind the rows, and how many bytes it has."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(DistFile).decode


def file_table(files: Iterable[DistFile]) -> bytes:
    """The table of those files, each under every path at which it is served."""
    rows: list[tuple[bytes, int, int]] = []
    entries = bytearray()
    for file in files:
        entry = _encode(file)
        rows += [(_key(path), len(entries), len(entry)) for path in file_paths(file)]
        entries += entry
    rows.sort()
    return b"".join((_COUNT.pack(len(rows)), *(_ROW.pack(*row) for row in rows), entries))


def file_in(read: Callable[[int, int], bytes], path: str) -> DistFile | None:
    """The file that is served at that path; `read` gives so many bytes of the table from a position on."""
    key = _key(path)
    (count,) = _COUNT.unpack(read(0, _COUNT.size))
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        found, start, size = _ROW.unpack(read(_COUNT.size + middle * _ROW.size, _ROW.size))
        if found == key:
            return _decode(read(_COUNT.size + count * _ROW.size + start, size))
        if found < key:
            low = middle + 1
        else:
            high = middle
    return None


def _key(path: str) -> bytes:
    return hashlib.blake2b(path.encode(errors="surrogatepass"), digest_size=16).digest()
