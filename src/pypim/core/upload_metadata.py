"""The core metadata of an uploaded file, held to the standards: every fault at once.

A mirror reads leniently what others have published; an index that takes uploads is where faults are still cheap to
correct. Source: PyPA specifications "Core metadata", "Dependency specifiers"; PEP 440, 508, 639, 685.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from packaging.metadata import RawMetadata, parse_email
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pypim.core.errors import InvalidName
from pypim.core.filenames import parse_version
from pypim.core.lenient import parse_requirement
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

_METADATA_VERSIONS = frozenset(("1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6"))
_LICENSE_FILES_SINCE = (2, 4)
_SINGLE = ("metadata-version", "name", "version", "requires-python")
_EXTRA = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?", re.IGNORECASE | re.ASCII)
_MOST_REQUIREMENTS = 5000
_MOST_HEADER_BYTES = 2 << 20
_MOST_LINES = 50_000
_MOST_FIELDS = 10_000
_MOST_NAMES = 200
"""Of the fields, whose cost to read is more than their number. The largest on PyPI have two thousand fields, of forty
names; what is long is the description, which only very old tools write among them."""
_MOST_SPECIFIER_CHARS = 2000
"""Of Requires-Python, which stands on the page of the project with every file."""
_HEADER_END = re.compile(rb"(?:\A|\r\n|\r(?!\n)|\n)(?=[\r\n])")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_MOST_CHARS = 200
"""Of a foreign text that is shown in a message."""


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """What the metadata of one file says of itself."""

    name: NormalizedName
    version: Version
    requires_python: str | None = None
    license_files: tuple[str, ...] = ()
    """Paths that must be in the archive (from Metadata-Version 2.4 on)."""


def read_declared(body: bytes, where: str) -> tuple[Declared | None, tuple[str, ...]]:
    """(what METADATA or PKG-INFO says, one sentence for every rule that it breaks).

    None where there is no name or version that could be believed, or more to read than any real file has.
    """
    header = body[: _MOST_HEADER_BYTES + 1]
    if (found := _HEADER_END.search(header)) is not None:
        header = header[: found.end()]
    if (excess := _excess(header)) is not None:
        return None, (f"{where} has more than {excess}, which no real one needs",)
    try:
        raw, unparsed = parse_email(header)
    except (ValueError, LookupError, RecursionError) as error:
        return None, (f"{where} cannot be read: {error}",)
    issues = [f"{where} has the field {field} more than once" for field in _SINGLE if field in unparsed]
    name, version = _name(raw.get("name")), parse_version(raw.get("version", ""))
    if name is None:
        issues.append(f"{where}: Name {_shown(raw.get('name'))} is not a project name")
    if version is None:
        issues.append(f"{where}: Version {_shown(raw.get('version'))} is not a version of PEP 440")
    issues += (f"{where}: {issue}" for issue in _issues(raw))
    if name is None or version is None:
        return None, tuple(issues)
    declared = Declared(
        name=name,
        version=version,
        requires_python=raw.get("requires_python") or None,
        license_files=_license_files(raw),
    )
    return declared, tuple(issues)


def _excess(header: bytes) -> str | None:
    """What there is too much of in the fields before the description, which is never read."""
    if len(header) > _MOST_HEADER_BYTES:
        return f"{_MOST_HEADER_BYTES:,} bytes before its description"
    if header.count(b"\n") > _MOST_LINES or header.count(b"\r") > _MOST_LINES:
        return f"{_MOST_LINES:,} lines before its description"
    lines = _LINE_END.split(header)
    fields = [line.partition(b":")[0].strip().lower() for line in lines if line[:1] not in {b" ", b"\t", b""}]
    if len(fields) > _MOST_FIELDS:
        return f"{_MOST_FIELDS:,} fields"
    return f"{_MOST_NAMES:,} kinds of fields" if len(set(fields)) > _MOST_NAMES else None


def _issues(raw: RawMetadata) -> Iterator[str]:
    if raw.get("metadata_version") not in _METADATA_VERSIONS:
        yield f"Metadata-Version {_shown(raw.get('metadata_version'))} is unknown"
    if not _is_specifier(raw.get("requires_python", "")):
        yield f"Requires-Python {_shown(raw.get('requires_python'))} is not a version specifier"
    for extra in raw.get("provides_extra", []):
        if not _EXTRA.fullmatch(extra):
            yield f"Provides-Extra {_shown(extra)} is not a name"
    requirements = raw.get("requires_dist", [])
    if len(requirements) > _MOST_REQUIREMENTS:
        yield f"it has more than {_MOST_REQUIREMENTS:,} requirements"
    for text in requirements[:_MOST_REQUIREMENTS]:
        if issue := _requirement_issue(text):
            yield f"Requires-Dist {_shown(text)} {issue}"


def _requirement_issue(text: str) -> str | None:
    """What is wrong with a requirement: what some installer only repairs, another passes over."""
    requirement = parse_requirement(text)
    if requirement is None or requirement.has_lost_marker:
        return "cannot be read"
    if requirement.is_repaired and requirement.marker is None and ";" in text:
        return "has a marker that cannot be read"
    if requirement.is_repaired:
        return f"is not valid; perhaps {requirement.text!r} is meant"
    if requirement.url is not None:
        return "names a URL, and an index cannot vouch for what is elsewhere"
    return None


def _license_files(raw: RawMetadata) -> tuple[str, ...]:
    number = tuple(int(part) for part in raw.get("metadata_version", "").split(".") if part.isdecimal())
    return tuple(raw.get("license_files", [])) if number >= _LICENSE_FILES_SINCE else ()


def _name(text: str | None) -> NormalizedName | None:
    try:
        return parse_name(text or "")
    except InvalidName:
        return None


def _is_specifier(text: str) -> bool:
    if len(text) > _MOST_SPECIFIER_CHARS:
        return False
    try:
        SpecifierSet(text)
    except (InvalidSpecifier, ValueError):
        return False
    return True


def _shown(text: str | None) -> str:
    return repr((text or "")[:_MOST_CHARS])
