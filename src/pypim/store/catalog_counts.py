"""How much the catalog knows each kind of index to hold, added up by the database itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pypim.store.database import Database


class Counts(NamedTuple):
    """What an index holds now; what is on a page and not held does not count."""

    projects: int
    files: int
    file_bytes: int


class CatalogCounts:
    """Sums over the tables of other parts of the catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mirror(self, generation: int) -> Counts:
        """Of one generation."""
        return Counts(*self._database.rows("counted_mirror", (generation,))[0])

    def proxy(self, index: str) -> Counts:
        """What it keeps of what passed through."""
        return Counts(*self._database.rows("counted_proxy", (index,))[0])

    def hosted(self, index: str) -> Counts:
        """Its projects, also those without files, and the files that were uploaded and not deleted."""
        return Counts(*self._database.rows("counted_hosted", (index,))[0])
