"""What the catalog records of our own state: the files we hold, the pages that stand published, the runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.errors import NotFound
from pypim.core.model import Blob, Holding
from pypim.core.names import parse_name
from pypim.core.records import Finding, Removal, Run
from pypim.store.catalog_origins import CatalogOrigins
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.records import Owner
    from pypim.store.database import Database


_encode = msgspec.json.Encoder().encode


@told_as_damage
class CatalogHoldings:
    """The Holdings of a catalog: a row is the commit that a file is held."""

    def __init__(self, database: Database, now: Callable[[], float], owner: Owner | None = None) -> None:
        """`now` gives seconds since the epoch; what is recorded came to `owner`, if there is one."""
        self._database = database
        self._now = now
        self._origins = CatalogOrigins(database, owner)

    def holdings(self) -> list[tuple[str, Holding]]:
        """Every (identity, holding), by identity."""
        return [_held(row) for row in self._database.rows("holdings")]

    def holdings_after(self, identity: str, most: int) -> list[tuple[str, Holding]]:
        """So many of them at most, after one."""
        return [_held(row) for row in self._database.rows("holdings_after", (identity, most))]

    def holdings_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities."""
        return dict(map(_held, self._database.rows("holdings_of", (_encode(list(identities)).decode(),))))

    def beside(self, held: Iterable[Holding]) -> dict[str, Holding]:
        """Every record with the file name of one of these."""
        names = _encode(sorted({holding.filename for holding in held})).decode()
        return dict(map(_held, self._database.rows("holdings_named", (names,))))

    def own(self) -> list[tuple[str, Holding]]:
        """Those that count for the owner."""
        return [_held(row) for row in self._database.rows("own_holdings", (self._origins.admitted(),))]

    def own_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities that count for the owner."""
        wanted = _encode(list(identities)).decode()
        return dict(map(_held, self._database.rows("own_holdings_of", (wanted, self._origins.admitted()))))

    def own_of_project(self, project: NormalizedName) -> dict[str, Holding]:
        """Those of a project."""
        return dict(map(_held, self._database.rows("held_of_project", (project, self._origins.admitted()))))

    def record(self, held: Iterable[tuple[str, NormalizedName, Holding]]) -> None:
        """Commit the rows in one durable transaction; a later row of an identity replaces the earlier."""
        with self._database.transaction(is_durable=True):
            self.write(held)

    def write(self, held: Iterable[tuple[str, NormalizedName, Holding]]) -> None:
        """The same within a transaction of the caller's."""
        now, rows = self._now(), list(held)
        self._database.run_many(
            "record_holding",
            (
                (
                    identity,
                    project,
                    holding.filename,
                    holding.blob.sha256,
                    holding.blob.blake2b_256,
                    holding.blob.size,
                    holding.metadata_sha256,
                    now,
                )
                for identity, project, holding in rows
            ),
        )
        self._origins.note(identity for identity, _, _ in rows)

    def forget(self, identities: Iterable[str]) -> None:
        """Remove rows, before the bytes are deleted."""
        with self._database.transaction(is_durable=True):
            self._database.run_many("forget_holding", ((identity,) for identity in identities))


def _held(row: tuple[Any, ...]) -> tuple[str, Holding]:
    identity, filename, sha256, blake2b_256, size, metadata_sha256 = row
    blob = Blob(sha256=sha256, blake2b_256=blake2b_256, size=size)
    return identity, Holding(filename=filename, blob=blob, metadata_sha256=metadata_sha256)


