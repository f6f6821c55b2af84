"""Learns the pages and documents of very many projects of one upstream, many at once and in bounded memory.

Nothing of a project stays here once it is kept: what was learned is handed to the catalog by the thousand rows.
Source: PEP 691 (pages); the JSON API of the warehouse (documents).
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.description import read_description
from pypim.core.errors import IntegrityFault, PypimError, Refused, UpstreamFault, UpstreamMalformed, first_error
from pypim.core.negotiate import ACCEPT_PAGE
from pypim.core.records import Gathered
from pypim.index.conditional import fresh_time, response_of
from pypim.index.details import CAPABILITY, Details, document_root, files_in_document, lacks_details, with_details
from pypim.index.remote import parse_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import Page
    from pypim.core.records import KeptHead, StoredResponse
    from pypim.ports import Capabilities, Clock, Facts, Fetcher, Reporter

_OK, _NOT_MODIFIED = 200, 304
_ABSENT = frozenset({404, 410})
_LIMIT_BYTES = 256 << 20
"""Of one answer."""
_AT_ONCE = 32
"""So many projects are asked for together; how many requests go out is the fetcher's business."""
_LOOKED_UP = 500
"""So many projects are looked up in the catalog together."""
_MOST_ROWS = 20_000
_MOST_BYTES = 32 << 20
"""So much is held in memory before it is kept."""
_MOST_FAULTS_IN_A_ROW = 100


class Gathering(msgspec.Struct):
    """What became of it, counted."""

    projects: int = 0
    """Those of which something new was learned."""
    unchanged: int = 0
    """Those that are as they were, by their serial or the upstream's word (304)."""
    files: int = 0
    """On the pages that are new."""
    described: int = 0
    """The projects whose document is new."""
    absent: list[NormalizedName] = []
    """Those of which the upstream has no page. What was known of them stays."""
    faults: list[tuple[NormalizedName, PypimError]] = []
    """Those that could not be learned, and why."""


class _Task(NamedTuple):
    """A project, and what is kept of its page and its document."""

    name: NormalizedName
    page: KeptHead | None
    document: KeptHead | None
    is_page_known: bool
    """Whether the list says that the page is still the one that is kept."""


