"""Rendered pages, kept while they count: every page of the Simple API leaves the server from here."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import nullcontext
from typing import TYPE_CHECKING

from pypim.core import simple_html, simple_json
from pypim.core.errors import NotFound
from pypim.core.model import Page, ProjectStatus
from pypim.core.negotiate import HTML_TYPE, JSON_TYPE, PLAIN_HTML_TYPE
from pypim.core.ready import PageIsLong
from pypim.core.served import file_paths, findable_page, served_page
from pypim.index.sharing import SingleFlight, one_at_a_time
from pypim.web.answers import Represented, represent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, ProjectList
    from pypim.ports import Served
    from pypim.web.long_pages import LongPages, PageOnDisk

MOST_BYTES = 12 << 20
"""What all rendered pages may take in memory."""

FORMS = (JSON_TYPE, HTML_TYPE, PLAIN_HTML_TYPE)
"""Every media type that a page is answered in."""
_MOST_READS = 3
_MOST_IN_PLACE = 200
"""Entries of a page that is rendered at once: about 2 ms."""

_SMALL_BYTES = 2000
"""What a page that is on the disk takes in memory, about."""

Key = tuple[str, "NormalizedName | None"]
"""An index, and a project of it; None for the list."""


class RenderedPage:
    """One page or list in every form that was asked for so far."""

    def __init__(self, mark: object, value: Page | ProjectList, cache_control: str) -> None:
        self.mark = mark
        self.value = value
        self._cache_control = cache_control
        self._forms: dict[str, Represented] = {}
        self._files: dict[str, DistFile] | None = None

    def form(self, content_type: str) -> Represented | None:
        """The page in a media type of the Simple API, where it was rendered."""
        return self._forms.get(content_type)

    def keep(self, content_type: str, form: Represented) -> None:
        """That is what it was rendered to."""
        self._forms[content_type] = form

    is_there = True

    def file(self, path: str) -> DistFile | None:
        """The listed file that is served at a path (packages/…); the entry as the index has it."""
        if self._files is None:
            files = self.value.files if isinstance(self.value, Page) else ()
            self._files = {path: file for file in files for path in file_paths(file)}
        return self._files.get(path)

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, about."""
        entry_bytes = 1000 if isinstance(self.value, Page) else 200
        return 1000 + self.entries * entry_bytes + sum(form.size_bytes for form in self._forms.values())

    @property
    def entries(self) -> int:
        """How many files or projects it lists."""
        value = self.value
        return len(value.files) + len(value.versions) if isinstance(value, Page) else len(value.projects)

    def render(self, content_type: str) -> Represented:
        """Make a form of it; in any thread."""
        serial = self.value.last_serial
        is_json = content_type == JSON_TYPE
        if isinstance(self.value, Page):
            page = served_page(self.value)
            if page.status is ProjectStatus.QUARANTINED:
                page = Page(name=page.name, status=page.status, status_reason=page.status_reason, last_serial=serial)
            content = simple_json.render_page(page) if is_json else simple_html.render_page(page)
        elif is_json:
            content = simple_json.render_project_list(self.value)
        else:
            content = simple_html.render_project_list(self.value)
        return represent(content, written_type(content_type), self._cache_control, serial or 1)


def written_type(content_type: str) -> str:
    """How a media type stands in the header of an answer."""
    return "text/html; charset=utf-8" if content_type == PLAIN_HTML_TYPE else content_type


