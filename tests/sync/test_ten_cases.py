"""Ten answers of `why` and ten of `why-not` about a world that nobody wrote, each followed by hand.

`ten-cases.json` tells how. The world is the one of `generated_world(5)`, written down so that it can be read beside
the answers.
"""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.follow import Setting, follow, objections, options
from tests.sync.generated import NAMES, generated_world
from tests.sync.mirror import Document, Mirror, pypim_process
from tests.worlds.world import ProjectSpec, World, project, release, sdist, wheel

RECORDED: Document = json.loads(Path(__file__).with_name("ten-cases.json").read_text())


def recorded_world() -> World:
    return World.of(*(_project(name, releases) for name, releases in RECORDED["projects"].items()))


def _project(name: str, releases: Document) -> ProjectSpec:
    return project(
        name,
        *(
            release(
                version,
                sdist() if told.get("file") == "sdist" else wheel(told.get("file", "py3-none-any")),
                requires=told["requires"],
                requires_python=told.get("requires-python"),
                yanked=told.get("yanked", False),
                extras=["fast"],
            )
            for version, told in releases.items()
        ),
    )


def test_the_recorded_world_is_a_generated_one() -> None:
    """So it was not made for the answers."""
    assert recorded_world() == generated_world(5)


def test_ten_answers_each_are_as_they_are_by_hand(serve: ServeWorld, mirror: Mirror) -> None:
    """With the program as its own process; of `why` every chain, of `why-not` what counts in the answer."""
    mirror.configure(serve(recorded_world()).url, packages=dict.fromkeys(RECORDED["packages"], "latest"))
    mirror.sync()
    assert Counter(case["ask"] for case in RECORDED["cases"]) == {"why": 10, "why-not": 10}
    for case in RECORDED["cases"]:
        done = pypim_process("-c", mirror.config, case["ask"], case["of"], cwd=mirror.folder).expect()
        if case["ask"] == "why":
            done = pypim_process("-c", mirror.config, "why", case["of"], "--all", cwd=mirror.folder).expect()
            chains = [line.strip().partition("  [")[0] for line in done.stdout.splitlines()[1:]]
            assert sorted(chains) == sorted(case["says"]), case["of"]
        for words in case["says"]:
            assert words in done.stdout, (case["of"], done.stdout)


@pytest.mark.parametrize("seed", [2, 5, 21])
def test_whoever_follows_the_advice_gets_the_release(serve: ServeWorld, mirror: Mirror, seed: int) -> None:
    """For some releases of generated worlds that are not held: each way that is named leads there."""
    world = generated_world(seed)
    setting = Setting(serve(world).url, {"packages": dict.fromkeys(NAMES[:3], "latest")})
    setting.write(mirror)
    mirror.run("sync", "--keep-going")
    held = {f"{one['project']} {one['version']}" for one in mirror.run("list", "--json").document["releases"]}
    others = [(spec.name, made.version) for spec in world.projects for made in spec.releases]
    others = [(name, version) for name, version in others if f"{name} {version}" not in held]
    for name, version in random.Random(seed).sample(others, 4):
        answer = objections(mirror, f"{name}=={version}")
        assert not answer["is_kept"]
        for steps, further in options(answer["remedy"]):
            assert is_held_after(mirror, f"{name}=={version}", setting, (steps, further)), answer


def is_held_after(mirror: Mirror, requirement: str, setting: Setting, ways: tuple[list[str], list[str]]) -> bool:
    fresh = Mirror(mirror.folder.with_name("followed"))
    shutil.rmtree(fresh.folder, ignore_errors=True)
    changed = setting
    for steps in ways:
        if steps:
            changed = follow(changed, steps)
            changed.write(fresh)
            fresh.run("sync", "--keep-going")
            if objections(fresh, requirement)["is_kept"]:
                return True
    return False
