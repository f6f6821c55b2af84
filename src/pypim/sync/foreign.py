"""A folder that another tool made: the distribution files in it, and the hashes that its own pages tell of them.

Nothing in it is written, and no symbolic link in it is followed, so that neither a loop nor a way out leads anywhere.
Known layouts need no names of their own here: bandersnatch's `web/`, `simple/<name>/<file>` and `<name>/<file>` with
pages, and flat folders differ only in where pages stand.
"""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from pypim.core.adoption import Mismatch, Unmatched
from pypim.core.errors import InvalidFilename, InvalidName, InvalidUsage, NotFound, UpstreamMalformed
from pypim.core.filenames import FileKind, has_archive_extension, parse_filename, projects_of
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.simple_html import parse_links
from pypim.core.simple_json import parse_page
from pypim.index.details import files_in_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile

_PAGES = ("index.v1_json", "index.json", "index.html")
_MOST_PAGES = 8
_MOST_FILES = 200_000
"""In memory; about 500 bytes each."""
_LARGEST_PAGE_BYTES = 128 << 20
_SIMPLE, _JSON = "simple", "json"


class FoundFile(msgspec.Struct, frozen=True, gc=False):
    """A file whose name is that of a distribution file."""

    path: str
    """Relative to the folder, with the separators of the system."""
    size: int

    @property
    def filename(self) -> str:
        """The last part."""
        return os.path.basename(self.path)  # noqa: PTH119 - for every file of what may be a whole mirror


Portion = dict[tuple["NormalizedName", ...], list[FoundFile]]
"""Files by the projects that they may belong to, the likeliest first."""


