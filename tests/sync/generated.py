"""A world that nobody wrote: projects, releases and requirements from a seed, with all that can keep a release out."""

from __future__ import annotations

import random

from tests.worlds.world import ProjectSpec, World, project, release, sdist, wheel

NAMES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "haven", "iris", "jade", "karst", "lotus")


def generated_world(seed: int, names: tuple[str, ...] = NAMES) -> World:
    """The same for the same seed. Requirements go to any project, so that there are cycles."""
    source = random.Random(seed)
    return World.of(*(_project(source, name, names) for name in names))


def _project(source: random.Random, name: str, names: tuple[str, ...]) -> ProjectSpec:
    releases = []
    for version in ("1.0", "1.1", "2.0", "3.0")[: source.randint(2, 4)]:
        file = source.choice([wheel()] * 14 + [sdist(), wheel("cp312-cp312-win_amd64")])
        releases.append(
            release(
                version,
                file,
                requires=[_requirement(source, source.choice(names)) for _ in range(source.choice((0, 1, 2, 2, 3)))],
                requires_python=source.choice([None] * 15 + [">=3.14"]),
                extras=["fast"],
                yanked=source.random() < 0.04,
            )
        )
    return project(name, *releases)


def _requirement(source: random.Random, name: str) -> str:
    extra = source.choice(["", "", "", "[fast]"])
    specifier = source.choice(["", "", "", "", ">=1.1", "<2", "<3", ">=2"])
    marker = source.choice([""] * 5 + ["; extra == 'fast'", "; sys_platform == 'win32'"])
    return f"{name}{extra}{specifier}{marker}"
