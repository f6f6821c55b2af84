"""What the catalog knows of where held files came from: a file counts for those indexes only that it came to.

Else whoever lists the name and the hash of a file that is private to another index would be given its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.core.records import Owner
    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode


@told_as_damage
class CatalogOrigins:
    """The origins of files as one owner sees them; for None nothing counts, and nothing is noted."""

    def __init__(self, database: Database, owner: Owner | None) -> None:
        self._database = database
        self._owner = owner

    def admitted(self) -> str:
        """The numbers of those origins that count, as a JSON list for queries.

        They are those of the index itself, of others of the same upstream, of those that anyone may read, and what
        was found in the store; but nothing that came with other credentials than its own.
        """
        owner = self._owner
        if owner is None:
            return "[]"
        names = _encode((owner.index, *owner.also)).decode()
        rows = self._database.rows("admitted_origins", (owner.upstream, owner.credentials, names))
        return _encode([number for (number,) in rows]).decode()

    def note(self, identities: Iterable[str]) -> None:
        """They came to the owner, within a transaction of the caller's."""
        owner = self._owner
        if owner is None:
            return
        row = (owner.index, owner.upstream, owner.credentials)
        self._database.run("keep_origin", row)
        ((number,),) = self._database.rows("origin", row)
        self._database.run_many("keep_came", [(identity, number) for identity in identities])
