"""Where a proxy's pages come from: an upstream's documents as they are kept, and as they are when it is asked.

Nothing is remembered here but what is expensive to read again; when to ask is decided by who calls.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import msgspec

from pypim.core.errors import NotAuthorised, UpstreamFault, UpstreamMalformed, UpstreamUnavailable
from pypim.core.model import ProjectList
from pypim.core.negotiate import ACCEPT_PAGE
from pypim.core.records import outline_of
from pypim.core.simple_html import parse_links
from pypim.core.urls import split_user_info
from pypim.index.conditional import Belief, ConditionalReader
from pypim.index.details import ProjectDetails, lacks_details, with_details
from pypim.index.flat import by_project_name
from pypim.index.liveness import Liveness, NothingThere
from pypim.index.remote import parse_list, parse_page, refuse_strange
from pypim.index.undecided import CAPABILITY, looks_flat
from pypim.index.watching import NotYetGone

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import Page
    from pypim.core.ready import LongDocument
    from pypim.core.records import StoredResponse
    from pypim.index.absences import Absences
    from pypim.ports import Capabilities, Clock, Fetcher, Pages

V_co = TypeVar("V_co", covariant=True)

_DOCUMENT_LIMIT_BYTES = 128 << 20
_MOST_IN_PLACE_BYTES = 1 << 18
"""A larger document is parsed in a thread: that takes longer than others may wait."""
_OK = 200


class Kept(NamedTuple, Generic[V_co]):
    """What is kept of a document: what it says, or None for the word that there is none; seconds since the epoch."""

    value: V_co | None
    fetched_at: float


class Source(Protocol):
    """One layout of an upstream."""

    def document(self, name: NormalizedName | None) -> str:
        """The URL of what tells of a project (None: of all of them)."""

    async def kept(self, name: NormalizedName) -> Kept[Page | LongDocument] | None:
        """What is kept of a project; None where nothing is."""

    async def read(self, name: NormalizedName) -> Page | LongDocument | None:
        """Ask, keep the answer, and return it: None where the upstream has no such project.

        Raises UpstreamFault or Refused.
        """

    async def read_list(self) -> ProjectList:
        """Ask for all projects, and keep the answer. Raises UpstreamFault or Refused."""

    async def kept_list(self) -> Kept[ProjectList] | None:
        """All projects as they are kept."""


class SimpleSource:
    """A Simple API below a URL: one document for each project."""

    def __init__(
        self, upstream: tuple[str, str], fetcher: Fetcher, pages: Pages, capabilities: Capabilities, clock: Clock,
        absences: Absences,
    ) -> None:  # fmt: skip
        """`upstream` is its name and URL; credentials in that are the fetcher's business."""
        self._upstream, url = upstream
        self._root_url = split_user_info(url)[0].rstrip("/") + "/"
        self._fetcher = fetcher
        self._pages = pages
        self._clock = clock
        self._absences = absences
        belief = Belief(clock)
        self._reader = ConditionalReader(
            self._upstream, fetcher, pages, belief, _DOCUMENT_LIMIT_BYTES, _MOST_IN_PLACE_BYTES
        )
        self._liveness = Liveness(self._root_url, fetcher, clock)
        self._details = ProjectDetails(self._upstream, self._root_url, self._reader, pages, capabilities)

    def document(self, name: NormalizedName | None) -> str:
        """`<url><project>/` (PEP 503)."""
        return self._root_url if name is None else f"{self._root_url}{name}/"

    async def kept(self, name: NormalizedName) -> Kept[Page] | None:
        """The page as it was decoded, or decoded anew; what cannot be read any more counts as not kept.

        In a thread, for nobody knows how long a page is before it is read.
        """
        return await asyncio.to_thread(self._kept, name)

    def _kept(self, name: NormalizedName) -> Kept[Page] | None:
        url = self.document(name)
        packed = self._pages.kept_pages([url]).get(url)
        if packed is not None:
            self._liveness.was_seen(url)
            return Kept(packed.page, packed.fetched_at)
        response = self._pages.response(url)
        if response is None:
            return None
        if response.status != _OK:
            return Kept(None, response.fetched_at)
        self._liveness.was_seen(url)
        try:
            return Kept(parse_page(name, response), response.fetched_at)
        except UpstreamMalformed:
            return None

    async def read(self, name: NormalizedName) -> Page | None:
        """The page, with what the JSON API adds where the page lacks sizes or times."""
        url = self.document(name)
        try:
            answer = await self._reader.read(
                url, ACCEPT_PAGE, partial(self._parse, name), partial(self._confirm_absence, name)
            )
        except NotYetGone as fault:
            kept = await self.kept(name)
            if kept is None or kept.value is None:
                raise
            self._pages.touch_response(url, self._clock.now().timestamp())
            return msgspec.structs.replace(kept.value, dropped=(*kept.value.dropped, fault.reason))
        if answer is None:
            return None
        self._absences.seen(name)
        self._liveness.seen(url)
        page = answer.value
        if page.files and lacks_details(page):
            page = with_details(page, await self._details.read(name))
        if answer.is_new:
            self._pages.keep_response(self._upstream, answer.response, page)
        return page

    async def read_list(self) -> ProjectList:
        """The document at the URL itself."""
        answer = await self._reader.read(self._root_url, ACCEPT_PAGE, parse_list)
        if answer is None:
            hint = "Check the upstream's URL; that of a Simple API usually ends in /simple/."
            raise UpstreamUnavailable(self._root_url, "there is no list of projects (404)", hint=hint)
        if answer.is_new:
            self._pages.keep_response(self._upstream, answer.response, None)
        return answer.value

    async def kept_list(self) -> Kept[ProjectList] | None:
        """The list, decoded anew."""
        response = self._pages.response(self._root_url)
        if response is None or response.status != _OK:
            return None
        try:
            return Kept(parse_list(response), response.fetched_at)
        except UpstreamMalformed:
            return None

    def _parse(self, name: NormalizedName, response: StoredResponse) -> Page:
        """What was kept needs no second decoding; two answers may have come at the same time by our clock."""
        if self._pages.outline(response.url) == outline_of(response):
            packed = self._pages.kept_pages([response.url]).get(response.url)
            if packed is not None:
                return packed.page
        page = parse_page(name, response)
        refuse_strange(page, response)
        return page

    async def _confirm_absence(self, name: NormalizedName, known: StoredResponse | None) -> None:
        """There is no project only where the upstream is there at all; and gone is one only where it says so often."""
        if known is None:
            await self._liveness.confirm(self.document(name))
        else:
            await self._liveness.confirm_loss(known.url)
            self._absences.confirm(name, known.url)