class ForeignFolder:
    """The folder at an absolute path."""

    def __init__(self, path: Path) -> None:
        """Raises NotFound or InvalidUsage where there is no folder."""
        if not path.exists():
            raise NotFound(f"{path}: there is no such folder", hint="Check the path, and that its disk is mounted.")
        if not path.is_dir():
            raise InvalidUsage(f"{path}: this is not a folder", hint="Name the folder that it is in.")
        self.path = path.resolve()
        self.unmatched: list[Unmatched] = []
        self.files = self.companions = self.size = 0
        self._simple_folders = [self.path]
        self._document_folders: list[Path] = []
        self._pages: dict[Path, tuple[DistFile, ...]] = {}

    def portions(self, most_files: int = _MOST_FILES) -> Iterator[Portion]:
        """All files by the projects that they may belong to, the likeliest first; no file is opened.

        More than `most_files` come in portions of whole projects, for each of which the folder is looked through
        again: memory does not grow with the folder. Once the first one is there, `files` and `size` are those of all.
        """
        files, self.files, self.companions, self.size = Portion(), 0, 0, 0
        for projects, found in self._walk(is_first=True):
            self.files += 1
            self.size += found.size
            if self.files <= most_files:
                files.setdefault(projects, []).append(found)
            else:
                files.clear()
        if self.files <= most_files:
            yield files
            return
        count = -(-self.files // most_files)
        for number in range(count):
            files = Portion()
            for projects, found in self._walk(is_first=False):
                if crc32(projects[0].encode()) % count == number:
                    files.setdefault(projects, []).append(found)
            yield files

    def _walk(self, *, is_first: bool) -> Iterator[tuple[tuple[NormalizedName, ...], FoundFile]]:
        """What is no distribution file is told of the first time."""
        waiting = [self.path]
        while waiting:
            folder = waiting.pop()
            for entry in self._entries(folder, is_first=is_first):
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif (found := self._found(entry, is_first=is_first)) is not None:
                    yield found

    def _entries(self, folder: Path, *, is_first: bool) -> list[os.DirEntry[str]]:
        if is_first and folder.name == _SIMPLE:
            self._simple_folders.append(folder)
        elif is_first and folder.name == _JSON:
            self._document_folders.append(folder)
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            if is_first:
                self._leave(folder, Mismatch.UNREADABLE, error.strerror or str(error))
            return []

    def _found(self, entry: os.DirEntry[str], *, is_first: bool) -> tuple[tuple[NormalizedName, ...], FoundFile] | None:
        projects = self._projects(entry)
        reason, detail = Mismatch.NO_NAME, ""
        if projects:
            try:
                if entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    return projects, FoundFile(os.path.relpath(entry.path, self.path), size)
                reason = Mismatch.NO_FILE
                detail = "a symbolic link is not followed" if entry.is_symlink() else "neither a file nor a folder"
            except OSError as error:
                reason, detail = Mismatch.UNREADABLE, error.strerror or str(error)
        elif not has_archive_extension(entry.name):
            self.companions += is_first
            return None
        if is_first:
            self._leave(Path(entry.path), reason, detail)
        return None

    def _projects(self, entry: os.DirEntry[str]) -> tuple[NormalizedName, ...]:
        """What its name allows; that of the folder it stands in, where that fits, is the likeliest."""
        try:
            name = parse_safe_filename(entry.name)
        except InvalidFilename:
            return ()
        projects = projects_of(name)
        if not projects or len(projects) == 1:
            return projects
        try:
            above = parse_name(Path(entry.path).parent.name)
        except InvalidName:
            return projects
        fits = above in projects and parse_filename(name, above).kind is not FileKind.UNKNOWN
        return (above, *(one for one in projects if one != above)) if fits else projects

    def _leave(self, path: Path, reason: Mismatch, detail: str = "") -> None:
        self.unmatched.append(
            Unmatched(path=self.shown(os.path.relpath(path, self.path)), reason=reason, detail=detail)
        )

    @staticmethod
    def shown(relative: str) -> str:
        """A path as text that can be printed, whatever bytes are in it."""
        return os.fsencode(relative).decode("utf-8", "backslashreplace")

    # --- what the folder itself says --------------------------------------------------------------------------------
    def told(self, project: NormalizedName, folders: Iterable[str]) -> dict[str, DistFile]:
        """What the pages in those folders (relative), and those of that project, say of files, by file name.

        What cannot be read says nothing.
        """
        places = [self.path / folder for folder in folders]
        for simple in self._simple_folders:
            places += [simple / project, simple / project[0] / project]  # bandersnatch's `hash-index` is the latter
        told: dict[str, DistFile] = {}
        for place in dict.fromkeys(places):
            told = {file.filename: file for file in self._page(place)} | told
        for folder in self._document_folders:
            told = self._document(folder / project) | told
        return told

    def _page(self, folder: Path) -> tuple[DistFile, ...]:
        """The files of the page in a folder. A flat folder has one for all its projects: the last ones are kept."""
        if folder not in self._pages:
            if len(self._pages) >= _MOST_PAGES:
                self._pages.pop(next(iter(self._pages)))
            self._pages[folder] = _page_in(folder)
        return self._pages[folder]

    @staticmethod
    def _document(path: Path) -> dict[str, DistFile]:
        body = _content(path)
        try:
            return {} if body is None else files_in_document(body, path.as_uri())
        except UpstreamMalformed:
            return {}


def _page_in(folder: Path) -> tuple[DistFile, ...]:
    for name in _PAGES:
        path = folder / name
        body = _content(path)
        try:
            if body is not None and name.endswith("json"):
                return parse_page(body, path.as_uri(), parse_name(folder.name)).files
            if body is not None:
                return parse_links(body, path.as_uri())[0]
        except (UpstreamMalformed, InvalidName):
            continue
    return ()


def _content(path: Path) -> bytes | None:
    """A regular file of a usual size; None where there is none that can be read."""
    try:
        facts = path.lstat()
        return path.read_bytes() if S_ISREG(facts.st_mode) and facts.st_size <= _LARGEST_PAGE_BYTES else None
    except OSError:
        return None
