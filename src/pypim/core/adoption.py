"""What became of each file of a folder that was to be taken over."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Mismatch(StrEnum):
    """Why a file was not taken."""

    NO_NAME = "no-name"
    """It does not have the name of a distribution file."""
    NO_FILE = "no-file"
    """A symbolic link, a pipe or a device."""
    NOT_LISTED = "not-listed"
    OTHER_HASH = "other-hash"
    """Other bytes than those that are listed under its name."""
    TRUNCATED = "truncated"
    """Shorter than what is listed under its name."""
    NO_HASH = "no-hash"
    """It is listed, and nobody says with which bytes."""
    UNREADABLE = "unreadable"
    CHANGED = "changed"
    """While it was read."""
    UNKNOWN = "unknown"
    """Nobody could be asked."""


FAULTS = frozenset({Mismatch.UNREADABLE, Mismatch.CHANGED, Mismatch.UNKNOWN})
"""Those of which another run may judge otherwise."""


class Unmatched(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was not taken; `path` is relative to the folder."""

    path: str
    reason: Mismatch
    detail: str = ""


class AdoptReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a folder, and what was taken over of it. Sizes in bytes, time in seconds."""

    folder: str
    indexes: tuple[str, ...]
    """To which the files were offered, in that order."""
    is_dry_run: bool
    found_files: int
    """That have the name of a distribution file."""
    found_bytes: int
    adopted_files: int
    """That were taken over, or would be."""
    adopted_bytes: int
    linked_files: int
    """Of those adopted: whose bytes the store shares with the folder. The others are copies."""
    held_files: int
    """That were held before, or stand in the folder more than once."""
    companion_files: int
    """Pages, signatures and what else such a folder has beside distribution files."""
    unmatched: tuple[Unmatched, ...]
    faults: tuple[str, ...]
    """Why an upstream could not be asked."""
    seconds: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every file could be judged."""
        return not any(one.reason in FAULTS for one in self.unmatched)
