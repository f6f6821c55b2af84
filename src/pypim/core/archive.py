"""Core metadata out of a wheel or an sdist that someone else made: read in bounds, never extracted, never run.

Source: PyPA specifications "Binary distribution format" (PEP 427, 491), "Source distribution format" (PEP 643, 721).
"""

from __future__ import annotations

import errno
import lzma
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from isal import igzip_lib
from packaging.utils import canonicalize_name

from pypim.core.errors import CorruptBlob
from pypim.core.metadata import (
    build_requires,
    hints_of_pkg_info,
    parse_pkg_info,
    parse_pyproject,
    parse_requirement,
    parse_requires_txt,
    requirements_of,
    requires_txt_extras,
)
from pypim.core.model import CoreMetadata, MetadataSource
from pypim.core.sparse import MissingBytes, SparseFile
from pypim.core.tar_reading import walk_tar
from pypim.core.zip_reading import open_zip, read_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

__all__ = [
    "MissingBytes",
    "SdistFacts",
    "SparseFile",
    "corrupt_blob",
    "sdist_facts",
    "sdist_metadata",
    "wheel_metadata",
]

_IGZIP_ERROR: type[Exception] = igzip_lib.error  # type: ignore[assignment]  # its stub declares an instance
_CONTENT_ERRORS = (
    ValueError,  # ours, and those of text encodings
    LookupError,
    EOFError,
    OverflowError,
    RuntimeError,  # zipfile: encrypted; NotImplementedError: a method or version it does not know
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    _IGZIP_ERROR,
)
_METADATA_NAME = ".dist-info/METADATA"
_EGG_INFO = ".egg-info"
_ROOT_DEPTH = 2  # parts of the path {name}-{version}/PKG-INFO
_MAX_EGG_INFO_DEPTH = 4  # {name}-{version}/src/{name}.egg-info/requires.txt; deeper ones are test data


class SdistFacts(msgspec.Struct, frozen=True):
    """The parts of an sdist that say what it needs; None where they are not in it."""

    pkg_info: bytes | None
    """`{name}-{version}/PKG-INFO`, not the one inside an egg-info."""
    pyproject: bytes | None
    requires_txt: bytes | None
    """`requires.txt` of the project's egg-info."""
    has_egg_info: bool
    """With an egg-info but no `requires.txt`, setuptools knew of no requirement."""


def wheel_metadata(stream: BinaryIO | SparseFile, filename: str) -> bytes:
    """The bytes of a wheel's METADATA, exactly as they are in it, at most 8 MiB.

    Raises CorruptBlob for a wheel that is broken, hostile, or has not exactly one METADATA; MissingBytes where the
    stream is a SparseFile that lacks what is needed next.
    """
    with corrupt_blob(filename), open_zip(stream) as archive:
        return read_entry(archive, _metadata_entry(archive, filename), stream)


def sdist_facts(stream: BinaryIO, filename: str) -> SdistFacts:
    """Read an sdist of any format from front to back (zip files: seeking); raises CorruptBlob."""
    gathered = _Gathered(filename)
    with corrupt_blob(filename):
        for path, content in _walk(stream, filename):
            gathered.add(path, content)
    return gathered.facts()


def sdist_metadata(stream: BinaryIO, filename: str) -> tuple[CoreMetadata, bytes | None]:
    """(the best that an sdist says without being built, its PKG-INFO); raises CorruptBlob.

    In this order: a PKG-INFO that may be trusted, a static pyproject.toml, and as lower bounds the values of an
    append-only PKG-INFO, a requires.txt together with what another PKG-INFO lists. Reading stops once a trusted
    PKG-INFO and the pyproject.toml are found; an archive that is broken behind the former lacks only the latter.
    """
    gathered = _Gathered(filename)
    damage: tuple[str, ...] = ()
    try:
        with corrupt_blob(filename):
            for path, content in _walk(stream, filename):
                if gathered.add(path, content) and gathered.is_enough:
                    break
    except CorruptBlob as error:
        if not gathered.is_trusted:
            raise
        damage = (f"{error.reason}; setuptools is taken for what builds it",)
    facts = gathered.facts()
    needed, faults = requirements_of(build_requires(facts.pyproject), "build-system.requires")
    metadata = _best(facts)
    faults = (*metadata.faults, *faults, *damage)
    return msgspec.structs.replace(metadata, build_requires=needed, faults=faults), facts.pkg_info


def _best(facts: SdistFacts) -> CoreMetadata:
    hints = hints_of_pkg_info(facts.pkg_info or b"")
    static = _exact(facts.pkg_info) or (parse_pyproject(facts.pyproject) if facts.pyproject else None)
    if static is not None:
        return msgspec.structs.replace(static, version=static.version or hints.version)
    if facts.pkg_info and (lower_bound := parse_pkg_info(facts.pkg_info)) is not None:
        return lower_bound
    if not facts.has_egg_info:
        return hints
    requires_dist, faults = requirements_of(parse_requires_txt(facts.requires_txt or b""))
    return msgspec.structs.replace(
        hints,
        requires_dist=_united(requires_dist, hints.requires_dist),
        provides_extra=tuple(dict.fromkeys((*requires_txt_extras(facts.requires_txt or b""), *hints.provides_extra))),
        source=MetadataSource.EGG_INFO,
        faults=(*faults, *hints.faults),
    )


