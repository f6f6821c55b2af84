"""What the catalog knows each kind of index to hold: how much, added up by the database, and some names at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.store.database import Database


_encode = msgspec.json.Encoder().encode


class Counts(NamedTuple):
    """What an index holds now; what is on a page and not held does not count."""

    projects: int
    files: int
    file_bytes: int


class Known(NamedTuple):
    """What is known of an upstream, sizes in bytes; times as the upstream wrote them."""

    projects: int
    releases: int
    files: int
    file_bytes: int
    first_upload: str | None
    last_upload: str | None


@told_as_damage
class CatalogCounts:
    """Sums over the tables of other parts of the catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mirror(self, generation: int) -> Counts:
        """Of one generation."""
        return Counts(*self._database.rows("counted_mirror", (generation,))[0])

    def releases_among(self, index: str, names: Iterable[NormalizedName]) -> set[tuple[str, str]]:
        """(project, version) of the releases of some projects that a mirror has chosen."""
        rows = self._database.rows("releases_among", (_encode(list(names)), index))
        return {(project, version) for project, version in rows}

    def is_known(self, project: NormalizedName) -> bool:
        """Whether a page of it was read, or an index hosts it."""
        return bool(self._database.rows("is_known_project", (project,))[0][0])

    def upstream(self, name: str) -> Known:
        """What the pages of an upstream that were read come to."""
        return Known(*self._database.rows("counted_upstream", (name,))[0])

    def proxy(self, index: str) -> Counts:
        """What it keeps of what passed through."""
        return Counts(*self._database.rows("counted_proxy", (index,))[0])

    def hosted(self, index: str) -> Counts:
        """Its projects, also those without files, and the files that were uploaded and not deleted."""
        return Counts(*self._database.rows("counted_hosted", (index,))[0])

    def names_of_mirror(self, generation: int, after: str, most: int) -> list[NormalizedName]:
        """The projects of a generation with a file that is held: those whose names come after one, so many at most."""
        return [name for (name,) in self._database.rows("listed_mirror", (generation, after, most))]

    def names_of_proxy(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The same of what a proxy keeps."""
        return [name for (name,) in self._database.rows("listed_proxy", (index, after, most))]

    def names_of_hosted(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The same of a hosted index: also those without files, but none in quarantine (PEP 792)."""
        return [name for (name,) in self._database.rows("listed_hosted", (index, after, most))]
