"""Dependencies: markers, extras, depth, cycles, wheels that differ, sdists; what a root needs is there, and no more."""

from __future__ import annotations

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, added, releases_in, wheels
from tests.worlds.world import World, legacy, project, release, sdist, wheel

CHAIN = World.of(
    project("a", "1.0", requires=["b"]),
    project("b", "1.0", requires=["c"]),
    project("c", "1.0", requires=["d"]),
    project("d", "1.0", requires=["a"]),
)


@pytest.mark.parametrize(
    ("dependencies", "names"),
    [
        ({}, "abcd"),
        ({"max_depth": 0}, "abcd"),
        ({"max_depth": 1}, "ab"),
        ({"max_depth": 2}, "abc"),
        ({"follow": False}, "a"),
    ],
)
def test_dependencies_are_followed_as_far_as_is_said(
    serve: ServeWorld, mirror: Mirror, dependencies: dict[str, object], names: str
) -> None:
    """`max-depth = 0`: no limit; a ring of requirements ends."""
    server = serve(CHAIN)
    mirror.configure(server.url, packages={"a": "latest"}, dependencies=dependencies)
    assert releases_in(mirror.plan()) == [f"{name} 1.0" for name in names]
    if not dependencies.get("follow", True):
        assert not server.asked("*.metadata"), "without follow, nobody needs the metadata"


def test_markers_are_evaluated_in_every_target(serve: ServeWorld, mirror: Mirror) -> None:
    """A requirement that holds in no target is not followed; one that is open is, unless it is false for certain."""
    world = World.of(
        project(
            "app",
            "1.0",
            requires=[
                "win; sys_platform == 'win32'",
                "old; python_version < '3.12'",
                "patch; python_full_version < '3.12.4'",
                "mac; platform_system == 'Darwin' and platform_machine == 'arm64'",
                "pypy; implementation_name == 'pypy'",
                "always",
            ],
        ),
        *(project(name, "1.0") for name in ("win", "old", "patch", "mac", "pypy", "always")),
    )
    url = serve(world).url
    mirror.configure(url, packages={"app": "latest"})
    assert releases_in(mirror.plan()) == ["always 1.0", "app 1.0", "patch 1.0"]
    targets = {
        "mac": {"python": ["3.13"], "platforms": ["macos"]},
        "win": {"python": ["3.10"], "platforms": ["win_amd64"]},
    }
    mirror.configure(url, packages={"app": "latest"}, targets=targets)
    assert releases_in(mirror.plan()) == [
        "always 1.0", "app 1.0", "mac 1.0", "old 1.0", "patch 1.0", "win 1.0",
    ]  # fmt: skip
    mirror.configure(url, packages={"app": "latest"}, targets={})
    assert len(releases_in(mirror.plan())) == 7, "no targets at all means every environment"
    by_hand = {"old": {"markers": {"sys_platform": ["linux"], "python_version": ["2.7", "3.5"]}}}
    mirror.configure(url, packages={"app": "latest"}, targets=by_hand)
    # platform_system and implementation_name are left open, and what they decide is followed.
    assert releases_in(mirror.plan()) == [
        "always 1.0", "app 1.0", "mac 1.0", "old 1.0", "patch 1.0", "pypy 1.0",
    ]  # fmt: skip


EXTRAS = World.of(
    project(
        "app", "1.0", requires=["core", "fast; extra == 'speed'", "app[speed]; extra == 'all'", "t; extra=='Te.st'"]
    ),
    *(project(name, "1.0") for name in ("core", "fast", "t")),
    project("user", "1.0", requires=["app[te-st]"]),
)


@pytest.mark.parametrize(
    ("packages", "extras", "expected"),
    [
        ({"app": "latest"}, "requested", "app core"),
        ({"app[Speed]": "latest"}, "requested", "app core fast"),
        ({"app[all]": "latest"}, "requested", "app core fast"),
        ({"app": "latest"}, "all", "app core fast t"),
        ({"app": "latest"}, ["speed"], "app core fast"),
        ({"user": "latest"}, "requested", "app core t user"),
        ({"user": "latest"}, "all", "app core t user"),
    ],
)
def test_extras_are_followed_as_requested(
    serve: ServeWorld, mirror: Mirror, packages: dict[str, str], extras: object, expected: str
) -> None:
    """Of a requirement those that it names; of a root also those of `dependencies.extras`; "all" speaks of roots."""
    mirror.configure(serve(EXTRAS).url, packages=packages, dependencies={"extras": extras})
    assert releases_in(mirror.plan()) == [f"{name} 1.0" for name in expected.split()]


def test_versions_all_keeps_every_release_that_matches(serve: ServeWorld, mirror: Mirror) -> None:
    """`versions = "all"`: of each requirement every matching release; "newest": the newest."""
    world = World.of(
        project("app", "1.0", requires=["lib>=2,<5"]),
        project("lib", "1.0", "2.0", "3.0", release("4.0", requires=["deep"]), "5.0"),
        project("deep", "1.0", "2.0"),
    )
    url = serve(world).url
    mirror.configure(url, packages={"app": "latest"}, dependencies={"versions": "all"})
    assert added(mirror.plan()) == wheels("app 1.0", "deep 1.0", "deep 2.0", "lib 2.0", "lib 3.0", "lib 4.0")
    mirror.configure(url, packages={"app": "latest"}, dependencies={"versions": "all"}, filters={"keep_latest": 1})
    assert added(mirror.plan()) == wheels("app 1.0", "deep 2.0", "lib 4.0")
    mirror.configure(url, packages={"app": "latest"})
    assert added(mirror.plan()) == wheels("app 1.0", "deep 2.0", "lib 4.0")


