"""Adds up the plans of very many projects and lists only the first of what changes, so that memory is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.plan import Plan

if TYPE_CHECKING:
    from pypim.core.plan import PlannedFile, PlannedRelease

MOST_TOLD = 5_000
"""So many files and releases are listed."""


class PlanSum:
    """One plan of many."""

    def __init__(self) -> None:
        self._fetch: list[PlannedFile] = []
        self._removed: list[PlannedFile] = []
        self._releases: list[PlannedRelease] = []
        self._untold = self._fetch_files = self._removed_files = 0
        self._fetch_bytes = self._unknown_sizes = self._removed_bytes = 0
        self.added_files = self.added_bytes = 0
        """How much more would be held."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not (self._fetch_files or self._removed_files or self._releases)

    def add(self, plan: Plan, before: Plan) -> None:
        """Add what a project needs; `before` is what it has now, as a plan that changes nothing."""
        changed = [release for release in plan.releases if release.added or release.removed or release.fetch_bytes]
        room = MOST_TOLD - len(self._releases)
        self._releases += changed[:room]
        self._untold += len(changed[room:]) if room > 0 else len(changed)
        self._fetch += plan.fetch[: max(0, MOST_TOLD - len(self._fetch))]
        self._removed += plan.removed[: max(0, MOST_TOLD - len(self._removed))]
        self._fetch_files += len(plan.fetch)
        self._removed_files += len(plan.removed)
        self._fetch_bytes += plan.fetch_bytes
        self._unknown_sizes += plan.unknown_sizes
        self._removed_bytes += plan.removed_bytes
        self.added_files += plan.total_files - before.total_files
        self.added_bytes += plan.total_bytes - before.total_bytes

    def plan(self, total_files: int, total_bytes: int) -> Plan:
        """All of it, with what is then held in all."""
        return Plan(
            fetch=tuple(self._fetch),
            removed=tuple(self._removed),
            releases=tuple(sorted(self._releases, key=lambda release: (release.project, release.version))),
            fetch_bytes=self._fetch_bytes,
            unknown_sizes=self._unknown_sizes,
            total_files=total_files,
            total_bytes=total_bytes,
            removed_bytes=self._removed_bytes,
            fetch_files=self._fetch_files,
            removed_files=self._removed_files,
            untold_releases=self._untold,
        )
