"""The only file that knows everyone: a configuration becomes stacks of ports."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pypim import __version__
from pypim.config.environment import environment
from pypim.config.model import HostedIndex, Layout
from pypim.config.owners import owner_of
from pypim.core.errors import InvalidConfig, InvalidUsage, NotFound, ProjectNotFound
from pypim.core.freshness import Trust
from pypim.core.names import parse_name
from pypim.core.policy import Policy
from pypim.core.target import environments
from pypim.core.urls import root_url, split_user_info
from pypim.store import atomic
from pypim.store.apart import BlobsApart
from pypim.store.audit import FileAudit
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.epochs import LocalEpochs, MemoryEpochs
from pypim.store.keeping import Keeping
from pypim.store.lock import StoreLock
from pypim.store.lost import is_lost, refuse_lost
from pypim.store.spare import Spare
from pypim.store.tree import LocalTree
from pypim.sync.model import Pattern, Request, Stack
from pypim.sync.recall import inputs_of, recall

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from pypim.config.model import Config, MirrorIndex, ProxyIndex, Upstream
    from pypim.index.gather import Gatherer
    from pypim.ports import (
        Accounts,
        Epochs,
        Reporter,
    )
    from pypim.store.catalog import OwnCatalog
    from pypim.sync.held import Held
    from pypim.sync.opinions import Judge
    from pypim.sync.recall import RecalledPlan

_Result = TypeVar("_Result")

CATALOG_NAME = "catalog.sqlite"
AUDIT_NAME = "audit.jsonl"
STAGING_NAME = "staging"
_GATHER_SECONDS = 0.02
"""Nobody waits for a single file of a sync, and each sync of the file system costs the same for one as for many."""
LARGEST_FILE_BYTES = 20 * 1024**3
"""Where neither the upstream nor `max-file-size` says anything, an endless body must still end somewhere."""


class SystemClock:
    """The Clock of this machine."""

    def now(self) -> datetime:
        """The time in UTC."""
        return datetime.now(UTC)


def run(work: Coroutine[object, object, _Result]) -> _Result:
    """Run a coroutine to its end on the fastest event loop there is."""
    results: list[_Result] = []

    async def main() -> None:
        # Handed over beside the loop: asyncio's runner makes a text of its main task, with all of its result.
        results.append(await work)

    if sys.platform == "win32":
        import asyncio

        asyncio.run(main())
    else:
        import uvloop

        uvloop.run(main())
    return results[0]


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, making its folder. Raises StoreUnwritable or OutOfSpace."""
    atomic.make_folder(path.parent)
    atomic.write_atomically(path, text.encode())


def can_write(folder: Path) -> str:
    """Why a folder, or the nearest one above that exists, cannot be written; empty where it can."""
    for candidate in (folder, *folder.parents):
        if candidate.exists():
            if not candidate.is_dir():
                return f"{candidate} is not a folder"
            return "" if os.access(candidate, os.W_OK | os.X_OK) else f"{candidate} cannot be written by this user"
    return f"{folder}: no folder above it exists"


async def ask_upstream(config: Config, index: MirrorIndex, reporter: Reporter) -> str:
    """Ask an upstream for one project that the index names, and say how it answered. Raises UpstreamFault, Refused."""
    request = request_of(config, index)
    name = next((root.project for root in request.roots), parse_name("pip"))
    with open_store(config, writable=False) as store:
        async with open_stack(store, index, reporter) as stack:
            try:
                page = await stack.index.project(name)
            except ProjectNotFound:
                return f"{index.upstream.url} answers; it has no project {name}"
    return f"{index.upstream.url} answers; {name} has {len(page.files):,} files"


class OpenStore(msgspec.Struct, frozen=True):
    """A store that is in use: for reading only, or locked for writing."""

    config: Config
    catalog: Catalog
    blobs: LocalBlobs
    is_writable: bool
    epochs: Epochs

    def of(self, index: MirrorIndex | ProxyIndex) -> OwnCatalog:
        """What an index has of its own, and what its upstream said."""
        return self.catalog.of(owner_of(self.config, index))


@contextmanager
def open_store(config: Config, *, writable: bool, frees: bool = False) -> Iterator[OpenStore]:
    """Open the catalog and the blobs; with `writable` under the store's lock.

    With `frees` room may be made: where the disk is full, that of the spare file is there for it. Without
    `writable` nothing in the store changes: what must be looked into on the way goes to a folder of its own, which is
    gone at the end. Raises Locked, StoreUnwritable, CorruptCatalog or SchemaTooNew.
    """
    path = config.store.path
    if writable:
        atomic.make_folder(path)
        atomic.make_folder(config.store.files)
        with ExitStack() as stack:
            stack.enter_context(StoreLock(path))
            refuse_lost_catalog(config)
            spare = Spare(path)
            spare.keep()
            kept_back = stack.enter_context(spare.given_up_where_full()) if frees else 0
            catalog = stack.enter_context(Catalog.open(path / CATALOG_NAME))
            epochs = stack.enter_context(LocalEpochs.open(path))
            atomic.remove_temporaries(path)
            staging = path / STAGING_NAME
            blobs = LocalBlobs(config.store.files, staging, gather_seconds=_GATHER_SECONDS, keeping=Keeping(path))
            blobs.kept_back_bytes = kept_back
            yield OpenStore(config, catalog, blobs, is_writable=True, epochs=epochs)
        return
    with (
        _scratch() as scratch,
        Catalog.open(path / CATALOG_NAME, writable=False) as catalog,
    ):
        blobs = LocalBlobs(config.store.files, scratch)
        yield OpenStore(config, catalog, blobs, is_writable=False, epochs=MemoryEpochs())


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder that is gone at the end; on a system that is read-only as a whole one that only needing it shows."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="pypim-")
    except OSError:
        yield Path(os.sep, "tmp", "pypim")
        return
    with folder as name:
        yield Path(name)


