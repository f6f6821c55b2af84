"""Fixtures that every kind of test shares: generated worlds behind a real server, and bare environments."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.clients.clients import Environment
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.world import ProjectSpec, World

ServeWorld = Callable[..., WorldServer]

# Whoever runs the tests in the background of a shell has Ctrl-C ignored, and so would every program that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# That a machine is slow, or busy with other tests, is no fault of the program.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def serve() -> Iterator[ServeWorld]:
    """Serve worlds until the test ends: `serve(project("a", "1.0"), ranges=False)` or `serve(world, …)`."""
    with ExitStack() as stack:

        def start(*content: World | ProjectSpec, **options: object) -> WorldServer:
            worlds = [item for item in content if isinstance(item, World)]
            world = worlds[0] if worlds else World.of(*(item for item in content if isinstance(item, ProjectSpec)))
            return stack.enter_context(WorldServer(world, Options(**options)))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A bare virtual environment to install into; making one takes about 30 ms, so no two tests share it."""
    return Environment.create(tmp_path / "environment")