class Pages:
    """The pages of all indexes, the least recently asked for dropped first."""

    def __init__(
        self,
        indexes: Mapping[str, Served],
        cache_controls: Mapping[str, str],
        most_bytes: int,
        long_pages: LongPages | None = None,
    ) -> None:
        """`cache_controls`: index → the Cache-Control of its pages; without `long_pages` no index has any."""
        self._indexes = indexes
        self._cache_controls = cache_controls
        self._most_bytes = most_bytes
        self._long_pages = long_pages
        self._kept: OrderedDict[Key, RenderedPage | PageOnDisk] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._bytes = 0
        self._flights = SingleFlight["RenderedPage | PageOnDisk"]()
        self._renderings = SingleFlight[Represented]()

    def current(self, index: str, name: NormalizedName | None) -> RenderedPage | PageOnDisk | None:
        """The page, where it is kept and still counts: no waiting, and nobody is asked."""
        key = (index, name)
        found = self._kept.get(key)
        if found is None or found.mark != self._indexes[index].mark(name) or not found.is_there:
            return None
        self._kept.move_to_end(key)
        return found

    def ready(self, index: str, name: NormalizedName | None, content_type: str) -> Represented | PageOnDisk | None:
        """The page in a media type of the Simple API, where it is kept in it and still counts."""
        found = self.current(index, name)
        return found.form(content_type) if isinstance(found, RenderedPage) else found

    async def made(self, index: str, name: NormalizedName | None, content_type: str) -> Represented | PageOnDisk:
        """The same, made now. Raises what the index raises."""
        with self.lease():
            page = self.current(index, name) or await self.page(index, name)
            return await self.form(index, name, page, content_type) if isinstance(page, RenderedPage) else page

    async def page(self, index: str, name: NormalizedName | None) -> RenderedPage | PageOnDisk:
        """The page as it is now. Raises what the index raises."""
        found = self.current(index, name)
        if found is None:
            found = await self._flights.value(f"{index}/{name or ''}", lambda: self._read(index, name))
        return found

    def lease(self) -> AbstractContextManager[None]:
        """To be entered by whoever needs a page that is not kept, until the answer is made (`Room`)."""
        return self._long_pages.room.lease() if self._long_pages is not None else nullcontext()

    async def form(self, index: str, name: NormalizedName | None, page: RenderedPage, content_type: str) -> Represented:
        """The page in a media type of the Simple API. A long one is rendered where nobody else waits for it."""
        found = page.form(content_type)
        if found is None:
            if page.entries <= _MOST_IN_PLACE:
                found = page.render(content_type)
            else:
                found = await self._renderings.value(
                    (id(page), content_type), lambda: one_at_a_time(page.render, content_type)
                )
            page.keep(content_type, found)
            self._weigh((index, name), page)
        return found

    def _weigh(self, key: Key, page: RenderedPage) -> None:
        """Note what a page takes, and drop others for it."""
        if self._kept.get(key) is page:
            self._bytes += page.size_bytes - self._sizes.get(key, 0)
            self._sizes[key] = page.size_bytes
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._drop(next(iter(self._kept)))

    async def _read(self, index: str, name: NormalizedName | None) -> RenderedPage | PageOnDisk:
        try:
            mark, value = await self._settled(self._indexes[index], name)
        except NotFound:
            self._drop((index, name))
            raise
        except PageIsLong:
            if self._long_pages is None or name is None:
                raise
            return await self._read_long(self._long_pages, index, name)
        known = self._kept.get((index, name))
        if isinstance(known, RenderedPage) and (known.value is value or known.value == value):
            known.mark = mark
            return known
        page = RenderedPage(mark, value, self._cache_controls[index])
        self._drop((index, name))
        self._kept[index, name] = page
        self._weigh((index, name), page)
        return page

    async def _read_long(self, long_pages: LongPages, index: str, name: NormalizedName) -> PageOnDisk:
        """A long page as it stands on the disk, made anew unless it was since its mark was looked at."""
        mark, now = self._indexes[index].mark(name), long_pages.now()
        known = self._kept.get((index, name))
        if known is not None and not isinstance(known, RenderedPage) and known.mark == mark and known.is_there:
            return known
        self._drop((index, name))
        page = await long_pages.page(index, name, mark, now)
        self._kept[index, name] = page
        self._sizes[index, name] = _SMALL_BYTES
        self._bytes += _SMALL_BYTES
        return page

    async def _settled(self, served: Served, name: NormalizedName | None) -> tuple[object, Page | ProjectList]:
        """A page and its mark, which was the same before and after the page was read.

        A proxy has a new mark once it has asked; where marks change all the time, the page counts this once only.
        """
        for _ in range(_MOST_READS):
            before = served.mark(name)
            value = await (served.project_list() if name is None else served.project(name))
            if served.mark(name) == before:
                break
        else:
            before = object()
        if not isinstance(value, Page):
            return before, value
        is_long = len(value.files) > _MOST_IN_PLACE
        return before, await one_at_a_time(findable_page, value) if is_long else findable_page(value)

    def _drop(self, key: Key) -> None:
        if self._kept.pop(key, None) is not None:
            self._bytes -= self._sizes.pop(key, 0)
