"""A world as a folder of files that `file://` and any web server can serve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.worlds import pages
from tests.worlds.pages import Dialect

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.pages import ListedFile
    from tests.worlds.world import World


def write_tree(world: World, folder: Path, dialect: Dialect | None = None, *, root: str | None = None) -> str:
    """Write `simple/` (index.html and index.v1_json) and `packages/`; return the `file://…/simple/` URL.

    Links are relative unless `root`, the address without a slash at the end, is given.
    """
    told = dialect or Dialect()

    def url_of(built: ListedFile) -> str:
        return f"{root or '../..'}/{built.path}"

    _write(folder / "simple" / "index.html", pages.list_html(world, told))
    _write(folder / "simple" / "index.v1_json", pages.list_json(world, told))
    for name in world.names:
        _write(folder / "simple" / name / "index.html", pages.page_html(world, name, told, url_of))
        _write(folder / "simple" / name / "index.v1_json", pages.page_json(world, name, told, url_of))
    for built in world.files:
        _write(folder / built.path, built.content)
        if built.metadata is not None:
            _write(folder / (built.path + ".metadata"), built.metadata)
    return f"{folder.resolve().as_uri()}/simple/"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
