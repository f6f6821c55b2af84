"""Pages of an upstream that are longer than may be in memory here: of them it is only asked whether they changed.

They are read, kept and made ready by another process; here they are known by their length and checksum.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from pypim.core.negotiate import ACCEPT_PAGE
from pypim.core.ready import LongDocument, PageIsLong
from pypim.core.upstream_errors import UpstreamTooLong
from pypim.index.conditional import fresh_time
from pypim.index.room import FILE_BYTES, Room
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
    """Of a document of which a page is made."""
    most_read_bytes: int
    """Of one that is read and kept, and not more than that."""
    read_elsewhere: Callable[[NormalizedName], Awaitable[None]]
    """Asks the upstream for a page and keeps the answer, in another process. Raises UpstreamFault."""
    room: Room
    """For all others."""


class FileBound(NamedTuple):
    """The same of a page of our own, whose files are counted before it is read."""

    most_files: int
    room: Room

    async def admit(self, index: str, count: int) -> None:
        """Wait until there is room for a page of so many files. Raises PageIsLong where there never is."""
        if count > self.most_files:
            raise PageIsLong(index)
        await self.room.weigh(count * FILE_BYTES)


class BoundFetcher:
    """A Fetcher of documents that are not long. Of an answer that is longer, nothing is left in memory."""

    def __init__(self, fetcher: Fetcher, bound: Bound) -> None:
        self._fetcher = fetcher
        self._bound = bound
        self.open = fetcher.open

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """As the other one, once there is room for what is made of it. Raises UpstreamTooLong sooner."""
        fetched = await self._fetcher.fetch(url, headers, limit_bytes=min(limit_bytes, self._bound.most_read_bytes))
        await self._bound.room.weigh(len(fetched.body))
        return fetched


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
        outline = self._pages.outline(self.document(name))
        if self._is_long(outline):
            return Kept(LongDocument(outline.length, outline.checksum), outline.fetched_at)
        if outline is not None:
            await self._bound.room.weigh(outline.length)
        return await self._short.kept(name)

    async def read(self, name: NormalizedName) -> Page | LongDocument | None:
        """The page; a very long one is read elsewhere, unless the upstream says that it is the one that is kept."""
        outline = self._pages.outline(self.document(name))
        if not self._is_long(outline) or outline.length <= self._bound.most_read_bytes:
            try:
                async with self._room:
                    return await self._read_here(name)
            except UpstreamTooLong:
                pass
        elif await self._is_unchanged(name, outline):
            return LongDocument(outline.length, outline.checksum)
        await self._bound.read_elsewhere(name)
        kept = await self.kept(name)
        return None if kept is None else kept.value

    async def _read_here(self, name: NormalizedName) -> Page | LongDocument | None:
        """Read a page, and wait with one that is not small until it is kept: what is to be kept is in memory twice.

        Of one that is long nothing stays here, and the process that makes it finds it kept.
        """
        page = await self._short.read(name)
        outline = self._pages.outline(self.document(name)) if page is not None else None
        if self._is_long(outline) or (page is not None and len(page.files) > _MOST_SMALL_FILES):
            await self._pages.settle()
        return LongDocument(outline.length, outline.checksum) if self._is_long(outline) else page

    async def read_list(self) -> ProjectList:
        """All projects."""
        return await self._whole.read_list()

    async def kept_list(self) -> Kept[ProjectList] | None:
        """All projects as they are kept."""
        return await self._whole.kept_list()

    def _is_long(self, outline: KeptOutline | None) -> TypeGuard[KeptOutline]:
        return outline is not None and outline.status == _OK and outline.length > self._bound.most_bytes

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
