"""What must hold of a mirror at every moment, whatever happened to the runs that made it.

Read with the standard library alone: this must not share a mistake with the code that wrote the mirror.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import zipfile
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGES = ("index.html", "index.v1_json")
_TEMPORARY = (".tmp", ".part", ".pypim")


@dataclass(frozen=True)
class Mirror:
    """Where the parts of a mirror are."""

    tree: Path
    """The folder of `simple/`, and of `packages/` as clients see it."""
    files: Path
    """The folder of the store's own `packages/`; that of the tree where they are one."""
    catalog: Path

    @classmethod
    def inline(cls, folder: Path) -> Mirror:
        """One made with `--to`."""
        return cls(folder, folder, folder / ".pypim" / "catalog.sqlite")


@dataclass(frozen=True)
class Listed:
    """A file as one form of a page lists it."""

    filename: str
    url: str
    sha256: str
    size: int
    metadata_sha256: str | None
    yanked: str | bool


@dataclass
class Findings:
    """What was found wrong, one sentence each; digests are computed once per file."""

    sentences: list[str] = field(default_factory=list)
    _digests: dict[Path, tuple[str, int]] = field(default_factory=dict)

    def add(self, sentence: str) -> None:
        """Note it."""
        self.sentences.append(sentence)

    def digest(self, path: Path) -> tuple[str, int] | None:
        """(sha256, size) of a file; None where none is there."""
        if path not in self._digests:
            try:
                content = path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None
            self._digests[path] = hashlib.sha256(content).hexdigest(), len(content)
        return self._digests[path]


def violations(mirror: Mirror, *, is_finished: bool = False) -> list[str]:
    """Everything that is wrong with a mirror.

    After a run that ended well (`is_finished`) both forms of every page say the same. A run that was killed between
    the two renames leaves one page new in one form and old in the other, each of them right.
    """
    found = Findings()
    _check_pages(mirror, found, is_finished=is_finished)
    _check_temporaries(mirror, found)
    _check_catalog(mirror, found)
    return found.sentences


def held(mirror: Mirror) -> dict[str, str]:
    """Identity → sha256 of every holding row."""
    return {identity: sha256 for identity, _, sha256, _, _, _ in _holdings(mirror)}


def content_of(mirror: Mirror) -> dict[str, str]:
    """Path → sha256 of everything in `simple/` and `packages/`, of the tree and of the store."""
    folders = {mirror.tree: "", mirror.files: "" if mirror.files == mirror.tree else "store/"}
    return {
        prefix + path.relative_to(top).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for top, prefix in folders.items()
        for part in ("simple", "packages")
        for path in sorted((top / part).rglob("*"))
        if path.is_file()
    }


# --- pages ----------------------------------------------------------------------------------------------------------
def _check_pages(mirror: Mirror, found: Findings, *, is_finished: bool) -> None:
    simple = mirror.tree / "simple"
    for name in sorted({*_names_in_html(simple), *_names_in_json(simple)}):
        for form in _PAGES:
            if not (simple / name / form).is_file():
                found.add(f"the list names {name}, which has no {form}")
    for folder in sorted(path for path in simple.glob("*") if path.is_dir()):
        html, json_ = folder / _PAGES[0], folder / _PAGES[1]
        forms = [list(_files_in_html(html)), list(_files_in_json(json_))]
        for page, files in zip((html, json_), forms, strict=True):
            for listed in files:
                _check_file(page, listed, found)
        if is_finished and forms[0] != forms[1]:
            found.add(f"the forms of {folder.name} differ: {forms[0]} and {forms[1]}")


def _check_file(page: Path, listed: Listed, found: Findings) -> None:
    where = f"{page.parent.name}/{page.name}: {listed.filename}"
    path = page.parent / unquote(listed.url)
    actual = found.digest(path)
    if actual is None:
        found.add(f"{where} is not there")
        return
    if actual != (listed.sha256, listed.size):
        found.add(f"{where} is {actual}, listed as {(listed.sha256, listed.size)}")
    if path.name != listed.filename:
        found.add(f"{where} has the address {listed.url}")
    if listed.metadata_sha256 is not None:
        beside = path.with_name(path.name + ".metadata")
        digest = found.digest(beside)
        if digest is None or digest[0] != listed.metadata_sha256:
            found.add(f"{where}: its .metadata is {digest}, listed as {listed.metadata_sha256}")
        elif beside.read_bytes() != metadata_in(path):
            found.add(f"{where}: its .metadata is not the wheel's METADATA")


