"""The table of which of two wheels of one release pip and uv take, asked of pip and uv themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.clients import pins, pip_download, uv_compile
from tests.clients.test_readings import letters
from tests.conftest import ServeWorld
from tests.core.wheels import PAIRS
from tests.worlds.world import FileSpec, World, project, release

if TYPE_CHECKING:
    from tests.core.wheels import Listed

PYTHON = "3.12"


def offered(listed: Listed, end: str, number: int) -> FileSpec:
    """A wheel that requires what only it does."""
    told = f"Metadata-Version: 2.1\nName: lib{end}\nVersion: {listed.version}\nRequires-Dist: need-{end}-{number}\n"
    return FileSpec(
        metadata=None if listed.version == "2.0" else told.encode(),
        filename=listed.filename.replace(listed.project, listed.project + end, 1),
        tags="-".join(listed.name.split("-")[-3:]),
        requires=(f"need-{end}-{number}",),
        requires_python=listed.python,
        yanked=listed.yanked,
    )


@pytest.mark.parametrize("order", [0, 1])
def test_which_of_two_wheels_is_taken(serve: ServeWorld, tmp_path: Path, order: int) -> None:
    """As a page lists them in one order, and in the other."""
    world = World()
    ends = {letters(n).lower(): pair for n, pair in enumerate(PAIRS)}
    for end, pair in ends.items():
        files = [offered(listed, end, n) for n, listed in enumerate(pair.wheels)]
        both = release("2.0", *(files[::-1] if order else files))
        world = world.having(project(f"lib{end}", "1.0", both), *(project(f"need-{end}-{n}", "1.0") for n in (0, 1)))
    url = serve(world).url
    roots = [f"lib{end}" for end in ends]
    uvs = set(pins(uv_compile(url, roots, python_version=PYTHON, python_platform="linux")))
    pip_download(url, roots, tmp_path / "taken", "--python-version", PYTHON, "--only-binary", ":all:").expect_ok()
    pips = {file.name.partition("-1.0")[0].replace("_", "-") for file in (tmp_path / "taken").iterdir()}
    for end, pair in ends.items():
        told = (pair.uv[order], pair.pip[order])
        found = (next((n for n in (0, 1) if f"need-{end}-{n}" in taken), None) for taken in (uvs, pips))
        assert tuple(found) == told, pair.about