class Gatherer:
    """Asks one upstream. Safe to cancel: what was kept is kept."""

    def __init__(
        self,
        upstream: str,
        root_url: str,
        fetcher: Fetcher,
        facts: Facts,
        capabilities: Capabilities,
        clock: Clock,
    ) -> None:
        """`upstream` is its name; `root_url` that of its Simple API, with a slash at its end."""
        self._upstream = upstream
        self._root_url = root_url
        self._document_root = document_root(root_url)
        self._fetcher = fetcher
        self._facts = facts
        self._capabilities = capabilities
        self._clock = clock
        self._pending: list[Gathered] = []
        self._touched: list[tuple[str, float, float | None]] = []
        self._rows = self._bytes = self._faults_in_a_row = 0
        self._found = Gathering()

    async def gather(self, projects: Mapping[NormalizedName, int | None], reporter: Reporter) -> Gathering:
        """Learn all of these (name → serial as listed, None where nobody knows).

        One that fails holds no other up. Raises UpstreamFault or Refused only where very many in a row have failed.
        """
        self._found = Gathering()
        reporter.stage("metadata", total=len(projects))
        queue: asyncio.Queue[_Task | None] = asyncio.Queue(_AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_AT_ONCE):
                    group.create_task(self._work(queue, reporter))
                for batch in _batches(projects.items()):
                    for task in self._tasks(batch, reporter):
                        await queue.put(task)
                for _ in range(_AT_ONCE):
                    await queue.put(None)
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        finally:
            self._flush()
        return self._found

    # --- which must be asked for ------------------------------------------------------------------------------------
    def _page_url(self, name: NormalizedName) -> str:
        return f"{self._root_url}{name}/"

    def _document_url(self, name: NormalizedName) -> str:
        return f"{self._document_root}{name}/json"

    @property
    def _has_documents(self) -> bool | None:
        if not self._root_url.startswith("http"):
            return False
        return self._capabilities.capability(self._root_url, CAPABILITY)

    def _tasks(self, batch: Sequence[tuple[NormalizedName, int | None]], reporter: Reporter) -> Iterator[_Task]:
        """Those of some projects that must be asked for; the others are counted."""
        urls = [url for name, _ in batch for url in (self._page_url(name), self._document_url(name))]
        heads = self._facts.heads(urls)
        for name, serial in batch:
            page, document = heads.get(self._page_url(name)), heads.get(self._document_url(name))
            is_known = page is not None and page.is_decoded and serial is not None and page.serial == serial
            if is_known and (self._has_documents is False or _is_kept(document)):
                self._found.unchanged += 1
                reporter.advance()
            else:
                yield _Task(name, page, document, is_known)

    # --- asking -----------------------------------------------------------------------------------------------------
    async def _work(self, queue: asyncio.Queue[_Task | None], reporter: Reporter) -> None:
        while (task := await queue.get()) is not None:
            try:
                await self._learn(task)
            except (UpstreamFault, Refused, IntegrityFault) as fault:
                self._found.faults.append((task.name, fault))
                self._faults_in_a_row += 1
                if self._faults_in_a_row >= _MOST_FAULTS_IN_A_ROW:
                    raise
            else:
                self._faults_in_a_row = 0
            reporter.advance()

    async def _learn(self, task: _Task) -> None:
        """Ask for the page and the document of one project. Raises UpstreamFault or Refused."""
        page, learned = None, list[Gathered]()
        is_unchanged = task.is_page_known
        if not task.is_page_known:
            response = await self._ask(self._page_url(task.name), ACCEPT_PAGE, task.page)
            is_unchanged = response is None
            if response is not None and response.status in _ABSENT:
                self._found.absent.append(task.name)
                return
            page = None if response is None else parse_page(task.name, response)
            if page is not None and response is not None and not _is_older(page, task.page):
                learned.append(Gathered(project=task.name, response=response, page=page))
        try:
            if self._has_documents is not False:
                learned = await self._with_document(task, learned)
        finally:
            self._keep(learned)
            self._found.projects += bool(learned)
            self._found.unchanged += is_unchanged and not learned

    async def _with_document(self, task: _Task, learned: list[Gathered]) -> list[Gathered]:
        """What was learned, and what the document of the project says."""
        url = self._document_url(task.name)
        was_offered = self._has_documents
        response = await self._ask(url, "application/json", task.document)
        if response is None:
            return learned
        if response.status in _ABSENT:
            if self._has_documents is None:  # another project may have been answered meanwhile
                self._capabilities.keep_capability(self._root_url, CAPABILITY, is_offered=False)
            is_news = self._has_documents is True and not _is_kept(task.document)
            return [*learned, Gathered(project=task.name, response=response)] if is_news else learned
        try:
            description = read_description(response.body, url)
        except UpstreamMalformed:
            if was_offered is not None:
                raise
            self._capabilities.keep_capability(self._root_url, CAPABILITY, is_offered=False)
            return learned
        if not self._has_documents:
            self._capabilities.keep_capability(self._root_url, CAPABILITY, is_offered=True)
        detailed = [_detailed(one, response) for one in learned]
        return [*detailed, Gathered(project=task.name, response=response, description=description)]

    async def _ask(self, url: str, accept: str, kept: KeptHead | None) -> StoredResponse | None:
        """The answer, of status 200 or one of absence; None where it is the one that is kept (304)."""
        headers = {"Accept": accept}
        if kept is not None and (kept.is_decoded or kept.status in _ABSENT):
            headers |= {"If-None-Match": kept.etag} if kept.etag else {}
            headers |= {"If-Modified-Since": kept.last_modified} if kept.last_modified else {}
        fetched = await self._fetcher.fetch(url, headers, limit_bytes=_LIMIT_BYTES)
        now = self._clock.now().timestamp()
        if fetched.status == _NOT_MODIFIED and len(headers) > 1:
            self._touched.append((url, now, fresh_time(fetched, now)))
            return None
        if fetched.status != _OK and fetched.status not in _ABSENT:
            raise UpstreamMalformed(url, f"the upstream answered {fetched.status}")
        return response_of(url, fetched, now)

    # --- keeping ----------------------------------------------------------------------------------------------------
    def _keep(self, learned: Sequence[Gathered]) -> None:
        for one in learned:
            files = len(one.page.files) if one.page is not None else 0
            self._found.files += files
            self._found.described += one.description is not None
            self._rows += files
            self._bytes += len(one.response.body)
        self._pending += learned
        if self._rows >= _MOST_ROWS or self._bytes >= _MOST_BYTES or len(self._touched) >= _MOST_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._facts.keep(self._upstream, self._pending)
        if self._touched:
            self._facts.confirm(self._touched)
        self._pending, self._touched = [], []
        self._rows = self._bytes = 0


def _batches(
    projects: Iterable[tuple[NormalizedName, int | None]],
) -> Iterator[list[tuple[NormalizedName, int | None]]]:
    iterator = iter(projects)
    while batch := list(islice(iterator, _LOOKED_UP)):
        yield batch


def _is_kept(document: KeptHead | None) -> bool:
    """Whether it is known what a document says, or that there is none."""
    return document is not None and (document.is_decoded or document.status in _ABSENT)


def _is_older(page: Page, kept: KeptHead | None) -> bool:
    """Whether an upstream's cache has answered with something older than is known."""
    if kept is None or not kept.is_decoded or kept.serial is None or page.last_serial is None:
        return False
    return page.last_serial < kept.serial


def _detailed(one: Gathered, document: StoredResponse) -> Gathered:
    """The page, with the sizes and times that only the document has."""
    if one.page is None or not lacks_details(one.page):
        return one
    details = Details(files_in_document(document.body, document.final_url))
    return msgspec.structs.replace(one, page=with_details(one.page, details))
