"""Pages of an upstream that are longer than may be in memory here: of them it is only asked whether they changed.

They are read, kept and made ready by another process; here they are known by their length and checksum.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from pypim.core.negotiate import ACCEPT_PAGE
from pypim.core.ready import LongDocument
from pypim.core.upstream_errors import UpstreamTooLong
from pypim.index.conditional import fresh_time
from pypim.index.sources import Kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList
    from pypim.core.records import Fetched, KeptOutline
    from pypim.index.behind import PagesBehind
    from pypim.index.sources import SimpleSource
    from pypim.ports import Clock, Fetcher

_OK = 200
_NOT_MODIFIED = 304
_MOST_AT_ONCE = 16
"""Pages that are being read, or written: as many as there are connections."""
_MOST_SMALL_FILES = 100
_MOST_UNREAD_BYTES = 1 << 12
"""Of an answer that was to say that nothing has changed."""


class Bound(NamedTuple):
    """What may be in memory here, and who reads what may not."""

    most_bytes: int
    """Of a document."""
    read_elsewhere: Callable[[NormalizedName], Awaitable[None]]
    """Asks the upstream for a page and keeps the answer, in another process. Raises UpstreamFault."""


class BoundFetcher:
    """A Fetcher of documents that are not long. Of an answer that is longer, nothing is left in memory."""

    def __init__(self, fetcher: Fetcher, most_bytes: int) -> None:
        self._fetcher = fetcher
        self._most_bytes = most_bytes
        self.open = fetcher.open

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """As the other one. Raises UpstreamTooLong sooner."""
        return await self._fetcher.fetch(url, headers, limit_bytes=min(limit_bytes, self._most_bytes))


class BoundSource:
    """The Source of a Simple API of which some pages are long."""

    def __init__(
        self, short: SimpleSource, whole: SimpleSource, fetcher: Fetcher, pages: PagesBehind, clock: Clock, bound: Bound
    ) -> None:
        """`short` has a BoundFetcher; `whole` is the same without, for the list of all projects."""
        self._short = short
        self._whole = whole
        self._fetcher = fetcher
        self._pages = pages
        self._clock = clock
        self._bound = bound
        self._room = asyncio.Semaphore(_MOST_AT_ONCE)

    def document(self, name: NormalizedName | None) -> str:
        """As without a bound."""
        return self._short.document(name)

    async def kept(self, name: NormalizedName) -> Kept[Page | LongDocument] | None:
        """What is kept of a project; of a long page, that it is one."""
        outline = self._long(name)
        if outline is not None:
            return Kept(LongDocument(outline.length, outline.checksum), outline.fetched_at)
        return await self._short.kept(name)

    async def read(self, name: NormalizedName) -> Page | LongDocument | None:
        """The page; one that is long is read elsewhere, unless the upstream says that it is the one that is kept."""
        outline = self._long(name)
        if outline is not None:
            if await self._is_unchanged(name, outline):
                return LongDocument(outline.length, outline.checksum)
        else:
            try:
                async with self._room:
                    return await self._read_short(name)
            except UpstreamTooLong:
                pass
        await self._bound.read_elsewhere(name)
        kept = await self.kept(name)
        return None if kept is None else kept.value

    async def _read_short(self, name: NormalizedName) -> Page | None:
        """Read a page, and wait with one that is not small until it is kept: what is to be kept is in memory twice."""
        page = await self._short.read(name)
        if page is not None and len(page.files) > _MOST_SMALL_FILES:
            await self._pages.settle()
        return page

    async def read_list(self) -> ProjectList:
        """All projects."""
        return await self._whole.read_list()

    async def kept_list(self) -> Kept[ProjectList] | None:
        """All projects as they are kept."""
        return await self._whole.kept_list()

    def _long(self, name: NormalizedName) -> KeptOutline | None:
        outline = self._pages.outline(self.document(name))
        is_long = outline is not None and outline.status == _OK and outline.length > self._bound.most_bytes
        return outline if is_long else None

    async def _is_unchanged(self, name: NormalizedName, outline: KeptOutline) -> bool:
        """Ask with the validators that were kept; any answer but 304 is read elsewhere."""
        if not (outline.etag or outline.last_modified):
            return False
        headers = {"Accept": ACCEPT_PAGE}
        if outline.etag:
            headers["If-None-Match"] = outline.etag
        if outline.last_modified:
            headers["If-Modified-Since"] = outline.last_modified
        url = self.document(name)
        try:
            fetched = await self._fetcher.fetch(url, headers, limit_bytes=_MOST_UNREAD_BYTES)
        except UpstreamTooLong:
            return False
        if fetched.status != _NOT_MODIFIED:
            return False
        now = self._clock.now().timestamp()
        self._pages.touch_response(url, now, fresh_time(fetched, now))
        return True
