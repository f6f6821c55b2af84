"""How far indexes have come with choosing their projects one by one, as the catalog keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.records import Walk
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.store.database import Database


@told_as_damage
class CatalogWalks:
    """The Walks of a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def walk(self, index: str) -> Walk | None:
        """The walk that is under way, or the last one."""
        row = self._database.row("walk", (index,))
        if row is None:
            return None
        digest, upstream, since, until, after, is_ended = row
        return Walk(digest, upstream, since, until, after, is_ended=bool(is_ended))

    def keep_walk(self, index: str, walk: Walk) -> None:
        """Remember it."""
        with self._database.transaction(is_durable=True):
            self._database.run("keep_walk", (index, *msgspec.structs.astuple(walk)))

    def revisits(self, index: str, now: float) -> list[NormalizedName]:
        """The projects that are to be looked at again by that time, in order."""
        return [name for (name,) in self._database.rows("revisits_due", (index, now))]

    def keep_revisits(self, index: str, due: Mapping[NormalizedName, float | None]) -> None:
        """Project → when it must be looked at again; None: no more."""
        rows = [(index, name, at) for name, at in due.items() if at is not None]
        over = [(index, name) for name, at in due.items() if at is None]
        if due:
            with self._database.transaction(is_durable=False):
                self._database.run_many("keep_revisit", rows)
                self._database.run_many("forget_revisit", over)
