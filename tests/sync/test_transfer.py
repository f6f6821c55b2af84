"""How a transfer records what is durable: many files at once, none late, none forgotten when it is stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable

import msgspec
from packaging.utils import NormalizedName

from pypim.config.load import load
from pypim.core.model import Holding
from pypim.core.plan import PlannedFile
from pypim.ports import Blobs, Holdings, StagedBlob
from pypim.store.apart import BlobsApart
from pypim.sync.model import Request, Stack
from pypim.sync.silent import SilentReporter
from pypim.sync.transfer import Transfer
from pypim.wiring import open_stack, open_store, request_of, run
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror
from tests.worlds import faults
from tests.worlds.world import World, project

NAMES = [f"p{number:03}" for number in range(60)]
MANY = World.of(*(project(name, "1.0") for name in NAMES))

Row = tuple[str, NormalizedName, Holding]


class WatchedHoldings:
    """Holdings that note how many rows each transaction had, and tell of each before it begins."""

    def __init__(self, holdings: Holdings, told: Callable[[list[Row]], None]) -> None:
        self._holdings = holdings
        self._told = told
        self.holdings = holdings.holdings
        self.holdings_of = holdings.holdings_of
        self.own = holdings.own
        self.own_of = holdings.own_of
        self.beside = holdings.beside
        self.forget = holdings.forget
        self.transactions: list[int] = []

    def record(self, held: Iterable[Row]) -> None:
        rows = list(held)
        self._told(rows)
        self.transactions.append(len(rows))
        self._holdings.record(rows)


class WatchedBlobs(BlobsApart):
    """Blobs that tell of each file that is durable."""

    def __init__(self, blobs: Blobs, told: Callable[[Holding], None]) -> None:
        super().__init__(blobs, "world")
        self._told = told

    async def keep(self, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        await super().keep(staged, holding, metadata)
        self._told(holding)


def with_stack(mirror: Mirror, work: Callable[[Stack, Request], Coroutine[object, object, None]]) -> None:
    """Run with what a sync of the mirror works with."""

    async def opened() -> None:
        with open_store(config, writable=True) as store:
            async with open_stack(store, index, SilentReporter()) as stack:
                await work(stack, request_of(config, index))

    config = load(mirror.config)
    (index,) = config.chosen("main")
    run(opened())


async def planned(stack: Stack) -> list[PlannedFile]:
    """Every file of the upstream."""
    pages = [await stack.index.project(name) for name in sorted((await stack.index.project_list()).projects)]
    return [PlannedFile(project=page.name, version="1.0", file=file) for page in pages for file in page.files]


def test_many_files_are_recorded_in_few_transactions(serve: ServeWorld, mirror: Mirror) -> None:
    """A transaction waits for others, but not once nothing else is on its way."""
    mirror.configure(serve(MANY).url, packages=dict.fromkeys(NAMES, "*"))

    async def work(stack: Stack, request: Request) -> None:
        watched = WatchedHoldings(stack.holdings, lambda _rows: None)
        files = await planned(stack)
        transfer = Transfer(msgspec.structs.replace(stack, holdings=watched), request)
        await transfer.run(files)
        assert sum(watched.transactions) == len(files) == len(transfer.held)
        assert len(watched.transactions) < len(files) / 4
        assert dict(stack.holdings.own()) == transfer.held

    with_stack(mirror, work)


def test_a_file_that_is_durable_does_not_wait_for_one_that_is_slow(serve: ServeWorld, mirror: Mirror) -> None:
    server, gate = serve(MANY), threading.Event()
    server.misbehave("/packages/*/p000-1.0*", faults.hold(gate))
    mirror.configure(server.url, packages=dict.fromkeys(NAMES, "*"))

    async def work(stack: Stack, request: Request) -> None:
        files = await planned(stack)
        slow = sum(one.project == NAMES[0] for one in files)
        recorded: set[str] = set()

        def note(rows: list[Row]) -> None:
            recorded.update(identity for identity, _, _ in rows)
            if len(recorded) == len(files) - slow:
                gate.set()  # only now; should they wait for the slow one, this never ends

        watched = WatchedHoldings(stack.holdings, note)
        async with asyncio.timeout(60):
            await Transfer(msgspec.structs.replace(stack, holdings=watched), request).run(files)
        assert len(recorded) == len(files)

    try:
        with_stack(mirror, work)
    finally:
        gate.set()


def test_what_is_durable_when_a_transfer_is_stopped_is_recorded(serve: ServeWorld, mirror: Mirror) -> None:
    """Else the next run would fetch it again, or had to look for it."""
    server, gate = serve(MANY), threading.Event()
    server.misbehave("/packages/*/p000-1.0*", faults.hold(gate))
    mirror.configure(server.url, packages=dict.fromkeys(NAMES, "*"))

    async def work(stack: Stack, request: Request) -> None:
        kept: list[Holding] = []
        has_kept = asyncio.Event()

        def note(holding: Holding) -> None:
            kept.append(holding)
            has_kept.set()

        transfer = Transfer(msgspec.structs.replace(stack, blobs=WatchedBlobs(stack.blobs, note)), request)
        running = asyncio.create_task(transfer.run(await planned(stack)))
        await has_kept.wait()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert kept
        assert all(holding in transfer.held.values() for holding in kept)
        assert dict(stack.holdings.own()) == transfer.held

    try:
        with_stack(mirror, work)
    finally:
        gate.set()
