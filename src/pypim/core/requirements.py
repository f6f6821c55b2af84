"""Requirements files as pip reads them: every requirement and constraint with its place, and every fault at once.

Reading is given from outside, so nothing here touches a file. Source: pip's documentation, "Requirements File Format".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import PurePath

import msgspec
from packaging.requirements import InvalidRequirement as _Unreadable
from packaging.requirements import Requirement

from pypim.core.errors import InvalidConfig, InvalidRequirement, PypimError
from pypim.core.faults import ConfigFault
from pypim.core.locked import LockedRelease
from pypim.core.locks import is_lock
from pypim.core.requirement_lines import (
    Fault,
    Found,
    Include,
    Note,
    RequirementText,
    is_address_or_path,
    logical_lines,
    parse_line,
    redacted,
)

_NO_PATH = "this is an address or a path, and pypim mirrors releases of an index"
_NO_PATH_HINT = "Name the project and its versions instead, such as flask==3.1.0."
_SYNTAX_HINT = "Write it as a project with extras, versions and marker: name[extra]>=1.0,<2; python_version > '3.10'."


class RequirementLine(msgspec.Struct, frozen=True):
    """One requirement, and where it stands."""

    text: str
    """As it was written, without comment and options."""
    requirement: Requirement
    hashes: frozenset[str]
    """The only hashes its files may have, as "sha256:<hex>" (also sha384 and sha512); empty: any."""
    where: str
    """`path:line`, or the name of the argument."""


class RequirementsFile(msgspec.Struct, frozen=True):
    """What a requirements file says, together with the files it includes."""

    requirements: tuple[RequirementLine, ...] = ()
    constraints: tuple[RequirementLine, ...] = ()
    """Versions that are allowed if something asks for the project; they ask for nothing themselves."""
    notes: tuple[str, ...] = ()
    """A sentence for each option that has no meaning for a mirror, and for what comes from no index."""
    releases: tuple[LockedRelease, ...] = ()
    """What a lock names, with its files."""


def read_requirements(
    path: str, read: Callable[[str], str], variables: Mapping[str, str] | None = None
) -> RequirementsFile:
    """Read a requirements file and the files it includes, each once.

    `read` answers the text of a path, and raises OSError, UnicodeError or a PypimError where it cannot; `variables` are
    the values of `${NAME}`. Raises InvalidConfig with every fault of every file, each with its line.
    """
    reading = _Reading(read, variables or {})
    reading.file(path, is_constraint=False)
    reading.raise_faults(path)
    return RequirementsFile(
        tuple(reading.requirements), tuple(reading.constraints), tuple(dict.fromkeys(reading.notes))
    )


def parse_requirement_argument(text: str, where: str) -> RequirementLine:
    """Read one requirement of the command line or configuration. Raises InvalidRequirement."""
    stripped = text.strip()
    try:
        return RequirementLine(stripped, _requirement(stripped), frozenset(), where)
    except _UnusableError as fault:
        raise InvalidRequirement(where, redacted(text), fault.reason, hint=fault.hint) from None


class _UnusableError(Exception):
    """Not a requirement that a mirror can follow; stays inside this file."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@lru_cache(maxsize=65536)
def _requirement(text: str) -> Requirement:
    """What it says; a file is read when it is checked and when it is used. Raises _UnusableError."""
    try:
        requirement = Requirement(text)
    except (_Unreadable, RecursionError) as fault:
        if is_address_or_path(text):
            raise _UnusableError(_NO_PATH, _NO_PATH_HINT) from None
        raise _UnusableError(f"this is not a requirement: {_first_line(fault)}", _hint(text)) from None
    if requirement.url is not None and requirement.url[:1].isdigit():
        raise _UnusableError("this is not a requirement", _hint(text))
    # `a-1.0.tar.gz` could be the name of a project, but stands for the file.
    if requirement.url is not None or (not requirement.specifier and is_address_or_path(text)):
        raise _UnusableError(_NO_PATH, _NO_PATH_HINT)
    return requirement


def _first_line(fault: Exception) -> str:
    lines = str(fault).splitlines()
    return lines[0] if lines else "it is nested too deeply"


def _hint(text: str) -> str:
    name, equals, version = text.partition("=")
    if equals and version[:1].isdigit() and name[-1:].isalnum():
        return f"A version is pinned with two equals signs: {name}=={version}."
    name, at, version = text.partition("@")
    if at and version.strip()[:1].isdigit():
        return f"A version is pinned with two equals signs: {name.strip()}=={version.strip()}."
    return _SYNTAX_HINT


def _entries(text: str, variables: Mapping[str, str]) -> tuple[tuple[int, Found], ...]:
    return tuple((number, found) for number, line in logical_lines(text) for found in parse_line(line, variables))


