"""What pip and uv each make of a file and its metadata: the one place that says what either of them passes over.

The standards leave open what is to become of that which breaks them, and files are for ever. Each answer here was
asked of the installers themselves, and is asked again by `tests/clients/test_readings.py`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from pypim.core.errors import InvalidName
from pypim.core.filenames import FileKind, parse_version
from pypim.core.lenient import is_within_uv, read_as_uv
from pypim.core.model import MetadataSource
from pypim.core.names import normalize_extra, parse_name
from pypim.core.target import python_allows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.specifiers import Specifier
    from packaging.utils import NormalizedName

    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import CoreMetadata, DistFile
    from pypim.core.target import Environment

__all__ = [
    "Reading",
    "allows_python",
    "is_consistent",
    "is_read_apart",
    "is_undeclared",
    "refuses",
    "takes_bound",
    "takes_name",
]


class Reading(StrEnum):
    """Whose reading of the standards counts; a release that `BOTH` accepts is installable by pip and by uv.

    They differ in pre-releases, transitive pins of yanked files, upper bounds of Requires-Python, formats of sdists,
    and in what is not valid; see `docs/clients.md`.
    """

    BOTH = "both"
    UV = "uv"
    PIP = "pip"


_WHEEL, _SDIST = FileKind.WHEEL, FileKind.SDIST  # to look into an enumeration takes longer
_PIP_SDISTS = frozenset(("tar.gz", "zip", "tgz", "tar.bz2", "tar.xz", "tar", "tbz", "txz", "tar.lz", "tar.lzma", "tlz"))
_UV_SDISTS = frozenset(("tar.gz", "zip"))
_PLAIN_BOUND = re.compile(r">=\s*\d{1,9}(?:\.\d{1,9}){0,4}")
_FOR_BUILT_FILES = frozenset((MetadataSource.PKG_INFO, MetadataSource.PYPROJECT))
_FOR_SDISTS = _FOR_BUILT_FILES | {MetadataSource.EGG_INFO, MetadataSource.NONE}
_NO_PATCH = 1 << 62
"""Stands for the last patch release of a Python of which none is named."""

_Release = tuple[int, ...]
_Lower = tuple[_Release, bool]
"""A release, and whether only what is above it counts."""


# --- the page -------------------------------------------------------------------------------------------------------
def takes_name(filename: str, parsed: ParsedFilename, reading: Reading | None) -> bool:
    """Whether an installer takes a file of that name for one of the project; without a reading, whether any may."""
    if reading is None or not (parsed.kind is _WHEEL or parsed.kind is _SDIST):
        return True
    if reading is not Reading.PIP and not _uv_takes(filename, parsed):
        return False
    return reading is Reading.UV or _pip_takes(filename, parsed)


def _pip_takes(filename: str, parsed: ParsedFilename) -> bool:
    if parsed.kind is _WHEEL:
        return "__" not in filename.partition("-")[0]
    return parsed.extension in _PIP_SDISTS and filename.endswith(f".{parsed.extension}")  # in lower case


def _uv_takes(filename: str, parsed: ParsedFilename) -> bool:
    if parsed.version_text is not None and not is_within_uv(parsed.version_text):
        return False
    if parsed.kind is _WHEEL:
        return _uv_takes_tags(parsed.tag_text, has_build=bool(parsed.build))
    if parsed.extension not in _UV_SDISTS or not filename.endswith((".gz", ".zip")):  # but TAR.gz will do
        return False
    name = filename[: -len(f"-{parsed.version_text}.{parsed.extension}")]
    return len(canonicalize_name(name)) == len(name)  # no more than one character between the parts of a name


@lru_cache(maxsize=16384)
def _uv_takes_tags(tag_text: str, *, has_build: bool) -> bool:
    """Tags are compared as they are written, and a build number must fit into 64 bits."""
    tags = tag_text.partition("-")[2] if has_build else tag_text
    return tags.islower() and is_within_uv(tag_text)


def allows_python(environment: Environment, requires_python: str | None, reading: Reading | None) -> bool:
    """Whether some Python of an environment satisfies a Requires-Python, as it is read.

    pip minds all of it, and none of what is not valid. uv repairs it, drops the file where it cannot, and minds only
    from which Python on. Without a reading it counts as for pip.
    """
    if reading is not Reading.UV and not python_allows(environment, requires_python):
        return False
    return reading is None or reading is Reading.PIP or _uv_allows(environment, requires_python)


def takes_bound(requires_python: str | None, reading: Reading) -> bool:
    """Whether an installer lists a file with such a Requires-Python at all, for whatever Python."""
    return requires_python is None or reading is Reading.PIP or _lower_bound(requires_python) is not None


def _uv_allows(environment: Environment, requires_python: str | None) -> bool:
    if requires_python is None:
        return True
    lower = _lower_bound(requires_python)
    if lower is None:
        return False
    full = environment.variables.get("python_full_version")
    if full is not None:
        python = Version(full).release
    elif environment.python is not None:
        python = (*environment.python, _NO_PATCH)
    else:
        return True
    release, is_above = lower
    mine, theirs = _padded(python, release)
    return mine > theirs or (mine == theirs and not is_above)


@lru_cache(maxsize=16384)
def _lower_bound(requires_python: str) -> _Lower | None:
    """From which release on uv takes a Requires-Python to hold; None where it cannot read it.

    It looks at releases alone: pre-releases, epochs and local versions do not count. What is left out counts where it
    leaves out the lowest. What nothing satisfies, it takes for no bound.
    """
    specifiers = read_as_uv(requires_python)
    if specifiers is None:
        return None
    lower: _Lower = ((), False)
    upper: _Lower | None = None  # here: whether only what is below it counts
    for specifier in specifiers:
        below, above = _ends(specifier)
        if below is not None:
            lower = max(lower, below, key=_order)
        if above is not None:
            upper = above if upper is None else min(upper, above, key=_order_from_above)
    lower = _above_holes(lower, [specifier for specifier in specifiers if specifier.operator == "!="])
    if upper is not None:
        first, last = _padded(lower[0], upper[0])
        if first > last or (first == last and (lower[1] or upper[1])):
            return ((), False)
    return lower


def _above_holes(lower: _Lower, holes: Sequence[Specifier]) -> _Lower:
    """The lowest that is left where some of it is left out (`>=3.12,!=3.12.0`); holes further up are nothing to uv."""
    known = None
    while lower != known:
        known = lower
        for hole in holes if lower[0] else ():
            text = hole.version.removesuffix(".*")
            version = parse_version(text)
            assert version is not None, "else it is no specifier"
            mine, first = _padded(lower[0], version.release)
            if text == hole.version and mine == first:
                lower = (lower[0], True)
            elif text != hole.version and first <= mine < _padded(_next(version.release), mine)[0]:
                lower = (_next(version.release), False)
    return lower


def _ends(specifier: Specifier) -> tuple[_Lower | None, _Lower | None]:
    """The lowest and the highest release that one specifier admits, each with whether it is itself left out."""
    operator, text = specifier.operator, specifier.version
    version = parse_version(text.removesuffix(".*"))
    if operator == "!=" or version is None:
        return None, None
    release = version.release
    if operator in {">", ">="}:
        return (release, operator == ">"), None
    if operator in {"<", "<="}:
        return None, (release, operator == "<")
    if text.endswith(".*"):
        return (release, False), (_next(release), True)
    if operator == "~=":
        return (release, False), (_next(release[:-1]), True)
    return (release, False), (release, False)


def _next(release: _Release) -> _Release:
    return (*release[:-1], release[-1] + 1)


_LONGEST = 12


def _order(bound: _Lower) -> tuple[_Release, bool]:
    return _padded(bound[0], (0,) * _LONGEST)[0], bound[1]


def _order_from_above(bound: _Lower) -> tuple[_Release, bool]:
    return _padded(bound[0], (0,) * _LONGEST)[0], not bound[1]


def _padded(one: _Release, other: _Release) -> tuple[_Release, _Release]:
    """Both with as many numbers: 3.12 is 3.12.0."""
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)), other + (0,) * (length - len(other))


def is_read_apart(file: DistFile, parsed: ParsedFilename) -> bool:
    """Whether pip and uv may see a listed file differently, apart from whether it is yanked."""
    bound = file.requires_python
    if bound is not None and _PLAIN_BOUND.fullmatch(bound) is None and _is_bound_read_apart(bound):
        return True
    is_for_uv = takes_name(file.filename, parsed, Reading.UV)
    return is_for_uv is not takes_name(file.filename, parsed, Reading.PIP)


@lru_cache(maxsize=16384)
def _is_bound_read_apart(requires_python: str) -> bool:
    """Whether it is not valid, or says more than from which Python on."""
    try:
        specifiers = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
    return any(_PLAIN_BOUND.fullmatch(str(part)) is None for part in specifiers) or read_as_uv(requires_python) is None


# --- the metadata ---------------------------------------------------------------------------------------------------
def refuses(metadata: CoreMetadata, parsed: ParsedFilename, project: NormalizedName, reading: Reading) -> bool:
    """Whether an installer passes over a release for what the core metadata of its file looks like."""
    if metadata.has_unreadable_requirements:
        return True
    if parsed.kind is not FileKind.WHEEL and parsed.kind is not FileKind.SDIST:
        return False  # no installer takes it at all: it is carried because it was asked for
    if reading is not Reading.UV and _pip_refuses(metadata, parsed):
        return True
    return reading is not Reading.PIP and _uv_refuses(metadata, parsed, project)


def _pip_refuses(metadata: CoreMetadata, parsed: ParsedFilename) -> bool:
    """For pip a wheel has the version of its name; an sdist it builds, and believes only what comes of that."""
    return metadata.has_repaired_requirements or not is_consistent(metadata, parsed)


def is_consistent(metadata: CoreMetadata, parsed: ParsedFilename) -> bool:
    """Whether a wheel is of the version that its name says: else pip goes on to another wheel of the same release."""
    return parsed.kind is not FileKind.WHEEL or metadata.version is None or _is_version_of(metadata, parsed)


def is_undeclared(metadata: CoreMetadata, extra: NormalizedName) -> bool:
    """Whether a wheel does not declare an extra (Provides-Extra): pip takes it to require nothing, whatever it says."""
    if metadata.source in _FOR_SDISTS:
        return False
    return extra not in map(normalize_extra, metadata.provides_extra)


def _uv_refuses(metadata: CoreMetadata, parsed: ParsedFilename, project: NormalizedName) -> bool:
    """For uv a wheel has some version, and what it reads of an sdist without building it is of that very sdist."""
    if metadata.has_requirements_for_pip_alone:
        return True
    if parsed.kind is FileKind.WHEEL:
        return metadata.version is None or parse_version(metadata.version) is None
    if metadata.is_lower_bound or metadata.source not in _FOR_BUILT_FILES:
        return False
    if metadata.name is not None and _normalized(metadata.name) != project:
        return True
    return not _is_version_of(metadata, parsed) and (
        metadata.version is not None or metadata.source is MetadataSource.PKG_INFO
    )


def _is_version_of(metadata: CoreMetadata, parsed: ParsedFilename) -> bool:
    return metadata.version is not None and parse_version(metadata.version) == parsed.version


def _normalized(name: str) -> str | None:
    try:
        return parse_name(name)
    except InvalidName:
        return None
