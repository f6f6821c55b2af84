"""What the name of a distribution file says: its kind, version, build and tags; for every kind that indexes ever held.

Nothing here raises: a name that cannot be read is of the kind UNKNOWN, and is still a file that can be carried.
Source: PyPA specifications "Binary distribution format", "Source distribution file name" (PEP 427, 491, 625);
the file names of distutils' bdist_dumb, bdist_wininst, bdist_msi, bdist_rpm and of setuptools' eggs.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from pypim.core.errors import InvalidName
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import BuildTag, NormalizedName

    from pypim.core.model import DistFile


class FileKind(StrEnum):
    """The formats an index may list, in the words of the `formats` filter."""

    WHEEL = "wheel"
    SDIST = "sdist"
    EGG = "egg"
    WININST = "wininst"
    MSI = "msi"
    RPM = "rpm"
    DUMB = "dumb"
    DMG = "dmg"
    DEB = "deb"
    UNKNOWN = "unknown"


class ParsedFilename(msgspec.Struct, frozen=True, gc=False):
    """A file name taken apart."""

    kind: FileKind
    version_text: str | None
    """The version as the name has it; None where there is none to be found."""
    version: Version | None
    """None: there is none, or it is not a version of PEP 440."""
    build: BuildTag
    """PEP 427: () or (number, rest), which sort as the specification wants."""
    tags: frozenset[Tag] | None
    """The product of a wheel's compressed tag sets; None for other kinds."""
    python_tags: tuple[str, ...]
    """Wheels: the interpreter tags (py3, cp312); eggs and installers: py2.7; otherwise none."""
    tag_text: str
    """The part after name and version, without extension; empty for sdists."""
    extension: str
    """In lower case and without the first dot: whl, tar.gz, exe …"""


_WHEEL, _UNKNOWN = FileKind.WHEEL, FileKind.UNKNOWN  # to look into an enumeration takes longer
_KIND_OF_EXTENSION = {
    "whl": FileKind.WHEEL,
    "egg": FileKind.EGG,
    "exe": FileKind.WININST,
    "msi": FileKind.MSI,
    "rpm": FileKind.RPM,
    "dmg": FileKind.DMG,
    "deb": FileKind.DEB,
}
_SDIST_EXTENSIONS = frozenset(
    ("tar.gz", "zip", "tgz", "tar.bz2", "tar.xz", "tar", "tbz", "tbz2", "txz", "tar.z", "tar.lz", "tar.lzma", "tlz")
)
_EXTENSION = re.compile(r"\.((?i:tar)\.[A-Za-z0-9]{1,5}|[A-Za-z0-9]{1,10})\Z")
_DISTRIBUTION = re.compile(r"[\w.]+", re.ASCII)
_BUILD = re.compile(r"(\d{1,100})(.*)", re.ASCII)
_PLATFORM = (
    r"(?:aix|cygwin|darwin|freebsd|hp-ux|irix|java|linux|macosx|mingw|netbsd|openbsd|osf1|solaris|sunos|win(?:32|64|-))"
)
_PLATFORM_SUFFIX = re.compile(rf"[.-](?P<tag>{_PLATFORM}[-.\w]*)\Z", re.IGNORECASE | re.ASCII)
_PYTHON_SUFFIX = re.compile(r"[.-](?P<tag>(?P<python>py\d(?:\.\d+)?)(?:[.-].*)?)\Z", re.IGNORECASE | re.ASCII)
_PYTHON_TAG = re.compile(r"(?:\A|[.-])(py\d(?:\.\d+)?)(?![\d.])", re.IGNORECASE | re.ASCII)
_RPM_SUFFIX = re.compile(r"-(?P<tag>[^-]+\.[^-.]+)\Z")
_DEB_PREFIXES = ("python3-", "python-", "python2-", "pypy-")


@lru_cache(maxsize=65536)
def parse_version(text: str) -> Version | None:
    """Read a version of PEP 440; None for anything else (`2004d`, `1.0-SNAPSHOT`), which still can be listed."""
    try:
        return Version(text)
    except ValueError:  # InvalidVersion, or a number with more digits than int() takes
        return None


def parse_filename(filename: str, project: NormalizedName) -> ParsedFilename:
    """Take a file name apart, knowing the project on whose page it stands; never raises.

    The project is needed because the names of old sdists are ambiguous: `foo-bar-1.0-1.tar.gz` is 1.0.post1 of
    foo-bar, and no file of foo. Wheels of another project, with a variant label (PEP 825) or of an unknown shape are
    UNKNOWN, as installers see them.
    """
    if filename.endswith(".whl"):
        name, _, rest = filename[:-4].partition("-")
        return _parse_wheel(rest) if _names(name, project) else _unknown("whl")
    return _parse_other(filename, project)


def parse_filenames(files: Iterable[DistFile], project: NormalizedName) -> Iterator[tuple[DistFile, ParsedFilename]]:
    """The same of all files of a page, whose names nearly all begin alike."""
    known = None
    for file in files:
        filename = file.filename
        name, _, rest = filename.partition("-")
        if name == known and filename.endswith(".whl"):
            yield file, _parse_wheel(rest[:-4])
            continue
        parsed = parse_filename(filename, project)
        known = name if parsed.kind is _WHEEL else None
        yield file, parsed


