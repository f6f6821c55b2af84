"""The Walks in dictionaries: the twin that the contract suite verifies beside the catalog's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.records import Walk


class MemoryWalks:
    """Walks by index."""

    def __init__(self) -> None:
        self._walks: dict[str, Walk] = {}
        self._due: dict[tuple[str, NormalizedName], float] = {}

    def walk(self, index: str) -> Walk | None:
        """The walk that is under way, or the last one."""
        return self._walks.get(index)

    def keep_walk(self, index: str, walk: Walk) -> None:
        """Remember it."""
        self._walks[index] = walk

    def revisits(self, index: str, now: float) -> list[NormalizedName]:
        """The projects that are to be looked at again by that time, in order."""
        return sorted(name for (of, name), at in self._due.items() if of == index and at <= now)

    def keep_revisits(self, index: str, due: Mapping[NormalizedName, float | None]) -> None:
        """Project → when it must be looked at again; None: no more."""
        for name, at in due.items():
            self._due.pop((index, name), None)
            if at is not None:
                self._due[index, name] = at
