"""How an upstream is read for one index: what is known of it, who follows it, and who gives its pages."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pypim.config.model import Layout
from pypim.core.filenames import project_of
from pypim.core.freshness import Trust
from pypim.core.urls import root_url, split_user_info
from pypim.index.conditional import Belief
from pypim.index.described import DescribedIndex
from pypim.index.flat import FlatIndex
from pypim.index.follower import Follower
from pypim.index.known import KeptFacts
from pypim.index.remote import RemoteIndex
from pypim.index.undecided import UndecidedIndex
from pypim.index.watching import PageWatch
from pypim.store.catalog import Catalog
from pypim.store.catalog_plans import LatePlans
from pypim.store.memory import OverlayCapabilities, OverlayMetadataCache, OverlayPages, OverlaySizes
from pypim.store.memory_following import OverlayBacklog, OverlayFollowing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.config.model import MirrorIndex, Upstream
    from pypim.ports import (
        Backlog,
        Capabilities,
        Clock,
        Fetcher,
        Following,
        Follows,
        Index,
        Known,
        MetadataCache,
        Pages,
        Plans,
        Sizes,
    )
    from pypim.store.catalog import OwnCatalog
    from pypim.store.catalog_plans import CatalogPlans


class Knowledge(NamedTuple):
    """What is known from run to run; of a store that must not change, what a run learns stays in memory."""

    pages: Pages
    metadata: MetadataCache
    sizes: Sizes
    capabilities: Capabilities
    following: Following
    backlog: Backlog
    plans: Plans


def knowledge_of(
    catalog: Catalog, own: OwnCatalog, path: Path, *, is_writable: bool, remembers: bool = True
) -> Knowledge:
    """Of an open catalog, whose file is at that path, and of what in it is the index's own.

    Without `remembers`, pages that a run learns and that must not be kept do not stay in memory.
    """
    pages, metadata, sizes = own.pages, own.metadata, own.sizes
    capabilities, following = catalog.capabilities, own.following
    if is_writable:
        return Knowledge(pages, metadata, sizes, capabilities, following, catalog.backlog, catalog.plans)
    overlays = (
        OverlayPages(pages, remembers=remembers),
        OverlayMetadataCache(metadata),
        OverlaySizes(sizes),
        OverlayCapabilities(capabilities),
        OverlayFollowing(following),
    )
    plans = LatePlans(catalog.plans, path, partial(_plans_for_writing, path), overlays)
    return Knowledge(*overlays, backlog=OverlayBacklog(catalog.backlog), plans=plans)


@contextmanager
def _plans_for_writing(path: Path) -> Iterator[CatalogPlans]:
    with Catalog.open(path) as catalog:
        yield catalog.plans


class UpstreamParts(NamedTuple):
    """Those of a Stack that read its upstream."""

    pages: Index
    root_url: str
    follows: Follows | None
    known: Known


def upstream_parts(
    index: MirrorIndex, fetcher: Fetcher, knowledge: Knowledge, clock: Clock, trust: Trust, *, needs_pages_once: bool
) -> UpstreamParts:
    """The pages of an upstream as the index wants them. With `needs_pages_once` none stays in memory."""
    upstream, capabilities, belief = index.upstream, knowledge.capabilities, Belief(clock, trust)
    address, root = split_user_info(upstream.url)[0], root_url(upstream.url)
    follower = Follower(root, fetcher, knowledge.following, capabilities, belief, upstream.follow)
    watch = PageWatch(index.name, knowledge.backlog, follower, capabilities, belief)
    flat = FlatIndex(upstream.name, upstream.page_url, fetcher)
    simple = RemoteIndex(upstream.name, fetcher, knowledge.pages, capabilities, belief, watch)
    simple.remembers = not needs_pages_once and not index.is_each_alone
    undecided = UndecidedIndex(simple, flat, address, capabilities)
    layout = layout_of(upstream)
    follows: dict[Layout, Follows | None] = {Layout.FLAT: None, Layout.SIMPLE: simple, Layout.AUTO: undecided}
    by_layout: dict[Layout, Index] = {Layout.FLAT: flat, Layout.SIMPLE: simple, Layout.AUTO: undecided}
    asked = by_layout[layout]
    is_described = bool(index.filters.exclude_classifiers or index.filters.exclude_licenses)
    if is_described:
        asked = DescribedIndex(asked, upstream.name, root, fetcher, knowledge.pages, belief)
    known = Belief(clock, Trust.NOTHING if layout is Layout.FLAT or is_described else trust)
    facts = KeptFacts(upstream.url, knowledge.pages, knowledge.metadata, knowledge.following, known)
    return UpstreamParts(asked, root, follows[layout], facts)


def layout_of(upstream: Upstream) -> Layout:
    """What is known of it; a folder of this machine can be looked at: one with distribution files is no Simple API."""
    if upstream.layout is not Layout.AUTO or not upstream.url.startswith("file:"):
        return upstream.layout
    folder = Path(url2pathname(urlsplit(upstream.url).path))
    has_files = folder.is_dir() and any(project_of(path.name) for path in folder.iterdir() if path.is_file())
    return Layout.FLAT if has_files else Layout.SIMPLE
