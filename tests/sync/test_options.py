"""Options of `sync` and `plan` that are also keys of the configuration: each says the same in both places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Mirror, added, pypim, report_of
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project(
        "app",
        release("1.0", wheel(), sdist(), requires=["lib", "extra-one; extra == 'one'"]),
        release("2.0rc1", wheel(), sdist(), requires=["lib"]),
    ),
    project("lib", release("1.0"), release("2.0", wheel(), sdist(), requires=["deep"])),
    project("deep", release("1.0", wheel(), sdist())),
    project("extra-one", release("1.0", wheel(), sdist())),
)
CASES: list[tuple[list[str], dict[str, Any], str]] = [
    ([], {}, "app-1.0.whl deep-1.0.whl lib-2.0.whl"),
    (["--exclude", "l*"], {"filters": {"exclude": ["l*"]}}, "app-1.0.whl"),
    (["--exclude", "lib>=2"], {"filters": {"exclude": ["lib>=2"]}}, "app-1.0.whl lib-1.0.whl"),
    (["--format", "sdist"], {"filters": {"formats": ["sdist"]}}, "app-1.0.tar.gz deep-1.0.tar.gz lib-2.0.tar.gz"),
    (
        ["--format", "sdist", "--format", "wheel"],
        {"filters": {"formats": ["sdist", "wheel"]}},
        "app-1.0.tar.gz app-1.0.whl deep-1.0.tar.gz deep-1.0.whl lib-2.0.tar.gz lib-2.0.whl",
    ),
    (["--binary-only"], {"filters": {"formats": ["wheel"]}}, "app-1.0.whl deep-1.0.whl lib-2.0.whl"),
    (["--source-only"], {"filters": {"formats": ["sdist"]}}, "app-1.0.tar.gz deep-1.0.tar.gz lib-2.0.tar.gz"),
    (["--include-prereleases"], {"filters": {"prereleases": True}}, "app-2.0rc1.whl deep-1.0.whl lib-2.0.whl"),
    (["--no-deps"], {"dependencies": {"follow": False}}, "app-1.0.whl"),
    (["--max-depth", "1"], {"dependencies": {"max_depth": 1}}, "app-1.0.whl lib-2.0.whl"),
    (
        ["--extras", "all"],
        {"dependencies": {"extras": "all"}},
        "app-1.0.whl deep-1.0.whl extra_one-1.0.whl lib-2.0.whl",
    ),
    (["--jobs", "1"], {"jobs": 1}, "app-1.0.whl deep-1.0.whl lib-2.0.whl"),
]


@pytest.mark.parametrize(("options", "keys", "expected"), CASES, ids=[" ".join(case[0]) or "none" for case in CASES])
def test_an_option_says_what_its_key_says(
    serve: ServeWorld, tmp_path: Path, options: list[str], keys: dict[str, Any], expected: str
) -> None:
    """With --to, over a configuration for one run, and written in it."""
    url = serve(WORLD).url
    names = sorted(name.replace(".whl", "-py3-none-any.whl") for name in expected.split())
    told = pypim("plan", "app", "--to", tmp_path / "d", "--upstream", url, *LINUX_OPTIONS, *options, "--json").expect()
    assert added(report_of(told)) == names
    written = Mirror(tmp_path / "written").configure(url, packages={"app": "latest"}, **keys)
    assert added(written.plan()) == names
    overridden = Mirror(tmp_path / "overridden").configure(url, packages={"app": "latest"})
    assert added(overridden.plan(*options)) == names


def test_keep_latest_speaks_of_rules_that_take_every_match(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, packages={"lib": "*"}, dependencies={"follow": False})
    assert added(mirror.plan()) == ["lib-1.0-py3-none-any.whl", "lib-2.0-py3-none-any.whl"]
    assert added(mirror.plan("--keep-latest", "1")) == ["lib-2.0-py3-none-any.whl"]


def test_targets_of_the_command_line_take_the_place_of_the_configured(serve: ServeWorld, mirror: Mirror) -> None:
    world = World.of(
        project("app", release("1.0", wheel("cp311-cp311-win_amd64"), wheel("cp312-cp312-manylinux_2_17_x86_64")))
    )
    mirror.configure(serve(world).url, packages={"app": "latest"})
    assert added(mirror.plan()) == ["app-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]
    assert added(mirror.plan("--python", "3.11", "--platform", "windows")) == ["app-1.0-cp311-cp311-win_amd64.whl"]
    both = mirror.plan("--python", "3.11,3.12", "--platform", "windows", "--platform", "linux", status=0)
    assert len(added(both)) == 2


def test_requirements_over_a_configuration_are_for_this_run(serve: ServeWorld, mirror: Mirror) -> None:
    """And the user is told so; with several indexes, the one must be named."""
    url = serve(WORLD).url
    mirror.configure(url, packages={"deep": "latest"})
    outcome = mirror.run("sync", "lib==1.0").expect()
    assert "this time only" in outcome.stderr
    assert list(mirror.published()) == ["deep", "lib"]
    mirror.run("sync").expect()
    assert list(mirror.published()) == ["deep"]


def test_one_index_of_several_is_chosen_by_name(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.write(
        f'[upstreams.world]\nurl = "{serve(WORLD).url}"\n'
        '[indexes.one]\npublish = "one"\npackages = { deep = "latest" }\n'
        '[indexes.two]\npublish = "two"\npackages = { lib = "1.0" }\n'
    )
    mirror.run("sync", "--index", "two").expect()
    assert not (mirror.folder / "one").exists()
    assert (mirror.folder / "two" / "simple" / "lib").is_dir()
    error = mirror.run("sync", "--index", "three", "--json").expect(2).error
    assert "three" in error["message"]
    assert "one, two" in error["hint"]
    assert "--index" in mirror.run("sync", "deep", "--json").expect(2).error["hint"]


def test_a_mirror_that_is_asked_for_nothing_says_so(serve: ServeWorld, mirror: Mirror) -> None:
    """As by a requirements file that only includes itself."""
    mirror.configure(serve(World.of(project("app", "1.0"))).url, requirements=["loop.txt"])
    (mirror.folder / "loop.txt").write_text("-r loop.txt\n")
    assert "nothing is asked for" in mirror.run("sync").expect().stderr
    mirror.configure(serve(World.of(project("app", "1.0"))).url, packages={"app": "latest"})
    assert "nothing is asked for" not in mirror.run("sync").expect().stderr
