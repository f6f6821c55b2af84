"""An upstream behind a cache that stays: its pages as long as they count, its files once anybody has asked for them.

What is asked for is kept; what is kept is answered when the upstream is slow, broken or gone.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.errors import MetadataNotFound, ProjectNotFound, UpstreamUnavailable
from pypim.core.followed import Patience
from pypim.core.freshness import Limits
from pypim.core.model import Page, ProjectList
from pypim.core.patterns import ProjectPatterns
from pypim.core.policy import Policy
from pypim.core.ready import LongDocument, PageIsLong
from pypim.core.shown import allowed_page, known_page, metadata_key, of_a_proxy
from pypim.core.urls import split_user_info
from pypim.index.absences import Absences
from pypim.index.arriving import Arrivals
from pypim.index.behind import CapabilitiesBehind, Later, MetadataBehind, PagesBehind
from pypim.index.believing import BeliefRules, Documents
from pypim.index.download import Downloads, FileIsAbsent
from pypim.index.file_hosts import FileRoute
from pypim.index.keeping import KeptFiles, Tools
from pypim.index.long_pages import BoundFetcher, BoundSource
from pypim.index.metadata import CHEAP_WAYS, RemoteMetadata
from pypim.index.sharing import one_at_a_time
from pypim.index.sidecars import Ahead, Bodies, Sidecars
from pypim.index.sources import EitherSource, FlatSource, SimpleSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.index.arriving import Reader
    from pypim.index.believing import Believed
    from pypim.index.file_hosts import FileHosts
    from pypim.index.long_pages import Bound
    from pypim.index.sources import Kept, Source
    from pypim.ports import (
        Background,
        Backlog,
        Blobs,
        Cached,
        Capabilities,
        Clock,
        Epochs,
        Fetcher,
        MetadataCache,
        Pages,
        Reporter,
        Turns,
    )

_MOST_FILES = 5000
"""Listed files of all pages in memory together, as the upstream lists them and as they are shown; about 1 KB each."""
_MOST_IN_PLACE = 500
"""Files of a page that is made ready at once, which takes some milliseconds."""
_MINUTE_SECONDS = 60.0
_NO_PATTERNS = ProjectPatterns.compile((), "pinned")


class ProxySettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says of a proxy; sizes in bytes."""

    upstream: str
    """The name of the upstream."""
    url: str
    """Of its Simple API, or of its page of links."""
    page_url: str
    """The same as a page of links is asked for."""
    layout: str = "auto"
    """simple, flat, or auto: to be found out."""
    limits: Limits = Limits()
    patience: Patience = Patience()
    """What it takes to believe that a project is gone."""
    policy: Policy
    """The filters."""
    max_size: int | None = None
    """Of all files that are kept; None: no limit."""
    young_seconds: float = 60.0
    """So long after its last use no file is dropped."""
    pinned: ProjectPatterns = _NO_PATTERNS
    """Files that are never dropped."""
    is_offline: bool = False
    """Nobody is asked: what is held is all there is."""
    learns_metadata: bool = True
    """Read the core metadata of wheels for which the upstream offers none."""
    limit_bytes: int = 20 << 30
    """Of a file whose page says no size."""


class Catalogs(NamedTuple):
    """The ports of one connection to the catalog."""

    pages: Pages
    metadata: MetadataCache
    capabilities: Capabilities
    cached: Cached
    backlog: Backlog


class ProxyParts(msgspec.Struct, frozen=True, kw_only=True):
    """What a proxy works with."""

    read: Catalogs
    """Asked in place, by the event loop."""
    write: Catalogs
    """Used in the background only."""
    blobs: Blobs
    """Its staging belongs to this process alone."""
    shared: Callable[[], AbstractContextManager[None]]
    """Held between bytes and their row (`store.keeping`)."""
    alone: Callable[[], AbstractContextManager[None]]
    """Held while files are dropped."""
    fetcher: Fetcher
    """For pages and core metadata."""
    file_fetcher: Fetcher
    """For files: of its own, so that pages never wait for files."""
    file_hosts: FileHosts | None = None
    """Asked for files before the upstream."""
    bound: Bound | None = None
    """None where pages of any length may be in memory."""
    turns: Turns
    epochs: Epochs
    background: Background
    clock: Clock
    reporter: Reporter


class _Shown:
    """The newest pages as they are shown, by their marks, which are never used for anything else."""

    def __init__(self, most_files: int) -> None:
        self._most_files = most_files
        self._files = 0
        self._pages: OrderedDict[NormalizedName, tuple[object, Page]] = OrderedDict()

    def page(self, name: NormalizedName, mark: object) -> Page | None:
        """The page, where it was kept under that mark."""
        known = self._pages.get(name)
        return known[1] if known is not None and known[0] == mark else None

    def keep(self, name: NormalizedName, mark: object, page: Page) -> None:
        """Keep it in the place of an older one, and drop the oldest of the others for it."""
        older = self._pages.pop(name, None)
        self._files += _weight(page) - (_weight(older[1]) if older is not None else 0)
        self._pages[name] = (mark, page)
        while self._files > self._most_files:
            _, (_, oldest) = self._pages.popitem(last=False)
            self._files -= _weight(oldest)


