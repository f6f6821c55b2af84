"""What a requirements file asks a cache to hold beforehand: of each requirement the release that an installer takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name

from pypim.core.errors import InvalidRequirement
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import ProjectStatus
from pypim.core.requirement_lines import Fault, Include, Note, RequirementText, logical_lines, parse_line
from pypim.core.requirements import parse_requirement_argument

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.model import DistFile, Page
    from pypim.core.requirement_lines import Found


_MOST_CHARS = 32 << 10
"""Of a line: room for some four hundred hashes. Whoever sends one need not be known, and reading it takes its time."""
_OF_INDEXES = frozenset(("--index-url", "--extra-index-url", "--find-links", "--no-index", "--trusted-host"))


class Wanted(msgspec.Struct, frozen=True):
    """One requirement of the file."""

    text: str
    project: NormalizedName
    requirement: Requirement


class Unusable(msgspec.Struct, frozen=True):
    """A line that no release can be found for."""

    text: str
    reason: str


class Ignored(msgspec.Struct, frozen=True):
    """An option that means something to an installer, and nothing here."""

    text: str
    reason: str


def read_wanted(text: str) -> list[Wanted | Unusable | Ignored]:
    """The requirements of a file, in its order. Variables are not filled in, and other files are not read."""
    found: list[Wanted | Unusable | Ignored] = []
    for number, line in logical_lines(text):
        if len(line) > _MOST_CHARS:
            found.append(Unusable(f"line {number}", f"it has more than {_MOST_CHARS:,} characters"))
        else:
            found += [_meant(one, f"line {number}") for one in parse_line(line, {})]
    return found


def _meant(one: Found, where: str) -> Wanted | Unusable | Ignored:
    match one:
        case RequirementText(words):
            return _wanted(words, where)
        case Include(path):
            return Unusable(where, f"{path} is another file: send it by itself")
        case Fault(words, reason):
            return Unusable(words, reason)
        case Note(option, _) if option in _OF_INDEXES:
            return Ignored(option, "files come from the index that was asked, as the server has it")
        case Note(option, _):
            return Ignored(option, "it concerns the installer, or which releases it takes")


def _wanted(text: str, where: str) -> Wanted | Unusable:
    try:
        requirement = parse_requirement_argument(text, where).requirement
    except InvalidRequirement as error:
        return Unusable(text, error.reason)
    return Wanted(text, canonicalize_name(requirement.name), requirement)


def wanted_files(wanted: Wanted, page: Page) -> tuple[str, tuple[DistFile, ...]]:
    """The version of the newest release that the requirement takes, and its wheels and sdists; ("", ()): there is none.

    As installers choose: pre-releases only where nothing else matches, yanked releases only where they are pinned.
    """
    if page.status is ProjectStatus.QUARANTINED:
        return "", ()
    by_version: dict[Version, list[DistFile]] = {}
    for version, file in _installable(page):
        by_version.setdefault(version, []).append(file)
    is_pin = any(one.operator in {"==", "==="} for one in wanted.requirement.specifier)
    offered = [v for v, files in by_version.items() if is_pin or not all(file.is_yanked for file in files)]
    matching = list(wanted.requirement.specifier.filter(offered))
    if not matching:
        return "", ()
    newest = max(matching)
    return str(newest), tuple(by_version[newest])


def _installable(page: Page) -> Iterator[tuple[Version, DistFile]]:
    for file in page.files:
        parsed = parse_filename(file.filename, page.name)
        if parsed.version is not None and parsed.kind in {FileKind.WHEEL, FileKind.SDIST}:
            yield parsed.version, file


def file_named(page: Page, filename: str) -> DistFile | None:
    """The file of that name, or one that is the same but for the spelling of the project's name and for its case."""
    exact = next((file for file in page.files if file.filename == filename), None)
    if exact is not None or page.status is ProjectStatus.QUARANTINED:
        return None if page.status is ProjectStatus.QUARANTINED else exact
    asked = parse_filename(filename.lower(), page.name)
    if asked.version_text is None:
        return None
    return next((file for file in page.files if parse_filename(file.filename.lower(), page.name) == asked), None)
