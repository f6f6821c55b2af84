"""What the server reads of mirrors in the catalog: the current generation, project by project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.model import Blob, DistFile, Holding, Page, ProjectStatus
from pypim.core.served import held_entry
from pypim.store.catalog_origins import CatalogOrigins
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.records import Owner
    from pypim.store.database import Database

_decode_file = msgspec.json.Decoder(DistFile).decode


@told_as_damage
class CatalogServing:
    """The Serving of a catalog."""

    def __init__(self, database: Database, owner: Owner | None = None) -> None:
        """What is held counts as far as it does for `owner`."""
        self._database = database
        self._origins = CatalogOrigins(database, owner)

    def generation(self, index: str) -> int | None:
        """The number of the newest finished generation."""
        row = self._database.row("current_generation", (index,))
        return None if row is None else int(row[0])

    def names(self, generation: int) -> list[NormalizedName]:
        """The projects with a file that is held, in order."""
        return [name for (name,) in self._database.rows("served_names", (generation, self._origins.admitted()))]

    def length(self, generation: int, project: NormalizedName) -> int:
        """How many files are held of all that the generation names."""
        row = self._database.row("served_length", (generation, project))
        return 0 if row is None else int(row[0])

    def page(self, generation: int, project: NormalizedName) -> Page | None:
        """The files that are held; a quarantined project has a page without files (PEP 792)."""
        facts = self._database.row("served_facts", (generation, project))
        if facts is None:
            return None
        state, said, reason = facts
        status = ProjectStatus(said)
        files = tuple(
            held_entry(_decode_file(file), _holding(row))
            for file, *row in self._database.rows("served_files", (state, self._origins.admitted()))
        )
        if not files and status is not ProjectStatus.QUARANTINED:
            return None
        return Page(name=project, files=files, status=status, status_reason=reason)


def _holding(row: list[object]) -> Holding:
    filename, sha256, blake2b_256, size, metadata_sha256 = row
    blob = msgspec.convert({"sha256": sha256, "blake2b_256": blake2b_256, "size": size}, Blob)
    return msgspec.convert(
        {"filename": filename, "blob": blob, "metadata_sha256": metadata_sha256}, Holding, from_attributes=True
    )
