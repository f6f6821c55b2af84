"""What an uploaded wheel or sdist is inside: its metadata, and every rule of its format that it breaks.

Read in bounds, never extracted, never run. Source: PyPA specifications "Binary distribution format", "Source
distribution format" (PEP 427, 491, 625, 643, 721).
"""

from __future__ import annotations

import posixpath
import tarfile
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from pypim.core.archive import corrupt_blob
from pypim.core.errors import CorruptBlob
from pypim.core.filenames import parse_version
from pypim.core.tar_reading import Member, Unpacked, content_of, members, skip_content
from pypim.core.upload_content import content_faults
from pypim.core.upload_metadata import Declared, read_declared
from pypim.core.upload_zip import zip_faults
from pypim.core.zip_reading import open_zip, read_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

EGG = ".egg"
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 16
_MOST_FAULTS = 20
"""Of one archive: a hostile one could have thousands."""


class ArchiveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in an archive."""

    metadata: bytes | None
    """METADATA or PKG-INFO; None where there is not exactly one."""
    declared: Declared | None = None
    """What that says; None where it cannot be believed."""
    paths: frozenset[str]
    """Of all files in it: those of a sdist relative to its top folder."""
    faults: tuple[str, ...]
    """One sentence each."""


def examine(stream: BinaryIO, filename: str) -> ArchiveFacts:
    """Look at a wheel (`.whl`), an egg (`.egg`) or an sdist (anything else); never raises for what is in it.

    All of it is read: it takes long where the file is large. The memory that it needs does not grow with the file.
    """
    try:
        with corrupt_blob(filename):
            facts = _facts_of(stream, filename)
    except CorruptBlob as error:
        return ArchiveFacts(metadata=None, paths=frozenset(), faults=(error.reason,))
    if facts.metadata is None:
        return facts
    declared, issues = read_declared(facts.metadata, "METADATA" if filename.endswith(".whl") else "PKG-INFO")
    return msgspec.structs.replace(facts, declared=declared, faults=(*facts.faults, *issues))


def _facts_of(stream: BinaryIO, filename: str) -> ArchiveFacts:
    if not filename.endswith((".whl", EGG)):
        return _examine_sdist(stream)
    size = stream.seek(0, 2)
    with open_zip(stream) as archive:
        # Where each content is can be told only once nothing is wrong with how they are laid out.
        faults = list(zip_faults(stream, archive, size)) or list(content_faults(stream, archive.infolist()))
        names = [entry.filename for entry in archive.infolist()]
        telling, more = _telling_names(names, filename)
        faults += more
        metadata = None
        if telling and names.count(telling) == 1:
            metadata = read_entry(archive, archive.getinfo(telling), stream)
    return ArchiveFacts(metadata=metadata, paths=frozenset(names), faults=tuple(faults[:_MOST_FAULTS]))


def _telling_names(names: list[str], filename: str) -> tuple[str | None, list[str]]:
    """(the entry with the metadata, what is wrong with the folder that it is in)."""
    if filename.endswith(EGG):
        return "EGG-INFO/PKG-INFO", _folder_faults(names, "EGG-INFO", ("PKG-INFO",))
    folders = {name.partition("/")[0] for name in names}
    infos = sorted(name for name in folders if name.casefold().endswith(".dist-info"))
    if len(infos) != 1 or not infos[0].endswith(".dist-info") or not _belongs(infos[0], filename):
        return None, ["it must have one .dist-info folder, named after its project and version"]
    return f"{infos[0]}/METADATA", _folder_faults(names, infos[0], ("METADATA", "WHEEL", "RECORD"))


def _folder_faults(names: list[str], folder: str, required: tuple[str, ...]) -> list[str]:
    """What is missing in it, or there twice: also where only some systems take two names for one."""
    faults = [f"it must have one {folder}/{name}" for name in required if names.count(f"{folder}/{name}") != 1]
    start = f"{folder}/".casefold()
    seen: dict[str, str] = {}
    twins = ((seen.setdefault(name.casefold(), name), name) for name in names if name.casefold().startswith(start))
    faults += [
        f"{one[:200]!r} and {other[:200]!r} are one file on some systems" for one, other in twins if one != other
    ]
    return faults


def _belongs(folder: str, filename: str) -> bool:
    """Whether a folder {name}-{version}.dist-info is that of the file; both are written in several ways."""
    own, _, version = folder.removesuffix(".dist-info").rpartition("-")
    name, said = filename.split("-")[:2] if filename.count("-") > 1 else ("", "")
    parsed = parse_version(version)
    return canonicalize_name(own) == canonicalize_name(name) and parsed is not None and parsed == parse_version(said)


def _examine_sdist(stream: BinaryIO) -> ArchiveFacts:
    if stream.read(2) != _GZIP:
        raise ValueError("an sdist is a .tar.gz file, and this is none")
    stream.seek(0)
    unpacked = Unpacked(stream)
    found = _Sdist()
    for member in members(unpacked):
        found.look(member)
        if member.info.isreg():
            content = content_of(unpacked, member, found.is_pkg_info)
            if content is not None:
                found.pkg_info.append(content)
        else:
            skip_content(unpacked, member)
    faults = [*found.all_faults(), *_tail_faults(unpacked)]
    if stream.read(1) or unpacked.has_rest:
        faults.append("there are other bytes behind the end of the archive")
    metadata = found.pkg_info[0] if len(found.pkg_info) == 1 else None
    return ArchiveFacts(metadata=metadata, paths=frozenset(found.paths), faults=tuple(faults[:_MOST_FAULTS]))


def _tail_faults(unpacked: Unpacked) -> Iterator[str]:
    """Behind the end of a tar file there is only padding: some readers would go on."""
    while piece := unpacked.read(_CHUNK):
        if piece.strip(b"\0"):
            yield "there is a second archive behind the end of the first"
            return


class _Sdist:
    """Collects what is wrong with the members of an sdist."""

    def __init__(self) -> None:
        self.pkg_info: list[bytes] = []
        self.paths: set[str] = set()
        self._tops: set[str] = set()
        self._links: set[str] = set()
        self._faults: list[str] = []

    def look(self, member: Member) -> None:
        """Take in one member."""
        path = posixpath.normpath(member.path)
        top, _, below = path.partition("/")
        if not _is_inside(member.path) or not self._links.isdisjoint(_folders_of(path)):
            self._fault(f"{member.path[:200]!r} is no path inside the archive")
            return
        self._tops.add(top)
        if below:
            self.paths.add(below)
        elif not member.info.isdir():
            self._fault(f"{member.path[:200]!r} is not in the top folder")
        self._look_at_kind(member, top)

    def is_pkg_info(self, path: str) -> bool:
        """Whether it is the one of the sdist itself, {name}-{version}/PKG-INFO."""
        parts = posixpath.normpath(path).split("/")
        return len(parts) == 2 and parts[1] == "PKG-INFO"  # noqa: PLR2004 - the two parts of the sentence above

    def all_faults(self) -> list[str]:
        """With those that only the whole shows."""
        if len(self._tops) != 1:
            self._fault("it must have one top folder, {name}-{version}")
        if len(self.pkg_info) != 1:
            self._fault(f"it must have one PKG-INFO in its top folder, and has {len(self.pkg_info) or 'none'}")
        return self._faults

    def _look_at_kind(self, member: Member, top: str) -> None:
        info, shown = member.info, repr(member.path[:200])
        if info.type == tarfile.GNUTYPE_SPARSE or any("sparse" in key for key in member.extended):
            self._fault(f"{shown} is a sparse file")
        elif info.issym() or info.islnk():
            target = member.extended.get("linkpath", info.linkname)
            folder = posixpath.dirname(posixpath.normpath(member.path)) if info.issym() else ""
            self._links.add(posixpath.normpath(member.path))
            if not _stays_inside(folder, target, top):
                self._fault(f"{shown} is a link to {target[:200]!r}, outside of the archive")
        elif not info.isreg() and not info.isdir():
            self._fault(f"{shown} is neither a file nor a folder")

    def _fault(self, sentence: str) -> None:
        if len(self._faults) < _MOST_FAULTS:
            self._faults.append(sentence)


def _stays_inside(folder: str, target: str, top: str) -> bool:
    """Whether a link's target is below the top folder, whatever other links it leads through."""
    if posixpath.isabs(target) or "\\" in target or ".." in target.lstrip("./").split("/"):
        return False
    return posixpath.normpath(posixpath.join(folder, target)).partition("/")[0] == top


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts))]


def _is_inside(path: str) -> bool:
    """Whether a member's path stays in the archive on every system."""
    parts = path.rstrip("/").split("/")
    return not (
        posixpath.isabs(path)
        or ".." in parts
        or "\\" in path
        or ":" in parts[0]
        or not path.strip("/.")
        or any(ord(char) < ord(" ") for char in path)
    )
