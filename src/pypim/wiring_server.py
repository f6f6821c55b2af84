"""The other file that knows everyone: Config → the server's application, with the stack of each index.

Each worker process makes its own application from the configuration, so a reload is new workers that read it again.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pypim.config.model import GroupIndex as GroupConfig
from pypim.config.model import HostedIndex as HostedConfig
from pypim.config.model import MirrorIndex, Overwrite, Read
from pypim.config.model import ProxyIndex as ProxyConfig
from pypim.core.patterns import ProjectPatterns
from pypim.core.upload import UploadPolicy
from pypim.index.group import GroupIndex, Member
from pypim.index.hosted import HostedIndex
from pypim.index.long_pages import FileBound
from pypim.index.provenance import RemoteProvenance
from pypim.index.proxy import ProxyIndex, ProxyParts
from pypim.index.published import PublishedIndex
from pypim.net.fetchers import open_fetcher
from pypim.store import atomic
from pypim.store.apart import BlobsApart
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.epochs import LocalEpochs
from pypim.store.keeping import Keeping
from pypim.store.own import own_folder
from pypim.store.ready import try_store
from pypim.store.spare import Spare
from pypim.store.turns import LocalTurns
from pypim.web.audited import LoudAudit
from pypim.wiring import CATALOG_NAME, SystemClock, audit_of, refuse_lost_catalog
from pypim.wiring_fetching import Paces, open_file_hosts, serving_options
from pypim.wiring_proxy import catalogs_of, owners_of, proxy_settings
from pypim.wiring_ready import LogReporter, Long, LongPage, bound_of, long_pages, prepare_lists
from pypim.wiring_told import StoreTelling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from starlette.routing import BaseRoute

    from pypim.config.model import Config, Index
    from pypim.core.records import Owner
    from pypim.ports import Background, Blobs, Clock, Epochs, Fetcher, Served, Turns
    from pypim.web.app import App
    from pypim.web.context import Context
    from pypim.web.lists import ReadyLists
    from pypim.web.upload import Uploads

_log = logging.getLogger("pypim.server")
_T = TypeVar("_T")

STAGING_NAME = "serving"
"""Folder of what is on its way in through the server, with one for each process; a sync has its own elsewhere."""
TURNS_NAME = "turns"
_PAGE_SECONDS = 600
"""So long clients may take a mirror's page for the newest one."""


class BackgroundThread:
    """A Background of a worker: one thread, whose connection to the catalog nobody else uses."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, work: Callable[[], _T]) -> _T:
        """What the work returns or raises."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Wait for what was begun."""
        self._executor.shutdown()


class ServerStack(msgspec.Struct, frozen=True, kw_only=True):
    """What all indexes of a worker share."""

    path: Path
    """The store's folder."""
    reader: Catalog
    """For the event loop."""
    writer: Catalog
    """For the background."""
    teller: Catalog
    """For what takes long to read, in `reading`."""
    reading: Background
    blobs: Blobs
    keeping: Keeping
    epochs: Epochs
    turns: Turns
    background: Background
    clock: Clock
    audit: LoudAudit
    provenance: dict[str, Callable[[str], Awaitable[bytes]]]
    """By the proxy whose upstream is read."""
    paces: Paces
    owners: dict[str, Owner]
    """By the mirror or proxy."""
    lists: dict[str, ReadyLists]
    """Those that stand ready on the disk, by index."""
    long: Long | None = None
    """None where any page may be in memory."""


@asynccontextmanager
async def open_app(config: Config, limit: LongPage | None = LongPage()) -> AsyncIterator[App]:  # noqa: B008 - immutable
    """The application of one worker, which never has a page in memory that is longer; None: it may have any.

    Raises StoreFault, or InvalidConfig where an index cannot be set up.
    """
    from pypim.web.app import App

    async with AsyncExitStack() as stack:
        shared = _open_stack(config, stack.enter_context(ExitStack()))
        if limit is not None:
            shared = msgspec.structs.replace(shared, long=long_pages(config, shared, stack, limit))
        indexes = _as_asked(await _open_indexes(config, shared, stack), config)
        prepare_lists(config, shared, stack)
        uploads = {
            index.name: _uploads(config, index, shared) for index in config.indexes.values() if _is_hosted(index)
        }
        for group in _members_first(config):
            if isinstance(group, GroupConfig) and (taker := _first_taker(group, uploads)) is not None:
                uploads[group.name] = taker
        context = _context(config, shared, indexes, uploads)
        stack.push_async_callback(context.doorkeeper.settle)
        yield App(context, _routes(context), config.store.files)


@asynccontextmanager
async def open_index(config: Config, name: str) -> AsyncIterator[Served]:
    """The configured index of that name, for one question. Raises as `open_app` does."""
    async with AsyncExitStack() as stack:
        shared = _open_stack(config, stack.enter_context(ExitStack()))
        yield (await _open_indexes(config, shared, stack))[name]


