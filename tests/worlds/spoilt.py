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
_DIGIT = "dig1"
_FORMATS = ("tgz", "tar.gz", "zip")


def spoilt(seed: int, *, has_sdists: bool = False) -> World:
    """Return a world of a seed; the same everywhere."""
    source = Random(f"spoilt {seed}")
    world = generated(seed, has_sdists=has_sdists)
    digit = project(_DIGIT, *(release(f"{n}.0", wheel()) for n in range(1, 4)))
    return World((*(_project(source, one) for one in world.projects), digit))


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