def release_and_kind(filename: str, project: NormalizedName) -> tuple[str | None, FileKind]:
    """The version, normalised where it can be, and the kind: what `parse_filename` says, for millions of names.

    The version is None where the name has none. Names of one project differ in little, so each part is read once.
    """
    if filename.endswith(".whl"):
        name, *rest = filename.split("-", 2)
        if len(rest) == 2 and _names(name, project) and _is_wheel_tail(rest[1]):  # noqa: PLR2004 - version and tail
            said = _wheel_release(rest[0])
            return said, _UNKNOWN if said is None else _WHEEL
        return None, _UNKNOWN
    if filename.endswith(".tar.gz"):
        name, _, version = filename[:-7].rpartition("-")
        if _is_name_of(name, project) and (said := _normalized(version)) is not None:
            return said, FileKind.SDIST
    parsed = _parse_other(filename, project)
    return parsed.version_text if parsed.version is None else str(parsed.version), parsed.kind


@lru_cache(maxsize=16384)
def _is_name_of(text: str, project: NormalizedName) -> bool:
    return canonicalize_name(text) == project


@lru_cache(maxsize=8192)
def _normalized(version_text: str) -> str | None:
    version = parse_version(version_text)
    return None if version is None else str(version)


@lru_cache(maxsize=8192)
def _wheel_release(version_text: str) -> str | None:
    """None: no wheel has such a version."""
    return _normalized(version_text) or (version_text if version_text[:1].isdigit() else None)


@lru_cache(maxsize=32768)
def _is_wheel_tail(tail: str) -> bool:
    """Whether it can stand behind the version of a wheel: build (PEP 427), interpreter, ABI and platform; .whl."""
    parts = tail.removesuffix(".whl").split("-")
    if len(parts) not in {3, 4}:
        return False
    if len(parts) == 4 and _BUILD.fullmatch(parts[0]) is None:  # noqa: PLR2004 - the four of the sentence above
        return False
    return _parse_tags("-".join(parts[-3:])) is not None


@lru_cache(maxsize=32768)
def _parse_other(filename: str, project: NormalizedName) -> ParsedFilename:
    stem, extension = _split_extension(filename)
    if extension in _SDIST_EXTENSIONS:
        return _parse_archive(stem, extension, project)
    kind = _KIND_OF_EXTENSION.get(extension)
    if kind is None or kind is FileKind.WHEEL:
        return _unknown(extension)
    return _parse_legacy(kind, stem, extension, project)


def has_archive_extension(filename: str) -> bool:
    """Whether it ends as the name of a distribution file does, whatever stands before."""
    extension = _split_extension(filename)[1]
    return extension in _SDIST_EXTENSIONS or extension in _KIND_OF_EXTENSION


_MOST_PROJECTS = 4


def project_of(filename: str) -> NormalizedName | None:
    """The project a file in a flat folder belongs to, from its name alone; None where that cannot be told.

    Certain for wheels and eggs, whose first part has no hyphen. For sdists the last hyphen is taken that leaves a
    version behind it (PEP 625), which is right for all but the oldest names.
    """
    stem, extension = _split_extension(filename)
    kind = _KIND_OF_EXTENSION.get(extension)
    if kind in {FileKind.WHEEL, FileKind.EGG}:
        name = _name_or_none(stem.partition("-")[0])
        return name if name and parse_filename(filename, name).version_text else None
    if kind is None and extension not in _SDIST_EXTENSIONS:
        return None
    if kind is FileKind.DEB:
        return _name_or_none(_without_debian_prefix(stem.partition("_")[0]))
    stem = _strip_suffix(stem, _suffixes_of(kind))[0]
    return _name_before_version(stem)


@lru_cache(maxsize=16384)
def projects_of(filename: str) -> tuple[NormalizedName, ...]:
    """Every project that a file may belong to by its name, the likeliest first: where old names leave room for doubt.

    Only one for wheels and eggs. An old sdist may have a version that is none, or a hyphen in its version.
    """
    likely = project_of(filename)
    found = [likely] if likely is not None else []
    if _KIND_OF_EXTENSION.get(_split_extension(filename)[1]) in {FileKind.WHEEL, FileKind.EGG}:
        return tuple(found)
    position = filename.rfind("-")
    while position > 0 and len(found) < _MOST_PROJECTS:
        name = _name_or_none(filename[:position])
        if name is not None and name not in found and parse_filename(filename, name).kind is not FileKind.UNKNOWN:
            found.append(name)
        position = filename.rfind("-", 0, position)
    return tuple(found)


@lru_cache(maxsize=16384)
def _names(distribution: str, project: NormalizedName) -> bool:
    """Whether the first part of a wheel's name is that of the project."""
    return canonicalize_name(distribution) == project and _DISTRIBUTION.fullmatch(distribution) is not None


