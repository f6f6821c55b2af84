"""Folders as other tools leave them, made from a world: exactly their paths, with the pages that they write."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from tests.worlds.world import BuiltFile, World

Layout = Callable[[World, Path], None]


def _write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _links(files: tuple[BuiltFile, ...], prefix: Callable[[BuiltFile], str]) -> str:
    anchors = "".join(f'    <a href="{prefix(file)}#sha256={file.sha256}">{file.filename}</a><br/>\n' for file in files)
    return f"<!DOCTYPE html>\n<html>\n  <body>\n{anchors}  </body>\n</html>\n"


def bandersnatch(world: World, folder: Path) -> None:
    """`web/packages/aa/bb/<60 hex>/<file>`, HTML and JSON pages, no documents of the JSON API."""
    web = folder / "web"
    for name in world.names:
        files = world.files_of(name)
        for file in files:
            _write(web / file.path, file.content)
        page = _links(files, lambda file: f"../../{file.path}")
        _write(web / "simple" / name / "index.html", page)
        _write(web / "simple" / name / "index.v1_html", page)
        entries = [
            {
                "filename": file.filename,
                "hashes": {"sha256": file.sha256},
                "url": f"../../{file.path}",
                "size": file.size,
                "upload-time": "",
                "yanked": False,
            }
            for file in files
        ]
        document = {"meta": {"api-version": "1.0"}, "name": name, "files": entries, "versions": []}
        _write(web / "simple" / name / "index.v1_json", json.dumps(document))
    _write(folder / "status", "2")
    _write(folder / "generation", "5")
    _write(web / "last-modified", "20261121T10:00:00\n")


def bandersnatch_json_only(world: World, folder: Path) -> None:
    """`json = true` and no Simple pages: `web/json/<name>`, with a symbolic link from `web/pypi/<name>/json`."""
    for name in world.names:
        releases: dict[str, list[object]] = {}
        for file in world.files_of(name):
            _write(folder / "web" / file.path, file.content)
            releases.setdefault(file.version, []).append(
                {
                    "filename": file.filename,
                    "url": f"https://files.example/{file.path}",
                    "digests": {"sha256": file.sha256, "md5": file.md5},
                    "size": file.size,
                }
            )
        _write(folder / "web/json" / name, json.dumps({"info": {"name": name}, "releases": releases}))
        link = folder / "web/pypi" / name / "json"
        link.parent.mkdir(parents=True)
        link.symlink_to(f"../../json/{name}")


def bandersnatch_hash_index(world: World, folder: Path) -> None:
    """`hash-index = true`: pages in `web/simple/<first letter>/<name>/`."""
    for name in world.names:
        files = world.files_of(name)
        for file in files:
            _write(folder / "web" / file.path, file.content)
        page = _links(files, lambda file: f"../../../{file.path}")
        _write(folder / "web/simple" / name[0] / name / "index.html", page)


def pypisync(world: World, folder: Path) -> None:
    """With `-s`: `simple/<name>/index.html` and `packages/aa/bb/<file>`."""
    for name in world.names:
        files = world.files_of(name)
        for file in files:
            _write(folder / _two_levels(file), file.content)
        _write(folder / "simple" / name / "index.html", _links(files, lambda file: f"../../{_two_levels(file)}"))


def _two_levels(file: BuiltFile) -> str:
    digest = hashlib.sha256(file.filename.encode()).hexdigest()
    return f"packages/{digest[:2]}/{digest[2:4]}/{file.filename}"


def simple_pypi_mirror(world: World, folder: Path) -> None:
    """`<name>/<file>` with `.metadata` beside wheels, and an `index.html` in each folder."""
    for name in world.names:
        files = world.files_of(name)
        for file in files:
            _write(folder / name / file.filename, file.content)
            if file.metadata is not None:
                _write(folder / name / f"{file.filename}.metadata", file.metadata)
        _write(folder / name / "index.html", _links(files, lambda file: file.filename))
    _write(folder / "index.html", "".join(f'<a href="{name}/">{name}</a>' for name in world.names))


def flat(world: World, folder: Path) -> None:
    """microrepo, minirepo: all files side by side; no page."""
    for file in world.files:
        _write(folder / file.filename, file.content)


def flat_with_page(world: World, folder: Path) -> None:
    """For pip's `--find-links`: one page for all of them."""
    flat(world, folder)
    _write(folder / "index.html", _links(tuple(world.files), lambda file: file.filename))


def pypiserver(world: World, folder: Path) -> None:
    """A folder with subfolders as people like them, and signatures."""
    for file in world.files:
        _write(folder / "third-party" / file.filename, file.content)
        _write(folder / "third-party" / f"{file.filename}.asc", "-----BEGIN PGP SIGNATURE-----\n")


def pypicache(world: World, folder: Path) -> None:
    """A prefix: `packages/source/<first letter>/<project>/<file>`, and the version of a Python for the others."""
    for file in world.files:
        kind = "source" if file.filename.endswith(".tar.gz") else "py3"
        _write(folder / "packages" / kind / file.project[0] / file.project / file.filename, file.content)


def pip_wheels(world: World, folder: Path) -> None:
    """pip's cache of wheels: four folders from a hash, with `origin.json`."""
    for file in world.files:
        if file.filename.endswith(".whl"):
            digest = hashlib.sha224(file.filename.encode()).hexdigest()
            place = folder / "wheels" / digest[:2] / digest[2:4] / digest[4:6] / digest[6:]
            _write(place / file.filename, file.content)
            _write(place / "origin.json", "{}")


ALL: dict[str, Layout] = {
    layout.__name__: layout
    for layout in (
        bandersnatch,
        bandersnatch_json_only,
        bandersnatch_hash_index,
        pypisync,
        simple_pypi_mirror,
        flat,
        flat_with_page,
        pypiserver,
        pypicache,
        pip_wheels,
    )
}
TELLING = (
    *(name for name in ALL if name.startswith("bandersnatch")),
    "pypisync",
    "simple_pypi_mirror",
    "flat_with_page",
)
"""Those whose pages tell hashes."""