def _united(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """All that the first requires, and what only the second does, however either writes it."""
    known = set(map(_meaning, first))
    return (*first, *(text for text in second if _meaning(text) not in known))


def _meaning(text: str) -> tuple[object, ...]:
    found = parse_requirement(text)
    return (text,) if found is None else (found.name, found.extras, found.specifier, str(found.marker), found.url)


def _exact(pkg_info: bytes | None) -> CoreMetadata | None:
    metadata = parse_pkg_info(pkg_info) if pkg_info else None
    return None if metadata is None or metadata.is_lower_bound else metadata


def _metadata_entry(archive: zipfile.ZipFile, filename: str) -> zipfile.ZipInfo:
    """The one METADATA in a `.dist-info` folder at the top, whose name begins with the project's, as installers want.

    Where there are several they pass over the wheel, or take it for broken.
    """
    project = canonicalize_name(filename.partition("-")[0])
    found = [
        entry
        for entry in archive.infolist()
        if entry.filename.endswith(_METADATA_NAME) and entry.filename.count("/") == 1
    ]
    if len(found) != 1:
        raise ValueError(f"it has {len(found) or 'no'} METADATA in its .dist-info folder, and must have one")
    folder = found[0].filename.partition("/")[0]
    if not canonicalize_name(folder.removesuffix(".dist-info")).startswith(project):
        raise ValueError(f"its METADATA is in {folder}, and so not its own")
    return found[0]


class _Gathered:
    """Collects an sdist's telling members while it is walked; of several with one role, the best placed counts."""

    def __init__(self, filename: str) -> None:
        stem = filename.lower().removesuffix(".zip").partition(".tar")[0].removesuffix(".tgz")
        self._root = canonicalize_name(stem)
        self._project = canonicalize_name(stem.rpartition("-")[0])
        self._found: dict[str, tuple[tuple[bool, int], bytes]] = {}
        self._has_egg_info = False
        self._own: set[str] = set()

    @property
    def is_enough(self) -> bool:
        """Whether nothing that may still come can say more."""
        return "pyproject.toml" in self._own and self.is_trusted

    @property
    def is_trusted(self) -> bool:
        """Whether the PKG-INFO of the sdist's own folder was found and may be trusted."""
        return "PKG-INFO" in self._own and _exact(self.pkg_info) is not None

    @property
    def pkg_info(self) -> bytes | None:
        """The one found so far."""
        return self._content("PKG-INFO")

    def facts(self) -> SdistFacts:
        return SdistFacts(
            pkg_info=self.pkg_info,
            pyproject=self._content("pyproject.toml"),
            requires_txt=self._content("requires.txt"),
            has_egg_info=self._has_egg_info,
        )

    def add(self, path: str, content: bytes | None) -> bool:
        """Take a member in; whether it was one of the sdist's own folder."""
        parts = _parts(path)
        if len(parts) <= _MAX_EGG_INFO_DEPTH and any(part.endswith(_EGG_INFO) for part in parts[:-1]):
            self._has_egg_info = True
        if content is None:
            return False
        is_stray, depth = canonicalize_name(parts[0]) != self._root, len(parts)
        if parts[-1] == "requires.txt":
            is_stray = canonicalize_name(parts[-2].removesuffix(_EGG_INFO)) != self._project
        known = self._found.get(parts[-1])
        if known is None or (is_stray, depth) <= known[0]:
            self._found[parts[-1]] = ((is_stray, depth), content)
        if not is_stray:
            self._own.add(parts[-1])
        return not is_stray

    def _content(self, name: str) -> bytes | None:
        found = self._found.get(name)
        return found[1] if found else None


def _walk(stream: BinaryIO, filename: str) -> Iterator[tuple[str, bytes | None]]:
    if filename.lower().endswith(".zip"):
        return _walk_zip(stream, _is_telling)
    return walk_tar(stream, _is_telling)


def _walk_zip(stream: BinaryIO, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes | None]]:
    with open_zip(stream) as archive:
        for entry in archive.infolist():
            if not entry.is_dir():
                content = read_entry(archive, entry, stream) if is_wanted(entry.filename) else None
                yield entry.filename, content


def _is_telling(path: str) -> bool:
    """Whether a member says what the sdist needs."""
    parts = _parts(path)
    if len(parts) == _ROOT_DEPTH and not parts[0].endswith(_EGG_INFO):
        return parts[-1] in {"PKG-INFO", "pyproject.toml"}
    is_egg_info = _ROOT_DEPTH <= len(parts) <= _MAX_EGG_INFO_DEPTH and parts[-2].endswith(_EGG_INFO)
    return is_egg_info and parts[-1] == "requires.txt"


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}] or [""]


@contextmanager
def corrupt_blob(filename: str) -> Iterator[None]:
    """Make whatever a broken or hostile archive raises one error; faults of the disk stay what they are."""
    try:
        yield
    except _CONTENT_ERRORS as error:
        raise CorruptBlob(filename, f"it cannot be read: {error or type(error).__name__}") from None
    except OSError as error:
        if error.errno not in {None, errno.EINVAL}:
            raise
        raise CorruptBlob(filename, f"it cannot be read: {error}") from None
