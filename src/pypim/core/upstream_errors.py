"""Errors about what an upstream says of all of its projects."""

from __future__ import annotations

from pypim.core.errors import Refused


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
