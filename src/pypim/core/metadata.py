"""Core metadata bytes to what resolution needs of them: METADATA, PKG-INFO, pyproject.toml and requires.txt.

Nothing here raises on bad bytes: what cannot be read is a fault of the result, for old files hold anything.
Source: PyPA specifications "Core metadata", "Declaring project metadata"; PEP 518, 566, 643, 685, 808.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import msgspec

from pypim.core.lenient import ParsedRequirement, parse_requirement, parse_specifier_set, with_marker
from pypim.core.model import CoreMetadata, MetadataSource

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ParsedRequirement",
    "build_requires",
    "hints_of_pkg_info",
    "parse_metadata",
    "parse_pkg_info",
    "parse_pyproject",
    "parse_requirement",
    "parse_requires_txt",
    "parse_specifier_set",
    "read_again",
    "requirements_of",
    "requires_txt_extras",
]

_DEFAULT_BUILD_REQUIRES = ("setuptools", "wheel")
"""PEP 518: what builds a project that does not say what builds it."""
_OF_METADATA = frozenset(
    (MetadataSource.ADVERTISED, MetadataSource.SIDECAR, MetadataSource.RANGES, MetadataSource.WHEEL)
)
_RESOLUTION_FIELDS = frozenset(("requires-dist", "requires-python", "provides-extra"))
_MOST_REQUIREMENTS = 20_000  # ten times as many as any project is known to have
_FIELDS = _RESOLUTION_FIELDS | {"metadata-version", "name", "version", "dynamic"}
_END_OF_HEADERS = re.compile(rb"\n\r?\n|\r\r")
_NO_FIELD_NAME = re.compile(rb"[^!-9;-~]")
_METADATA_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\Z", re.ASCII)
_LATEST_MAJOR = 2
_STATIC_SINCE = (2, 2)  # PEP 643: from here on a field of an sdist is static unless Dynamic names it
_APPEND_ONLY_SINCE = (2, 6)  # PEP 808: values of a Dynamic multiple-use field are kept by every build
_SECTION = re.compile(r"\[\s*([^:\]]*?)\s*(?::(.*?))?\s*\]\Z")

Headers = dict[str, list[str]]


def parse_metadata(body: bytes, source: MetadataSource) -> CoreMetadata:
    """Read a wheel's METADATA (or a `.metadata` file).

    A body that is no metadata at all, such as an HTML page, has the name None and a fault; the caller decides.
    """
    return _from_headers(_parse_headers(body), source, is_lower_bound=False)


def parse_pkg_info(body: bytes) -> CoreMetadata | None:
    """Read an sdist's PKG-INFO; None where the standards do not let its requirements be trusted.

    Trusted from Metadata-Version 2.2 when Dynamic names none of the fields that resolution needs (PEP 643). From 2.6,
    values given for a Dynamic field that may be used many times are a lower bound (PEP 808).
    """
    headers = _parse_headers(body)
    number = _metadata_version(headers)
    if number is None or not _STATIC_SINCE <= number < (_LATEST_MAJOR + 1, 0) or not _first(headers, "name"):
        return None
    dynamic = _RESOLUTION_FIELDS.intersection(field.lower() for field in headers.get("dynamic", ()))
    if not dynamic:
        return _from_headers(headers, MetadataSource.PKG_INFO, is_lower_bound=False)
    if number < _APPEND_ONLY_SINCE:
        return None
    if "requires-python" in dynamic:
        headers.pop("requires-python", None)
    return _from_headers(headers, MetadataSource.PKG_INFO, is_lower_bound=True)


def hints_of_pkg_info(body: bytes) -> CoreMetadata:
    """What any PKG-INFO says, whatever its age: name and version for certain, the rest as a hint.

    Its requirements may be others once the sdist is built (PEP 643), but are what its maker saw: a lower bound.
    """
    headers = _parse_headers(body)
    requires_dist, faults = requirements_of(text.replace("\n", " ") for text in headers.get("requires-dist", ()))
    return CoreMetadata(
        name=_first(headers, "name"),
        version=_first(headers, "version"),
        requires_dist=requires_dist,
        requires_python=_first(headers, "requires-python"),
        provides_extra=_extras(headers),
        source=MetadataSource.PKG_INFO if requires_dist else MetadataSource.NONE,
        is_lower_bound=True,
        faults=faults,
    )


def read_again(known: CoreMetadata, body: bytes) -> CoreMetadata:
    """What is made today of the METADATA or PKG-INFO that something was made of before; that itself where it is alike.

    What came of other parts of an sdist stays as it is, and so does every fault that was told.
    """
    if known.source in _OF_METADATA:
        again = parse_metadata(body, known.source)
    elif known.source is MetadataSource.PKG_INFO:
        again = parse_pkg_info(body) or hints_of_pkg_info(body)
    else:
        return known
    again = msgspec.structs.replace(again, build_requires=known.build_requires, faults=known.faults)
    return known if again == known else again


def parse_pyproject(body: bytes) -> CoreMetadata | None:
    """Read the static `[project]` table (PEP 621); None where it is absent, invalid, or leaves requirements dynamic."""
    project = _table(_toml(body), "project")
    name, dynamic = project.get("name"), project.get("dynamic", [])
    if not isinstance(name, str) or not isinstance(dynamic, list):
        return None
    if {"dependencies", "optional-dependencies", "requires-python"}.intersection(map(str, dynamic)):
        return None
    if "dependencies" not in project and "dependencies" in _table(_table(_toml(body), "tool"), "poetry"):
        return None  # Poetry then takes the requirements from its own table, without saying that they are dynamic.
    texts, extras = _strings(project.get("dependencies", [])), project.get("optional-dependencies", {})
    if texts is None or not isinstance(extras, dict):
        return None
    for extra, requirements in extras.items():
        optional = _strings(requirements)
        if optional is None:
            return None
        texts += [with_marker(text, f'extra == "{extra}"') for text in optional]
    version, requires_python = project.get("version"), project.get("requires-python")
    requires_dist, faults = requirements_of(texts)
    return CoreMetadata(
        name=name,
        version=version if isinstance(version, str) and "version" not in dynamic else None,
        requires_dist=requires_dist,
        requires_python=requires_python if isinstance(requires_python, str) else None,
        provides_extra=tuple(extras),
        source=MetadataSource.PYPROJECT,
        faults=faults,
    )


def parse_requires_txt(body: bytes) -> tuple[str, ...]:
    """Read a setuptools egg-info's `requires.txt`; sections such as `[extra:marker]` become markers."""
    requirements: list[str] = []
    condition = ""
    for line in _text_lines(body):
        if section := _SECTION.match(line):
            extra, marker = section[1], section[2]
            parts = [f"({marker})"] if marker else []
            parts += [f'extra == "{extra}"'] if extra else []
            condition = " and ".join(parts)
        elif line and not line.startswith("#"):
            requirements.append(with_marker(line, condition) if condition else line)
    return tuple(requirements)


