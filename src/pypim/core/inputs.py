"""The files that say what is to be mirrored, each read as its name says: requirements, pyproject.toml or a lock.

They are spelled "requirements.txt", "uv.lock", "pyproject.toml", "pyproject.toml[extra,…]", "pyproject.toml:group".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidConfig, InvalidName, InvalidRequirement, PypimError
from pypim.core.faults import ConfigFault
from pypim.core.locks import is_lock, read_lock
from pypim.core.names import parse_name
from pypim.core.pyproject import read_pyproject
from pypim.core.requirements import RequirementsFile, read_requirements, why_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from packaging.utils import NormalizedName

PYPROJECT = "pyproject.toml"
_SPELLING = re.compile(
    r"(?P<path>(?:.*[/\\])?(?P<name>[^/\\\[\]:]+))(?:\[(?P<extras>[^\]]*)\])?(?::(?P<group>[^/\\:]*))?"
)
_HINT = f"Write {PYPROJECT}, {PYPROJECT}[extra1,extra2], {PYPROJECT}[*] for all extras, or {PYPROJECT}:group."


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that says what is to be mirrored, and of a pyproject.toml, which part of it."""

    path: str
    extras: frozenset[NormalizedName] | None = frozenset()
    """Besides the project's dependencies; None for all."""
    group: NormalizedName | None = None
    """A dependency group, which is meant alone."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return re.split(r"[/\\]", self.path)[-1]

    def __str__(self) -> str:
        """As it is spelled."""
        if self.group is not None:
            return f"{self.path}:{self.group}"
        if self.extras is None:
            return f"{self.path}[*]"
        return f"{self.path}[{','.join(sorted(self.extras))}]" if self.extras else self.path


def parse_input(text: str, where: str) -> InputFile:
    """Read the spelling of a file; `where` is its place, for the message. Raises InvalidRequirement."""
    found = _SPELLING.fullmatch(text)
    if not found or (found["name"] != PYPROJECT and not is_lock(found["name"])):
        return InputFile(path=text)  # a requirements file may have any name
    extras, group = found["extras"], found["group"]
    if extras is None and group is None:
        return InputFile(path=text)
    if found["name"] != PYPROJECT:
        raise InvalidRequirement(where, text, f"only {PYPROJECT} has extras and groups", hint="A lock is taken whole.")
    if extras is not None and group is not None:
        hint = f"Name the file twice: {PYPROJECT}[{extras}] and {PYPROJECT}:{group}."
        raise InvalidRequirement(where, text, "a group is taken without the project's extras", hint=hint)
    try:
        if group is not None:
            return InputFile(path=found["path"], group=parse_name(group))
        names = [part.strip() for part in (extras or "").split(",")]
        return InputFile(path=found["path"], extras=None if names == ["*"] else frozenset(map(parse_name, names)))
    except InvalidName as error:
        raise InvalidRequirement(where, text, error.message, hint=_HINT) from None


def read_input(
    file: InputFile, read: Callable[[str], str], variables: Mapping[str, str] | None = None
) -> RequirementsFile:
    """What a file asks for; `read` and `variables` as for `read_requirements`. Raises InvalidConfig with its faults."""
    if file.name != PYPROJECT and not is_lock(file.name):
        return read_requirements(file.path, read, variables)
    try:
        text = read(file.path)
    except InvalidConfig:
        raise  # who reads it knows where the file is named
    except (OSError, UnicodeError, PypimError) as fault:
        message = f"the file cannot be read: {why_unreadable(fault)}"
        remedy = "Check its path and its permissions."
        raise InvalidConfig(file.path, [ConfigFault(file=file.path, message=message, remedy=remedy)]) from None
    text = text.removeprefix("\ufeff")
    if file.name == PYPROJECT:
        return read_pyproject(file.path, text, extras=file.extras, group=file.group)
    lock = read_lock(file.path, file.name, text)
    notes = [f"{file.path}: {note}" for note in lock.notes]
    if lock.passed_over:
        notes.append(f"{file.path}: passed over, for it comes from no index: {', '.join(lock.passed_over)}")
    if not lock.releases:
        notes.append(f"{file.path}: it names no release of an index")
    return RequirementsFile(releases=lock.releases, notes=tuple(notes))