@lru_cache(maxsize=65536)
def _parse_wheel(rest: str) -> ParsedFilename:
    """PEP 427: `{distribution}-{version}(-{build})?-{python}-{abi}-{platform}.whl`, from the version to the platform.

    Very many wheels have the same rest: it is read once.
    """
    parts = rest.split("-")
    if len(parts) not in {4, 5}:
        return _unknown("whl")
    build: BuildTag = ()
    if len(parts) == 5:  # noqa: PLR2004 - the five parts of the sentence above
        match = _BUILD.fullmatch(parts[1])
        if match is None:
            return _unknown("whl")
        build = (int(match[1]), match[2])
    tags = _parse_tags("-".join(parts[-3:]))
    version = parse_version(parts[0])
    if tags is None or (version is None and not parts[0][:1].isdigit()):
        return _unknown("whl")
    return ParsedFilename(
        kind=FileKind.WHEEL,
        version_text=parts[0],
        version=version,
        build=build,
        tags=tags,
        python_tags=tuple(parts[-3].split(".")),
        tag_text="-".join(parts[1:]),
        extension="whl",
    )


@lru_cache(maxsize=8192)
def _parse_tags(text: str) -> frozenset[Tag] | None:
    try:
        return parse_tag(text)
    except ValueError:
        return None


def _parse_archive(stem: str, extension: str, project: NormalizedName) -> ParsedFilename:
    """An sdist, or what bdist_dumb made: `a-1.0.linux-x86_64.tar.gz`."""
    rest = _after_project(stem, project)
    if not rest:
        return _unknown(extension)
    version = parse_version(rest)
    if version is None and (platform := _PLATFORM_SUFFIX.search(rest)):
        return _legacy(FileKind.DUMB, rest[: platform.start()], platform["tag"], extension)
    if version is None and "-" in rest and not rest.lstrip("vV")[:1].isdigit():
        return _unknown(extension)  # "bar-1.0" behind "foo-" is a file of the project foo-bar
    return ParsedFilename(FileKind.SDIST, rest, version, (), None, (), "", extension)


def _parse_legacy(kind: FileKind, stem: str, extension: str, project: NormalizedName) -> ParsedFilename:
    """The built formats of the time before wheels; the extension alone decides the kind."""
    if kind is FileKind.DEB:
        name, _, rest = stem.partition("_")
        version_text, _, architecture = rest.partition("_")
        if canonicalize_name(_without_debian_prefix(name)) != project:
            version_text = ""
        return _legacy(kind, version_text, architecture, extension)
    rest = _after_project(stem, project) or ""
    version_text, tag_text = _strip_suffix(rest, _suffixes_of(kind))
    return _legacy(kind, version_text, tag_text, extension)


def _legacy(kind: FileKind, version_text: str, tag_text: str, extension: str) -> ParsedFilename:
    # setuptools wrote "-" as "_" in the file names of eggs, so 1.0_1 may stand for 1.0-1.
    version = parse_version(version_text) or parse_version(version_text.replace("_", "-"))
    pythons = tuple(_PYTHON_TAG.findall(tag_text))
    return ParsedFilename(kind, version_text or None, version, (), None, pythons, tag_text, extension)


def _unknown(extension: str) -> ParsedFilename:
    return ParsedFilename(FileKind.UNKNOWN, None, None, (), None, (), "", extension)


def _suffixes_of(kind: FileKind | None) -> tuple[re.Pattern[str], ...]:
    """What may stand between the version and the extension, for each kind."""
    if kind is FileKind.RPM:
        return (_RPM_SUFFIX,)
    if kind in {FileKind.EGG, FileKind.DMG}:
        return _PYTHON_SUFFIX, _PLATFORM_SUFFIX
    return _PLATFORM_SUFFIX, _PYTHON_SUFFIX


def _strip_suffix(text: str, suffixes: tuple[re.Pattern[str], ...]) -> tuple[str, str]:
    """Split off the first suffix that matches: (what is before it, its tag)."""
    for suffix in suffixes:
        if match := suffix.search(text):
            return text[: match.start()], match["tag"]
    return text, ""


def _split_extension(filename: str) -> tuple[str, str]:
    match = _EXTENSION.search(filename)
    if match is None:
        return filename, ""
    return filename[: match.start()], match[1].lower()


def _after_project(stem: str, project: NormalizedName) -> str | None:
    """What follows the project's name and a hyphen; None where the stem is of another project."""
    position = stem.find("-")
    while position >= 0:
        if canonicalize_name(stem[:position]) == project:
            return stem[position + 1 :]
        position = stem.find("-", position + 1)
    return None


def _name_before_version(stem: str) -> NormalizedName | None:
    position = stem.rfind("-")
    while position > 0:
        if parse_version(stem[position + 1 :]) is not None:
            return _name_or_none(stem[:position])
        position = stem.rfind("-", 0, position)
    return None


def _without_debian_prefix(name: str) -> str:
    for prefix in _DEB_PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _name_or_none(text: str) -> NormalizedName | None:
    try:
        return parse_name(text)
    except InvalidName:
        return None