def requires_txt_extras(body: bytes) -> tuple[str, ...]:
    """The extras that have a section in a `requires.txt`, in its order, each once."""
    sections = (_SECTION.match(line) for line in _text_lines(body))
    return tuple(dict.fromkeys(section[1] for section in sections if section and section[1]))


def build_requires(pyproject: bytes | None) -> tuple[str, ...]:
    """What must be installed to build an sdist (PEP 518 `build-system.requires`), or the default where it says none."""
    requirements = _strings(_table(_toml(pyproject or b""), "build-system").get("requires"))
    return _DEFAULT_BUILD_REQUIRES if requirements is None else tuple(requirements)


def requirements_of(texts: Iterable[str], field: str = "Requires-Dist") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(readable requirements as written or repaired, one sentence for each that was repaired or cannot be read)."""
    readable: list[str] = []
    faults: list[str] = []
    for number, text in enumerate(texts):
        if number == _MOST_REQUIREMENTS:
            faults.append(f"it has more than {_MOST_REQUIREMENTS:,} requirements; the others are not read")
            break
        requirement = parse_requirement(text)
        if requirement is None:
            faults.append(f"{field} {text[:200]!r} cannot be read")
            continue
        readable.append(requirement.text)
        if requirement.is_repaired:
            faults.append(f"{field} {text[:200]!r} is not valid and was read as {requirement.text!r}")
    return tuple(readable), tuple(faults)


def _from_headers(headers: Headers, source: MetadataSource, *, is_lower_bound: bool) -> CoreMetadata:
    is_folded = any("\n" in text for text in headers.get("requires-dist", ()))  # pip does not read such a requirement
    texts = [text.replace("\n", " ") for text in headers.get("requires-dist", ())]
    requires_dist, faults = requirements_of(texts)
    parsed = [parse_requirement(text) for text in texts[:_MOST_REQUIREMENTS]]
    name, number = _first(headers, "name"), _metadata_version(headers)
    if name is None:
        faults += ("there is no Name: this is not core metadata",)
    elif number is None:
        faults += ("Metadata-Version is missing or cannot be read",)
    elif number[0] > _LATEST_MAJOR:
        faults += (f"Metadata-Version {number[0]}.{number[1]} is of an unknown major version",)
    return CoreMetadata(
        name=name,
        version=_first(headers, "version"),
        requires_dist=requires_dist,
        requires_python=_first(headers, "requires-python"),
        provides_extra=_extras(headers),
        source=source,
        is_lower_bound=is_lower_bound,
        has_repaired_requirements=is_folded or any(one is not None and one.is_repaired for one in parsed),
        has_unreadable_requirements=any(one is None or (one.is_repaired and one.is_beyond_uv) for one in parsed),
        has_requirements_for_pip_alone=any(one is not None and one.is_beyond_uv for one in parsed),
        faults=faults,
    )


def _parse_headers(body: bytes) -> Headers:
    """The header fields that resolution needs, by lower-case name; where a value was folded it has a newline.

    They end where installers see their end: at the first line that is neither a field nor goes on with one. Split by
    hand because the standard library's parser takes ten times as long.
    """
    headers: Headers = {}
    values: list[str] | None = None
    end = _END_OF_HEADERS.search(body)
    for number, line in enumerate(body[: end.start() if end else None].splitlines()):
        if line[:1] in b" \t" and line:
            if values is not None and (more := _decode(line).strip()):
                values[-1] = f"{values[-1]}\n{more}" if values[-1] else more
            continue
        field, separator, value = line.partition(b":")
        if not separator or _NO_FIELD_NAME.search(field):
            if number == 0 and line.startswith(b"From "):
                continue
            break
        name = field.lower().decode("ascii")
        values = headers.setdefault(name, []) if name in _FIELDS else None
        if values is not None:
            values.append(_decode(value).strip())
    return headers


def _decode(text: bytes) -> str:
    """UTF-8 as the specification wants, or Latin-1, which old tools wrote and which takes any byte."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _first(headers: Headers, name: str) -> str | None:
    """The first value of a field; None where it is absent, empty, or the UNKNOWN that distutils wrote."""
    for value in headers.get(name, ()):
        if value and value != "UNKNOWN":
            return value.replace("\n", " ")
    return None


def _extras(headers: Headers) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace("\n", " ") for text in headers.get("provides-extra", ())))


def _metadata_version(headers: Headers) -> tuple[int, int] | None:
    match = _METADATA_VERSION.match(_first(headers, "metadata-version") or "")
    return (int(match[1]), int(match[2])) if match else None


def _text_lines(body: bytes) -> list[str]:
    return [_decode(line).strip() for line in body.splitlines()]


def _toml(body: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(body.decode())
    except (ValueError, RecursionError):  # TOMLDecodeError and UnicodeDecodeError are of ValueError
        return {}


def _table(table: dict[str, object], key: str) -> dict[str, object]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str] | None:
    """The list if it is one of strings, else None."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    return list(value)