class FlatSource:
    """One document that links to the files of any number of projects (pip's `--find-links`)."""

    def __init__(self, upstream: str, url: str, fetcher: Fetcher, pages: Pages, clock: Clock) -> None:
        self._upstream = upstream
        self._url = split_user_info(url)[0]
        self._pages = pages
        self._reader = ConditionalReader(
            upstream, fetcher, pages, Belief(clock), _DOCUMENT_LIMIT_BYTES, _MOST_IN_PLACE_BYTES
        )
        self._decoded: tuple[float, Mapping[NormalizedName, Page], tuple[str, ...]] | None = None

    def document(self, name: NormalizedName | None) -> str:  # noqa: ARG002 - one document tells of all
        """The URL itself."""
        return self._url

    async def kept(self, name: NormalizedName) -> Kept[Page] | None:
        """What the kept document says of a project; it is decoded once."""
        decoded = await asyncio.to_thread(self._kept_document)
        return None if decoded is None else Kept(decoded[1].get(name), decoded[0])

    async def read(self, name: NormalizedName) -> Page | None:
        """What the document says of a project."""
        return (await self._read()).get(name)

    async def read_list(self) -> ProjectList:
        """The projects that any linked file belongs to."""
        pages = await self._read()
        return ProjectList(projects=dict.fromkeys(pages), dropped=self._decoded[2] if self._decoded else ())

    async def kept_list(self) -> Kept[ProjectList] | None:
        """The same from what is kept."""
        decoded = await asyncio.to_thread(self._kept_document)
        if decoded is None:
            return None
        return Kept(ProjectList(projects=dict.fromkeys(decoded[1]), dropped=decoded[2]), decoded[0])

    def _kept_document(self) -> tuple[float, Mapping[NormalizedName, Page], tuple[str, ...]] | None:
        response = self._pages.response(self._url)
        if response is None or response.status != _OK:
            return None
        if self._decoded is None or self._decoded[0] != response.fetched_at:
            try:
                self._decoded = (response.fetched_at, *self._parse(response))
            except UpstreamFault:
                return None
        return self._decoded

    async def _read(self) -> Mapping[NormalizedName, Page]:
        answer = await self._reader.read(self._url, "text/html", self._parse)
        if answer is None:
            hint = "Check the upstream's URL."
            raise UpstreamUnavailable(self._url, "there is no such page or folder", hint=hint)
        if answer.is_new:
            self._pages.keep_response(self._upstream, answer.response, None)
        pages, dropped = answer.value
        kept = self._pages.response(self._url)
        self._decoded = (kept.fetched_at, pages, dropped) if kept is not None else None
        return pages

    def _parse(self, response: StoredResponse) -> tuple[Mapping[NormalizedName, Page], tuple[str, ...]]:
        files, dropped = parse_links(response.body, response.final_url)
        if not files:
            # A disk that is not mounted and a page that failed look like this.
            hint = "Check that it is the right page or folder, and that it is mounted."
            raise UpstreamUnavailable(self._url, "no distribution file is listed there", hint=hint)
        pages, sentences = by_project_name(files)
        return pages, (*dropped, *sentences)