def metadata_in(wheel: Path) -> bytes:
    """The METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return archive.read(name)


def _names_in_json(simple: Path) -> list[str]:
    path = simple / _PAGES[1]
    return [item["name"] for item in json.loads(path.read_bytes())["projects"]] if path.is_file() else []


def _names_in_html(simple: Path) -> list[str]:
    path = simple / _PAGES[0]
    return [attributes["href"].strip("/") for attributes, _ in _anchors(path)] if path.is_file() else []


def _files_in_json(path: Path) -> Iterator[Listed]:
    if not path.is_file():
        return
    for item in json.loads(path.read_bytes())["files"]:
        claim = item.get("core-metadata")
        yanked = item.get("yanked", False)
        yield Listed(
            filename=item["filename"],
            url=item["url"],
            sha256=item["hashes"]["sha256"],
            size=item["size"],
            metadata_sha256=claim["sha256"] if claim else None,
            yanked=yanked,
        )


def _files_in_html(path: Path) -> Iterator[Listed]:
    if not path.is_file():
        return
    for attributes, text in _anchors(path):
        url, fragment = urldefrag(attributes["href"])
        claim = attributes.get("data-core-metadata")
        yanked: str | bool = attributes.get("data-yanked", False)
        yield Listed(
            filename=text,
            url=url,
            sha256=fragment.removeprefix("sha256="),
            size=int(attributes["data-size"]),
            metadata_sha256=claim.removeprefix("sha256=") if claim else None,
            yanked=True if yanked == "" else yanked,
        )


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str], str]] = []
        self._is_open = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._is_open = True
            self.found.append(({name: value or "" for name, value in attrs}, ""))

    def handle_data(self, data: str) -> None:
        if self._is_open:
            attributes, text = self.found[-1]
            self.found[-1] = attributes, text + data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._is_open = False


def _anchors(path: Path) -> list[tuple[dict[str, str], str]]:
    parser = _Anchors()
    parser.feed(path.read_text())
    parser.close()
    return parser.found


# --- files ----------------------------------------------------------------------------------------------------------
def _check_temporaries(mirror: Mirror, found: Findings) -> None:
    for top in {mirror.tree, mirror.files}:
        for part in ("simple", "packages"):
            for path in (top / part).rglob("*"):
                if path.name.startswith(".") or path.name.endswith(_TEMPORARY):
                    found.add(f"{path.relative_to(top)} is visible to clients")


# --- catalog --------------------------------------------------------------------------------------------------------
Row = tuple[str, str, str, str, int, str | None]


def _check_catalog(mirror: Mirror, found: Findings) -> None:
    for (sentence,) in _query(mirror, "PRAGMA integrity_check"):
        if sentence != "ok":
            found.add(f"the catalog is damaged: {sentence}")
    for (
        table,
        *_,
    ) in _query(mirror, "PRAGMA foreign_key_check"):
        found.add(f"the catalog has a row of {table} that refers to nothing")
    for identity, filename, sha256, blake2b_256, size, metadata_sha256 in _holdings(mirror):
        folders = Path("packages", blake2b_256[:2], blake2b_256[2:4], blake2b_256[4:])
        path = mirror.files / folders / filename
        if found.digest(path) != (sha256, size):
            found.add(f"{identity} is recorded as held, and its file is {found.digest(path)}")
        if metadata_sha256 is not None:
            digest = found.digest(path.with_name(filename + ".metadata"))
            if digest is None or digest[0] != metadata_sha256:
                found.add(f"{identity} is recorded as held, and its .metadata is {digest}")


def _holdings(mirror: Mirror) -> list[Row]:
    return _query(mirror, "SELECT identity, filename, sha256, blake2b_256, size, metadata_sha256 FROM holdings")


def end_waiting(mirror: Mirror) -> None:
    """Let the next run try all that waits on the to-do, as if a day had passed; else nothing is touched."""
    if _query(mirror, "SELECT project FROM todo"):
        with closing(sqlite3.connect(mirror.catalog)) as catalog, catalog:
            catalog.execute("UPDATE todo SET next_at = 0")


def _query(mirror: Mirror, statement: str) -> list[tuple]:  # type: ignore[type-arg] # rows of any shape
    """Ask a copy, so that the next run finds the log as the killed one left it."""
    if not mirror.catalog.is_file():
        return []
    with tempfile.TemporaryDirectory() as folder:
        for path in (mirror.catalog, mirror.catalog.with_name(mirror.catalog.name + "-wal")):
            if path.is_file():
                shutil.copy(path, folder)
        with closing(sqlite3.connect(Path(folder, mirror.catalog.name))) as connection:
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            is_made = tables > 0 or statement.startswith("PRAGMA")
            return connection.execute(statement).fetchall() if is_made else []
