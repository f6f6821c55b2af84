"""The application: a path to an index and what is asked of it, errors to answers, and everything else to a router."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.routing import Router

from pypim.core.access import Action
from pypim.core.errors import InvalidName, NotFound
from pypim.core.filenames import projects_of
from pypim.core.names import MOST_FILENAME_BYTES, parse_name
from pypim.core.ready import PageIsLong
from pypim.core.request_errors import InvalidPath, MethodNotAllowed, RequestTimeout
from pypim.web.answers import CORS, headers_of, send_whole
from pypim.web.auth import ANONYMOUS
from pypim.web.errors import fault_of, send_error
from pypim.web.files import METADATA, Files
from pypim.web.forwarded import peer_of
from pypim.web.pages import MOST_BYTES, Pages
from pypim.web.reading import IN_INDEX
from pypim.web.simple import SimpleApi

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from packaging.utils import NormalizedName
    from starlette.routing import BaseRoute

    from pypim.core.access import Visitor
    from pypim.web.answers import Headers, Message, Receive, Scope, Send
    from pypim.web.context import Context

_log = logging.getLogger("pypim.server")
_HEX = frozenset("0123456789abcdef")
_PATHS = "Each index is at /NAME/simple/, with the name that the configuration gives it in [indexes.NAME]."
_READING = frozenset({"GET", "HEAD"})
_LONGEST_PART = MOST_FILENAME_BYTES + len(METADATA)
LEAST_BYTES_PER_SECOND = 1 << 10
"""Of the body of a request, behind the first seconds of `request-timeout`."""


class App:
    """The ASGI application of one worker."""

    def __init__(self, context: Context, routes: list[BaseRoute], store: Path) -> None:
        """`store` is the folder that the files of the store are in."""
        self.context = context
        self._pages = Pages(context.indexes, context.cache_controls, MOST_BYTES, context.long_pages)
        self._simple = SimpleApi(self._pages, context.lists)
        self._files = Files(context.indexes, self._pages, context.accelerated, store, context.trusted_proxies)
        # Without Starlette's application around it, which answers errors with a 500 of its own.
        self._router = Router(routes=routes, default=_not_found, redirect_slashes=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        watched = _Watched(scope, send)
        try:
            try:
                await self._answer(scope, receive, watched)
            except PageIsLong:
                if self.context.long_pages is None or watched.has_begun or scope["method"] not in _READING:
                    raise
                await self.context.long_pages.answer(scope, receive, watched)
        except Exception as error:
            if watched.has_begun:
                _log.warning("%s broke off: %s", scope["path"], fault_of(error).message)
                raise  # the connection breaks, for what was promised cannot be kept
            await send_error(scope, watched, error)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._path_of(scope)
        index, rest = self._index_of(path)
        if rest.startswith("simple") and (len(rest) == 6 or rest[6] == "/"):  # noqa: PLR2004 - of "simple"
            await self._read(scope, send, index, lambda: self._answer_simple(scope, receive, send, index, rest))
        elif rest.startswith("packages/") and _is_file(rest):
            await self._read(scope, send, index, lambda: self._answer_file(scope, receive, send, index, rest))
        else:
            scope["path"] = path
            await self._router(scope, _Impatient(receive, self.context.request_timeout), send)

    def _path_of(self, scope: Scope) -> str:
        """The path without where a proxy has put us. Raises InvalidPath."""
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or b""
        if not path.isascii() or "\0" in path or b"%2f" in raw.lower() or "\\" in path or "/../" in f"{path}/":
            raise InvalidPath(path)
        if len(path) > _LONGEST_PART and max(map(len, path.split("/"))) > _LONGEST_PART:
            raise InvalidPath(path)  # no name is as long, and some would take minutes to read
        root = self.context.root_path
        return path.removeprefix(root) if root and path.startswith(f"{root}/") else path

    def _index_of(self, path: str) -> tuple[str, str]:
        """The index that a path is about, and the rest of the path."""
        first, _, rest = path[1:].partition("/")
        if path.startswith(IN_INDEX):
            first, _, rest = path[len(IN_INDEX) :].partition("/")
        if first in self.context.indexes:
            return first, rest
        return self.context.default, path[1:]

    async def _read(self, scope: Scope, send: Send, index: str, answer: Callable[[], Awaitable[None]]) -> None:
        method = scope["method"]
        if index not in self.context.indexes:
            raise NotFound("there is no index at this path", hint=_PATHS)
        if method == "OPTIONS":
            await send_whole(send, 204, [*CORS, (b"access-control-allow-methods", b"GET, HEAD, OPTIONS")], b"")
        elif method not in _READING:
            raise MethodNotAllowed(method)
        else:
            await answer()

    async def _admit(self, scope: Scope, index: str, project: NormalizedName | None) -> Visitor:
        """Who reads an index that not everybody may read."""
        peer = peer_of(scope, self.context.trusted_proxies)
        return await self.context.doorkeeper.admit(headers_of(scope), peer, Action.READ, index, project)

    async def _answer_simple(self, scope: Scope, receive: Receive, send: Send, index: str, rest: str) -> None:
        text = rest[7:].removesuffix("/")
        name = _name_of(text) if text else None
        if name is not None and (name != text or not rest.endswith("/")):
            await self._redirect(scope, send, rest, f"simple/{name}/", status=301)
        elif name is None and rest != "simple/":
            await self._redirect(scope, send, rest, "simple/", status=301)
        else:
            if not self.context.doorkeeper.is_open(index):
                await self._admit(scope, index, name)
            await self._simple.answer(scope, receive, send, index, name)

    async def _redirect(self, scope: Scope, send: Send, rest: str, target: str, *, status: int) -> None:
        """To another path of the same index; relative to the server, for a proxy in front may call it otherwise."""
        path: str = scope["path"]
        query: bytes = scope["query_string"]
        location = quote(path.removesuffix(rest) + target).encode() + (b"?" + query if query else b"")
        root = self.context.root_path.encode()
        if root and not location.startswith(root + b"/"):
            location = root + location
        headers: Headers = [(b"location", location), (b"cache-control", b"max-age=86400"), (b"content-length", b"0")]
        await send_whole(send, status, [*headers, *CORS], b"")

    async def _answer_file(self, scope: Scope, receive: Receive, send: Send, index: str, path: str) -> None:
        doorkeeper, permit = self.context.doorkeeper, None
        if not doorkeeper.is_open(index):
            # Whose file it is, its name says nearly always; once its page has said it, that counts.
            likely = projects_of(path.rpartition("/")[2].removesuffix(METADATA))
            visitor = await self._admit(scope, index, likely[0] if likely else None)
            known = None if visitor is ANONYMOUS else visitor
            permit = partial(doorkeeper.permit, known, Action.READ, index)
        await self._files.answer(scope, receive, send, index, path, permit)


class _Watched:
    """A `send` that knows whether an answer has begun, and ends the connection where the request was not read whole."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.has_begun = False

    def __call__(self, message: Message) -> Awaitable[None]:
        if not self.has_begun and self._scope.get("state", {}).get("is_cut_short", False):
            headers: Headers = [pair for pair in message.get("headers", ()) if pair[0] != b"connection"]
            message["headers"] = [*headers, (b"connection", b"close")]
        self.has_begun = True
        return self._send(message)


