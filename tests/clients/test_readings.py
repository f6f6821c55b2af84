"""The table of what pip and uv make of old and odd files, asked of pip and uv themselves.

Every row is a project of its own, with a release 1.0 that everybody takes and a newer one that the row is about: an
installer that does not take that one takes the older one.
"""

from __future__ import annotations

import bz2
import gzip
import html
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import pytest

from pypim.core.filenames import parse_filename
from pypim.core.names import parse_name
from tests.clients.clients import pins, pip_download, uv_compile
from tests.core.readings import READINGS

WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BACKEND = """\
import os
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.makedirs(os.path.join(folder, "STEM.dist-info"))
    with open(os.path.join(folder, "STEM.dist-info", "METADATA"), "w") as written:
        written.write(open("PKG-INFO").read().replace("Metadata-Version: 2.2", "Metadata-Version: 2.1"))
    return "STEM.dist-info"
def build_wheel(*_):
    raise SystemExit("nothing is built here")
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    **dict.fromkeys(("bz2", "tbz", "tbz2"), bz2.compress),
    **dict.fromkeys(("xz", "txz"), lzma.compress),
    **dict.fromkeys(("lz", "lzma", "tlz"), lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    "tar": bytes,
}
_LETTERS = ["".join(pair) for pair in product(ascii_lowercase, repeat=2)]


def letters(number: int) -> str:
    """A part of a name that ends in a letter, whatever its number."""
    return _LETTERS[number]


class Index:
    """A folder with pages and files, as `file:` serves it to both installers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.url = (folder / "simple").as_uri() + "/"
        self.entries: dict[str, list[str]] = {}

    def add(self, project: str, filename: str, content: bytes, requires_python: str | None = None) -> None:
        (self.files / filename).write_bytes(content)
        bound = "" if requires_python is None else f' data-requires-python="{html.escape(requires_python)}"'
        link = filename.replace("+", "%2B")
        self.entries.setdefault(project, []).append(f'<a href="../../files/{link}"{bound}>{filename}</a>')

    def add_wheel(self, project: str, version: str, metadata: str = "", *, requires_python: str | None = None) -> None:
        name = project.replace("-", "_")
        body = metadata or f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        self.add(project, f"{name}-{version}-py3-none-any.whl", wheel(name, version, body), requires_python)

    def write(self) -> None:
        for project, entries in self.entries.items():
            (self.folder / "simple" / project).mkdir(parents=True)
            page = f"<!DOCTYPE html><html><body>{''.join(entries)}</body></html>"
            (self.folder / "simple" / project / "index.html").write_text(page)

    def uv(self, projects: list[str], python: str) -> dict[str, str]:
        """What uv takes of each."""
        return pins(uv_compile(self.url, projects, python_version=python, python_platform="linux"))

    def pip(self, projects: list[str], folder: Path, *options: str) -> dict[str, str]:
        """What pip takes of each."""
        pip_download(self.url, projects, folder, "--no-build-isolation", *options).expect_ok()
        taken = {file.name for file in folder.iterdir()}
        return {
            project: next(name for name in self._names(project) if name in taken).lower().replace("-", "_")
            for project in projects
        }

    def _names(self, project: str) -> list[str]:
        return [entry.partition(">")[2].removesuffix("</a>") for entry in self.entries[project]]