@asynccontextmanager
async def open_group(config: Config, name: str) -> AsyncIterator[GroupIndex]:
    """The configured group of that name, for one question. Raises as `open_app` does."""
    async with open_index(config, name) as group:
        assert isinstance(group, GroupIndex), "it is asked for by its kind"
        yield group


def _open_stack(config: Config, stack: ExitStack) -> ServerStack:
    path = config.store.path
    atomic.make_folder(path)
    atomic.make_folder(config.store.files)
    refuse_lost_catalog(config)
    spare = Spare(path)
    spare.keep()
    with spare.given_up_where_full():  # a server on a full disk must start: who could delete anything else?
        reader = stack.enter_context(Catalog.open(path / CATALOG_NAME))
        writer = stack.enter_context(Catalog.open(path / CATALOG_NAME))
        teller = stack.enter_context(Catalog.open(path / CATALOG_NAME))
    background, reading = BackgroundThread("writer"), BackgroundThread("reader")
    stack.callback(background.close)
    stack.callback(reading.close)
    keeping = Keeping(path)
    staging = stack.enter_context(own_folder(path / STAGING_NAME))
    return ServerStack(
        path=path,
        reader=reader,
        writer=writer,
        teller=teller,
        reading=reading,
        blobs=LocalBlobs(config.store.files, staging, keeping=keeping),
        keeping=keeping,
        epochs=stack.enter_context(LocalEpochs.open(path)),
        turns=LocalTurns(path / TURNS_NAME),
        background=background,
        clock=SystemClock(),
        audit=LoudAudit(audit_of(config)),
        provenance={},
        paces=Paces(config.server.workers),
        owners=owners_of(config),
        lists={},
    )


# --- indexes ----------------------------------------------------------------------------------------------------------
def _members_first(config: Config) -> list[Index]:
    """All indexes, each group after its members."""
    found: dict[str, Index] = {}

    def add(index: Index) -> None:
        for member in index.members if isinstance(index, GroupConfig) else ():
            add(config.indexes[member])
        found[index.name] = index

    for index in config.indexes.values():
        add(index)
    return list(found.values())


async def _open_indexes(config: Config, shared: ServerStack, stack: AsyncExitStack) -> dict[str, Served]:
    indexes: dict[str, Served] = {}
    for index in _members_first(config):
        indexes[index.name] = await _open_index(index, shared, indexes, stack)
    return indexes


async def _open_index(index: Index, shared: ServerStack, others: dict[str, Served], stack: AsyncExitStack) -> Served:
    bound = None if shared.long is None else FileBound(shared.long.limit.most_files, shared.long.pages.room)
    match index:
        case MirrorIndex():
            serving = shared.reader.of(shared.owners[index.name]).serving
            return PublishedIndex(index.name, serving, shared.blobs, shared.epochs, bound)
        case HostedConfig():
            hosted = shared.reader.hosted
            return HostedIndex(index.name, hosted, shared.blobs, shared.epochs, index.reserved, bound)
        case GroupConfig():
            return GroupIndex(index.name, [_member(others[name]) for name in index.members], index.merged)
        case ProxyConfig():
            return await _open_proxy(index, shared, stack)


def _as_asked(indexes: dict[str, Served], config: Config) -> dict[str, Served]:
    """A hosted index that reserves names answers alone as in a group: a 404 would send clients to their next index."""
    reserving = {name for name, index in config.indexes.items() if isinstance(index, HostedConfig) and index.reserved}
    nothing_merged = ProjectPatterns.compile((), "merge")
    return {
        name: GroupIndex(name, [_member(served)], nothing_merged) if name in reserving else served
        for name, served in indexes.items()
    }


def _first_taker(group: GroupConfig, uploads: dict[str, Uploads]) -> Uploads | None:
    """What is uploaded to a group goes to its first hosted member."""
    return next((uploads[name] for name in group.members if name in uploads), None)


def _is_hosted(index: Index) -> bool:
    return isinstance(index, HostedConfig)


def _member(served: Served) -> Member:
    """A group in a group reserves what its own members do."""
    if isinstance(served, HostedIndex) or (isinstance(served, GroupIndex) and served.has_reservations):
        return Member(served, served.reserves, served.reserves_by_rule)
    return Member(served)


