"""Real pip and real uv install from a mirror of everything, in both forms of its published tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.clients import ClientResult, Environment, pip_install, uv_install
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror
from tests.worlds import faults
from tests.worlds.world import World, project, release

WORLD = World.of(
    project("app", "1.0", release("2.0", requires=["lib>=1"])),
    project("lib", "0.9", "1.5"),
    project("unrelated", "1.0"),
)


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_a_mirror_of_everything_installs(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Callable[..., ClientResult]
) -> None:
    server = serve(WORLD)
    mirror = Mirror(tmp_path / "mirror").configure(
        server.url, targets={}, patterns={".*": "*"}, dependencies={"follow": False}
    )
    mirror.sync()
    server.world = WORLD.releasing("lib", release("2.0"))
    mirror.sync()
    server.misbehave("*", faults.no_answer())
    install(mirror.url, "app", environment).expect_ok()
    assert environment.installed() == {"app": "2.0", "lib": "2.0"}
