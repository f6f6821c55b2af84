"""Answers that stand ready on the disk: sent from there as they are, the long ones without ever being in memory."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from pypim.core.errors import StoreUnreadable
from pypim.core.ranges import matches_etag
from pypim.web.answers import header, send_whole, takes_gzip
from pypim.web.sending import Client, send_file

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.ready import ReadyForm
    from pypim.web.answers import Headers, Receive, Scope, Send


_MOST_KEPT_BYTES = 6 << 20
_MOST_ASKED = 32
"""Files that were asked for once, lately."""


class Bodies:
    """The files that are asked for again and again, as far as they are not long: to read them again would cost more.

    One is read at the second request: of many that are asked for once each, all at the same time, none is in memory.
    """

    def __init__(self, longest_bytes: int) -> None:
        """Of a longer one nothing is kept."""
        self._longest_bytes = longest_bytes
        self._kept: OrderedDict[Path, bytes] = OrderedDict()
        self._asked: OrderedDict[Path, None] = OrderedDict()
        self._bytes = 0

    def content(self, path: Path) -> bytes | None:
        """What is in a file whose name tells its content; None where it is long, or new here. Raises StoreFault."""
        found = self._kept.get(path)
        if found is not None:
            self._kept.move_to_end(path)
            return found
        if path not in self._asked:
            self._asked[path] = None
            if len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)
            return None
        del self._asked[path]
        try:
            if path.stat().st_size > self._longest_bytes:
                return None
            found = path.read_bytes()
        except OSError as error:
            raise StoreUnreadable(str(path), error.strerror or "it cannot be read") from error
        self._kept[path] = found
        self._bytes += len(found)
        while self._bytes > _MOST_KEPT_BYTES:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return found


async def send_ready(
    scope: Scope, receive: Receive, send: Send, folder: Path, form: ReadyForm, bodies: Bodies | None = None
) -> None:
    """Send one form of what stands in that folder, in the encoding that is asked for. Raises StoreUnreadable."""
    is_packed = form.packed is not None and takes_gzip(header(scope, b"accept-encoding") or "")
    body = form.packed if is_packed and form.packed is not None else form.plain
    if matches_etag(header(scope, b"if-none-match"), body.etag):
        await send_whole(send, 304, _encoded(body.unchanged), b"")
    elif scope["method"] == "HEAD":
        await send_whole(send, 200, _encoded(body.headers), b"")
    elif bodies is not None and (content := bodies.content(folder / body.file)) is not None:
        await send_whole(send, 200, _encoded(body.headers), content)
    else:
        await send_stored(scope, receive, send, (200, _encoded(body.headers)), folder / body.file)


async def send_stored(scope: Scope, receive: Receive, send: Send, head: tuple[int, Headers], path: Path) -> None:
    """Send a file behind that status and those headers, which have its length. Raises StoreUnreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StoreUnreadable(str(path), error.strerror or "it cannot be opened") from error
    try:
        with Client(receive, send) as client:
            await client({"type": "http.response.start", "status": head[0], "headers": head[1]})
            await send_file(scope, client, path, descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _encoded(headers: tuple[tuple[str, str], ...]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in headers]
