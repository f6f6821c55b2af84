"""Requirements and specifiers as they are found in old metadata: read as the standard says, else repaired as uv does.

A mirror must follow what some installer would follow, so it reads at least what the most lenient one reads, and says
who reads it so; whoever publishes is held to the standard elsewhere. Source: PEP 440, 508, 685; uv 0.13 (repairs).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pypim.core.errors import InvalidName
from pypim.core.filenames import parse_version
from pypim.core.names import normalize_extra, parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName

_MAX_TEXT_CHARS = 4096
"""Longer requirements do not occur; the limit also keeps every number below the digits that int() takes."""


class ParsedRequirement(msgspec.Struct, frozen=True):
    """One dependency specifier (PEP 508), names normalised."""

    name: NormalizedName
    extras: frozenset[NormalizedName]
    specifier: SpecifierSet
    marker: Marker | None
    url: str | None
    text: str
    """As written, or as it was repaired; always readable by `packaging`."""
    is_repaired: bool
    """Whether the text was not valid; a marker that cannot be read is left out, so that the dependency is kept."""
    has_lost_marker: bool = False
    """Whether its marker names something that no installer knows, for which each passes over the whole release."""
    is_beyond_uv: bool = False
    """Whether uv cannot read it, not even repaired, and passes over the whole release."""


_HEAD = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\[\]]*)\])?\s*", re.ASCII)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LOCK_FILE_VARIABLE = re.compile(r"\b(?:extras|dependency_groups)\b")
_STRAY_QUOTE = re.compile(r"[\"'`]")
_REPAIRS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"!=\s*~\s*(\d+(?:\.\d+)*)"), r"!=\1.*"),  # !=~5.0: not any of the series 5.0
    (re.compile(r"(?<=[\w*])\s*(?=[<>=!~])"), ","),  # >0.5<2: the comma is missing
    (re.compile(r"(?<![=!])(>=|<=|~=|>|<)\s*([\w.!+-]*?\d)\.?\*"), r"\1\2"),  # >=1.0.*: no series in a comparison
    (re.compile(r"(?<=\d)\*"), ".*"),  # ==3.0*: the dot is missing
    (re.compile(r">\s*dev\b"), ">0.0.0.dev0"),
    (re.compile(r"((?:a|b|rc|post|dev)\d+)(?:\.0)+(?=\s*(?:,|$))"), r"\1"),  # >=9.0.0a1.0
    (re.compile(r"~=\s*(\d+)\s*(?=,|$)"), r"~=\1.0"),  # ~=3: needs two numbers
    (re.compile(r"(?<![<>=!~])=(?!=)\s*(?=[\dv])"), "=="),  # =1.0
    (re.compile(r",(?:\s*,)+"), ","),
    (re.compile(r"^[\s,]+|[\s,]+$"), ""),
)


_UV_REPAIRS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Each is tried on what the one before has left. The first spoils a name that ends in a digit: d1>=1 is "d1,>=1".
    (re.compile(r"([0-9])(?=[<>=~^!])"), r"\1,"),
    (re.compile(r"!=~((?:[0-9]\.)*[0-9])"), r"!=\1.*"),
    (re.compile(r"([<>]=?)\s*([0-9]+(?:\.[0-9]+)*)\.\*"), r"\1\2"),
    (re.compile(r"([0-9]\.[0-9])\*"), r"\1.*"),
    (re.compile(r",\s*\Z"), ""),
    (re.compile(r">dev"), ">0.0.0dev"),
    (re.compile(r"([0-9]+(?:\.[0-9])*(?:a|b|rc|post|dev)[0-9]+)\.0"), r"\1"),
)
_NUMBER = re.compile(r"[0-9]+")
_LONG_NUMBER = re.compile(r"[0-9]{20,}")
_UNUSUAL_SPACE = re.compile(r"[^\S\n]")
_UV_MAX_NUMBER = (1 << 64) - 1
_ODD_COMMAS = re.compile(r"\A\s*,|,\s*,")
_IN_SET = re.compile(r"\bin\s+(?:extras|dependency_groups)\b")

_SPECIFIER = r"(?:~=|==|!=|<=|>=|<|>)\s*[A-Za-z0-9.*+!_-]+"
_PLAIN = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    rf"((?:{_SPECIFIER}(?:\s*,\s*{_SPECIFIER})*)?)\s*(?:;(.*))?",
    re.ASCII,
)
"""A name, specifiers, a marker: as nearly all requirements are written, and read in a fifth of the time."""


@lru_cache(maxsize=65536)
def parse_requirement(text: str) -> ParsedRequirement | None:
    """Read one requirement, repairing what the most lenient installer repairs; None where nobody can. Never raises."""
    text = text.strip()
    if len(text) > _MAX_TEXT_CHARS or "\n" in text:
        return None
    if (plain := _parse_plain(text)) is not None:
        return plain
    requirement = _try_requirement(text)
    if requirement is None:
        return _repaired(text)
    if requirement.marker is not None and _is_foreign_marker(str(requirement.marker)):
        kept = _leniently_repaired(text)
        is_evaluated = _IN_SET.search(_QUOTED.sub("", str(requirement.marker))) is not None
        return kept and msgspec.structs.replace(kept, is_beyond_uv=not is_evaluated)
    return _parsed(requirement, text, is_repaired=False)


@lru_cache(maxsize=16384)
def parse_specifier_set(text: str) -> SpecifierSet | None:
    """Read a specifier set (`Requires-Python`, a requirement's version part), repairing it if need be; never raises.

    None where it cannot be read, which for Requires-Python means: no constraint.
    """
    if len(text) > _MAX_TEXT_CHARS:
        return None
    return _try_specifiers(text) or _repaired_specifiers(text)


def _parse_plain(text: str) -> ParsedRequirement | None:
    """The requirement where all of its parts are plain and valid; each part is read once, for many repeat it."""
    match = _PLAIN.fullmatch(text)
    if match is None:
        return None
    specifier = _plain_specifier(match[2])
    marker = None if match[3] is None else _try_marker(match[3])
    if specifier is None or (match[3] is not None and marker is None):
        return None
    is_beyond_uv = not _is_for_uv(match[2], specifier, match[3] or "")
    name = parse_name(match[1])
    return ParsedRequirement(
        name, frozenset(), specifier, marker, None, text, is_repaired=False, is_beyond_uv=is_beyond_uv
    )


@lru_cache(maxsize=16384)
def _plain_specifier(text: str) -> SpecifierSet | None:
    return _try_specifiers(text)


def with_marker(requirement: str, marker: str) -> str:
    """The requirement with one more condition: both its own marker and the given one must hold."""
    head, own_marker = _split_marker(requirement)
    condition = f"({own_marker}) and {marker}" if own_marker else marker
    # Without the space the semicolon would belong to the URL of a direct reference (PEP 508).
    return f"{head} ; {condition}"


# --- as uv reads ----------------------------------------------------------------------------------------------------
def is_within_uv(text: str) -> bool:
    """Whether all numbers of a version, or of what has versions in it, fit into the 64 bits that uv has for them."""
    return _LONG_NUMBER.search(text) is None or all(int(number) <= _UV_MAX_NUMBER for number in _NUMBER.findall(text))


@lru_cache(maxsize=16384)
def read_as_uv(text: str) -> SpecifierSet | None:
    """A specifier set as uv reads it, repaired if need be; None where it cannot."""
    if len(text) > _MAX_TEXT_CHARS:
        return None
    for attempt in (text, *_uv_repairs(text)):
        if _ODD_COMMAS.search(attempt) is None and is_within_uv(attempt):
            found = _try_specifiers(attempt)
            if found is not None and _has_versions(found):
                return found
    return None


def _uv_repairs(text: str) -> Iterator[str]:
    """What uv tries one after the other, once it cannot read a text: every repair that changes it, in this order."""
    for pattern, replacement in _UV_REPAIRS:
        repaired = pattern.sub(replacement, text)
        if repaired != text:
            yield repaired
        text = repaired
    head, semicolon, marker = text.partition(";")
    repaired = head.replace('"', "").replace("'", "") + semicolon + marker
    if repaired != text:
        yield repaired


def _has_versions(specifiers: SpecifierSet) -> bool:
    """Whether what stands behind every `===` is a version, which for uv is a must."""
    return all(part.operator != "===" or parse_version(part.version) is not None for part in specifiers)


def _is_for_uv(written: str, specifiers: SpecifierSet, marker: str) -> bool:
    """Whether uv reads what is valid.

    It knows no `===` in a marker nor before what is no version, no comma without a specifier, and no huge number.
    """
    if _ODD_COMMAS.search(written) or not is_within_uv(written) or ("===" in written and not _has_versions(specifiers)):
        return False
    return "===" not in marker or "===" not in _QUOTED.sub("", marker)


# --- repairs --------------------------------------------------------------------------------------------------------
def _repaired(text: str) -> ParsedRequirement | None:
    """As uv repairs it; else as well as can be, so that what is required is followed all the same."""
    for attempt in (_UNUSUAL_SPACE.sub(" ", text), *_uv_repairs(text)):
        requirement = _try_requirement(attempt)
        if requirement is not None and not _is_foreign_marker(str(requirement.marker or "")):
            found = _parsed(requirement, str(requirement), is_repaired=True)
            if found is not None and not found.is_beyond_uv:
                return found
    kept = _leniently_repaired(text)
    return kept and msgspec.structs.replace(kept, is_beyond_uv=True)


def _leniently_repaired(text: str) -> ParsedRequirement | None:
    head, marker_text = _split_marker(text)
    base = _try_requirement(head) or _repaired_head(head)
    if base is None:
        return None
    if marker_text and (marker := _try_marker(marker_text)) is not None:
        base.marker = marker
    parsed = _parsed(base, str(base), is_repaired=True)
    if parsed is None or not marker_text or base.marker is not None or _is_foreign_marker(marker_text):
        return parsed
    return msgspec.structs.replace(parsed, has_lost_marker=True)


def _repaired_head(head: str) -> Requirement | None:
    """Name, extras and version part, each on its own."""
    match = _HEAD.match(head)
    if match is None:
        return None
    rest = head[match.end() :]
    if rest and rest[0] not in "<>=!~(\"'`, ":
        return None
    specifiers = parse_specifier_set(rest)
    if specifiers is None:
        return None
    extras = ",".join(part.strip() for part in (match[2] or "").split(",") if part.strip())
    base = _try_requirement(f"{match[1]}[{extras}]" if extras else match[1])
    if base is not None:
        base.specifier = specifiers
    return base


def _repaired_specifiers(text: str) -> SpecifierSet | None:
    text = _STRAY_QUOTE.sub("", text).replace("(", " ").replace(")", " ").strip()
    for pattern, replacement in _REPAIRS:
        text = pattern.sub(replacement, text)
        if (specifiers := _try_specifiers(text)) is not None:
            return specifiers
    return None


def _parsed(requirement: Requirement, text: str, *, is_repaired: bool) -> ParsedRequirement | None:
    try:
        name = parse_name(requirement.name)
    except InvalidName:
        return None
    return ParsedRequirement(
        name=name,
        extras=frozenset(normalize_extra(extra) for extra in requirement.extras),
        specifier=requirement.specifier,
        marker=requirement.marker,
        url=requirement.url,
        text=text,
        is_repaired=is_repaired,
        is_beyond_uv=not _is_for_uv(str(requirement.specifier), requirement.specifier, str(requirement.marker or "")),
    )


def _split_marker(text: str) -> tuple[str, str]:
    """(what is before the marker, the marker); in a direct reference only " ;" ends the URL (PEP 508)."""
    match = _HEAD.match(text)
    is_direct = match is not None and text[match.end() :].startswith("@")
    head, _, marker = text.partition(" ;" if is_direct else ";")
    return head.strip(), marker.strip()


def _try_requirement(text: str) -> Requirement | None:
    try:
        return Requirement(text)
    except (ValueError, RecursionError):
        return None


def _try_specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except ValueError:
        return None


@lru_cache(maxsize=16384)
def _try_marker(text: str) -> Marker | None:
    if _is_foreign_marker(text):
        return None
    try:
        return Marker(text)
    except (ValueError, RecursionError):
        return None


def _is_foreign_marker(text: str) -> bool:
    """Whether it names a variable that only lock files have (PEP 751), which installers crash on in metadata."""
    return _LOCK_FILE_VARIABLE.search(_QUOTED.sub("", text)) is not None