class ProxyIndex:
    """The Served of kind proxy. Call `close` at the end."""

    def __init__(self, name: str, settings: ProxySettings, parts: ProxyParts) -> None:
        self._name = name
        self._settings = settings
        self._parts = parts
        self._policy = of_a_proxy(settings.policy)
        self._url = split_user_info(settings.url)[0]
        self._later = Later(parts.background, parts.reporter)
        pages = PagesBehind(parts.read.pages, parts.write.pages, self._later)
        capabilities = CapabilitiesBehind(parts.read.capabilities, parts.write.capabilities, self._later)
        backlogs = (parts.read.backlog, parts.write.backlog)
        absences = Absences(name, backlogs, self._later, settings.patience, parts.clock)
        self._source = _source_of(settings, parts, pages, capabilities, absences)
        rules = BeliefRules(
            settings.limits, parts.turns, parts.clock, parts.reporter, self._later, is_offline=settings.is_offline
        )
        self._rules = rules
        self._projects: Documents[NormalizedName, Page | LongDocument] = Documents(
            self._source.kept,
            self._source.read,
            self._source.document,
            lambda page: len(page.files) if isinstance(page, Page) else 0,
            rules,
            most_weight=_MOST_FILES,
        )
        self._lists: Documents[None, ProjectList] = Documents(
            self._recall_list, self._read_list, self._source.document, lambda listed: len(listed.projects), rules,
            most_weight=0,
        )  # fmt: skip
        self._shown = _Shown(_MOST_FILES)
        room = (settings.max_size, settings.young_seconds)
        tools = Tools(parts.background, parts.epochs, parts.clock, parts.reporter, settings.pinned, room)
        self._files = KeptFiles(
            name, parts.read.cached, parts.write.cached, parts.blobs, (parts.shared, parts.alone), tools
        )
        self._arrivals = Arrivals(
            FileRoute(parts.file_fetcher, parts.file_hosts), parts.blobs, parts.turns, self._files, parts.reporter
        )
        bodies = Bodies(MetadataBehind(parts.read.metadata, parts.write.metadata, self._later))
        reader = RemoteMetadata(
            self._url, parts.fetcher, bodies, capabilities, Downloads(parts.fetcher, parts.blobs), CHEAP_WAYS
        )
        cached = (parts.read.cached, parts.write.cached)
        self._sidecars = Sidecars(name, reader, bodies, cached, self._later, parts.epochs)
        self._ahead = Ahead(self._sidecars)

    @property
    def name(self) -> str:
        """As it is configured."""
        return self._name

    # --- pages ------------------------------------------------------------------------------------------------------
    def mark(self, name: NormalizedName | None) -> object:
        """Version and epoch of a page while it counts; what equals nothing once it must be asked for."""
        if name is not None and not self._policy.project_verdict(name, is_dependency=False).is_allowed:
            return "denied"
        belief = self._lists.current(None) if name is None else self._projects.current(name)
        return object() if belief is None else self._mark_of(belief)

    def _mark_of(self, belief: Believed[Page | LongDocument] | Believed[ProjectList]) -> tuple[int, int, int]:
        # With a cool-down, time alone changes a page.
        minute = int(self._parts.clock.now().timestamp() // _MINUTE_SECONDS) if self._policy.min_age else 0
        return belief.version, self._parts.epochs.epoch(self._name), minute

    async def project(self, name: NormalizedName) -> Page:
        """The upstream's page without what the filters deny; older ones as far as the limits allow.

        Raises PageIsLong where it is longer than may be in memory.
        """
        if not self._policy.project_verdict(name, is_dependency=False).is_allowed:
            return Page(name=name)  # not a missing page: nobody is to look for it elsewhere
        belief = await self._projects.belief(name)
        if belief.value is None:
            raise ProjectNotFound(name, self._url)
        if isinstance(belief.value, LongDocument):
            raise PageIsLong(self._name)
        mark = self._mark_of(belief)
        known = self._shown.page(name, mark)
        if known is not None:
            return known
        page = await self._shown_page(belief.value)
        if self._settings.learns_metadata and not self._settings.is_offline and await self._ahead.learn(page):
            await self._later.finish()
            mark = self._mark_of(belief)
            page = await self._shown_page(belief.value)
        self._shown.keep(name, mark, page)
        return page

    async def renew(self, name: NormalizedName) -> None:
        """Ask for a page, and end once the answer is kept, in the turn of whoever called. Raises UpstreamFault."""
        await self._source.read(name)
        await self._later.finish()

    async def _shown_page(self, page: Page) -> Page:
        """A long one is made where nobody else waits for it."""
        if len(page.files) > _MOST_IN_PLACE:
            return await one_at_a_time(self._page_of, page)
        return self._page_of(page)

    def _page_of(self, page: Page) -> Page:
        page = allowed_page(page, self._policy, self._parts.clock.now())
        held = self._files.held(page.name)
        keys = [metadata_key(file) for file in page.files]
        page = known_page(page, held, self._parts.read.cached.sidecars(keys))
        if self._settings.is_offline:
            files = tuple(file for file in page.files if file.identity in held)
            page = msgspec.structs.replace(page, files=files)
        return page

    async def project_list(self) -> ProjectList:
        """The upstream's list without the projects that the filters deny; offline, those of which files are held."""
        if self._settings.is_offline:
            names = self._parts.read.cached.projects(self._name)
            listed = ProjectList(projects=dict.fromkeys(names))
        else:
            listed = (await self._lists.belief(None)).value or ProjectList(projects={})
        return self._allowed_list(listed)

    async def newest_list(self) -> ProjectList:
        """The same as the upstream has it now. Raises UpstreamFault or Refused."""
        return self._allowed_list(await self._source.read_list())

    def _allowed_list(self, listed: ProjectList) -> ProjectList:
        if not (self._policy.exclude or self._policy.allow):
            return listed
        allowed = {
            name: serial
            for name, serial in listed.projects.items()
            if self._policy.project_verdict(name, is_dependency=False).is_allowed
        }
        return msgspec.structs.replace(listed, projects=allowed)

    async def _recall_list(self, _: None) -> Kept[ProjectList] | None:
        return await self._source.kept_list()

    async def _read_list(self, _: None) -> ProjectList:
        return await self._source.read_list()

    # --- files ------------------------------------------------------------------------------------------------------
    async def content(self, project: NormalizedName, file: DistFile) -> Path | Reader:
        """The bytes as they are held, or as they arrive."""
        path = self._files.held_path(project, file)
        if path is not None:
            return path
        if self._settings.is_offline:
            raise self._offline(file)
        try:
            return await self._arrivals.content(project, file, self._settings.limit_bytes)
        except FileIsAbsent:
            self._projects.doubt(project)  # perhaps the page has changed
            raise

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        """Of the held wheel, or as it can be learned; what is offered even if all of the wheel must be fetched for it.

        Clients end where what a page offers is missing, and most of them would ask for the wheel next.
        """
        known = self._held_metadata(project, file) or self._sidecars.known(metadata_key(file))
        if known is not None:
            return known
        if self._settings.is_offline:
            raise self._offline(file)
        if not (file.core_metadata or self._settings.learns_metadata):
            raise MetadataNotFound(file.filename, ["the upstream offers none"])
        out_of_wheel = partial(self._out_of_wheel, project, file) if file.core_metadata else None
        return await self._sidecars.learn(project, file, out_of_wheel)

    def _held_metadata(self, project: NormalizedName, file: DistFile) -> bytes | None:
        holding = self._files.held(project).get(file.identity)
        if holding is None or holding.metadata_sha256 is None or not self._parts.blobs.found(holding):
            return None
        path = self._parts.blobs.path(holding)
        return path.with_name(path.name + ".metadata").read_bytes()

    async def _out_of_wheel(self, project: NormalizedName, file: DistFile) -> bytes | None:
        content = await self.content(project, file)
        if not isinstance(content, Path):
            try:
                await content.kept()
            finally:
                content.close()
        return self._held_metadata(project, file)

    def _offline(self, file: DistFile) -> UpstreamUnavailable:
        hint = f"Set indexes.{self._name}.offline = false to ask the upstream again."
        return UpstreamUnavailable(file.url, "it is not held, and the index is offline", hint=hint)

    # --- the end ----------------------------------------------------------------------------------------------------
    async def settle(self) -> None:
        """Wait until the files on their way have come, and all that was learned is kept."""
        await self._arrivals.finish()
        await self._files.finish()
        await self._later.finish()
        await self._rules.finish()

    async def close(self) -> None:
        """Stop asking; what was received of files stays for the next time."""
        await self._ahead.close()
        await self._projects.close()
        await self._lists.close()
        await self._arrivals.close()
        await self._files.close()
        await self._later.finish()
        await self._rules.finish()


def _source_of(
    settings: ProxySettings, parts: ProxyParts, pages: PagesBehind, capabilities: Capabilities, absences: Absences
) -> Source:
    upstream = (settings.upstream, settings.url)
    simple: Source
    simple = whole = SimpleSource(upstream, parts.fetcher, pages, capabilities, parts.clock, absences)
    if parts.bound is not None:
        fetcher = BoundFetcher(parts.fetcher, parts.bound)
        short = SimpleSource(upstream, fetcher, pages, capabilities, parts.clock, absences)
        simple = BoundSource(short, whole, parts.fetcher, pages, parts.clock, parts.bound)
    flat = FlatSource(settings.upstream, settings.page_url, parts.fetcher, pages, parts.clock)
    if settings.layout == "simple":
        return simple
    if settings.layout == "flat":
        return flat
    return EitherSource(simple, flat, split_user_info(settings.url)[0], capabilities)


def _weight(page: Page) -> int:
    return 1 + len(page.files)
