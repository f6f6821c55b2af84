"""An upstream that speaks the Simple API, as an Index: pages are asked for once a run, and only if they changed."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import ProjectNotFound, UpstreamMalformed, UpstreamUnavailable
from pypim.core.negotiate import ACCEPT_PAGE, parse_any_page, parse_any_project_list
from pypim.core.urls import split_user_info
from pypim.index.conditional import ConditionalReader
from pypim.index.details import ProjectDetails, lacks_details, with_details
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList
    from pypim.core.records import StoredResponse
    from pypim.index.conditional import Belief
    from pypim.ports import Capabilities, Fetcher, Pages

_PAGE_LIMIT_BYTES = 128 << 20


class RemoteIndex:
    """The Simple API below `url` (PEP 503: `<url><project>/`), in JSON or HTML, over http, https or file.

    What is asked for a second time in a run is answered from memory; pages and their validators are kept from run
    to run. Once the list was read, a project whose serial there is that of the kept page is not asked for.
    Credentials in `url` are the fetcher's business and are neither kept nor shown.
    """

    def __init__(
        self,
        name: str,
        url: str,
        fetcher: Fetcher,
        pages: Pages,
        capabilities: Capabilities,
        belief: Belief,
    ) -> None:
        self._name = name
        self._root_url = split_user_info(url)[0].rstrip("/") + "/"
        self._pages = pages
        self._reader = ConditionalReader(name, fetcher, pages, belief, _PAGE_LIMIT_BYTES)
        self._details = ProjectDetails(name, self._root_url, self._reader, pages, capabilities)
        self._are_details_usual = False
        self._known: dict[NormalizedName, Page | None] = {}
        self._project_flights = SingleFlight["Page | None"]()
        self._list_flights = SingleFlight["ProjectList"]()
        self._known_list: ProjectList | None = None

    async def project_list(self) -> ProjectList:
        """Every project of the upstream."""
        if self._known_list is None:
            self._known_list = await self._list_flights.value("list", self._read_list)
        return self._known_list

    async def project(self, name: NormalizedName) -> Page:
        """One project's page, with what the JSON API adds where the page lacks sizes or times."""
        if name in self._known:
            page = self._known[name]
        else:
            page = await self._project_flights.value(name, partial(self._read_project, name))
        if page is None:
            raise ProjectNotFound(name, self._root_url)
        return page

    async def _read_list(self) -> ProjectList:
        answer = await self._reader.read(self._root_url, ACCEPT_PAGE, parse_list)
        if answer is None:
            hint = "Check the upstream's URL; that of a Simple API usually ends in /simple/."
            raise UpstreamUnavailable(self._root_url, "there is no list of projects (404)", hint=hint)
        if answer.is_new:
            self._pages.keep_response(self._name, answer.response, None)
        return answer.value

    def _read_kept(self, name: NormalizedName) -> Page | None:
        """The page as it was kept, where the list of this run says that the project has not changed since (serials)."""
        listed = self._known_list.projects.get(name) if self._known_list is not None else None
        kept = self._pages.response(f"{self._root_url}{name}/") if listed is not None else None
        if kept is None:
            return None
        try:
            page = parse_page(name, kept)
        except UpstreamMalformed:
            return None  # an older pypim may have kept it: ask as if there were nothing
        return page if page.last_serial == listed and not lacks_details(page) else None

    async def _read_project(self, name: NormalizedName) -> Page | None:
        page = self._read_kept(name)
        if page is not None:
            self._known[name] = page
            return page
        ahead = None
        if self._are_details_usual and self._details.is_offered:
            # Both at once: where the last page lacked something, this one will too, and half the waiting is saved.
            ahead = asyncio.create_task(self._details.read(name))
        try:
            answer = await self._reader.read(f"{self._root_url}{name}/", ACCEPT_PAGE, partial(parse_page, name))
            page = answer.value if answer is not None else None
            if page is not None and page.files:
                self._are_details_usual = lacks_details(page)
                if self._are_details_usual:
                    page = with_details(page, await (ahead or self._details.read(name)))
        finally:
            if ahead is not None:
                ahead.cancel()
        if answer is not None and answer.is_new:
            self._pages.keep_response(self._name, answer.response, page)
        self._known[name] = page
        return page


def parse_page(name: NormalizedName, response: StoredResponse) -> Page:
    """What an answer says of a project, with the serial of its head. Raises UpstreamMalformed."""
    page = parse_any_page(response.body, response.content_type, response.final_url, name)
    if page.last_serial is None and response.serial is not None:
        page = msgspec.structs.replace(page, last_serial=response.serial)
    return page


def parse_list(response: StoredResponse) -> ProjectList:
    """What an answer says of all projects, likewise. Raises UpstreamMalformed."""
    projects = parse_any_project_list(response.body, response.content_type, response.final_url)
    if projects.last_serial is None and response.serial is not None:
        projects = msgspec.structs.replace(projects, last_serial=response.serial)
    return projects
