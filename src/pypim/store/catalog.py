"""The catalog: one SQLite file that remembers everything but the bytes, in tables that a person can query."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Self

from pypim.store.catalog_access import CatalogAccounts
from pypim.store.catalog_cached import CatalogCached
from pypim.store.catalog_counts import CatalogCounts
from pypim.store.catalog_facts import CatalogFacts
from pypim.store.catalog_following import CatalogBacklog, CatalogFollowing
from pypim.store.catalog_generations import CatalogGenerations
from pypim.store.catalog_holdings import (
    CatalogFindings,
    CatalogHoldings,
    CatalogPublished,
    CatalogReadings,
    CatalogRuns,
)
from pypim.store.catalog_hosted import CatalogHosted
from pypim.store.catalog_pages import CatalogCapabilities, CatalogMetadata, CatalogPages, CatalogSizes
from pypim.store.catalog_plans import CatalogPlans
from pypim.store.catalog_serving import CatalogServing
from pypim.store.catalog_walks import CatalogWalks
from pypim.store.database import Database
from pypim.store.soundness import faults_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pypim.core.records import Owner


class OwnCatalog(NamedTuple):
    """The ports of a catalog that are not the same for every index."""

    pages: CatalogPages
    facts: CatalogFacts
    metadata: CatalogMetadata
    sizes: CatalogSizes
    following: CatalogFollowing
    holdings: CatalogHoldings
    cached: CatalogCached
    serving: CatalogServing


class Catalog:
    """Each attribute but `counts` is one port; all of them share one connection, and are gone with `close`.

    What belongs to an index or its upstream is asked of `of(owner)`: as attributes, those ports know no owner.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """`open` makes it; `now` gives seconds since the epoch."""
        self.database = database
        self._now = now
        self.pages = CatalogPages(database)
        self.facts = CatalogFacts(database)
        self.metadata = CatalogMetadata(database)
        self.sizes = CatalogSizes(database)
        self.capabilities = CatalogCapabilities(database, now)
        self.following = CatalogFollowing(database)
        self.backlog = CatalogBacklog(database)
        self.holdings = CatalogHoldings(database, now)
        self.readings = CatalogReadings(database)
        self.cached = CatalogCached(database, self.holdings)
        self.hosted = CatalogHosted(database, self.holdings)  # with no owner: what is uploaded is nobody else's
        self.generations = CatalogGenerations(database)
        self.published = CatalogPublished(database)
        self.findings = CatalogFindings(database)
        self.walks = CatalogWalks(database)
        self.runs = CatalogRuns(database)
        self.plans = CatalogPlans(database)
        self.serving = CatalogServing(database)
        self.accounts = CatalogAccounts(database)
        self.counts = CatalogCounts(database)

    @classmethod
    def open(cls, path: Path, *, writable: bool = True, now: Callable[[], float] = time.time) -> Self:
        """Open the catalog, bringing it to the newest schema.

        With `writable=False` nothing on disk changes, a missing file reads as empty, and writing raises
        StoreUnwritable. (Only beside a log that a running or killed process left, SQLite refreshes its own index of
        that log, the -shm file.) Raises StoreUnwritable, CorruptCatalog, SchemaTooNew, Locked or OutOfSpace.
        """
        return cls(Database.open(path, writable=writable), now)

    def of(self, owner: Owner) -> OwnCatalog:
        """What an index has of its own, and what its upstream said."""
        database, credentials = self.database, owner.credentials
        holdings = CatalogHoldings(database, self._now, owner)
        return OwnCatalog(
            pages=CatalogPages(database, credentials),
            facts=CatalogFacts(database, owner),
            metadata=CatalogMetadata(database, owner.known_as),
            sizes=CatalogSizes(database, owner.known_as),
            following=CatalogFollowing(database, credentials),
            holdings=holdings,
            cached=CatalogCached(database, holdings, owner.known_as),
            serving=CatalogServing(database, owner),
        )

    def faults(self) -> list[str]:
        """What is wrong with the file, of which all is read; empty where nothing is. Raises StoreFault."""
        return list(faults_of(self.database))

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def __enter__(self) -> Self:
        """The catalog itself."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
