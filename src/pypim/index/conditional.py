"""Reads a document that was perhaps read before: asks with the validators that were kept (RFC 9110, 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from pypim.core.errors import UpstreamMalformed
from pypim.core.records import StoredResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.core.records import Fetched
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


class ConditionalReader:
    """Asks for documents of one upstream; keeping what is new is left to the caller, who knows what it means."""

    def __init__(self, fetcher: Fetcher, pages: Pages, clock: Clock, limit_bytes: int) -> None:
        self._fetcher = fetcher
        self._pages = pages
        self._clock = clock
        self._limit_bytes = limit_bytes

    async def read(self, url: str, accept: str, parse: Callable[[StoredResponse], T]) -> Answer[T] | None:
        """The document at that URL, or None where the upstream says for certain that there is none (404, 410).

        `parse` may raise UpstreamMalformed. Raises UpstreamFault or Refused.
        """
        kept = self._pages.response(url)
        fetched = await self._ask(url, accept, kept)
        if fetched.status == _NOT_MODIFIED and kept is not None:
            try:
                answer = Answer(parse(kept), kept, is_new=False)
            except UpstreamMalformed:
                # What we kept cannot be read (an older pypim may have kept it): ask as if there were nothing.
                fetched = await self._ask(url, accept, None)
            else:
                self._pages.touch_response(url, self._clock.now().timestamp())
                return answer
        if fetched.status in _ABSENT:
            return None
        if fetched.status != _OK:
            raise UpstreamMalformed(url, f"the upstream answered {fetched.status}")
        response = self._response(url, fetched)
        return Answer(parse(response), response, is_new=True)

    async def _ask(self, url: str, accept: str, kept: StoredResponse | None) -> Fetched:
        headers = {"Accept": accept}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        return await self._fetcher.fetch(url, headers, limit_bytes=self._limit_bytes)

    def _response(self, url: str, fetched: Fetched) -> StoredResponse:
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
            fetched_at=self._clock.now().timestamp(),
            body=fetched.body,
        )
