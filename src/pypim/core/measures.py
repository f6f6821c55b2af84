"""Sizes and durations as people write them: "1 GB", "500 MiB", "3 days", "P7D"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from pypim.core.errors import InvalidRequirement

_NUMBER_AND_UNIT = re.compile(
    r"(?P<number>\d{1,15}(?:[_,]\d{3})*(?:\.\d{1,9})?)\s*(?P<unit>[a-z]*)", re.ASCII | re.IGNORECASE
)
_DURATION_PART = re.compile(r"\s*(?:and\s+|,\s*)?(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]+)", re.ASCII | re.IGNORECASE)
_ISO_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,6})W)?(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.IGNORECASE,
)

_BYTES = {"": 1, "b": 1, "byte": 1, "bytes": 1}
for _power, _letter in enumerate("kmgt", start=1):
    _BYTES[_letter] = _BYTES[f"{_letter}b"] = 1000**_power
    _BYTES[f"{_letter}i"] = _BYTES[f"{_letter}ib"] = 1024**_power

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_LONGEST_SECONDS = 100 * 365 * 86400
_UNITS = {**_SECONDS, **{f"{unit}s": seconds for unit, seconds in _SECONDS.items()}}
_UNITS |= {"s": 1, "sec": 1, "secs": 1, "min": 60, "mins": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_size(text: str | int, where: str = "size") -> int:
    """A size in bytes: kB, MB, GB, TB are powers of 1000, KiB, MiB, GiB, TiB of 1024. Raises InvalidRequirement."""
    found = _NUMBER_AND_UNIT.fullmatch(str(text).strip())
    if not found or found["unit"].lower() not in _BYTES:
        hint = 'Write it as "1 GB", "500 MiB" or a number of bytes.'
        raise InvalidRequirement(where, str(text), "this is not a size", hint=hint)
    number = Fraction(found["number"].replace("_", "").replace(",", ""))
    return int(number * _BYTES[found["unit"].lower()])


def parse_rate(text: str | int, where: str = "rate") -> int:
    """Bytes per second, as a size with or without "/s"; at least one. Raises InvalidRequirement."""
    rate = parse_size(str(text).strip().removesuffix("/s"), where)
    if not rate:
        hint = "Leave it out where there is to be no limit."
        raise InvalidRequirement(where, str(text), "at this rate nothing ever comes", hint=hint)
    return rate


def parse_duration(text: str, where: str = "duration") -> timedelta:
    """A duration, in words or as ISO 8601 without months and years, whose length varies. Raises InvalidRequirement."""
    stripped = text.strip()
    found = _ISO_DURATION.fullmatch(stripped)
    if found and any(found.groups()):
        seconds = Fraction(sum(int(number) * _SECONDS[unit[:-1]] for unit, number in found.groupdict("0").items()))
    else:
        parts = _DURATION_PART.findall(stripped)
        is_whole = re.fullmatch(rf"(?:{_DURATION_PART.pattern})+", stripped, _DURATION_PART.flags) is not None
        if not is_whole or any(unit.lower() not in _UNITS for _, unit in parts):
            hint = 'Write it as "3 days", "12 hours", "2 weeks" or "P7D".'
            raise InvalidRequirement(where, text, "this is not a duration", hint=hint)
        seconds = sum((Fraction(number) * _UNITS[unit.lower()] for number, unit in parts), Fraction())
    if seconds > _LONGEST_SECONDS:
        raise InvalidRequirement(where, text, "this is longer than a hundred years", hint="Choose a shorter duration.")
    return timedelta(seconds=float(seconds))


def describe_time(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
