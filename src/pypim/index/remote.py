"""An upstream that speaks the Simple API, as an Index: pages are asked for once a run, and only if they changed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import ProjectNotFound, UpstreamMalformed, first_error
from pypim.core.followed import Changed, Updated
from pypim.core.model import ProjectList
from pypim.core.negotiate import ACCEPT_PAGE, PageFormat, page_format, parse_any_page, parse_any_project_list
from pypim.index.conditional import ConditionalReader
from pypim.index.details import ProjectDetails, lacks_details, with_details
from pypim.index.listing import MARK_OF_THE_API
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import Page
    from pypim.core.records import StoredResponse
    from pypim.index.conditional import Belief
    from pypim.index.watching import PageWatch
    from pypim.ports import Capabilities, Fetcher, Pages

"""PEP 629; without it, nothing shows that an HTML page without files is one of an index."""
_PAGE_LIMIT_BYTES = 128 << 20
_OK = 200
_ASKED_AT_ONCE = 16


class RemoteIndex:
    """The Simple API below the follower's URL (PEP 503: `<url><project>/`), in JSON or HTML, over http, https or file.

    What is asked for a second time in a run is answered from memory; pages and their validators are kept from run
    to run. Once the list was read, a project whose serial there is that of the kept page is not asked for.
    Credentials are the fetcher's business and are neither kept nor shown.
    """

    def __init__(
        self,
        name: str,
        fetcher: Fetcher,
        pages: Pages,
        capabilities: Capabilities,
        belief: Belief,
        watch: PageWatch,
    ) -> None:
        """`name` is that of the upstream."""
        self._name = name
        self._root_url = watch.follower.root_url
        self._follower = watch.follower
        self._watch = watch
        self._pages = pages
        self._reader = ConditionalReader(name, fetcher, pages, belief, _PAGE_LIMIT_BYTES)
        self._details = ProjectDetails(name, self._root_url, self._reader, pages, capabilities)
        self._are_details_usual = False
        self._known: dict[NormalizedName, Page | None] = {}
        self.remembers = True
        """Whether pages stay in memory for the rest of the run: not where each of very many is needed once."""
        self._project_flights = SingleFlight["Page | None"]()
        self._updates = SingleFlight[Updated]()
        self._updated: Updated | None = None

    async def project_list(self) -> ProjectList:
        """Every project of the upstream, those that are missing without certainty too."""
        found = await self.update()
        projects = self._follower.projects()
        if fresh := self._watch.hoped_for() - projects.keys():
            projects = dict(sorted({**projects, **dict.fromkeys(fresh)}.items()))
        return ProjectList(projects=projects, last_serial=found.serial, dropped=found.dropped)

    async def update(self, *, accepts_removals: bool = False) -> Updated:
        """Learn what has changed, once a run."""
        if self._updated is None:
            ask = partial(self._follower.update, accepts_removals=accepts_removals)
            self._updated = await self._updates.value("list", ask)
        return self._updated

    async def ask(self, names: Sequence[NormalizedName]) -> Updated:
        """Ask for the pages of some projects, with their validators; what is found new of them is kept."""
        places = asyncio.Semaphore(_ASKED_AT_ONCE)
        changed = Changed()

        async def one(name: NormalizedName) -> None:
            before = self._kept(name)
            async with places:
                try:
                    page = await self.project(name)
                except ProjectNotFound:
                    changed.removed += before is not None
                    return
            changed.new += before is None
            changed.changed += before is not None and page != before

        try:
            async with asyncio.TaskGroup() as tasks:
                for name in names:
                    tasks.create_task(one(name))
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        return self._follower.asked(len(names), changed)

    def some_names(self) -> list[NormalizedName]:
        """Of those that are listed, not more than a thousand."""
        return [one.name for one in self._follower.following.listed(self._root_url, "", 1000)]

    async def project(self, name: NormalizedName) -> Page:
        """One project's page, with what the JSON API adds where the page lacks sizes or times."""
        if name in self._known:
            page = self._known[name]
        else:
            page = await self._project_flights.value(name, partial(self._read_project, name))
        if page is None:
            raise ProjectNotFound(name, self._root_url)
        return page

    def _read_kept(self, name: NormalizedName) -> Page | None:
        """The page as it was kept, where the list of this run says that the project has not changed since (serials)."""
        listed = self._follower.serial(name) if self._updated is not None else None
        page = self._kept(name) if listed is not None else None
        return page if page is not None and page.last_serial == listed and not lacks_details(page) else None

    async def _read_project(self, name: NormalizedName) -> Page | None:
        page = self._read_kept(name)
        if page is not None:
            self._watch.settle(name)
        else:
            page = await self._watch.believed(name, partial(self._ask, name), partial(self._kept, name))
        if self.remembers:
            self._known[name] = page
        return page

    async def _ask(self, name: NormalizedName) -> Page | None:
        ahead = None
        if self._are_details_usual and self._details.is_offered:
            # Both at once: where the last page lacked something, this one will too, and half the waiting is saved.
            ahead = asyncio.create_task(self._details.read(name))
        try:
            answer = await self._reader.read(
                f"{self._root_url}{name}/",
                ACCEPT_PAGE,
                partial(parse_page, name),
                partial(self._confirm_absence, name),
            )
            page = answer.value if answer is not None else None
            if answer is not None and answer.is_new and not answer.value.files and self._had_files(name):
                refuse_strange(answer.value, answer.response)
            if page is not None and page.files:
                self._are_details_usual = lacks_details(page)
                if self._are_details_usual:
                    page = with_details(page, await (ahead or self._details.read(name)))
        finally:
            if ahead is not None:
                ahead.cancel()
        if answer is not None and answer.is_new and not self._is_older(name, page):
            self._pages.keep_response(self._name, answer.response, page)
        return page

    async def _confirm_absence(self, name: NormalizedName, known: StoredResponse | None) -> None:
        if known is not None:
            await self._watch.confirm_absence(name, known.url)

    def _kept(self, name: NormalizedName) -> Page | None:
        """The page as it was kept, however old."""
        kept = self._pages.response(f"{self._root_url}{name}/")
        if kept is None or kept.status != _OK:
            return None
        try:
            return parse_page(name, kept)
        except UpstreamMalformed:
            return None  # an older pypim may have kept it: ask as if there were nothing

    def _had_files(self, name: NormalizedName) -> bool:
        kept = self._kept(name)
        return kept is not None and bool(kept.files)

    def _is_older(self, name: NormalizedName, page: Page | None) -> bool:
        """Whether the page that is kept is a newer one, and this one an old copy."""
        required = self._follower.serial(name)
        if page is None or required is None or (page.last_serial or 0) >= required:
            return False
        kept = self._kept(name)
        return kept is not None and (kept.last_serial or 0) > (page.last_serial or 0)


def parse_page(name: NormalizedName, response: StoredResponse) -> Page:
    """What an answer says of a project, with the serial of its head. Raises UpstreamMalformed."""
    page = parse_any_page(response.body, response.content_type, response.final_url, name)
    if page.last_serial is None and response.serial is not None:
        page = msgspec.structs.replace(page, last_serial=response.serial)
    return page


def refuse_strange(page: Page, response: StoredResponse) -> None:
    """Raises UpstreamMalformed for an HTML page without files that may be anything: a login page, a broken proxy's."""
    is_html = page_format(response.content_type, response.url) is PageFormat.HTML
    if is_html and not page.files and MARK_OF_THE_API not in response.body:
        hint = "If the project really has no files, nothing is wrong; otherwise look at what that URL shows."
        raise UpstreamMalformed(response.url, "an HTML page that is no page of a project came instead", hint=hint)


def parse_list(response: StoredResponse) -> ProjectList:
    """What an answer says of all projects, likewise. Raises UpstreamMalformed."""
    projects = parse_any_project_list(response.body, response.content_type, response.final_url)
    if projects.last_serial is None and response.serial is not None:
        projects = msgspec.structs.replace(projects, last_serial=response.serial)
    return projects
