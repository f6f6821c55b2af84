"""The only file that knows everyone: a configuration becomes stacks of ports."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import tempfile
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec

from pypim import __version__
from pypim.config.access import fetch_options
from pypim.config.environment import environment
from pypim.core.closure import Root
from pypim.core.errors import ProjectNotFound
from pypim.core.filenames import project_of
from pypim.core.markers import evaluate
from pypim.core.names import normalize_extra, parse_name
from pypim.core.policy import Policy
from pypim.core.requirements import parse_requirement_argument, read_requirements
from pypim.core.rules import requirement_rule
from pypim.core.target import environments
from pypim.index.flat import FlatIndex
from pypim.index.metadata import RemoteMetadata
from pypim.index.remote import RemoteIndex
from pypim.net.fetchers import open_fetcher
from pypim.store import atomic
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.lock import StoreLock
from pypim.store.memory import OverlayCapabilities, OverlayMetadataCache, OverlayPages
from pypim.store.tree import LocalTree
from pypim.sync.model import Pattern, Request, Stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.config.model import Config, Index
    from pypim.core.requirements import RequirementLine
    from pypim.ports import Capabilities, MetadataCache, Pages, Reporter

_Result = TypeVar("_Result")

CATALOG_NAME = "catalog.sqlite"
STAGING_NAME = "staging"
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


async def ask_upstream(config: Config, index: Index, reporter: Reporter) -> str:
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


@contextmanager
def open_store(config: Config, *, writable: bool) -> Iterator[OpenStore]:
    """Open the catalog and the blobs; with `writable` under the store's lock.

    Without it nothing in the store changes: what must be looked into on the way goes to a folder of its own, which is
    gone at the end. Raises Locked, StoreUnwritable, CorruptCatalog or SchemaTooNew.
    """
    path = config.store.path
    if writable:
        atomic.make_folder(path)
        atomic.make_folder(config.store.files)
        with StoreLock(path), Catalog.open(path / CATALOG_NAME) as catalog:
            atomic.remove_temporaries(path)
            yield OpenStore(config, catalog, LocalBlobs(config.store.files, path / STAGING_NAME), is_writable=True)
        return
    with (
        tempfile.TemporaryDirectory(prefix="pypim-") as scratch,
        Catalog.open(path / CATALOG_NAME, writable=False) as catalog,
    ):
        yield OpenStore(config, catalog, LocalBlobs(config.store.files, Path(scratch)), is_writable=False)


@asynccontextmanager
async def open_stack(store: OpenStore, index: Index, reporter: Reporter) -> AsyncIterator[Stack]:
    """The ports of one index, with its upstream's client open. Raises InvalidConfig where that cannot be set up."""
    catalog, clock = store.catalog, SystemClock()
    pages: Pages = catalog.pages
    cache: MetadataCache = catalog.metadata
    capabilities: Capabilities = catalog.capabilities
    if not store.is_writable:
        pages, cache = OverlayPages(pages), OverlayMetadataCache(cache)
        capabilities = OverlayCapabilities(capabilities)
    upstream = index.upstream
    async with open_fetcher(upstream.url, fetch_options(upstream, environment())) as fetcher:
        yield Stack(
            index=FlatIndex(upstream.name, upstream.url, fetcher)
            if upstream.is_flat or _is_folder_of_files(upstream.url)
            else RemoteIndex(upstream.name, upstream.url, fetcher, pages, capabilities, clock),
            metadata=RemoteMetadata(upstream.name, fetcher, cache, capabilities, store.blobs),
            fetcher=fetcher,
            blobs=store.blobs,
            holdings=catalog.holdings,
            generations=catalog.generations,
            published=catalog.published,
            findings=catalog.findings,
            runs=catalog.runs,
            clock=clock,
            reporter=reporter,
            tree=published_tree(store.config, index),
        )


def _is_folder_of_files(url: str) -> bool:
    """Whether a file: URL names a folder with distribution files right in it: that is no Simple API."""
    if not url.startswith("file:"):
        return False
    folder = Path(url2pathname(urlsplit(url).path))
    return folder.is_dir() and any(project_of(path.name) for path in folder.iterdir() if path.is_file())


def published_tree(config: Config, index: Index) -> LocalTree | None:
    """The static tree of an index; None where it has none."""
    if index.publish is None:
        return None
    files = config.store.files
    staging = config.store.path / STAGING_NAME if index.publish == files else index.publish / ".pypim-staging"
    return LocalTree(index.publish, files, staging)


def request_of(config: Config, index: Index) -> Request:
    """What an index shall hold. Raises InvalidConfig or InvalidRequirement, with the file and line."""
    roots = [*index.roots]
    texts: list[str] = []

    def read(name: str) -> str:
        texts.append(config.read_text(Path(name)))
        return texts[-1]

    notes: list[str] = []
    places = environments(index.targets)
    constraints: dict[NormalizedName, SpecifierSet] = {}
    for path in index.requirement_files:
        found = read_requirements(str(path), read, environment())
        roots += [_root_of(line) for line in found.requirements]
        notes += found.notes
        for line in found.constraints:
            if not all(evaluate(line.requirement.marker, place) for place in places):
                notes.append(f"{line.where}: not used: the marker of this constraint does not hold for every target")
                continue
            name = parse_name(line.requirement.name)
            known = constraints.get(name)
            specifier = line.requirement.specifier
            constraints[name] = specifier if known is None else known & specifier
    roots += [_root_of(parse_requirement_argument(text, "command line")) for text in index.requirements]
    policy = Policy.compile(index.filters, f"indexes.{index.name}.filters")
    return Request(
        index=index.name,
        roots=tuple(roots),
        patterns=tuple(Pattern(p.expression, p.rule, p.origin) for p in index.patterns),
        environments=places,
        policy=policy,
        follow=index.follow,
        constraints=constraints,
        on_removal=index.on_removal,
        digest=_digest_of(index, [*texts, *(root.text for root in roots)]),
        jobs=index.jobs,
        limit_bytes=policy.max_file_size_bytes or LARGEST_FILE_BYTES,
        notes=tuple(notes),
    )


def _digest_of(index: Index, texts: list[str]) -> str:
    """What the configuration says of an index, its requirements files (with variables filled in) and this program."""
    told = (__version__, index, texts)
    encoded = msgspec.json.encode(told, enc_hook=str, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()


def _root_of(line: RequirementLine) -> Root:
    requirement = line.requirement
    return Root(
        project=parse_name(requirement.name),
        rule=requirement_rule(requirement.specifier, line.text),
        extras=frozenset(normalize_extra(extra) for extra in requirement.extras),
        marker=requirement.marker,
        hashes=line.hashes,
        origin=line.where,
        text=line.text,
    )
