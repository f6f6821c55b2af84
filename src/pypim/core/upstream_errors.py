"""Errors about how much an upstream says, and about what it says of all of its projects."""

from __future__ import annotations

from pypim.core.errors import Refused, UpstreamMalformed


class MassRemoval(Refused):
    """More projects than may go at once are not there any more."""

    code = "mass-removal"

    def __init__(self, upstream: str, removed: int, projects: int) -> None:
        super().__init__(
            f"{upstream}: {removed:,} of {projects:,} projects are not there any more; nothing of it was taken",
            hint="Look whether the upstream is whole. If they are really gone, run"
            " `pypim update --accept-removals`; `most-removed` of the upstream says how many may go without that.",
        )
        self.upstream = upstream
        self.removed = removed
        self.projects = projects


class UpstreamTooLong(UpstreamMalformed):
    """The answer has more bytes than are read of one of its kind."""

    code = "upstream-too-long"

    def __init__(self, url: str, limit_bytes: int) -> None:
        super().__init__(url, f"the answer is longer than {limit_bytes:,} bytes")
        self.limit_bytes = limit_bytes
