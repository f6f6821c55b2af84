"""Whether an upstream is all there: one whose disk is not mounted answers 404 to everything, and means nothing by it.

Whoever believed that would send clients elsewhere, to whoever has taken a name there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import NotAuthorised, UpstreamUnavailable
from pypim.core.negotiate import ACCEPT_PAGE
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from pypim.ports import Clock, Fetcher

_SPELL_SECONDS = 60.0
"""So long it counts that something was there."""
_OK = 200
_HINT = (
    "Look whether it has what it should have. One that has no list of projects is believed once a page of it was seen."
)


class NothingThere(UpstreamUnavailable):
    """A page is missing, and so is all else that was asked for."""

    code = "nothing-there"


class Liveness:
    """What of one Simple API was seen to be there, and when; `root_url` is that of its list of projects."""

    def __init__(self, root_url: str, fetcher: Fetcher, clock: Clock) -> None:
        self._root_url = root_url
        self._fetcher = fetcher
        self._clock = clock
        self._seen_at: float | None = None
        self._page: str | None = None
        self._flights = SingleFlight[int]()

    def seen(self, page: str) -> None:
        """A page is there, at that URL."""
        self._page = page
        self._seen_at = self._now()

    def was_seen(self, page: str) -> None:
        """A page was there at some time."""
        self._page = self._page or page

    async def confirm(self, page: str) -> None:
        """A page is missing of which nothing was known. Raises NothingThere, or another UpstreamFault."""
        if self._seen_at is not None and 0 <= self._now() - self._seen_at < _SPELL_SECONDS:
            return
        status = await self._flights.value(self._root_url, self._ask_root)
        if status != _OK and (self._page is None or await self._status(self._page) != _OK):
            reason = f"it is not there (404), and neither is the index itself ({status})"
            raise NothingThere(page, reason, hint=_HINT, is_transient=True)
        self._seen_at = self._now()

    async def confirm_loss(self, page: str) -> None:
        """A page is missing that was there. Raises UpstreamUnavailable unless the list of projects is there now."""
        status = await self._flights.value(self._root_url, self._ask_root)
        if status != _OK:
            reason = f"it was there, now it is not (404), and neither is the index itself ({status})"
            raise UpstreamUnavailable(page, reason, is_transient=True)

    async def _ask_root(self) -> int:
        status = await self._status(self._root_url)
        if status == _OK:  # noted here, so that nobody asks again who comes before those that wait go on
            self._seen_at = self._now()
        return status

    async def _status(self, url: str) -> int:
        """Only the head of the answer is read: the list itself may be long."""
        try:
            async with self._fetcher.open(url, {"Accept": ACCEPT_PAGE}) as incoming:
                return incoming.status
        except NotAuthorised:
            return 403

    def _now(self) -> float:
        return self._clock.now().timestamp()