async def _open_proxy(index: ProxyConfig, shared: ServerStack, stack: AsyncExitStack) -> ProxyIndex:
    upstream = index.upstream
    options = serving_options(upstream)
    pace = shared.paces.pace(upstream, options)
    settings = proxy_settings(index)
    owner = shared.owners[index.name]
    shared.writer.of(owner).pages.forget_unsaid(owner.upstream)
    parts = ProxyParts(
        read=catalogs_of(shared.reader, owner),
        write=catalogs_of(shared.writer, owner),
        blobs=BlobsApart(shared.blobs, owner.known_as),
        shared=shared.keeping.shared,
        alone=shared.keeping.alone,
        fetcher=await stack.enter_async_context(open_fetcher(upstream.url, options, pace=pace)),
        file_fetcher=await stack.enter_async_context(open_fetcher(upstream.url, options, pace=pace)),
        file_hosts=await stack.enter_async_context(open_file_hosts(upstream, options, pace, LogReporter())),
        bound=None if shared.long is None else bound_of(shared.long, index.name),
        turns=LocalTurns(shared.path / TURNS_NAME, owner.known_as),
        epochs=shared.epochs,
        background=shared.background,
        clock=shared.clock,
        reporter=LogReporter(),
    )
    shared.provenance[index.name] = RemoteProvenance(parts.fetcher).read
    proxy = ProxyIndex(index.name, settings, parts)
    stack.push_async_callback(proxy.close)
    return proxy


def _uploads(config: Config, index: Index, shared: ServerStack) -> Uploads:
    from pypim.web.upload import Uploads, UploadSettings, UploadStore

    assert isinstance(index, HostedConfig), "nothing else takes uploads"
    settings = UploadSettings(
        policy=UploadPolicy(
            replaces_development=index.overwrite is Overwrite.DEVELOPMENT,
            max_file_size=index.max_file_size_bytes,
            max_project_size=index.max_project_size_bytes,
            takes_local_versions=index.takes_local_versions,
            platform_tags=index.platform_tags,
        ),
        creators=index.creators,
        max_upload_size=config.server.max_upload_size_bytes,
    )
    store = UploadStore(
        hosted=shared.reader.hosted,
        hosting=shared.writer.hosted,
        blobs=shared.blobs,
        keeping=shared.keeping.shared,
        epochs=shared.epochs,
        audit=shared.audit,
    )
    return Uploads(index.name, store, shared.background, shared.clock, settings)


# --- the application --------------------------------------------------------------------------------------------------
def _context(config: Config, shared: ServerStack, indexes: dict[str, Served], uploads: dict[str, Uploads]) -> Context:
    from pypim.web.auth import Doorkeeper
    from pypim.web.context import Context, Telling

    told = StoreTelling(config, shared.teller)
    server, access = config.server, config.access
    reader, writer = shared.reader.accounts, shared.writer.accounts
    doorkeeper = Doorkeeper(access.rules, reader, writer, shared.background, shared.clock, shared.audit)
    publishing = None
    if access.publishers:
        from pypim.web.publishing import Publishing

        publishing = Publishing(
            access.publishers.values(), _open_issuer, writer, shared.background, shared.clock, doorkeeper
        )
    return Context(
        indexes=indexes,
        uploads=uploads,
        default=server.default_index or "",
        cache_controls={index.name: cache_control_of(index) for index in config.indexes.values()},
        doorkeeper=doorkeeper,
        background=shared.background,
        check_store=partial(_check, shared, config.store.files),
        clock=shared.clock,
        hosted={taker.name: shared.reader.hosted for taker in uploads.values()},
        provenance=shared.provenance,
        lists=shared.lists,
        long_pages=None if shared.long is None else shared.long.pages,
        telling=Telling(
            kinds={index.name: index.kind for index in config.indexes.values()},
            state=told.state,
            projects=told.projects,
            why=told.why,
            reading=shared.reading,
            accounts=reader,
            written=writer,
        ),
        publishing=publishing,
        request_timeout=server.request_timeout,
        trusted_proxies=server.trusted_proxies,
        root_path=server.root_path,
        accelerated=server.accelerated,
    )


def _check(shared: ServerStack, files: Path) -> None:
    """Whether the store can be used, and the audit log has every line. Raises StoreFault."""
    try_store(shared.writer, {shared.path, files})
    shared.audit.check()


def _open_issuer(url: str) -> AbstractAsyncContextManager[Fetcher]:
    from pypim.core.records import FetchOptions

    return open_fetcher(url, FetchOptions(connect_timeout=5.0, read_timeout=10.0, retries=2))


def cache_control_of(index: Index) -> str:
    """What changes by uploads must not be kept; what strangers may not see must not be kept by a cache between."""
    if isinstance(index, HostedConfig | GroupConfig):
        return "no-cache"
    seconds = int(index.max_age_seconds) if isinstance(index, ProxyConfig) else _PAGE_SECONDS
    return f"max-age={seconds}, {'public' if index.read is Read.ANYONE else 'private'}"


def _routes(context: Context) -> list[BaseRoute]:
    """Everything but pages and files."""
    from pypim.web import api, health, integrity, legacy_json, pypicache, upload_routes, xmlrpc

    found: list[BaseRoute] = []
    if context.publishing is not None:
        from pypim.web import publishing  # and with it all that reads identity tokens

        found = publishing.routes(context)
    return [
        *found,
        *health.routes(context),
        *api.routes(context),
        *upload_routes.routes(context),
        *legacy_json.routes(context),
        *integrity.routes(context),
        *xmlrpc.routes(context),
        *pypicache.routes(context),
    ]
