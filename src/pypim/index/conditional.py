"""Reads a document that was perhaps read before: asks with the validators that were kept (RFC 9110, 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pypim.core.errors import UpstreamMalformed
from pypim.core.freshness import Trust, fresh_seconds, is_fresh
from pypim.core.records import StoredResponse
from pypim.index.sharing import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pypim.core.records import Fetched, KeptPage
    from pypim.ports import Clock, Fetcher, Pages

T = TypeVar("T")

_OK = 200
_NOT_MODIFIED = 304
_ABSENT = frozenset({404, 410})
_SERIAL_DIGITS = 18


class Answer(NamedTuple, Generic[T]):
    """What a document says, the response that said it, and whether it has yet to be kept."""

    value: T
    response: StoredResponse
    is_new: bool


class Belief:
    """How far a command trusts what was kept, by the clock."""

    def __init__(self, clock: Clock, trust: Trust = Trust.NOTHING) -> None:
        self.trust = trust
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp()

    def counts(self, kept: StoredResponse | KeptPage) -> bool:
        """Whether what was kept counts without asking."""
        if self.trust is Trust.FRESH:
            return is_fresh(kept.fetched_at, kept.fresh_until, self.now())
        return self.trust is Trust.KEPT


async def _no_doubt(_: StoredResponse | None) -> None:
    """That there is no such document is believed at once."""


class ConditionalReader:
    """Asks for documents of one upstream; keeping what is new is left to the caller, who knows what it means.

    That there is none is kept as well, for those who trust what was kept.
    """

    def __init__(
        self,
        upstream: str,
        fetcher: Fetcher,
        pages: Pages,
        belief: Belief,
        limit_bytes: int,
        most_in_place: int | None = None,
    ) -> None:
        """`upstream` is its name, as Pages want it.

        A body of more than `most_in_place` bytes is parsed in a thread, so that nobody waits for it who did not ask.
        """
        self._upstream = upstream
        self._belief = belief
        self._fetcher = fetcher
        self._pages = pages
        self._limit_bytes = limit_bytes
        self._most_in_place = most_in_place

    async def read(
        self,
        url: str,
        accept: str,
        parse: Callable[[StoredResponse], T],
        confirm_absence: Callable[[StoredResponse | None], Awaitable[None]] = _no_doubt,
    ) -> Answer[T] | None:
        """The document at that URL, or None where the upstream says for certain that there is none (404, 410).

        `parse` may raise UpstreamMalformed. `confirm_absence` is asked before it is believed that there is none,
        with the document where one was there, which then stays kept where that raises UpstreamFault. Raises
        UpstreamFault or Refused.
        """
        kept = self._pages.response(url)
        if kept is not None and self._belief.counts(kept):
            try:
                return None if kept.status in _ABSENT else Answer(await self._parsed(parse, kept), kept, is_new=False)
            except UpstreamMalformed:
                kept = None  # an older pypim may have kept it
        was_absent = kept is not None and kept.status in _ABSENT
        kept = None if was_absent else kept
        fetched = await self._ask(url, accept, kept)
        if fetched.status == _NOT_MODIFIED and kept is not None:
            try:
                answer = Answer(await self._parsed(parse, kept), kept, is_new=False)
            except UpstreamMalformed:
                # What we kept cannot be read (an older pypim may have kept it): ask as if there were nothing.
                fetched = await self._ask(url, accept, None)
            else:
                self._touch(url, fetched)
                return answer
        if fetched.status in _ABSENT:
            await confirm_absence(kept)
            self._keep_absence(url, fetched, was_absent=was_absent)
            return None
        if fetched.status != _OK:
            raise UpstreamMalformed(url, f"the upstream answered {fetched.status}")
        response = self._response(url, fetched)
        return Answer(await self._parsed(parse, response), response, is_new=True)

    async def _parsed(self, parse: Callable[[StoredResponse], T], response: StoredResponse) -> T:
        if self._most_in_place is not None and len(response.body) > self._most_in_place:
            return await one_at_a_time(parse, response)
        return parse(response)

    def _touch(self, url: str, fetched: Fetched) -> None:
        """What was kept is still so; a 304 repeats what a 200 would say of its freshness (RFC 9110, 15.4.5)."""
        now = self._belief.now()
        self._pages.touch_response(url, now, fresh_time(fetched, now))

    def _keep_absence(self, url: str, fetched: Fetched, *, was_absent: bool) -> None:
        if was_absent:
            self._touch(url, fetched)
        else:
            self._pages.keep_response(self._upstream, self._response(url, fetched), None)

    async def _ask(self, url: str, accept: str, kept: StoredResponse | None) -> Fetched:
        headers = {"Accept": accept}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        return await self._fetcher.fetch(url, headers, limit_bytes=self._limit_bytes)

    def _response(self, url: str, fetched: Fetched) -> StoredResponse:
        return response_of(url, fetched, self._belief.now())


def response_of(url: str, fetched: Fetched, now: float) -> StoredResponse:
    """An answer as it is kept; `now` in seconds since the epoch."""
    serial = fetched.headers.get("x-pypi-last-serial", "")
    is_number = serial.isascii() and serial.isdigit() and len(serial) <= _SERIAL_DIGITS
    return StoredResponse(
        url=url,
        final_url=fetched.url,
        status=fetched.status,
        content_type=fetched.headers.get("content-type", ""),
        etag=fetched.headers.get("etag"),
        last_modified=fetched.headers.get("last-modified"),
        serial=int(serial) if is_number else None,
        fetched_at=now,
        fresh_until=fresh_time(fetched, now),
        body=b"" if fetched.status in _ABSENT else fetched.body,
    )


def fresh_time(fetched: Fetched, now: float) -> float | None:
    """Until when an answer need not be asked for again, as it says itself; in seconds since the epoch."""
    seconds = fresh_seconds(fetched.headers)
    return now + seconds if seconds else None