@told_as_damage
class CatalogReadings:
    """The Readings of a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last_read(self) -> dict[str, float]:
        """By identity: when it was stored or, since then, read."""
        return dict(self._database.rows("last_readings"))

    def oldest(self) -> float | None:
        """The earliest of these times."""
        row = self._database.row("oldest_reading")
        return None if row is None else row[0]

    def note_read(self, identities: Iterable[str], at: float) -> None:
        """They are whole."""
        with self._database.transaction(is_durable=False):
            self._database.run_many("note_reading", ((at, identity) for identity in identities))


@told_as_damage
class CatalogPublished:
    """The Published of a catalog. What a power cut takes of it is written or waited for again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page_digests(self, index: str) -> dict[NormalizedName, str]:
        """Project → digest of the page as it was last written."""
        return dict(self._database.rows("page_digests", (index,)))

    def keep_page_digests(self, index: str, digests: Mapping[NormalizedName, str | None]) -> None:
        """Record pages that were written (None: removed)."""
        with self._database.transaction(is_durable=False):
            self._database.run_many(
                "keep_page_digest", ((index, name, digest) for name, digest in digests.items() if digest is not None)
            )
            self._database.run_many(
                "forget_page_digest", ((index, name) for name, digest in digests.items() if digest is None)
            )

    def page_digests_of(self, index: str, names: Iterable[NormalizedName]) -> dict[NormalizedName, str]:
        """Those of some projects."""
        return dict(self._database.rows("page_digests_of", (index, _encode(list(names)).decode())))

    def page_names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name that have a page and keep it, so many at most, in order."""
        return [name for (name,) in self._database.rows("published_names", (index, after, most))]

    def leaving(self, index: str) -> list[NormalizedName]:
        """Those that lose their page, in order."""
        return [name for (name,) in self._database.rows("leaving_names", (index,))]

    def list_digest(self, index: str) -> str | None:
        """Of the list of projects as it was last written."""
        row = self._database.row("list_digest", (index,))
        return None if row is None else str(row[0])

    def keep_list_digest(self, index: str, digest: str | None) -> None:
        """Record that the list was written, or that it is about to be wrong."""
        with self._database.transaction(is_durable=False):
            if digest is None:
                self._database.run("forget_list_digest", (index,))
            else:
                self._database.run("keep_list_digest", (index, digest))

    def removals(self, index: str) -> dict[str, Removal]:
        """Identity → file that waits to be deleted."""
        return {row[0]: Removal(*row) for row in self._database.rows("removals", (index,))}

    def keep_removals(self, index: str, waiting: Iterable[Removal], settled: Iterable[str]) -> None:
        """Add files that wait; drop, by identity, those whose wait is over or that are listed again."""
        with self._database.transaction(is_durable=False):
            self._database.run_many("keep_removal", ((index, one.identity, one.project, one.since) for one in waiting))
            self._database.run_many("settle_removal", ((index, identity) for identity in settled))


@told_as_damage
class CatalogRuns:
    """The Runs of a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin_run(self, command: str, index: str, started_at: float) -> int:
        """A run began; its number, which is never used again."""
        with self._database.transaction(is_durable=False):
            return self._database.run("begin_run", (command, index, started_at))

    def finish_run(self, number: int, finished_at: float, outcome: str, summary: bytes) -> None:
        """It ended. Raises NotFound for a number that `begin_run` never gave."""
        with self._database.transaction(is_durable=False):
            if self._database.row("run", (number,)) is None:
                raise NotFound(f"{self._database.path}: there is no run {number}")
            self._database.run("finish_run", (finished_at, outcome, summary.decode(), number))

    def last_run(self, index: str) -> Run | None:
        """The newest finished run of that index."""
        row = self._database.row("last_run", (index,))
        if row is None:
            return None
        number, command, index_name, started_at, finished_at, outcome, summary = row
        return Run(number, command, index_name, started_at, finished_at, outcome, summary.encode())

    def newest_outcome(self, index: str) -> str | None:
        """The outcome of the newest run, finished or not."""
        row = self._database.row("newest_outcome", (index,))
        return None if row is None else row[0]


@told_as_damage
class CatalogFindings:
    """The Findings of a catalog; forgetting is durable before what it warns of can happen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def finding(self, index: str) -> Finding | None:
        """That of the last complete sync."""
        row = self._database.row("finding", (index,))
        if row is None:
            return None
        digest, consulted, total_files, total_bytes = row
        return Finding(
            digest=digest,
            consulted=tuple(parse_name(name) for name in msgspec.json.decode(consulted)),
            total_files=total_files,
            total_bytes=total_bytes,
        )

    def keep_finding(self, index: str, finding: Finding | None) -> None:
        """Remember it, or forget it."""
        with self._database.transaction(is_durable=True):
            if finding is None:
                self._database.run("forget_finding", (index,))
            else:
                consulted = msgspec.json.encode(finding.consulted).decode()
                row = (index, finding.digest, consulted, finding.total_files, finding.total_bytes)
                self._database.run("keep_finding", row)
