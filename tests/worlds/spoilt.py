"""Worlds of a seed with what breaks the standards in them: all that pip and uv make different things of.

Taken from the worlds of `generated`, and with requirements on projects whose names end in digits.
"""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.worlds.archives import escaped
from tests.worlds.generated import generated
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from tests.worlds.world import FileSpec, ProjectSpec, ReleaseSpec

_PYTHONS = [
    *("3.7", "~=3", ">=3.x", ">=3.6;", "<3.11 || >=3.12", ">=3.6 <4", "*", "=>3.6", "python>=3.6", ">=3.6,,<4"),
    *(">=3.6.*", ">=3.13<4", ">=3.12.*,<3.13", "==3.12.*", ">3.11,<3.12", "!=3.12.*", "~=3.12.0", ">=3.12,<3.12"),
]
_SPECIFIERS = [">=1.0.*", ">0.5<9", "~=1", ">dev", "<9.0.*", "==1.0.*,>=0.9.*", ">='1.0'", "(>=0.5", ">=0.5)", "=>1.0"]
_MARKERS = ["", "", "", '; python_version === "3"', "; ", '; python_version < "3" or', '; colour == "red"']
_VERSIONS = ["Version: none\n", "Version: 77\n", "", "no field\nVersion: {version}\n", "Version: {version}.0\n"]
_DIGIT = "dig-1"
_SPELLINGS = ["dig_1", "dig__1", "dig__1", "dig.1", "DIG_._1", "Dig___1"]
_FORMATS = ("tgz", "tar.gz", "zip")


def spoilt(seed: int, *, has_sdists: bool = False) -> World:
    """Return a world of a seed; the same everywhere."""
    source = Random(f"spoilt {seed}")
    world = generated(seed, has_sdists=has_sdists)
    more = Random(f"spelt {seed}")
    digit = project(_DIGIT, *(_spelt(more, f"{n}.0") for n in range(1, 4)))
    return World((*(_project(source, _asking(more, one)) for one in world.projects), digit))


def _spelt(source: Random, version: str) -> ReleaseSpec:
    """A release whose wheels are named in ways that not every installer takes."""
    names = source.sample(_SPELLINGS, source.choice([1, 1, 2]))
    files = (replace(wheel(), filename=f"{name}-{version}-py3-none-any.whl") for name in names)
    return release(version, *files, requires=source.choice([(), (), ("pa<3.0",), ("pb>=2.0",)]))


def _asking(source: Random, spec: ProjectSpec) -> ProjectSpec:
    """The same project, of which more releases require the one that is spelt in many ways."""
    texts = (f"{_DIGIT}{source.choice(['', '', '>=2.0', '<3.0', '==2.0'])}" for _ in spec.releases)
    asks = zip(spec.releases, texts, strict=True)
    releases = (
        replace(made, requires=(*made.requires, text)) if source.random() < 0.12 else made for made, text in asks
    )
    return replace(spec, releases=tuple(releases))


def _project(source: Random, spec: ProjectSpec) -> ProjectSpec:
    return replace(spec, releases=tuple(_release(source, spec.name, made) for made in spec.releases))


def _release(source: Random, name: str, made: ReleaseSpec) -> ReleaseSpec:
    files = tuple(_file(source, name, made, file) for file in made.files)
    made = replace(made, files=files)
    if source.random() < 0.12:
        made = replace(made, requires_python=source.choice(_PYTHONS))
    if source.random() < 0.06:
        text = _DIGIT + source.choice([*_SPECIFIERS, "", ">=1.0"]) + source.choice(_MARKERS)
        made = replace(made, requires=(*made.requires, text))
    if source.random() < 0.06 and made.requires:
        needed = re.split(r"[\[<>=!~; ]", made.requires[0])[0]
        text = needed + source.choice(_SPECIFIERS) + source.choice(_MARKERS)
        made = replace(made, requires=(*made.requires[1:], text))
    return made


def _file(source: Random, name: str, made: ReleaseSpec, file: FileSpec) -> FileSpec:
    if file.kind == "sdist":
        extension = source.choice(_FORMATS)
        archive = "zip" if extension == "zip" else "tar.gz"
        return replace(file, archive=archive, filename=f"{escaped(name)}-{made.version}.{extension}")
    if source.random() < 0.05:
        version = source.choice(_VERSIONS).format(version=made.version)
        return replace(file, metadata=f"Metadata-Version: 2.1\nName: {name}\n{version}".encode())
    return file
