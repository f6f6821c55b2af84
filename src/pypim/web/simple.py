"""The Simple API: the list and the pages of each index, negotiated, with validators (PEP 503, 691; RFC 9110)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from pypim.core.negotiate import answered_type
from pypim.core.ranges import matches_etag
from pypim.core.request_errors import NotAcceptable
from pypim.web.answers import Represented, header, send_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.web.answers import Receive, Scope, Send
    from pypim.web.lists import ReadyLists
    from pypim.web.pages import Pages


class SimpleApi:
    """Answers for pages; who may read them was settled before."""

    def __init__(self, pages: Pages, lists: Mapping[str, ReadyLists]) -> None:
        """`lists` are those that stand ready on the disk, by index."""
        self._pages = pages
        self._lists = lists

    async def answer(self, scope: Scope, receive: Receive, send: Send, index: str, name: NormalizedName | None) -> None:
        """Send the list of an index, or the page of a project. Raises NotAcceptable and what the index raises."""
        accept = header(scope, b"accept")
        query: bytes = scope["query_string"]
        asked = parse_qs(query.decode("latin-1")).get("format", [None])[0] if query else None
        content_type = answered_type(accept, asked)
        if content_type is None:
            raise NotAcceptable(accept or "")
        if name is None and index in self._lists:
            await self._lists[index].answer(scope, receive, send, content_type)
            return
        ready = self._pages.ready(index, name, content_type) or await self._pages.made(index, name, content_type)
        if not isinstance(ready, Represented):
            await ready.send(scope, receive, send, content_type)
            return
        body = ready.body(header(scope, b"accept-encoding") or "")
        if matches_etag(header(scope, b"if-none-match"), body.etag):
            await send_whole(send, 304, body.unchanged, b"")
        else:
            await send_whole(send, 200, body.headers, b"" if scope["method"] == "HEAD" else body.content)
