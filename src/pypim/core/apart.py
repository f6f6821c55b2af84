"""What is installed together, line by line of a requirements file, and cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pypim.core.readings import Reading


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose lines cannot be installed together in the environments of a mask."""

    file: str
    mask: int
    failure: str
    """What contradicts itself, as a sentence without full stop."""
    is_undecided: bool = False


class OneSided(msgspec.Struct, frozen=True):
    """A file whose lines only one of the installers can install together in the environments of a mask."""

    file: str
    mask: int
    reading: Reading


def told_apart(file: str, where: str) -> str:
    """How a warning about it begins: `where` are the names of the environments."""
    return f"{file}: its lines cannot be installed together on {where}"
