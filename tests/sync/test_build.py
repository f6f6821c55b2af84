"""Build requirements: held where a target must build, named by `why` and by plans, and a problem where they lack."""

from __future__ import annotations

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, releases_in
from tests.worlds.world import World, legacy, project, release, sdist, wheel

WORLD = World.of(
    project(
        "app",
        release("1.0", wheel("cp312-cp312-manylinux_2_17_x86_64", requires=[]), sdist(builds_with=["tool>=1"])),
    ),
    project("tool", release("1.0", requires=["tool-lib"])),
    project("tool-lib", "1.0"),
    project("old", release("1.0", sdist(pyproject="", metadata_version="1.1"), legacy("egg"))),
    project("setuptools", "80.0"),
    project("wheel", "0.45"),
)
LINUX_AND_MACOS = {"both": {"python": ["3.12"], "platforms": ["linux", "macos"]}}


def test_what_builds_is_held_only_for_targets_that_must_build(serve: ServeWorld, mirror: Mirror) -> None:
    url = serve(WORLD).url
    mirror.configure(url, packages={"app": "latest"})
    assert releases_in(mirror.plan()) == ["app 1.0"]
    mirror.configure(url, packages={"app": "latest"}, targets=LINUX_AND_MACOS)
    assert releases_in(mirror.plan()) == ["app 1.0", "tool 1.0", "tool-lib 1.0"]
    assert releases_in(mirror.plan("--binary-only")) == ["app 1.0"]
    assert releases_in(mirror.plan("--no-deps")) == ["app 1.0"]
    assert releases_in(mirror.plan("--max-depth", "1")) == ["app 1.0", "tool 1.0"]
    mirror.configure(url, packages={"app": "latest"}, targets=LINUX_AND_MACOS, dependencies={"build": False})
    assert releases_in(mirror.plan()) == ["app 1.0"]


def test_setuptools_and_wheel_build_what_does_not_say(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 518: without a pyproject.toml; nothing is run to find out."""
    mirror.configure(serve(WORLD).url, packages={"old": "latest"})
    mirror.sync()
    assert sorted(mirror.published()) == ["old", "setuptools", "wheel"]
    assert mirror.sync()["outcome"] == "unchanged"


def test_why_and_plans_say_that_it_is_for_a_build(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"app": "latest"}, targets=LINUX_AND_MACOS)
    assert "+ tool 1.0" in (text := mirror.run("plan").expect().stdout)
    assert "← app 1.0: tool>=1 (to build it)" in text
    assert "← tool 1.0: tool-lib\n" in text
    mirror.sync()
    (kept,) = mirror.run("why", "tool-lib", "--json").expect().document["kept"]
    (chain,) = kept["release"]["chains"]
    assert [link["is_build"] for link in chain["links"]] == [False, True, False]
    assert chain["environments"] == ["both cpython 3.12 macos"]
    text = mirror.run("why", "tool-lib").expect().stdout
    assert "packages.app: latest → app 1.0: tool>=1 (to build it) → tool 1.0: tool-lib" in text


@pytest.mark.parametrize(
    ("targets", "dependencies", "part"),
    [
        (None, {}, "and no target has to build it"),
        (LINUX_AND_MACOS, {"build": False}, "dependencies.build is false"),
        (LINUX_AND_MACOS, {"follow": False}, "dependencies.follow is false"),
    ],
)
def test_why_not_says_what_keeps_a_build_requirement_out(
    serve: ServeWorld,
    mirror: Mirror,
    targets: dict[str, object] | None,
    dependencies: dict[str, object],
    part: str,
) -> None:
    """Of the sdists that are held for another reason, or that a target has to build."""
    filters = {"formats": ["wheel", "sdist"]}
    mirror.configure(
        serve(WORLD).url, packages={"app": "latest"}, targets=targets, dependencies=dependencies, filters=filters
    )
    mirror.sync()
    (answer,) = mirror.run("why-not", "tool", "--json").expect().document["indexes"]
    assert part in answer["verdict"]


def test_why_not_of_a_build_requirement_below_the_last_step(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(
        project("root", "1.0", requires=["app"]),
        project("app", release("1.0", sdist(builds_with=["tool; sys_platform == 'win32'", "other"]))),
        project("tool", "1.0"),
        project("other", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"root": "latest"}, dependencies={"max_depth": 1})
    mirror.sync()
    (answer,) = mirror.run("why-not", "other", "--json").expect().document["indexes"]
    assert "app-1.0.tar.gz requires 'other' to be built, which is deeper than" in answer["verdict"]
    (answer,) = mirror.run("why-not", "tool", "--json").expect().document["indexes"]
    assert "to be built, and that holds in no target" in answer["verdict"]


def test_what_cannot_be_built_is_named_with_its_chain(serve: ServeWorld, mirror: Mirror) -> None:
    """It stops nothing: whoever installs may have from elsewhere what builds it, or a wheel of their own."""
    world = World.of(project("root", "1.0", requires=["app"]), project("app", release("1.0", sdist(builds_with=["x"]))))
    mirror.configure(serve(world).url, packages={"root": "latest"})
    report = mirror.sync()
    (problem,) = report["problems"]
    assert problem["chain"] == ["packages.root", "root 1.0", "app 1.0, to be built"]
    assert (problem["project"], problem["is_certain"]) == ("x", False)
    assert sorted(mirror.published()) == ["app", "root"]


def test_constraints_do_not_reach_what_builds(serve: ServeWorld, mirror: Mirror) -> None:
    """As with pip and uv, which have build constraints for that."""
    world = World.of(
        project("app", release("1.0", sdist(builds_with=["tool"]), requires=["tool"])), project("tool", "1.0", "2.0")
    )
    mirror.configure(serve(world).url, requirements=["requirements.txt"])
    (mirror.folder / "requirements.txt").write_text("app\n-c constraints.txt\n")
    (mirror.folder / "constraints.txt").write_text("tool<2\n")
    assert releases_in(mirror.plan()) == ["app 1.0", "tool 1.0", "tool 2.0"]
