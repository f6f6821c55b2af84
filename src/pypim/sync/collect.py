"""Answers what a closure wants to know, many questions at once, until it wants nothing more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pypim.core.closure import WantMetadata, WantPage, WantSize
from pypim.core.errors import IntegrityFault, NotFound, Refused, UpstreamFault, first_error
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.core.closure import Closure, Root, Want
    from pypim.core.model import CoreMetadata, Page
    from pypim.core.resolve import Resolution
    from pypim.core.selection import Selection
    from pypim.ports import Index, Known, MetadataReader, Reporter, SizeReader

Answer = tuple["Want", "Page | CoreMetadata | int | None", tuple[ProblemKind, str] | None]


_AT_ONCE = 500
"""So many questions are looked up together."""


class Collector:
    """Knows where to ask. How many requests go out at once is the fetcher's business.

    With `keeps_going`, a fault of the upstream counts as "not known" and is listed in `faults`; otherwise it is raised.
    """

    def __init__(
        self,
        index: Index,
        metadata: MetadataReader,
        sizes: SizeReader,
        reporter: Reporter,
        *,
        keeps_going: bool,
        known: Known | None = None,
    ) -> None:
        """`known` is looked at before anything is asked."""
        self._known = known
        self._index = index
        self._metadata = metadata
        self._sizes = sizes
        self._reporter = reporter
        self._keeps_going = keeps_going
        self.faults: list[str] = []
        self.serials: dict[NormalizedName, int | None] = {}
        """Every project that was looked at, with the serial of its page; None where it has none or there is no page."""

    async def collect(self, closure: Closure | Resolution, roots: Iterable[Root]) -> Selection:
        """Drive the closure from its roots to its selection. Raises UpstreamFault, IntegrityFault or Refused."""
        answers: asyncio.Queue[Answer] = asyncio.Queue()
        asked = answered = 0  # of what is not known already
        self._reporter.stage("metadata")
        try:
            async with asyncio.TaskGroup() as group:
                wants = await self._take_known(closure, closure.start(roots))
                while True:
                    for want in wants:
                        group.create_task(self._ask(want, answers))
                        asked += 1
                    if closure.is_busy:
                        await asyncio.sleep(0)  # a signal may wait, and the requests that are under way
                        wants = await self._take_known(closure, closure.go_on())
                        continue
                    if answered == asked:
                        break
                    answer = await answers.get()
                    answered += 1
                    self._reporter.advance(total=asked)
                    wants = await self._take_known(closure, closure.answer(*answer))
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        return closure.selection()

    async def _take_known(self, closure: Closure | Resolution, wants: list[Want]) -> list[Want]:
        """Answer what is known, and what is wanted because of that, as far as it goes; what must be asked for."""
        if self._known is None:
            return wants
        unknown: list[Want] = []
        while wants:
            following: list[Want] = []
            for start in range(0, len(wants), _AT_ONCE):
                batch = wants[start : start + _AT_ONCE]
                if len(batch) == _AT_ONCE:
                    await asyncio.sleep(0)  # a signal may wait
                pages = self._known.pages([want.project for want in batch if isinstance(want, WantPage)])
                metadata = self._known.metadata([want.file for want in batch if isinstance(want, WantMetadata)])
                for want in batch:
                    if isinstance(want, WantPage) and (page := pages.get(want.project)) is not None:
                        self.serials[want.project] = page.last_serial
                        following += closure.answer(want, page)
                    elif isinstance(want, WantMetadata) and (known := metadata.get(want.identity)) is not None:
                        following += closure.answer(want, known)
                    else:
                        unknown.append(want)
            wants = following
        return unknown

    async def _ask(self, want: Want, answers: asyncio.Queue[Answer]) -> None:
        answers.put_nowait(await self._answer(want))

    async def _answer(self, want: Want) -> Answer:
        try:
            if isinstance(want, WantPage):
                self.serials[want.project] = None
                page = await self._index.project(want.project)
                self.serials[want.project] = page.last_serial
                return want, page, None
            if isinstance(want, WantSize):
                return want, await self._sizes.size(want.file, limit_bytes=want.limit_bytes), None
            return want, await self._metadata.metadata(want.project, want.file), None
        except NotFound as error:
            return want, None, (ProblemKind.MISSING, error.message)
        except (UpstreamFault, IntegrityFault, Refused) as error:
            if not self._keeps_going:
                raise
            self.faults.append(error.message)
            return want, None, (ProblemKind.FAULT, error.message)
