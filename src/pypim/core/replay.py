"""The audit log read back: what hosted indexes had, when their own records are lost.

Every change of a hosted index has a line there, written after the change and before the answer.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pypim.core.audit import AuditEntry
from pypim.core.model import ProjectStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATUS = "status "


class ToldFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was uploaded and not deleted since, as far as the log tells."""

    project: str
    uploaded_at: float
    """Seconds since the epoch."""
    uploaded_by: str


class ToldDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was deleted, so that its name is not used again."""

    project: str
    deleted_at: float
    """Seconds since the epoch."""
    reason: str


class Told(msgspec.Struct, frozen=True):
    """What a log tells of all hosted indexes at its end; every key begins with the index."""

    files: dict[tuple[str, str], ToldFile] = {}
    """By file name."""
    deletions: dict[tuple[str, str], ToldDeletion] = {}
    """By file name."""
    yanks: dict[tuple[str, str, str], bool | str] = {}
    """By project and normalised version (PEP 592)."""
    statuses: dict[tuple[str, str], tuple[ProjectStatus, str | None]] = {}
    """By project: status and reason (PEP 792)."""


def read_audit(lines: Iterable[bytes]) -> tuple[list[AuditEntry], int]:
    """(the entries in the order of their times, how many lines cannot be read)."""
    found, unreadable = [], 0
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=AuditEntry))
        except msgspec.DecodeError:
            unreadable += bool(line.strip())
    return sorted(found, key=lambda entry: entry.time), unreadable


def replay(entries: Iterable[AuditEntry]) -> Told:
    """Go through the changes that were done, in order."""
    told = Told()
    for entry in entries:
        if entry.outcome == "done":
            _apply(told, entry)
    return told


def _apply(told: Told, entry: AuditEntry) -> None:
    at = _seconds(entry.time)
    file = entry.index, entry.filename
    match entry.action:
        case "upload":
            told.files[file] = ToldFile(project=entry.project, uploaded_at=at, uploaded_by=entry.visitor)
            told.deletions.pop(file, None)
        case "delete":
            told.files.pop(file, None)
            told.deletions[file] = ToldDeletion(project=entry.project, deleted_at=at, reason=entry.reason)
        case "yank":
            told.yanks[entry.index, entry.project, entry.filename] = entry.reason or True
        case "unyank":
            told.yanks.pop((entry.index, entry.project, entry.filename), None)
        case action if action.startswith(_STATUS):
            status = action.removeprefix(_STATUS)
            if status in {known.value for known in ProjectStatus}:
                told.statuses[entry.index, entry.project] = ProjectStatus(status), entry.reason or None


def _seconds(time: str) -> float:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0
