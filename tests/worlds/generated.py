"""Worlds of a seed, larger and fuller of conflicts than those that hypothesis draws, for tests with real installers.

Everything that decides a resolution occurs: markers, extras, several wheels with different metadata, some of them alike
but for build tags or the order of the page, pre-releases, yanked files, bounds of Requires-Python, local versions,
epochs, requirements that are not valid, projects that are not there. The same seed gives the same world everywhere.
"""

from __future__ import annotations

import string
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.worlds.world import ProjectSpec, World, project, release, sdist, wheel

if TYPE_CHECKING:
    from tests.worlds.world import FileSpec, ReleaseSpec

_MARKERS = [
    'sys_platform == "win32"',
    'sys_platform != "win32"',
    'platform_system == "Darwin"',
    'platform_machine == "x86_64"',
    'python_version >= "3.12"',
    'python_version < "3.13"',
    'python_full_version >= "3.12.4"',
    'implementation_name == "cpython" and os_name == "posix"',
]
_EXTRA_MARKERS = ['extra == "x"', 'extra == "x"', 'extra == "y"', 'extra == "y" and sys_platform != "win32"']
_PYTHONS = [">=3.12", "<3.12", ">=3.8", "<4", ">=3.12.3", "!=3.12.0", ">=3.8,<3.13", "~=3.11"]
_TAGS = [
    "py3-none-any",
    "py3-none-manylinux_2_17_x86_64",
    "py3-none-win_amd64",
    "cp311-abi3-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp313-cp313-macosx_11_0_arm64",
    "cp311-abi3-win_amd64",
]
_ALIKE = [
    ("", "py3-none-any"),
    ("", "py2.py3-none-any"),
    ("1", "py3-none-any"),
    ("2b", "py2.py3-none-any"),
    ("10", "py3-none-any"),
    ("", "py311-none-any"),
]
_ODD_VERSIONS = ["9.0b1", "2.0rc1", "1.0.post1", "2.0+local.1", "1!0.5", "3.0.dev1"]


def generated(
    seed: int, *, projects: int = 10, versions: int = 6, has_sdists: bool = False, has_alike: bool = True
) -> World:
    """Return the world of a seed: so many projects, named `pa`, `pb` and so on, of at most so many usual versions.

    With `has_alike`, some releases have wheels of which pip takes one and uv another.
    With `has_sdists`, many releases have one, beside wheels or alone, that may require what no wheel does or be old;
    many releases ask for further extras of themselves; and nothing depends on the patch release of a Python.
    """
    source = Random(seed)
    names = [f"p{letter}" for letter in string.ascii_lowercase[:projects]]
    world = World.of(*(_project(source, name, names, versions) for name in names))
    if has_alike:
        more = Random(f"alike {seed}")
        world = World(tuple(_with_alike(more, item, names, versions) for item in world.projects))
    if not has_sdists:
        return world
    more = Random(f"sdists {seed}")
    return World(tuple(_with_sdists(more, item, names, versions) for item in world.projects))


def asked(seed: int, count: int, *, projects: int = 10) -> list[str]:
    """Return requirements on some projects of the world of a seed, some with extras."""
    source = Random(f"asked {seed}")
    names = source.sample(string.ascii_lowercase[:projects], count)
    return [f"p{name}{source.choice(['', '', '[x]', '[x,y]'])}" for name in names]


def older(seed: int, roots: list[str]) -> list[str]:
    """Return the same requirements, some of them on older releases."""
    source = Random(f"older {seed}")
    return [root + source.choice(["", "", "<3.0", "<5", ">=2.0", ">1"]) for root in roots]


def _with_alike(source: Random, spec: ProjectSpec, names: list[str], versions: int) -> ProjectSpec:
    """The project, where some releases have wheels between which build tags decide, or nothing but their order."""

    def alike(made: ReleaseSpec) -> ReleaseSpec:
        if source.random() > 0.1 or any(file.kind != "wheel" for file in made.files):
            return made
        wheels = [
            replace(
                wheel(tags, build=build, requires=_requirements(source, spec.name, names, versions)),
                yanked=source.random() < 0.1 or None,
                requires_python=">=3.12" if source.random() < 0.1 else None,
            )
            for build, tags in source.sample(_ALIKE, source.choice([2, 2, 3]))
        ]
        return replace(made, files=tuple(wheels))

    return replace(spec, releases=tuple(alike(made) for made in spec.releases))


