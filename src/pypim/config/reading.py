"""What every part of a configuration needs while it is read: a place for faults, the folder that paths start from.

What core refuses becomes a fault at the line of its key, and the reading goes on.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pypim.config.decode import spell, unknown
from pypim.config.locate import absolute, file_host
from pypim.config.model import NamedFile
from pypim.config.secret import Secret
from pypim.core.access import RESERVED_NAMES
from pypim.core.errors import InvalidRequirement, PypimError
from pypim.core.measures import parse_duration, parse_rate, parse_size
from pypim.core.patterns import ProjectPatterns, parse_project_pattern
from pypim.core.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pypim.config.decode import Faults
    from pypim.config.model import FileUse
    from pypim.core.positions import KeyPath

_T = TypeVar("_T")
_D = TypeVar("_D")


class Reading:
    """One document while it is read; `source` is its path, `folder` what relative paths are relative to."""

    def __init__(self, faults: Faults, source: str, folder: Path) -> None:
        self.faults = faults
        self.source = source
        self.folder = folder
        self.named_files: list[NamedFile] = []

    # --- what core refuses is a fault at that line ------------------------------------------------------------------
    def parsed(self, path: KeyPath, parse: Callable[[], _T], default: _D) -> _T | _D:
        """What `parse` returns; where it refuses, that is a fault at that key, and the default counts."""
        try:
            return parse()
        except InvalidRequirement as error:
            self.faults.add(path, f"{error.text!r}: {error.reason}", error.hint)
        except PypimError as error:
            self.faults.add(path, error.message, error.hint)
        return default

    def parses(self, path: KeyPath, parse: Callable[[], object], *, is_silent: bool = False) -> bool:
        """Whether it does; where not, that is a fault unless this is silent."""
        if is_silent:
            try:
                parse()
            except PypimError:
                return False
            return True
        failed = object()
        return self.parsed(path, parse, failed) is not failed

    # --- values -----------------------------------------------------------------------------------------------------
    def seconds(self, path: KeyPath, text: str) -> float:
        """A duration."""
        found = self.parsed(path, partial(parse_duration, text, ""), None)
        return 0.0 if found is None else found.total_seconds()

    def size_bytes(self, path: KeyPath, text: str | int | None) -> int | None:
        """A size; None where there is none."""
        return None if text is None else self.parsed(path, partial(parse_size, text, ""), None)

    def rate(self, path: KeyPath, text: str | int | None) -> int | None:
        """Bytes per second; None where there is no limit."""
        return None if text is None else self.parsed(path, partial(parse_rate, text, ""), None)

    def file_hosts(self, path: KeyPath, texts: Iterable[str]) -> tuple[str, ...]:
        """Absolute URLs that end with a slash; a fault at each that is none."""
        found = []
        for where, text in _each(path, texts):
            try:
                found.append(file_host(text))
            except ValueError as error:
                self.faults.add(where, f"{without_secrets(text)!r}: {error}")
        return tuple(dict.fromkeys(found))

    def projects(self, path: KeyPath, texts: str | Iterable[str], *, has_versions: bool = False) -> ProjectPatterns:
        """Names and globs of projects; a fault at each that is none, and at one that wrongly speaks of versions."""
        good = []
        for where, text in _each(path, texts):
            pattern = self.parsed(where, partial(parse_project_pattern, text, ""), None)
            if pattern is None:
                continue
            if pattern.specifier is not None and not has_versions:
                self.faults.add(where, f"{text!r}: versions have no meaning here", "Write only a name or a glob.")
                continue
            good.append(text)
        return ProjectPatterns.compile(good, "")

    def known(self, path: KeyPath, texts: str | Iterable[str], names: Collection[str], noun: str) -> list[str]:
        """Those that are among the names; every other one is a fault."""
        found = []
        for where, text in _each(path, texts):
            if text in names:
                found.append(text)
            else:
                self.faults.add(where, unknown(text, names, noun))
        return found

    def people(self, path: KeyPath, texts: str | Iterable[str], meant: Collection[str] = ()) -> tuple[str, ...]:
        """Names of users and groups; a fault at each that nobody can have, but for those words that are meant here."""
        for where, text in _each(path, texts):
            if text.lower() in RESERVED_NAMES and text not in meant:
                self.faults.add(where, f"{text!r} means something else, so nobody has that name")
        return texts_of(texts)

    def secret(self, path: KeyPath, text: str | None) -> Secret | None:
        """A secret, which is read when it is used."""
        if text is None:
            return None
        spelled = ".".join(str(part) for part in path)
        line = self.faults.line(path)
        return Secret(written=text, folder=self.folder, source=self.source, line=line, key=spelled)

    # --- paths ------------------------------------------------------------------------------------------------------
    def path(self, text: str | None) -> Path | None:
        """The absolute path; None where there is none."""
        return None if text is None else absolute(self.folder, text)

    def named(self, use: FileUse, path: KeyPath, text: str) -> Path:
        """The absolute path of a file that a key names; where it does so is remembered for messages."""
        file = absolute(self.folder, text)
        line = self.faults.line(path)
        self.named_files.append(NamedFile(path=file, use=use, owner=str(path[1]), key=spell(path), line=line))
        return file

    def named_if_any(self, use: FileUse, path: KeyPath, text: str | None) -> Path | None:
        """The same where a file is named at all."""
        return None if text is None else self.named(use, path, text)


def texts_of(value: str | Iterable[str]) -> tuple[str, ...]:
    """A value that may be one text or a list of them."""
    return (value,) if isinstance(value, str) else tuple(value)


def is_path_of_url(text: str) -> bool:
    """Whether it is an absolute path as it stands in URLs, of plain characters."""
    return re.fullmatch(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+", text) is not None


def _each(path: KeyPath, value: str | Iterable[str]) -> list[tuple[KeyPath, str]]:
    """Each text with its place."""
    if isinstance(value, str):
        return [(path, value)]
    return [((*path, number), text) for number, text in enumerate(value)]
