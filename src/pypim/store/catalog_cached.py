"""What the catalog remembers for proxies: the files that they keep with their last use, and what metadata they give."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.model import Blob, Holding
from pypim.core.records import CachedFile
from pypim.store.database import told_as_damage
from pypim.store.packing import unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.names import SafeFilename
    from pypim.store.catalog_holdings import CatalogHoldings
    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode


@told_as_damage
class CatalogCached:
    """The Cached of a catalog."""

    def __init__(self, database: Database, holdings: CatalogHoldings, upstream: str = "") -> None:
        """`holdings` are those of its owner; `upstream` is what is said of sidecars kept under."""
        self._database = database
        self._holdings = holdings
        self._upstream = upstream

    def held(self, project: NormalizedName) -> dict[str, Holding]:
        """Every file of a project that is held for the owner, by identity."""
        return self._holdings.own_of_project(project)

    def record(self, index: str, files: Iterable[tuple[str, NormalizedName, Holding]], used_at: float) -> None:
        """Commit files as held, and as kept by the index."""
        rows = list(files)
        with self._database.transaction(is_durable=True):
            self._holdings.write(rows)
            self._database.run_many(
                "keep_cached",
                (
                    (index, identity, project, holding.filename, holding.blob.size, used_at)
                    for identity, project, holding in rows
                ),
            )

    def use(self, index: str, uses: Mapping[str, float]) -> None:
        """When files were last asked for; a use that was recorded later counts."""
        with self._database.transaction(is_durable=False):
            self._database.run_many("use_cached", ((used_at, index, identity) for identity, used_at in uses.items()))

    def size(self, index: str) -> int:
        """Bytes of all files that the index keeps."""
        return int(self._database.rows("cached_size", (index,))[0][0])

    def oldest(self, index: str, used_before: float) -> list[CachedFile]:
        """The files that were last asked for before that time, the oldest use first."""
        return [CachedFile(*row) for row in self._database.rows("oldest_cached", (index, used_before))]

    def projects(self, index: str) -> list[NormalizedName]:
        """The projects of which it keeps any file, sorted."""
        return [project for (project,) in self._database.rows("cached_projects", (index,))]

    def drop(self, index: str, identities: Sequence[str]) -> list[Holding]:
        """The index no longer keeps these; those that nothing else lists are no longer held."""
        return self._database.freeing(partial(self._drop, index, identities))

    def _drop(self, index: str, identities: Sequence[str]) -> list[Holding]:
        with self._database.transaction(is_durable=True):
            self._database.run_many("forget_cached", ((index, identity) for identity in identities))
            listed = {identity for (identity,) in self._database.rows("listed_identities", (None,))}
            gone = [identity for identity in identities if identity not in listed]
            rows = [self._database.row("held_file", (identity,)) for identity in gone]
            self._database.run_many("forget_holding", ((identity,) for identity in gone))
        return [_holding(*row) for row in rows if row is not None]

    def sidecars(self, keys: Sequence[str]) -> dict[str, str | None]:
        """The sha256 of the core metadata that can be given out, by key; None where none can."""
        return dict(self._database.rows("sidecars", (self._upstream, _encode(keys))))

    def sidecar(self, key: str) -> bytes | None:
        """Those bytes."""
        row = self._database.row("sidecar", (key, self._upstream))
        return None if row is None or row[0] is None else unpack(row[0])

    def keep_sidecar(self, key: str, sha256: str | None) -> None:
        """Remember what can be given out."""
        with self._database.transaction(is_durable=False):
            self._database.run("keep_sidecar", (key, self._upstream, sha256))


def _holding(filename: SafeFilename, sha256: str, blake2b_256: str, size: int, metadata_sha256: str | None) -> Holding:
    blob = Blob(sha256=sha256, blake2b_256=blake2b_256, size=size)
    return Holding(filename=filename, blob=blob, metadata_sha256=metadata_sha256)
