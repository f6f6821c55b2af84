"""Real pip and real uv build from what was published, each in a room of its own, with no other index in reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.clients import ClientResult, Environment, pip_install, uv_install
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror
from tests.worlds.world import World, project, release, sdist, wheel

Install = Callable[..., ClientResult]
WORLD = World.of(
    project("app", release("1.0", sdist(builds_with=["tool[fast]>=2", "other-tool"]), requires=["lib"])),
    project("lib", "1.0"),
    project("tool", "1.0", release("2.0", sdist(builds_with=["deep-tool"]), requires=["tool-lib", "q; extra=='fast'"])),
    project("other-tool", release("1.0", wheel(), sdist(builds_with=["never"]), requires=["tool-lib<2"])),
    project("tool-lib", "1.0", "2.0"),
    project("deep-tool", "1.0"),
    project("q", "1.0"),
    project("never", "1.0"),
)
INSTALLED = {"app": "1.0", "lib": "1.0"}


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_what_has_only_an_sdist_is_built_from_the_mirror_alone(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """PEP 518: what builds it is in the mirror, with what that requires and what builds that in turn."""
    mirror = Mirror(tmp_path / "mirror")
    mirror.configure(serve(WORLD).url, packages={"app": "latest"})
    mirror.sync()
    assert "never" not in mirror.published()
    install(mirror.url, "app", environment).expect_ok()
    assert environment.installed() == INSTALLED


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_without_what_builds_it_an_sdist_is_of_no_use(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """`build = false` saves room and takes the promise away; the same clients say so."""
    mirror = Mirror(tmp_path / "mirror")
    mirror.configure(serve(WORLD).url, packages={"app": "latest"}, dependencies={"build": False})
    mirror.sync()
    assert sorted(mirror.published()) == ["app", "lib"]
    refused = install(mirror.url, "app", environment)
    assert not refused.ok
    assert "tool" in refused.stdout + refused.stderr


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_a_mirror_of_sources_alone_installs(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """`--source-only` and `--no-binary :all:`: everything is built, what builds too, and what builds that."""
    world = World.of(
        project("app", release("1.0", wheel(), sdist(builds_with=["tool"]), requires=["lib"])),
        project("lib", release("1.0", wheel(), sdist(builds_with=["tool"]))),
        project("tool", release("1.0", wheel(), sdist(builds_with=["deep-tool"]), requires=["tool-lib"])),
        project("tool-lib", release("1.0", wheel(), sdist())),
        project("deep-tool", release("1.0", wheel(), sdist())),
    )
    mirror = Mirror(tmp_path / "mirror")
    mirror.configure(serve(world).url, packages={"app": "latest"})
    mirror.sync("--source-only")
    assert {name for files in mirror.published().values() for name in files} == {
        f"{name}-1.0.tar.gz" for name in ("app", "lib", "tool", "tool_lib", "deep_tool")
    }
    install(mirror.url, "app", environment, "--no-binary", ":all:").expect_ok()
    assert environment.installed() == INSTALLED


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_constraints_do_not_reach_what_builds(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """The clients build with a release that the constraints rule out; so it is held besides the one that they allow."""
    world = World.of(
        project("app", release("1.0", sdist(builds_with=["tool>=2"]), requires=["tool"])),
        project("tool", "1.0", "2.0"),
    )
    mirror = Mirror(tmp_path / "mirror")
    mirror.configure(serve(world).url, requirements=["requirements.txt"])
    (mirror.folder / "requirements.txt").write_text("app\n-c constraints.txt\n")
    (mirror.folder / "constraints.txt").write_text("tool<2\n")
    mirror.sync()
    install(mirror.url, [], environment, "-r", str(mirror.folder / "requirements.txt")).expect_ok()
    assert environment.installed() == {"app": "1.0", "tool": "1.0"}
