"""The other file that knows everyone: Config → the server, with the stack of each index and the processes it runs in.

Each worker process makes its own application from the configuration, so a reload is new workers that read it again.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pypim.config.model import Read
from pypim.index.published import PublishedIndex
from pypim.store import atomic
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.epochs import LocalEpochs
from pypim.wiring import CATALOG_NAME, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.routing import BaseRoute

    from pypim.config.model import Config, Index
    from pypim.ports import Background, Served
    from pypim.web.app import App
    from pypim.web.auth import Doorkeeper
    from pypim.web.context import Context
    from pypim.web.publishing import Publishing

_log = logging.getLogger("pypim.server")
_T = TypeVar("_T")

STAGING_NAME = "serving"
"""Folder of what is on its way in through the server; a sync has one of its own."""


class WriterThread:
    """The Background of a worker: one thread, whose connection to the catalog nobody else uses."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="writer")

    async def run(self, work: Callable[[], _T]) -> _T:
        """What the work returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Wait for what was begun."""
        self._executor.shutdown()


@contextmanager
def open_app(config: Config) -> Iterator[App]:
    """The application of one worker. Raises StoreFault, or InvalidConfig where an index cannot be set up."""
    from pypim.web.app import App
    from pypim.web.auth import Doorkeeper
    from pypim.web.context import Context

    path = config.store.path
    atomic.make_folder(path)
    atomic.make_folder(config.store.files)
    with ExitStack() as stack:
        reader = stack.enter_context(Catalog.open(path / CATALOG_NAME))
        writer = stack.enter_context(Catalog.open(path / CATALOG_NAME))
        epochs = stack.enter_context(LocalEpochs.open(path))
        background, clock = WriterThread(), SystemClock()
        stack.callback(background.close)
        blobs = LocalBlobs(config.store.files, path / STAGING_NAME)
        indexes: dict[str, Served] = {
            index.name: PublishedIndex(index.name, reader.serving, blobs, epochs) for index in config.indexes.values()
        }
        doorkeeper = Doorkeeper(
            config.access.rules, reader.accounts, writer.accounts, background, clock, config.access.failures_per_minute
        )
        context = Context(
            indexes=indexes,
            uploads={},
            default=config.server.default_index or "",
            cache_controls={index.name: _cache_control(index) for index in config.indexes.values()},
            doorkeeper=doorkeeper,
            publishing=_publishing(config, doorkeeper, writer, background),
            background=background,
            check_store=partial(_check, writer),
            clock=clock,
            trusted_proxies=config.server.trusted_proxies,
            root_path=config.server.root_path,
            accelerated=config.server.accelerated,
        )
        yield App(context, _routes(context), config.store.files)


def _publishing(config: Config, doorkeeper: Doorkeeper, writer: Catalog, background: Background) -> Publishing | None:
    """Trusted Publishing, loaded only where it is used; the keys of an issuer are fetched by a client of their own."""
    publishers = config.access.publishers.values()
    if not publishers:
        return None
    from pypim.core.records import FetchOptions
    from pypim.net.fetchers import open_fetcher
    from pypim.web.publishing import Publishing

    options = FetchOptions(connect_timeout=5.0, read_timeout=10.0, retries=2)
    open_client = partial(open_fetcher, options=options)
    return Publishing(publishers, open_client, writer.accounts, background, SystemClock(), doorkeeper.failures)


def _cache_control(index: Index) -> str:
    """What changes by uploads must not be kept; what strangers may not see must not be kept by a cache between."""
    if index.kind in {"hosted", "group"}:
        return "no-cache"
    return "max-age=600, public" if index.read is Read.ANYONE else "max-age=600, private"


def _check(catalog: Catalog) -> None:
    """Whether the catalog can be read and written. Raises StoreFault."""
    with catalog.database.transaction(is_durable=False):
        catalog.database.schema_version()


def _routes(context: Context) -> list[BaseRoute]:
    """Everything but pages and files."""
    from pypim.web import health

    found = [*health.routes(context)]
    if context.publishing is not None:
        from pypim.web import publishing

        found += publishing.routes(context)
    return found
