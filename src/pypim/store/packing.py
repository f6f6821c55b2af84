"""Values as the catalog packs them: gzip, which any tool unpacks, and what is raised where one was damaged."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import msgspec
from isal import igzip, igzip_lib

from pypim.core.errors import Invalid

_LEVEL = 1
_BROKEN: type[Exception] = igzip_lib.error  # type: ignore[assignment] # its stub calls the class an instance

UNDECODABLE = (Invalid, msgspec.DecodeError, ValueError, zlib.error, _BROKEN, EOFError, gzip.BadGzipFile)
"""What is raised where a stored value is not what was written."""
unpack: Callable[[bytes], bytes] = igzip.decompress
"""The bytes that were packed. Raises one of UNDECODABLE."""


def pack(content: bytes) -> bytes:
    """The bytes as they are stored."""
    return igzip.compress(content, _LEVEL)