@contextmanager
def open_accounts(config: Config, *, writable: bool) -> Iterator[Accounts]:
    """The users and tokens of a store, also while a server or a sync has it in use: only the catalog is opened.

    Raises StoreUnwritable, CorruptCatalog, SchemaTooNew, or Locked where another writer takes too long.
    """
    if writable:
        atomic.make_folder(config.store.path)
        refuse_lost_catalog(config)
    with Catalog.open(config.store.path / CATALOG_NAME, writable=writable) as catalog:
        yield catalog.accounts


def has_lost_catalog(config: Config) -> bool:
    """Whether a store has no catalog, or an empty one."""
    return is_lost(config.store.path / CATALOG_NAME)


def refuse_lost_catalog(config: Config) -> None:
    """Raise CorruptCatalog where a new catalog would take the place of one that had uploads, users or tokens."""
    path, has_hosted = config.store.path, any(isinstance(one, HostedIndex) for one in config.indexes.values())
    refuse_lost(path / CATALOG_NAME, path / AUDIT_NAME, config.store.files, has_hosted=has_hosted)


def audit_of(config: Config) -> FileAudit:
    """The log of every write and refusal that concerns the server: that of `audit-log`, or of the store."""
    return FileAudit(config.server.audit_log or config.store.path / AUDIT_NAME)


@asynccontextmanager
async def open_stack(
    store: OpenStore,
    index: MirrorIndex,
    reporter: Reporter,
    trust: Trust = Trust.NOTHING,
    *,
    needs_pages_once: bool = False,
) -> AsyncIterator[Stack]:
    """The ports of one index, with its upstream's client open. Raises InvalidConfig where that cannot be set up.

    With `needs_pages_once` none stays in memory.
    With `Trust.KEPT` there is no client, but for a folder of this machine, which is nobody who could be asked.
    """
    from pypim.index.download import Downloads
    from pypim.index.metadata import RemoteMetadata
    from pypim.index.sizes import RemoteSizes
    from pypim.wiring_fetching import open_fetching
    from pypim.wiring_upstream import knowledge_of, upstream_parts

    catalog, own, clock, upstream = store.catalog, store.of(index), SystemClock(), index.upstream
    path, remembers = store.config.store.path / CATALOG_NAME, not index.is_each_alone
    knowledge = knowledge_of(catalog, own, path, is_writable=store.is_writable, remembers=remembers)
    address = split_user_info(upstream.url)[0]
    if store.is_writable:
        own.pages.forget_elsewhere(upstream.name, address)
        own.pages.forget_unsaid(root_url(upstream.url))
    async with open_fetching(upstream, trust, reporter) as (fetcher, hosts):
        parts = upstream_parts(index, fetcher, knowledge, clock, trust, needs_pages_once=needs_pages_once)
        blobs = BlobsApart(store.blobs, owner_of(store.config, index).known_as)
        downloads = Downloads(fetcher, blobs, hosts)
        yield Stack(
            index=parts.pages,
            upstream_url=parts.root_url,
            following=knowledge.following,
            follows=parts.follows,
            backlog=knowledge.backlog,
            metadata=RemoteMetadata(address, fetcher, knowledge.metadata, knowledge.capabilities, downloads),
            sizes=RemoteSizes(fetcher, knowledge.sizes),
            known=parts.known,
            fetcher=fetcher,
            blobs=blobs,
            holdings=own.holdings,
            generations=catalog.generations,
            published=catalog.published,
            findings=catalog.findings,
            walks=catalog.walks,
            plans=knowledge.plans,
            runs=catalog.runs,
            clock=clock,
            reporter=reporter,
            tree=published_tree(store.config, index),
            epochs=store.epochs,
            file_hosts=hosts,
            patience=index.upstream.follow.patience,
        )


def gatherer_of(store: OpenStore, index: MirrorIndex, stack: Stack) -> Gatherer:
    """Who learns all projects of the upstream of an index, by thousands. Raises InvalidUsage where it has no pages."""
    if stack.follows is None:
        hint = "Without --all, --pattern and names, `pypim metadata` reads what is asked for."
        message = f"{index.upstream.name} is a page that lists files, and has no page for a project"
        raise InvalidUsage(message, hint=hint)
    from pypim.index.gather import Gatherer

    name, url = index.upstream.name, stack.upstream_url
    return Gatherer(name, url, stack.fetcher, store.of(index).facts, store.catalog.capabilities, stack.clock)


