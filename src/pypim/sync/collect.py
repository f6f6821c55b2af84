"""Answers what a closure wants to know, many questions at once, until it wants nothing more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pypim.core.closure import WantPage, WantSize
from pypim.core.errors import IntegrityFault, NotFound, PypimError, Refused, UpstreamFault, first_error
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.core.closure import Closure, Root, Want
    from pypim.core.model import CoreMetadata, Page
    from pypim.core.resolve import Resolution
    from pypim.core.selection import Selection
    from pypim.ports import Index, MetadataReader, Reporter, SizeReader

Answer = tuple["Want", "Page | CoreMetadata | int | None", tuple[ProblemKind, str] | None]


class Collector:
    """Knows where to ask. How many requests go out at once is the fetcher's business.

    With `keeps_going`, a fault of the upstream counts as "not known" and is listed in `faults`; otherwise it is raised.
    """

    def __init__(
        self, index: Index, metadata: MetadataReader, sizes: SizeReader, reporter: Reporter, *, keeps_going: bool
    ) -> None:
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
        asked = answered = 0
        self._reporter.stage("metadata")
        try:
            async with asyncio.TaskGroup() as group:
                wants: Iterable[Want] = closure.start(roots)
                while True:
                    for want in wants:
                        group.create_task(self._ask(want, answers))
                        asked += 1
                    if answered == asked:
                        break
                    answer = await answers.get()
                    answered += 1
                    self._reporter.advance(total=asked)
                    wants = closure.answer(*answer)
        except* PypimError as failures:
            raise first_error(failures) from None
        return closure.selection()

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