def _with_sdists(source: Random, spec: ProjectSpec, names: list[str], versions: int) -> ProjectSpec:
    return replace(
        spec, releases=tuple(_with_sdist(source, made, spec.name, names, versions) for made in spec.releases)
    )


def _with_sdist(source: Random, made: ReleaseSpec, name: str, names: list[str], versions: int) -> ReleaseSpec:
    made = _for_any_patch(made)
    if source.random() < 0.15:
        made = replace(
            made, requires=(*made.requires, f'{name}[{source.choice("xy")}]; extra == "{source.choice("xy")}"')
        )
    shape = source.random()
    if shape < 0.3:
        return replace(made, files=(sdist(metadata_version=source.choice(["2.2", "2.4"])),))
    if shape < 0.4:
        return made
    own = _requirements(source, name, names, versions) if source.random() < 0.2 else None
    added = sdist(requires=own, metadata_version="2.1" if source.random() < 0.15 else "2.2")
    wheels = [
        wheel(tag, requires=file.requires) for tag, file in zip(source.sample(_TAGS[1:], 2), made.files, strict=False)
    ]
    kept = [file for file in made.files if file.kind == "wheel"]
    return _for_any_patch(replace(made, files=(*(wheels if shape < 0.8 else kept), added)))


def _for_any_patch(made: ReleaseSpec) -> ReleaseSpec:
    """The release without what only some patch releases of a Python are told."""

    def kept(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(text for text in texts if "python_full_version" not in text)

    files = (replace(file, requires=None if file.requires is None else kept(file.requires)) for file in made.files)
    bound = None if "3.12." in (made.requires_python or "") else made.requires_python
    return replace(made, requires=kept(made.requires), files=tuple(files), requires_python=bound)


def _project(source: Random, name: str, names: list[str], versions: int) -> ProjectSpec:
    numbers = [f"{n}.0" for n in range(1, source.randint(1, versions) + 1)]
    numbers += [version for version in _ODD_VERSIONS if source.random() < 0.06]
    source.shuffle(numbers)
    return project(name, *(_release(source, version, name, names, versions) for version in numbers))


def _release(source: Random, version: str, name: str, names: list[str], versions: int) -> ReleaseSpec:
    return release(
        version,
        *_files(source, name, names, versions),
        requires=_requirements(source, name, names, versions),
        requires_python=source.choice(_PYTHONS) if source.random() < 0.12 else None,
        extras=["x", "y"],
        yanked=source.random() < 0.05,
    )


def _files(source: Random, name: str, names: list[str], versions: int) -> list[FileSpec]:
    size = source.randint(100, 30_000)
    shape = source.random()
    if shape < 0.75:
        return [wheel(payload=size)]
    if shape < 0.8:
        return [sdist()]
    tags = source.sample(_TAGS, source.randint(1, 3))
    own = [_requirements(source, name, names, versions) if source.random() < 0.4 else None for _ in tags]
    return [wheel(tag, requires=needed, payload=size) for tag, needed in zip(tags, own, strict=True)]


def _requirements(source: Random, name: str, names: list[str], versions: int) -> list[str]:
    others = source.sample(names, source.choice([0, 1, 1, 2, 3]))
    found = [_requirement(source, other, versions) for other in others]
    return [text for other, text in zip(others, found, strict=True) if other != name or "[" in text]


def _requirement(source: Random, name: str, versions: int) -> str:
    chance = source.random()
    if chance < 0.01:
        return source.choice(["missing", f"{name} !!! x", f'{name}; colour == "red"'])
    if chance < 0.02:
        return source.choice([f"{name}>=1.0.*", f"{name}>0.5<4"])
    extras = source.choice(["", "", "", "", "[x]", "[y]"])
    marker = source.choice(["", "", "", "", source.choice(_MARKERS), source.choice(_EXTRA_MARKERS)])
    return f"{name}{extras}{_specifier(source, versions)}{'; ' if marker else ''}{marker}"


def _specifier(source: Random, versions: int) -> str:
    n = source.randint(1, versions)
    if source.random() < 0.06:
        return source.choice([f">={n}.0a1", "==9.0b1", f"=={n}.*", f"~={n}.0", f">{n}.0", "==2.0+local.1", ">=1!0"])
    return source.choice(["", "", f"<{n}.0", f">={n}.0", f"=={n}.0", f"!={n}.0", f"<={n}.0", f">={n}.0,<{n + 2}.0"])