def recalled_plan(store: OpenStore, index: MirrorIndex, trust: Trust) -> RecalledPlan | None:
    """The plan of an index that was made before, where it would be the same again."""

    def read(path: str) -> str:
        return store.config.read_text(Path(path))

    try:
        now = SystemClock().now().timestamp()
        return recall(store.catalog.plans, index.name, _digest_of(index, []), read, trust, now)
    except InvalidConfig:
        return None  # a file cannot be read any more: whoever makes the plan says so


def published_tree(config: Config, index: MirrorIndex) -> LocalTree | None:
    """The static tree of an index; None where it has none."""
    if index.publish is None:
        return None
    files = config.store.files
    staging = config.store.path / STAGING_NAME if index.publish == files else index.publish / ".pypim-staging"
    return LocalTree(index.publish, files, staging)


@asynccontextmanager
async def open_judge(
    kind: str, store: OpenStore, index: MirrorIndex, request: Request, held: Held
) -> AsyncIterator[tuple[Judge, Judge | None]]:
    """Real uv or pip ("uv", "pip") before what an index has published, or before pages that lead into the store.

    The second is the same before the upstream; None where it could not read that by its URL alone. Raises NotFound
    where there is no such program, InvalidUsage where it is too old.
    """
    from pypim.sync.judges import PipJudge, Surrounding, UvJudge, shown_pages

    program = find_program(kind)
    if program is None:
        hint = f"Install {kind}, or prove with the resolver that is built in: leave out --with."
        raise NotFound(f"{kind} is neither on PATH nor beside {sys.executable}", hint=hint)
    with tempfile.TemporaryDirectory(prefix="pypim-") as scratch:
        home, folder = Path(scratch, "home"), index.publish
        atomic.make_folder(home)
        if folder is None:
            folder = Path(scratch, "tree")
            atomic.make_folder(folder)
            LocalTree(folder, store.config.store.files, Path(scratch, "staging")).write(shown_pages(held, store.blobs))
        constraints = Path(scratch, "constraints.txt") if request.constraints else None
        if constraints is not None:
            write_text(constraints, "".join(f"{name}{text}\n" for name, text in request.constraints.items()))
        surrounding = Surrounding(
            index_url=f"{folder.resolve().as_uri()}/simple/",
            home=home,
            variables=environment(),
            constraints=constraints,
            prereleases=request.policy.prereleases,
            find=find_program,
        )
        kinds: type[UvJudge | PipJudge] = UvJudge if kind == "uv" else PipJudge
        url = _plain_url(index.upstream)
        beyond = msgspec.structs.replace(surrounding, index_url=url, has_network=True, home=Path(scratch, "beyond"))
        atomic.make_folder(beyond.home)
        yield await kinds.open(program, surrounding), await kinds.open(program, beyond) if url else None


def _plain_url(upstream: Upstream) -> str:
    """The URL of an upstream that is a Simple API for certain and wants no login; empty for others."""
    from pypim.wiring_upstream import layout_of

    secrets = (upstream.username, upstream.password, upstream.token, upstream.client_certificate, upstream.proxy)
    is_plain = not any(one is not None for one in secrets) and upstream.ca_file is None and not upstream.headers
    return upstream.url if is_plain and layout_of(upstream) is Layout.SIMPLE else ""


def find_program(name: str) -> Path | None:
    """A program on PATH, or beside the interpreter that runs this one."""
    folders = [*environment().get("PATH", "").split(os.pathsep), str(Path(sys.executable).parent)]
    suffix = ".exe" if sys.platform == "win32" else ""
    candidates = (Path(folder, name + suffix) for folder in folders if folder)
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def request_of(config: Config, index: MirrorIndex) -> Request:
    """What an index shall hold. Raises InvalidConfig or InvalidRequirement, with the file and line."""
    from pypim.config.asked import asked_of

    targeted = environments(index.targets)
    asked = asked_of(config, index, targeted, environment())
    policy = Policy.compile(index.filters, f"indexes.{index.name}.filters")
    return Request(
        index=index.name,
        roots=asked.roots,
        patterns=tuple(Pattern(p.expression, p.rule, p.origin) for p in index.patterns),
        environments=targeted,
        policy=policy,
        follow=index.follow,
        constraints=asked.constraints,
        on_removal=index.on_removal,
        told=_digest_of(index, []),
        inputs=inputs_of(asked.texts),
        digest=_digest_of(index, [*(text for _, text in asked.texts), *(root.text for root in asked.roots)]),
        jobs=index.jobs,
        max_seconds=index.max_seconds,
        max_bytes=index.max_bytes,
        limit_bytes=policy.max_file_size_bytes or LARGEST_FILE_BYTES,
        notes=asked.notes,
    )


def _digest_of(index: MirrorIndex, texts: list[str]) -> str:
    """What the configuration says of an index, its requirements files (with variables filled in) and this program."""
    chosen = msgspec.structs.replace(index, jobs=1, max_seconds=None, max_bytes=None)  # they decide nothing
    told = (__version__, chosen, texts)
    encoded = msgspec.json.encode(told, enc_hook=str, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()
