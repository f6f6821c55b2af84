"""What an index is asked for: the roots of its configuration and of the files that it names, and the constraints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.config.inline import COMMAND_LINE, is_memory
from pypim.core.closure import Root
from pypim.core.errors import InvalidConfig
from pypim.core.inputs import read_input
from pypim.core.markers import evaluate
from pypim.core.names import normalize_extra, parse_name
from pypim.core.requirements import parse_requirement_argument
from pypim.core.rules import requirement_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.config.model import Config, MirrorIndex
    from pypim.core.faults import ConfigFault
    from pypim.core.locked import LockedRelease
    from pypim.core.requirements import RequirementLine, RequirementsFile
    from pypim.core.target import Environment


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Roots and constraints, and what has no meaning for a mirror."""

    roots: tuple[Root, ...]
    constraints: dict[NormalizedName, SpecifierSet]
    notes: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]
    """Everything that was read, with its path."""


def asked_of(
    config: Config, index: MirrorIndex, targeted: Sequence[Environment], variables: Mapping[str, str]
) -> Asked:
    """Read what the files say. Raises InvalidConfig with every fault of every file, InvalidRequirement."""
    texts: list[tuple[str, str]] = []

    def read(name: str) -> str:
        texts.append((name, config.read_text(Path(name))))
        return texts[-1][1]

    roots = [*index.roots]
    notes: list[str] = []
    constraints: list[RequirementLine] = []
    faults: list[ConfigFault] = []
    for file in index.requirement_files:
        try:
            found = read_input(file, read, variables)
        except InvalidConfig as error:
            faults += error.faults
            continue
        roots += _roots_of(found, file.path)
        notes += found.notes
        constraints += found.constraints
    if faults:
        raise InvalidConfig(config.source, faults, hint="Correct them and run it again.")
    told = (parse_requirement_argument(text, COMMAND_LINE) for text in index.requirements)
    roots += [_root_of(line, line.where) for line in told]
    if not (roots or index.patterns):
        notes.append(f"index {index.name}: nothing is asked for, neither by name or pattern nor in a requirements file")
    joined, unused = _joined(constraints, targeted)
    return Asked(roots=tuple(roots), constraints=joined, notes=(*notes, *unused), texts=tuple(texts))


def _roots_of(found: RequirementsFile, path: str) -> Iterable[Root]:
    # What the command line names is installed by itself; what a file names, together.
    is_alone = is_memory(Path(path))
    for line in found.requirements:
        yield _root_of(line, COMMAND_LINE if is_alone else line.where, "" if is_alone else path)
    for release in found.releases:
        yield _locked_root(release, path)


def _root_of(line: RequirementLine, origin: str, file: str = "") -> Root:
    requirement = line.requirement
    return Root(
        project=parse_name(requirement.name),
        rule=requirement_rule(requirement.specifier, line.text),
        extras=frozenset(normalize_extra(extra) for extra in requirement.extras),
        marker=requirement.marker,
        hashes=line.hashes,
        origin=origin,
        text=line.text,
        file=file,
    )


def _locked_root(release: LockedRelease, origin: str) -> Root:
    specifier = SpecifierSet(release.text.removeprefix(release.project))
    return Root(
        project=release.project,
        rule=requirement_rule(specifier, release.text),
        origin=origin,
        text=release.text,
        locked=release,
    )


def _joined(
    lines: Iterable[RequirementLine], targeted: Sequence[Environment]
) -> tuple[dict[NormalizedName, SpecifierSet], list[str]]:
    """The constraints by project, and a note for each that does not hold everywhere."""
    joined: dict[NormalizedName, SpecifierSet] = {}
    notes = []
    for line in lines:
        if not all(evaluate(line.requirement.marker, one) for one in targeted):
            notes.append(f"{line.where}: not used: the marker of this constraint does not hold for every target")
            continue
        name = parse_name(line.requirement.name)
        known = joined.get(name)
        joined[name] = line.requirement.specifier if known is None else known & line.requirement.specifier
    return joined, notes
