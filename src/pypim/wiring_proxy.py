"""How a proxy of the configuration becomes an index that the server serves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pypim.config.access import fetch_options
from pypim.config.environment import environment
from pypim.core.freshness import Limits
from pypim.core.policy import Policy
from pypim.index.proxy import Catalogs, ProxyIndex, ProxyParts, ProxySettings
from pypim.net.fetchers import open_fetcher
from pypim.store.keeping import Keeping
from pypim.store.turns import LocalTurns

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.config.model import ProxyIndex as ConfiguredProxy
    from pypim.net.fetchers import SchemeFetcher
    from pypim.ports import Background, Blobs, Clock, Epochs
    from pypim.store.catalog import Catalog

_log = logging.getLogger("pypim.server")
TURNS_NAME = "turns"


class LogReporter:
    """A Reporter that writes what a person should read to the server's log."""

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """A server has no stages."""

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Nor progress."""

    def note(self, message: str) -> None:
        """A warning."""
        _log.warning("%s", message)

    def close(self) -> None:
        """Nothing is held."""


class ServerParts:
    """What all indexes of one worker share."""

    def __init__(
        self, path: Path, catalogs: tuple[Catalog, Catalog], blobs: Blobs, epochs: Epochs, background: Background
    ) -> None:
        """`path` is the store's folder; `catalogs`: one to read from the event loop, one to write in the background."""
        self.path = path
        self.reader, self.writer = catalogs
        self.blobs = blobs
        self.epochs = epochs
        self.background = background


class OpenProxy:
    """A proxy with its connections. Call `close` in the event loop, when no request is answered any more."""

    def __init__(self, index: ProxyIndex, fetchers: tuple[SchemeFetcher, ...]) -> None:
        self.index = index
        self._fetchers = fetchers

    async def close(self) -> None:
        """Stop fetching, write down what was learned, and close the connections."""
        await self.index.close()
        for fetcher in self._fetchers:
            await fetcher.__aexit__()


def open_proxy(configured: ConfiguredProxy, parts: ServerParts, clock: Clock) -> OpenProxy:
    """Raises InvalidConfig where a secret, a certificate or a proxy server cannot be used."""
    upstream = configured.upstream
    options = fetch_options(upstream, environment())
    fetchers = (open_fetcher(upstream.url, options), open_fetcher(upstream.url, options))
    keeping = Keeping(parts.path)
    settings = ProxySettings(
        upstream=upstream.name,
        url=upstream.url,
        page_url=upstream.page_url,
        layout=upstream.layout.value,
        limits=Limits(
            max_age=configured.max_age_seconds,
            stale_while_revalidate=configured.stale_while_revalidate_seconds,
            stale_if_error=configured.stale_if_error_seconds,
            negative_max_age=configured.negative_max_age_seconds,
        ),
        policy=Policy.compile(configured.filters, f"indexes.{configured.name}.filters"),
        max_size=configured.max_size_bytes,
        pinned=configured.pinned,
        is_offline=configured.is_offline,
        learns_metadata=configured.computes_metadata,
    )
    made = ProxyParts(
        read=_ports(parts.reader),
        write=_ports(parts.writer),
        blobs=parts.blobs,
        shared=keeping.shared,
        alone=keeping.alone,
        fetcher=fetchers[0],
        file_fetcher=fetchers[1],
        turns=LocalTurns(parts.path / TURNS_NAME),
        epochs=parts.epochs,
        background=parts.background,
        clock=clock,
        reporter=LogReporter(),
    )
    return OpenProxy(ProxyIndex(configured.name, settings, made), fetchers)


def _ports(catalog: Catalog) -> Catalogs:
    return Catalogs(catalog.pages, catalog.metadata, catalog.capabilities, catalog.cached)
