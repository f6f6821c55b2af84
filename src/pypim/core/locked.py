"""What a lock file names: releases with the very files that were locked, as one value for every format."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from pypim.core.errors import InvalidFilename, InvalidName
from pypim.core.filenames import parse_version
from pypim.core.names import SafeFilename, parse_name, parse_safe_filename
from pypim.core.shaped import Misshapen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.core.positions import KeyPath

_HEX_DIGITS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
"""The algorithms that lock files use; a hash of any other is passed over."""
_BARE_SHA256 = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,100}", re.ASCII)
_KIND = re.compile(r"[A-Za-z][A-Za-z -]{0,30}", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]+", re.ASCII)


class LockedFile(msgspec.Struct, frozen=True):
    """One file of a locked release."""

    filename: SafeFilename | None
    """None where the lock tells only hashes."""
    hashes: frozenset[str]
    """"algorithm:hex", of which the file has one; empty where the lock tells only names."""


class LockedRelease(msgspec.Struct, frozen=True):
    """One version of a project, and the files that are held of it, whatever the targets."""

    project: NormalizedName
    version: str
    """As the lock writes it."""
    files: tuple[LockedFile, ...]
    """Empty where the lock tells no files: then all are meant."""

    @property
    def text(self) -> str:
        """As a requirement."""
        return f"{self.project}{'==' if parse_version(self.version) else '==='}{self.version}"


class Lock(msgspec.Struct, frozen=True):
    """All that a lock file says to a mirror."""

    releases: tuple[LockedRelease, ...]
    passed_over: tuple[str, ...] = ()
    """The packages that come from no index, each with where it comes from: "mine (the project itself)"."""
    notes: tuple[str, ...] = ()


class Gathering:
    """Collects the packages of one lock; what is named several times, for its extras or markers, becomes one."""

    def __init__(self) -> None:
        self._files: dict[tuple[NormalizedName, str], dict[LockedFile, None]] = {}
        self._passed_over: dict[str, None] = {}

    def hold(self, name: str, version: str, files: Iterable[LockedFile], path: KeyPath) -> None:
        """A release of an index. Raises Misshapen for a name or a version that is none."""
        if not _VERSION.fullmatch(version.strip()):
            raise Misshapen((*path, "version"), f"{version!r} is not a version")
        key = (named(name, path), version.strip())
        self._files.setdefault(key, {}).update(dict.fromkeys(files))

    def pass_over(self, name: str, source: str, path: KeyPath) -> None:
        """A package of some other kind of source; its address is never told, for it may hold a password.

        Raises Misshapen for a name that is none.
        """
        told = source if _KIND.fullmatch(source) else "elsewhere"
        self._passed_over[f"{named(name, path)} ({told})"] = None

    def lock(self, *notes: str) -> Lock:
        """All of it."""
        releases = (LockedRelease(project, version, tuple(files)) for (project, version), files in self._files.items())
        return Lock(tuple(releases), tuple(self._passed_over), notes)


def named(name: str, path: KeyPath) -> NormalizedName:
    """The name of a package. Raises Misshapen."""
    try:
        return parse_name(name)
    except InvalidName:
        raise Misshapen((*path, "name"), f"{name!r} is not the name of a project") from None


def locked_file(place: str, hashes: Iterable[str], path: KeyPath) -> LockedFile:
    """A file that the lock names by its name, its path or its address. Raises Misshapen."""
    # A path of Windows has a colon behind its drive, which is no scheme.
    address = urlsplit(place).path if "://" in place or place.startswith("file:") else place
    filename = re.split(r"[/\\]", unquote(address))[-1]
    try:
        return LockedFile(parse_safe_filename(filename), parse_hashes(hashes, path))
    except InvalidFilename as error:
        raise Misshapen(path, f"{filename!r} is not a file name: {error.reason}") from None


def parse_hashes(texts: Iterable[str], path: KeyPath) -> frozenset[str]:
    """Hashes as "algorithm:hex" in lower case; those of unknown algorithms are passed over. Raises Misshapen."""
    found = set()
    for text in texts:
        algorithm, colon, digest = text.rpartition(":")
        if not colon and _BARE_SHA256.fullmatch(text):
            algorithm = "sha256"  # as Poetry wrote them before version 1.0
        if algorithm.lower() not in _HEX_DIGITS and colon:
            continue
        if len(digest) != _HEX_DIGITS.get(algorithm.lower()) or not _HEX.fullmatch(digest):
            raise Misshapen(path, f"{text!r} is not a hash")
        found.add(f"{algorithm}:{digest}".lower())
    return frozenset(found)


def check_major(text: str, newest: int, path: KeyPath, remedy: str) -> None:
    """Raises Misshapen for the version of a format whose first number is newer than what is read here."""
    major = re.match(r"\d{1,9}", text)
    if major is None:
        raise Misshapen(path, f"{text!r} is not the version of a format")
    if int(major.group()) > newest:
        raise Misshapen(path, f"the format has version {text}, and this pypim reads it up to {newest}.x", remedy)
