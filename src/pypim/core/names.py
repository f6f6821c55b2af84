"""Names that are safe to use: the only gate from foreign text to a project name or a part of a path."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

from packaging.utils import InvalidName as _PackagingInvalidName
from packaging.utils import NormalizedName, canonicalize_name

from pypim.core.errors import InvalidFilename, InvalidName

SafeFilename = NewType("SafeFilename", str)
"""One part of a path that cannot leave its folder; only `parse_safe_filename` makes it."""

MOST_FILENAME_BYTES = 240  # the file systems' 255, less room for ".metadata" and a temporary suffix
PLAIN_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!-]{0,238}[A-Za-z0-9_]", re.ASCII)
"""Nearly every file name is like this: safe, and the same in a URL."""
_UNSAFE = re.compile(r"[/\\:*?\"<>|\x00-\x1f\x7f]")


@lru_cache(maxsize=65536)
def parse_name(text: str) -> NormalizedName:
    """Normalise a project name (specification "Names and normalization"; PEP 503).

    Raises InvalidName for anything that is not a name, so a NormalizedName is always one safe part of a path.
    """
    if not text.isascii():
        raise InvalidName(text)
    try:
        return canonicalize_name(text, validate=True)
    except _PackagingInvalidName:
        raise InvalidName(text) from None


@lru_cache(maxsize=1024)
def normalize_extra(text: str) -> NormalizedName:
    """Normalise the name of an extra (PEP 685); never raises, for metadata in the wild holds anything."""
    return canonicalize_name(text)


def parse_safe_filename(text: str) -> SafeFilename:
    """Accept a file name that is one part of a path on every system, or raise InvalidFilename."""
    if PLAIN_FILENAME.fullmatch(text):
        return SafeFilename(text)  # nearly every name: one look at it is enough
    if not text or text in {".", ".."}:
        raise InvalidFilename(text, "it is empty or a folder")
    if found := _UNSAFE.search(text):
        raise InvalidFilename(text, f"it contains {found.group()!r}")
    if text.startswith((".", "~", "-")) or text.endswith((".", " ")) or text != text.strip():
        raise InvalidFilename(text, "it begins or ends with a character that file names of projects never have there")
    if not text.isprintable():  # also what turns the direction of writing, and half surrogates
        raise InvalidFilename(text, "it contains a character that cannot be seen")
    encoded = text.encode()
    if len(encoded) > MOST_FILENAME_BYTES:
        raise InvalidFilename(text[:80] + "…", f"it is longer than {MOST_FILENAME_BYTES} bytes")
    return SafeFilename(text)
