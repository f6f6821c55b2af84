"""What is told of an index as a whole: its kind, what it holds, and when it last changed."""

from __future__ import annotations

import msgspec


class IndexState(msgspec.Struct, frozen=True, kw_only=True):
    """One index of the server; times as in 2026-11-01T12:00:00+00:00, sizes in bytes."""

    name: str
    kind: str
    """"mirror", "proxy", "hosted" or "group"."""
    state: str
    """Of a mirror "empty", "published", or "interrupted" where a run broke off; of others "ready" or "empty"."""
    upstream: str | None = None
    """The name of the upstream that a mirror or a proxy reads."""
    members: tuple[str, ...] = ()
    """Of a group, in the order in which they are asked."""
    projects: int | None = None
    """Those of which something is held, and all of a hosted index; null for a group, which holds nothing itself."""
    files: int | None = None
    """Those that are held."""
    file_bytes: int | None = None
    last_sync: str | None = None
    """When the last sync of a mirror ended."""
    last_outcome: str | None = None
    last_serial: int | None = None
    """Of a hosted index that of its last change, else the highest that the upstream has told; null without any."""
