"""Which wheel uv reads in place of an sdist, asked of uv itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pypim.core.candidates import Chooser
from pypim.core.foreign import ForeignWheels
from pypim.core.model import DistFile, Page
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.target import TargetSpec, environments, wheel_rank
from tests.clients.clients import pins, uv_compile
from tests.conftest import ServeWorld
from tests.worlds.world import World, project, release, sdist, wheel

WINDOWS, MAC, LINUX = "win_amd64", "macosx_11_0_arm64", "manylinux_2_17_x86_64"
CASES = [
    [f"cp312-cp312-{WINDOWS}", f"cp312-cp312-{MAC}"],
    [f"cp312-cp312-{MAC}", f"cp312-cp312-{LINUX}"],
    [f"cp311-cp311-{WINDOWS}", f"cp312-cp312-{WINDOWS}"],
    [f"cp311-cp311-{LINUX}", f"cp312-cp312-{WINDOWS}"],
    [f"cp311-cp311-{LINUX}", f"cp313-cp313-{LINUX}"],
    [f"cp39-cp39-{WINDOWS}", f"cp310-cp310-{WINDOWS}"],
    [f"cp311-abi3-{WINDOWS}", f"cp312-cp312-{WINDOWS}"],
    [f"py3-none-{WINDOWS}", f"cp312-cp312-{WINDOWS}"],
    [f"cp312-cp312t-{LINUX}", f"cp312-cp312-{WINDOWS}"],
    [f"cp312-cp312t-{LINUX}", f"cp312-cp311-{LINUX}"],
    [f"cp313-abi3-{LINUX}", f"cp311-cp311-{LINUX}"],
    [f"cp311-none-{LINUX}", f"cp313-abi3-{LINUX}"],
    ["py2-none-any", f"cp312-cp312-{WINDOWS}"],
    ["py2-none-any", f"cp311-cp311-{LINUX}"],
    [f"py2.py3-none-{WINDOWS}", f"cp313-cp313-{LINUX}"],
    [f"cp312-none-{WINDOWS}", f"cp311-cp311-{LINUX}"],
    ["cp312-cp312-win_amd64", "cp312-cp312-win32", "cp312-cp312-win_arm64"],
    [f"cp312-cp312-{WINDOWS}", "cp312-cp312-manylinux_2_99_x86_64"],
    [f"pp310-pypy310_pp73-{LINUX}", f"cp311-cp311-{LINUX}"],
]
MACHINES = [("3.12", "linux"), ("3.12", "windows"), ("3.11", "macos")]


@pytest.mark.parametrize(("python", "platform"), MACHINES)
def test_the_wheel_that_uv_reads_is_the_one_whose_requirements_count(
    serve: ServeWorld, python: str, platform: str
) -> None:
    """Each wheel requires a project of its own, by which uv tells what it has read; where a wheel fits, it counts."""
    made = [
        project(f"lib{n}", release("1.0", *(wheel(t, requires=[f"d{n}-{i}"]) for i, t in enumerate(tags)), sdist()))
        for n, tags in enumerate(CASES)
    ]
    needed = [project(f"d{n}-{i}", "1.0") for n, tags in enumerate(CASES) for i in range(len(tags))]
    asked = [f"lib{n}" for n in range(len(CASES))]
    answer = uv_compile(
        serve(World.of(*made, *needed)).url, asked, "--no-cache", python_version=python, python_platform=platform
    )
    theirs = {name for name in pins(answer) if name.startswith("d")}
    ours = {f"d{n}-{_read(f'lib{n}', tags, python, platform)}" for n, tags in enumerate(CASES)}
    assert theirs == ours


def _read(name: str, tags: list[str], python: str, platform: str) -> int:
    """The number of the wheel that is read: one that fits, or else the foreign one."""
    found = environments({"t": TargetSpec(python=(python,), platforms=(platform,))})
    chooser = Chooser(found, Policy.compile(Filters(), "filters"), datetime(2026, 11, 20, tzinfo=UTC))
    filenames = [f"{name}-1.0-{tag}.whl" for tag in tags]
    files = (
        DistFile(filename=parse_safe_filename(filename), url=f"https://files.example/{filename}")
        for filename in (*filenames, f"{name}-1.0.tar.gz")
    )
    (made,) = chooser.candidates(Page(name=parse_name(name), files=tuple(files))).releases
    installable = made.installable(1, with_yanked=False)
    foreign = ForeignWheels(found).read(made, installable, lambda _: True)
    fitting = [one for one, _ in installable if one.is_wheel]
    fitting.sort(key=lambda one: wheel_rank(found[0], one.parsed.tags or frozenset()) or 0)
    read = fitting or [one for one, _ in foreign]
    return filenames.index(read[0].file.filename)