def wheel(name: str, version: str, metadata: str) -> bytes:
    """The bytes of a wheel that contains nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, text in (("METADATA", metadata), ("WHEEL", WHEEL), ("RECORD", "")):
            archive.writestr(f"{name}-{version}.dist-info/{member}", text)
    return buffer.getvalue()


def sdist(filename: str, name: str, version: str) -> bytes:
    """The bytes of an sdist in the format that its name promises."""
    stem = f"{name.replace('-', '_')}-{version}"
    pkg_info = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    members = {"PKG-INFO": pkg_info, "pyproject.toml": PYPROJECT, "backend.py": BACKEND.replace("STEM", stem)}
    extension = filename.rpartition(".")[2].lower()
    buffer = io.BytesIO()
    if extension == "zip":
        with zipfile.ZipFile(buffer, "w") as archive:
            for member, text in members.items():
                archive.writestr(f"{stem}/{member}", text)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, text in members.items():
            header = tarfile.TarInfo(f"{stem}/{member}")
            header.size = len(text.encode())
            tar.addfile(header, io.BytesIO(text.encode()))
    return COMPRESSED.get(extension, gzip.compress)(buffer.getvalue())


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index")


@pytest.mark.parametrize("number", range(len(READINGS.pythons)))
@pytest.mark.parametrize("place", ["page", "metadata"])
def test_requires_python(index: Index, tmp_path: Path, number: int, place: str) -> None:
    """On the page and in the metadata alike."""
    for i, bound in enumerate(READINGS.requires_python):
        project = f"lib-{letters(i)}"
        index.add_wheel(project, "1.0")
        told = f"Metadata-Version: 2.1\nName: {project}\nVersion: 2.0\nRequires-Python: {bound.text}\n"
        if place == "page":
            index.add_wheel(project, "2.0", requires_python=bound.text)
        else:
            index.add_wheel(project, "2.0", told)
    index.write()
    python, projects = READINGS.pythons[number], sorted(index.entries)
    theirs = index.uv(projects, python)
    options = ("--python-version", python, "--only-binary", ":all:", "--no-deps")
    pips = index.pip(projects, tmp_path / "taken", *options)
    for i, bound in enumerate(READINGS.requires_python):
        project = f"lib-{letters(i)}"
        assert (theirs[project] == "2.0") is (bound.uv[number] == "y"), bound
        assert ("_2.0_" in pips[project]) is (bound.pip[number] == "y"), bound


@pytest.mark.parametrize("ending", ["x", "1"])
def test_requirements(index: Index, tmp_path: Path, ending: str) -> None:
    """Each on a project of its own, whose name ends in a letter or in a digit."""
    for i, required in enumerate(READINGS.requirements):
        project, needed = f"lib-{letters(i)}", f"dep{letters(i)}{ending}"
        index.add_wheel(project, "1.0")
        text = required.text.replace("NAME", needed)
        index.add_wheel(
            project, "2.0", f"Metadata-Version: 2.1\nName: {project}\nVersion: 2.0\nRequires-Dist: {text}\n"
        )
        for version in ("0.2", "0.5", "1.0", "1.0+local", "10.0"):
            index.add_wheel(needed, version)
    index.write()
    projects = [project for project in sorted(index.entries) if project.startswith("lib-")]
    theirs = index.uv(projects, "3.12")
    pips = index.pip(projects, tmp_path / "taken")
    for i, required in enumerate(READINGS.requirements):
        project = f"lib-{letters(i)}"
        assert (theirs[project] == "2.0") is (required.uv_digit if ending == "1" else required.uv), required
        assert ("_2.0_" in pips[project]) is required.pip, required


def test_markers(index: Index, tmp_path: Path) -> None:
    """pip reads them for the Python that runs it, so only what any Python makes the same of is asked of it."""
    for i, marked in enumerate(READINGS.markers):
        project, needed = f"lib-{letters(i)}", f"dep{letters(i)}"
        told = f"Metadata-Version: 2.1\nName: {project}\nVersion: 2.0\nProvides-Extra: x\n"
        index.add_wheel(project, "2.0", f"{told}Requires-Dist: {needed}; {marked.text}\n")
        index.add_wheel(needed, "1.0")
    index.write()
    theirs = index.uv([f"lib-{letters(i)}[x]" for i in range(len(READINGS.markers))], "3.12.0")
    asked = [f"lib-{letters(i)}[x]" for i, marked in enumerate(READINGS.markers) if marked.pip is not None]
    pip_download(index.url, asked, tmp_path / "taken").expect_ok()
    pips = {file.name.partition("-")[0] for file in (tmp_path / "taken").iterdir()}
    for i, marked in enumerate(READINGS.markers):
        assert (f"dep{letters(i)}" in theirs) is marked.uv, marked
        assert marked.pip is None or (f"dep{letters(i)}" in pips) is marked.pip, marked


def test_names(index: Index, tmp_path: Path) -> None:
    """A file that is taken has another version than 1.0."""
    for i, named in enumerate(READINGS.names):
        project = f"lib-{letters(i)}"
        index.add_wheel(project, "1.0")
        filename = named.name.replace("X", letters(i).upper() if "LIB" in named.name else letters(i))
        version = str(parse_filename(filename, parse_name(project)).version or "2.0")
        is_wheel = filename.lower().endswith(".whl")
        name = project.replace("-", "_")
        metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        content = wheel(name, version, metadata) if is_wheel else sdist(filename, project, version)
        index.add(project, filename, content)
    index.write()
    projects = sorted(index.entries)
    theirs = index.uv(projects, "3.11")
    pips = index.pip(projects, tmp_path / "taken", "--no-deps")
    for i, named in enumerate(READINGS.names):
        project = f"lib-{letters(i)}"
        assert (theirs[project] != "1.0") is named.uv, named
        assert (not pips[project].endswith("_1.0_py3_none_any.whl")) is named.pip, named


def test_metadata(index: Index, tmp_path: Path) -> None:
    """Those for which pip gives up are not asked of it; in its place nothing else would be taken."""
    for i, case in enumerate(READINGS.metadata):
        project = f"lib-{letters(i)}"
        index.add_wheel(project, "1.0")
        index.add_wheel(project, "2.0", case.body.replace("NAME", project))
    index.add_wheel("dep", "1.0")
    index.write()
    projects = {f"lib-{letters(i)}": case for i, case in enumerate(READINGS.metadata)}
    theirs = index.uv(list(projects), "3.12")
    pips = index.pip([name for name, case in projects.items() if case.pip is not None], tmp_path / "taken")
    for project, case in projects.items():
        assert (theirs[project] == "2.0") is case.uv, case
        assert case.pip is None or ("_2.0_" in pips[project]) is case.pip, case
