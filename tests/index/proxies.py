"""A proxy for tests: a real fetcher, a real store in a folder, a clock that the test moves."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pypim.core.freshness import Limits
from pypim.core.names import parse_name
from pypim.core.policy import Filters, Policy
from pypim.core.records import FetchOptions, Owner
from pypim.index.proxy import Catalogs, ProxyIndex, ProxyParts, ProxySettings
from pypim.net.fetchers import open_fetcher
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.epochs import LocalEpochs
from pypim.store.keeping import Keeping
from pypim.store.turns import LocalTurns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pypim.core.model import DistFile, Page
    from pypim.ports import Arriving

T = TypeVar("T")
OPEN = Policy.compile(Filters(), "filters")
APP = parse_name("app")


class MovedClock:
    """A Clock that the test moves."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Notes:
    """A Reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None: ...

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None: ...

    def note(self, message: str) -> None:
        self.notes.append(message)

    def close(self) -> None: ...


class Thread:
    """The Background: one thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        self._executor.shutdown()


async def no_sleep(_: float) -> None:
    """Stands in for sleep between retries."""


OWNER = Owner(index="proxy", upstream="https://index.example/simple/")
"""Who the proxy is to the catalog."""


def _ports(catalog: Catalog) -> Catalogs:
    own = catalog.of(OWNER)
    return Catalogs(own.pages, own.metadata, catalog.capabilities, own.cached, catalog.backlog)


class Home:
    """What stays from one process to the next; `open` is one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.files.mkdir(parents=True)
        self.clock = MovedClock()
        self.reporter = Notes()
        self._processes = 0

    @asynccontextmanager
    async def open(
        self, url: str, *, page_url: str | None = None, limits: Limits | None = None, **settings: object
    ) -> AsyncIterator[ProxyIndex]:
        self._processes += 1
        known = ProxySettings(upstream="up", url=url, page_url=page_url or url, limits=limits or Limits(), policy=OPEN)
        known = msgspec.structs.replace(known, **settings)
        options = FetchOptions(proxy="", retries=1, read_timeout=5, connect_timeout=2)
        path = self.folder / "catalog.sqlite"
        keeping, thread = Keeping(self.folder), Thread()
        with (
            Catalog.open(path) as reader,
            Catalog.open(path) as writer,
            LocalEpochs.open(self.folder) as epochs,
        ):
            async with (
                open_fetcher(url, options, sleep=no_sleep) as fetcher,
                open_fetcher(url, options, sleep=no_sleep) as file_fetcher,
            ):
                parts = ProxyParts(
                    read=_ports(reader),
                    write=_ports(writer),
                    blobs=LocalBlobs(self.files, self.folder / f"staging-{self._processes}"),
                    shared=keeping.shared,
                    alone=keeping.alone,
                    fetcher=fetcher,
                    file_fetcher=file_fetcher,
                    turns=LocalTurns(self.folder / "turns"),
                    epochs=epochs,
                    background=thread,
                    clock=self.clock,
                    reporter=self.reporter,
                )
                proxy = ProxyIndex("proxy", known, parts)
                try:
                    yield proxy
                finally:
                    await proxy.close()
                    thread.close()

    def catalog(self) -> Catalog:
        return Catalog.open(self.folder / "catalog.sqlite")

    def held_files(self) -> list[str]:
        """The names of all files in the store."""
        return sorted(path.name for path in (self.files / "packages").rglob("*") if path.is_file())


async def everything(arriving: Arriving | Path, chunk: int = 1 << 16) -> bytes:
    """The whole content."""
    if isinstance(arriving, Path):
        return arriving.read_bytes()
    content = b""
    try:
        while piece := await arriving.read(len(content), chunk):
            content += piece
    finally:
        arriving.close()
    return content


async def eventually(is_so: Callable[[], bool]) -> None:
    """Wait until it is."""
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.002)


def named(page: Page, filename: str) -> DistFile:
    return next(file for file in page.files if file.filename == filename)