class EitherSource:
    """An upstream of which nobody said what it is; which of both it was found to be is remembered.

    It is asked as a Simple API; only where that has no answer is the page at the URL looked at for links to files.
    """

    def __init__(self, simple: Source, flat: Source, upstream: str, capabilities: Capabilities) -> None:
        """`upstream` is its URL, without credentials."""
        self._simple = simple
        self._flat = flat
        self._upstream = upstream
        self._capabilities = capabilities

    @property
    def _found(self) -> Source:
        return self._flat if self._is_simple is False else self._simple

    @property
    def _is_simple(self) -> bool | None:
        return self._capabilities.capability(self._upstream, CAPABILITY)

    def document(self, name: NormalizedName | None) -> str:
        """That of what it was found to be."""
        return self._found.document(name)

    async def kept(self, name: NormalizedName) -> Kept[Page | LongDocument] | None:
        """What is kept; that a Simple API has no such project says nothing of links, until it is known to be one."""
        kept = await self._found.kept(name)
        return None if kept is not None and kept.value is None and self._is_simple is None else kept

    async def read(self, name: NormalizedName) -> Page | LongDocument | None:
        """The page of either."""
        if self._is_simple is False:
            return await self._flat.read(name)
        try:
            page: Page | LongDocument | None = await self._simple.read(name)
        except (NotAuthorised, NothingThere):  # some hosts say the former of what is not there
            if self._is_simple or not await self._has_links():
                raise
            page = None
        if page is not None:
            self._remember(is_simple=True)
        elif self._is_simple is None and await self._has_links():
            self._remember(is_simple=False)
            return await self._flat.read(name)
        return page

    async def read_list(self) -> ProjectList:
        """All projects of either."""
        if self._is_simple is not None:
            return await self._found.read_list()
        try:
            listed = await self._simple.read_list()
        except UpstreamFault:
            if not await self._has_links():
                raise
        else:
            if not (looks_flat(listed.projects) and await self._has_links()):
                return listed
        self._remember(is_simple=False)
        return await self._flat.read_list()

    async def kept_list(self) -> Kept[ProjectList] | None:
        """All projects as they are kept."""
        return await self._found.kept_list()

    async def _has_links(self) -> bool:
        try:
            listed = await self._flat.read_list()
        except UpstreamFault:
            return False
        return bool(listed.projects)

    def _remember(self, *, is_simple: bool) -> None:
        if self._is_simple is not is_simple:
            self._capabilities.keep_capability(self._upstream, CAPABILITY, is_offered=is_simple)