class _Impatient:
    """A `receive` that waits only so long for the next part of a body; once it has all, for as long as it takes.

    Nor does it wait so long for every byte of it: behind the first so many seconds it must have come at a least rate.
    """

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._is_complete = False
        self._began: float | None = None
        self._received_bytes = 0

    async def __call__(self) -> Message:
        if self._is_complete:
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._began = now if self._began is None else self._began
        spent = now - self._began
        left = self._seconds + self._received_bytes / LEAST_BYTES_PER_SECOND - spent
        try:
            async with asyncio.timeout(min(self._seconds, max(left, 0.0))):
                message = await self._receive()
        except TimeoutError:
            if left < self._seconds:
                raise RequestTimeout(round(spent + left, 1), self._received_bytes) from None
            raise RequestTimeout(self._seconds) from None
        self._received_bytes += len(message.get("body", b""))
        self._is_complete = not message.get("more_body", False)
        return message


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    raise NotFound(f"there is nothing at {scope['path'][:200]}", hint=_PATHS)


def _is_file(rest: str) -> bool:
    """packages/aa/bb/<60 hex>/<filename>, and not one of pypicache's paths."""
    parts = rest.split("/")
    return len(parts) == 5 and [len(part) for part in parts[1:4]] == [2, 2, 60] and _HEX.issuperset("".join(parts[1:4]))  # noqa: PLR2004 - as in the docstring


def _name_of(text: str) -> NormalizedName:
    """The normalised name; what is no name is no project either. Raises NotFound."""
    try:
        return parse_name(text)
    except InvalidName as error:
        raise NotFound(error.message, hint=error.hint) from None
