"""Requirements and specifiers as they are found in old metadata: read as the standard says, else repaired as uv does.

A mirror must follow what some installer would follow, so it reads at least what the most lenient one reads; whoever
publishes is held to the standard elsewhere. Source: PEP 440, 508, 685; protocol checklist section 4 (repairs).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pypim.core.names import normalize_extra, parse_name

if TYPE_CHECKING:
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
    try:
        requirement = Requirement(text)
    except (ValueError, RecursionError):
        return _repaired(text)
    if requirement.marker is not None and _is_foreign_marker(str(requirement.marker)):
        return _repaired(text)
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
    return ParsedRequirement(parse_name(match[1]), frozenset(), specifier, marker, None, text, is_repaired=False)


@lru_cache(maxsize=16384)
def _plain_specifier(text: str) -> SpecifierSet | None:
    return _try_specifiers(text)


def with_marker(requirement: str, marker: str) -> str:
    """The requirement with one more condition: both its own marker and the given one must hold."""
    head, own_marker = _split_marker(requirement)
    condition = f"({own_marker}) and {marker}" if own_marker else marker
    # Without the space the semicolon would belong to the URL of a direct reference (PEP 508).
    return f"{head} ; {condition}"


def _repaired(text: str) -> ParsedRequirement | None:
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
    except ValueError:
        return None
    return ParsedRequirement(
        name=name,
        extras=frozenset(normalize_extra(extra) for extra in requirement.extras),
        specifier=requirement.specifier,
        marker=requirement.marker,
        url=requirement.url,
        text=text,
        is_repaired=is_repaired,
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
