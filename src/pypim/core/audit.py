"""One line of the audit log: who wanted to change what on which index, and what came of it."""

from __future__ import annotations

import json

import msgspec


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A write, or the refusal of one."""

    time: str
    """ISO 8601 in UTC with microseconds and Z, so that lines in the order of their texts are in that of their times."""
    visitor: str
    """The name of a user or token; empty where nobody was known."""
    action: str
    """upload, yank, unyank, delete, status …"""
    index: str
    project: str = ""
    filename: str = ""
    outcome: str
    """done, unchanged (it was so before), or the code of the error."""
    reason: str = ""
    """As the visitor gave it, or the sentence of the refusal."""
    peer: str = ""
    """The address that the request came from."""


def audit_line(entry: AuditEntry) -> bytes:
    """The entry as a line of JSON in ASCII; whatever a client sent, it is one line, and harmless to a terminal."""
    return json.dumps(msgspec.to_builtins(entry), separators=(",", ":")).encode() + b"\n"