@lru_cache(maxsize=64)
def _plain_entries(text: str) -> tuple[tuple[int, Found], ...]:
    """Those of a text without variables: a file is read when it is checked and when it is used."""
    return _entries(text, {})


class _Reading:
    """One reading of a file with its includes; collects what it finds."""

    def __init__(self, read: Callable[[str], str], variables: Mapping[str, str]) -> None:
        self._read = read
        self._variables = variables
        self._seen: set[tuple[PurePath, bool]] = set()
        self._open: list[PurePath] = []
        """The file that is being read, behind those that led to it."""
        self._faults: list[ConfigFault] = []
        self.requirements: list[RequirementLine] = []
        self.constraints: list[RequirementLine] = []
        self.notes: list[str] = []

    def file(self, path: str, *, is_constraint: bool, included_at: tuple[str, int] | None = None) -> None:
        """Read one file; one that was read before, perhaps because files include each other, is passed over."""
        identity = (_collapsed(PurePath(path)), is_constraint)
        if identity in self._seen:
            return
        self._seen.add(identity)
        try:
            text = self._read(path)
        except (OSError, UnicodeError, PypimError) as fault:
            self._cannot_read(path, fault, included_at)
            return
        entries = _entries(text, self._variables) if "${" in text else _plain_entries(text)
        self._open.append(identity[0])
        for number, found in entries:
            self._take(found, path, number, is_constraint=is_constraint)
        self._open.pop()

    def raise_faults(self, root: str) -> None:
        """Raise what was collected, if anything: what is wrong with the first file comes first."""
        if self._faults:
            in_order: list[ConfigFault] = sorted(self._faults, key=lambda fault: fault.file != root)
            raise InvalidConfig(root, in_order)

    def _take(
        self, found: Include | Note | Fault | RequirementText, path: str, line: int, *, is_constraint: bool
    ) -> None:
        match found:
            case Include() if is_lock(name := PurePath(found.path).name) or name == "pyproject.toml":
                reason = "a lock file or pyproject.toml cannot be included in a requirements file"
                self._fault(path, line, f"{found.path!r}: {reason}", "Name it to pypim, beside this file.")
            case Include():
                included = str(PurePath(path).parent / found.path)
                if _collapsed(PurePath(included)) in self._open:
                    told = "leads back to a file that is being read, and adds nothing; pip refuses that"
                    self.notes.append(f"{path}:{line}: {found.path} {told}")
                self.file(included, is_constraint=found.is_constraint, included_at=(path, line))
            case Note():
                self.notes.append(f"{path}:{line}: {found.option} is not used: {found.reason}")
            case Fault():
                self._fault(path, line, f"{found.text!r}: {found.reason}", found.hint)
            case RequirementText():
                self._requirement(found, path, line, is_constraint=is_constraint)

    def _requirement(self, found: RequirementText, path: str, line: int, *, is_constraint: bool) -> None:
        try:
            requirement = _requirement(found.text)
        except _UnusableError as fault:
            self._fault(path, line, f"{found.text!r}: {fault.reason}", fault.hint)
            return
        target = self.constraints if is_constraint else self.requirements
        target.append(RequirementLine(found.text, requirement, found.hashes, f"{path}:{line}"))

    def _fault(self, path: str, line: int | None, message: str, remedy: str) -> None:
        fault = ConfigFault(file=path, line=line, message=redacted(message), remedy=redacted(remedy))
        self._faults.append(fault)

    def _cannot_read(self, path: str, fault: Exception, included_at: tuple[str, int] | None) -> None:
        if included_at is not None:
            message = f"{path} cannot be read: {why_unreadable(fault)}"
            self._fault(*included_at, message, "Paths are relative to the file they stand in.")
        elif isinstance(fault, InvalidConfig):
            self._faults += fault.faults  # who reads it knows where the file is named
        else:
            message = f"the file cannot be read: {why_unreadable(fault)}"
            self._fault(path, None, message, "Check its path and its permissions.")


def why_unreadable(fault: Exception) -> str:
    """Why a file cannot be read."""
    if isinstance(fault, InvalidConfig):
        return "; ".join(found.message for found in fault.faults)
    if isinstance(fault, OSError) and fault.strerror:
        return fault.strerror
    return "it is not UTF-8 text" if isinstance(fault, UnicodeError) else str(fault)


def _collapsed(path: PurePath) -> PurePath:
    """The path without `..` where a folder stands before it, so that files that include each other come to an end."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] not in {"..", path.anchor}:
            parts.pop()
        else:
            parts.append(part)
    return PurePath(*parts)
