"""The sandbox as a fixture: `sandbox(world, ranges=False)`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.runs import Driver
from tests.hostile.sandbox import Sandbox
from tests.worlds.site import Options
from tests.worlds.world import ProjectSpec, World

MakeSandbox = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One process that has pypim imported; every run is a fork of it, and has a home of its own."""
    if sys.platform == "win32":
        pytest.skip("the driver forks")
    with Driver(tmp_path_factory.mktemp("driver")) as process:
        yield process


@pytest.fixture
def sandbox(tmp_path: Path, driver: Driver) -> Iterator[MakeSandbox]:
    """One sandbox for a world, or for one made of these projects; keywords are the server's options."""
    with ExitStack() as stack:

        def make(*content: World | ProjectSpec, **options: object) -> Sandbox:
            worlds = [item for item in content if isinstance(item, World)]
            world = worlds[0] if worlds else World.of(*(item for item in content if isinstance(item, ProjectSpec)))
            return stack.enter_context(Sandbox(tmp_path, driver, world, Options(**options)))  # type: ignore[arg-type]

        yield make
