"""Which part of a file is asked for: the Range header (RFC 9110, 14) as one span of bytes."""

from __future__ import annotations

import re

import msgspec

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.ASCII | re.IGNORECASE)
_MOST_DIGITS = 18
_BEYOND_ALL = 10**_MOST_DIGITS


class Span(msgspec.Struct, frozen=True):
    """Bytes `start` to `stop`, the latter excluded."""

    start: int
    stop: int


class Unsatisfiable(msgspec.Struct, frozen=True):
    """The file has no such bytes (416)."""


def parse_range(header: str | None, size: int) -> Span | Unsatisfiable | None:
    """What of a file of that size is asked for; None for all of it.

    A header that cannot be read, or names several ranges, counts as none, as the standard allows.
    """
    found = _RANGE.match(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = _number(found[2])
        return Span(max(size - length, 0), size) if length and size else Unsatisfiable()
    start = _number(found[1])
    stop = min(_number(found[2]) + 1, size) if found[2] else size
    if found[2] and _number(found[2]) < start:
        return None
    return Span(start, stop) if start < size else Unsatisfiable()


def _number(digits: str) -> int:
    """A number that may have more digits than any file is long, or than `int` takes."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= _MOST_DIGITS else _BEYOND_ALL


def matches_etag(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names an entity tag (RFC 9110, 13.1.2): a list or `*`, compared weakly."""
    if not header:
        return False
    if header == etag or header.strip() == "*":
        return True
    wanted = etag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == wanted for one in header.split(","))
