"""What was proved as lock files: one pylock.toml for each root release and environment (PEP 751)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.config import toml
from pypim.core.filenames import FileKind, parse_filename, parse_version
from pypim.core.readings import Reading
from pypim.core.target import patch_ends
from pypim.sync.trials import Trial, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.core.model import DistFile
    from pypim.core.selection import ChosenRelease
    from pypim.core.target import Environment
    from pypim.sync.held import Held
    from pypim.sync.prove import Proving
    from pypim.sync.trials import Result, Surroundings

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_SDISTS = (".tar.gz", ".zip")
"""What the name of an sdist in a lock may end in; others of old are archives (PEP 751, `packages.archive`)."""
_MARKERS = (
    "implementation_name",
    "os_name",
    "platform_machine",
    "python_version",
    "python_full_version",
    "sys_platform",
)


class Places(msgspec.Struct, frozen=True):
    """Where the files are that a lock names."""

    files: Path
    """The folder that holds `packages/`."""
    locks: Path
    """The folder of the lock files."""
    is_public: bool
    """Whether paths may be relative: the files stand where clients read them."""


async def lock_texts(proving: Proving, places: Places, environments: tuple[Environment, ...]) -> dict[str, str]:
    """File name → text, for everything that can be installed. What a lock asked for is locked already."""
    found: dict[str, str] = {}
    known: set[tuple[str, str, str]] = set()
    surroundings = proving.surroundings()
    follow = msgspec.structs.replace(surroundings.follow, is_build_followed=False)  # a lock is about installing
    surroundings = msgspec.structs.replace(surroundings, follow=follow)
    for result in proving.results:
        if not result.is_installable or result.trial.root.locked or parse_version(result.version) is None:
            continue
        requirement = await proving.requirement(result)
        for number, environment in enumerate(environments):
            key = (requirement, result.version, environment.name)
            if not result.mask >> number & 1 or key in known:
                continue
            known.add(key)
            releases = await _resolved(surroundings, result, environment, proving.held)
            found[_name(found, requirement, environment)] = "\n".join(_lines(releases, proving, places, environment))
    return found


async def _resolved(
    surroundings: Surroundings, result: Result, environment: Environment, held: Held
) -> tuple[ChosenRelease, ...]:
    """One resolution of it: of several the one for the first patch release of a Python, and uv's before pip's.

    A lock with two releases of one project is refused by whoever installs it.
    """
    trial = Trial(number=0, root=result.trial.root, version=result.version, mask=1)
    first = patch_ends((environment,))[0]
    one = Reading.UV if result.reading is Reading.BOTH else result.reading
    releases: tuple[ChosenRelease, ...] = ()
    for seen, reading in ((environment, None), (first, None), (first, one)):
        narrowed = msgspec.structs.replace(surroundings, environments=(seen,), reading=reading)
        releases = (await attempt(narrowed, [trial], held)).selections[0].releases
        if len({release.project for release in releases}) == len(releases):
            break
    return releases


def _name(taken: dict[str, str], requirement: str, environment: Environment) -> str:
    """`pylock.<name>.toml`, where the name has no dot (PEP 751, "File Name")."""
    plain = _NOT_IN_NAMES.sub("-", f"{requirement} {environment.name}").strip("-")
    name, number = f"pylock.{plain}.toml", 1
    while name in taken:
        number += 1
        name = f"pylock.{plain}-{number}.toml"
    return name


def _lines(
    releases: tuple[ChosenRelease, ...], proving: Proving, places: Places, environment: Environment
) -> Iterator[str]:
    yield toml.pair("lock-version", "1.0")
    known = {name: environment.variables[name] for name in _MARKERS if name in environment.variables}
    if known:
        marker = " and ".join(f"{name} == '{value}'" for name, value in known.items())
        yield toml.pair("environments", [marker])
    if environment.python is not None:
        full = environment.variables.get("python_full_version")
        yield toml.pair("requires-python", f"=={full or '.'.join(map(str, environment.python)) + '.*'}")
    yield toml.pair("created-by", "pypim")
    for release in releases:
        yield ""
        yield from _package(release, proving, places)
    yield ""


def _package(release: ChosenRelease, proving: Proving, places: Places) -> Iterator[str]:
    yield "[[packages]]"
    yield toml.pair("name", release.project)
    yield toml.pair("version", release.version)
    kinds = [(file, parse_filename(file.filename, release.project).kind) for file in release.files]
    wheels = [_entry(file, proving, places) for file, kind in kinds if kind is FileKind.WHEEL]
    sdists = [file for file, kind in kinds if kind is FileKind.SDIST]
    for file in sdists:
        if file.filename.endswith(_SDISTS):
            yield f"sdist = {_entry(file, proving, places)}"
        elif len(kinds) == 1:
            yield f"archive = {_entry(file, proving, places, is_named=False)}"
    if wheels:
        yield "wheels = [\n" + "".join(f"    {wheel},\n" for wheel in wheels) + "]"


def _entry(file: DistFile, proving: Proving, places: Places, *, is_named: bool = True) -> str:
    """A file as an inline table."""
    holding = proving.held.holding(file)
    path = places.files / holding.path
    entry: dict[str, Any] = {"name": file.filename} if is_named else {}
    relative = _relative(path, places.locks) if places.is_public else None
    entry |= {"path": relative} if relative is not None else {"url": path.as_uri()}
    entry |= {"size": holding.blob.size, "hashes": {"sha256": holding.blob.sha256}}
    table = toml.value(entry)
    if file.upload_time is not None and _MOMENT.fullmatch(file.upload_time):
        table = f"{table.removesuffix(' }')}, upload-time = {file.upload_time} }}"
    return table


def _relative(path: Path, folder: Path) -> str | None:
    """With forward slashes; None where there is no such path, as between two drives."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return None