def test_the_requirements_of_all_wheels_of_a_release_count(serve: ServeWorld, mirror: Mirror) -> None:
    """Wheels of one release may differ in what they require: the metadata of every usable wheel is read."""
    world = World.of(
        project(
            "app",
            release(
                "1.0",
                wheel("cp312-cp312-manylinux_2_17_x86_64", requires=["for-linux"]),
                wheel("cp312-cp312-win_amd64", requires=["for-windows"]),
                wheel("cp312-cp312-macosx_11_0_arm64", requires=["for-mac"]),
            ),
        ),
        *(project(name, "1.0") for name in ("for-linux", "for-windows", "for-mac")),
    )
    targets = {"both": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(serve(world).url, packages={"app": "latest"}, targets=targets)
    assert releases_in(mirror.plan()) == ["app 1.0", "for-linux 1.0", "for-windows 1.0"]


def test_an_sdist_is_kept_only_where_a_target_has_no_wheel(serve: ServeWorld, mirror: Mirror) -> None:
    """A file is kept if any target can use it; an sdist also when a target has no wheel; its metadata counts then."""
    world = World.of(
        project(
            "app",
            release("1.0", wheel("cp312-cp312-manylinux_2_17_x86_64", requires=[]), sdist(requires=["builds-on"])),
        ),
        project("builds-on", "1.0"),
        project("source", release("1.0", sdist(requires=["builds-on"]), legacy("egg"))),
    )
    url = serve(world).url
    mirror.configure(url, packages={"app": "latest"})
    assert added(mirror.plan()) == ["app-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]
    two = {"both": {"python": ["3.12"], "platforms": ["linux", "macos"]}}
    mirror.configure(url, packages={"app": "latest"}, targets=two)
    assert added(mirror.plan()) == [
        "app-1.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "app-1.0.tar.gz",
        "builds_on-1.0-py3-none-any.whl",
    ]
    mirror.configure(url, packages={"source": "latest"})
    mirror.sync()
    assert mirror.published() == {"builds-on": ["builds_on-1.0-py3-none-any.whl"], "source": ["source-1.0.tar.gz"]}


def test_an_sdist_whose_metadata_is_dynamic_is_named_as_a_lower_bound(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 643: what an old sdist says of its requirements may be less than what building it would say."""
    world = World.of(
        project("app", release("1.0", sdist(metadata_version="2.1", requires_txt="lib"))), project("lib", "1.0")
    )
    mirror.configure(serve(world).url, packages={"app": "latest"})
    report = mirror.plan()
    assert releases_in(report) == ["app 1.0", "lib 1.0"]
    assert any("app-1.0.tar.gz" in warning and "may require more" in warning for warning in report["warnings"])


def test_a_dependency_that_cannot_be_had_is_named_with_its_chain(serve: ServeWorld, mirror: Mirror) -> None:
    """A project that cannot be had is named in the report, never skipped in silence."""
    world = World.of(
        project("app", "1.0", requires=["middle"]),
        project("middle", "1.0", requires=["nowhere>=1", "lib>9", "maybe; platform_release == '1'"]),
        project("lib", "1.0"),
    )
    mirror.configure(serve(world).url, packages={"app": "latest"})
    error = mirror.refuses(status=9)
    assert "nowhere" in error["message"]
    assert "app 1.0 > middle 1.0" in error["message"]
    assert "lib>9" in error["message"]
    report = mirror.sync("--keep-going", status=1)
    certain = {problem["project"]: problem["is_certain"] for problem in report["problems"]}
    assert certain == {"nowhere": True, "lib": True, "maybe": False}
    assert mirror.published() == {"app": wheels("app 1.0"), "middle": wheels("middle 1.0")}


def test_a_missing_dependency_alone_is_not_found(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 3 where all that is wrong is that the upstream has no such project."""
    mirror.configure(serve(project("app", "1.0", requires=["nowhere"])).url, packages={"app": "latest"})
    error = mirror.refuses(status=3)
    assert "nowhere" in error["message"]
    assert not mirror.tree.exists()


def test_several_roots_share_what_they_need(serve: ServeWorld, mirror: Mirror) -> None:
    """Several versions and several roots in one run share everything: nothing is asked for or fetched twice."""
    world = World.of(
        project("one", "1.0", "2.0", requires=["lib"]),
        project("two", "1.0", requires=["lib>=1", "one"]),
        project("lib", "1.0"),
    )
    server = serve(world)
    mirror.configure(server.url, packages={"one": ["latest", "1.0"], "two": "latest"})
    mirror.sync()
    assert set(server.counts().values()) == {1}
    assert mirror.published() == {
        "lib": wheels("lib 1.0"), "one": wheels("one 1.0", "one 2.0"), "two": wheels("two 1.0"),
    }  # fmt: skip
