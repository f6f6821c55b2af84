"""Distribution files and their core metadata, with ranges: what a page of the very same index lists, and nothing else.

A file that is still on its way is sent as it comes; where it breaks off, so does the answer, and never ends as if
it were whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import MetadataNotFound, NotFound, StoreUnreadable, UpstreamMalformed
from pypim.core.filenames import projects_of
from pypim.core.ranges import Span, Unsatisfiable, matches_etag, parse_range
from pypim.core.request_errors import FileNotListed
from pypim.web.answers import CORS, header, send_whole
from pypim.web.forwarded import is_passed_on
from pypim.web.on_disk import Bodies
from pypim.web.sending import Client, send_file, send_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.ports import Arriving, Served
    from pypim.web.answers import Headers, Receive, Scope, Send
    from pypim.web.forwarded import Networks
    from pypim.web.pages import Pages

METADATA = ".metadata"
Permit = Callable[["NormalizedName"], object]
_SMALL_BYTES = 256 << 10
"""A file up to this size leaves in one message with its head, which a client gets without a second wait."""
_CHUNK_BYTES = 1 << 20
"""Of a file that is arriving, which gives less where it has many readers."""
_HELD_BACK_BYTES = 64 << 10
"""Of the end of a part of a file that is arriving, until the hash of the whole file is right."""
_TYPE = (b"content-type", b"application/octet-stream")


class Files:
    """Answers for files; who may read them was settled before."""

    def __init__(
        self, indexes: Mapping[str, Served], pages: Pages, accelerated: str, store: Path, trusted: Networks
    ) -> None:
        """`accelerated`: the location below which nginx finds the folder `store`; empty where it does not.

        `trusted`: where nginx is. Whoever comes from elsewhere, or without it, gets the bytes from here.
        """
        self._indexes = indexes
        self._pages = pages
        self._accelerated = accelerated.rstrip("/")
        self._store = store
        self._trusted = trusted
        self._small = Bodies(_SMALL_BYTES)

    async def find(self, index: str, path: str) -> tuple[NormalizedName, DistFile]:
        """The project and the entry of a file that is served at a path (packages/…). Raises FileNotListed."""
        for project in projects_of(path.rpartition("/")[2]):
            try:
                with self._pages.lease():
                    page = self._pages.current(index, project) or await self._pages.page(index, project)
                    file = page.file(path)
            except NotFound:
                continue
            if file is not None:
                return project, file
        raise FileNotListed(path, index)

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, index: str, path: str, permit: Permit | None
    ) -> None:
        """Send a file, or with `.metadata` behind its path its core metadata. Raises FileNotListed and others.

        `permit` raises where its project may not be read; None: anyone may read the index.
        """
        wants_metadata, is_public = path.endswith(METADATA), permit is None
        project, file = await self.find(index, path.removesuffix(METADATA))
        if permit is not None:
            permit(project)
        served = self._indexes[index]
        headers: Headers = [_TYPE, (b"cache-control", _immutable(is_public=is_public)), *CORS]
        if wants_metadata:
            if not file.core_metadata:
                raise MetadataNotFound(file.filename, ["the page does not offer it"])
            content = await served.metadata_bytes(project, file)
            await self._send_bytes(scope, send, headers, content)
            return
        if file.sha256:
            headers.append((b"etag", f'"{file.sha256}"'.encode()))
        headers.append((b"accept-ranges", b"bytes"))
        if file.sha256 and matches_etag(header(scope, b"if-none-match"), f'"{file.sha256}"'):
            await send_whole(send, 304, headers[1:], b"")
        elif scope["method"] == "HEAD" and file.size is not None:
            await send_whole(send, 200, [*headers, _length(file.size)], b"")
        else:
            found = await served.content(project, file)
            with Client(receive, send) as client:
                await self._send_content(scope, client, headers, found, file)

    async def _send_content(
        self, scope: Scope, send: Client, headers: Headers, content: Path | Arriving, file: DistFile
    ) -> None:
        if isinstance(content, Path):
            is_nginx = bool(self._accelerated) and is_passed_on(scope, self._trusted)
            if is_nginx and content.is_relative_to(self._store):
                location = f"{self._accelerated}/{content.relative_to(self._store).as_posix()}"
                kept = [pair for pair in headers if pair[0] != b"accept-ranges"]
                await send_whole(send, 200, [*kept, (b"x-accel-redirect", location.encode())], b"")
            else:
                await self._send_path(scope, send, headers, content, file)
            return
        arriving = content
        try:
            await self._send_arriving(scope, send, headers, arriving, file)
        finally:
            arriving.close()

    async def _send_path(self, scope: Scope, send: Client, headers: Headers, path: Path, file: DistFile) -> None:
        content = self._small.content(path)  # its path tells its content
        if content is not None:
            span = _span(scope, len(content), file)
            if isinstance(span, Unsatisfiable):
                await _send_unsatisfiable(send, headers, len(content))
                return
            status, headers = _head(headers, span, len(content))
            part = content if span is None else content[span.start : span.stop]
            await send_whole(send, status, headers, b"" if scope["method"] == "HEAD" else part)
        else:
            await self._send_large(scope, send, headers, path, file)

    async def _send_large(self, scope: Scope, send: Client, headers: Headers, path: Path, file: DistFile) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreUnreadable(str(path), error.strerror or "it cannot be opened") from error
        try:
            size = os.fstat(descriptor).st_size
            span = _span(scope, size, file)
            if isinstance(span, Unsatisfiable):
                await _send_unsatisfiable(send, headers, size)
                return
            status, headers = _head(headers, span, size)
            start, stop = (span.start, span.stop) if span else (0, size)
            if scope["method"] == "HEAD":
                await send_whole(send, status, headers, b"")
            elif stop - start <= _SMALL_BYTES:
                await send_whole(send, status, headers, os.pread(descriptor, stop - start, start))
            else:
                await send({"type": "http.response.start", "status": status, "headers": headers})
                if span is None:
                    await send_file(scope, send, path, descriptor, size)
                else:
                    await send_part(send, descriptor, start, stop)
        finally:
            os.close(descriptor)

    async def _send_arriving(
        self, scope: Scope, send: Client, headers: Headers, arriving: Arriving, file: DistFile
    ) -> None:
        """Send what is there and wait for the rest; the head goes out with the first bytes, or there is none."""
        size = arriving.size
        span = _span(scope, size, file)
        if isinstance(span, Unsatisfiable):
            await _send_unsatisfiable(send, headers, size)
            return
        status, headers = _head(headers, span, size)
        start, stop = (span.start, span.stop) if span else (0, size)
        held_back = _held_back_from(start, stop) if span else stop
        chunk = await _read(arriving, start, stop, held_back) if start < stop else b""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if scope["method"] == "HEAD" or start == stop:
            await send({"type": "http.response.body", "body": b""})
            return
        while chunk and not await send.is_gone():
            start += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": start < stop})
            if start >= stop:
                return
            chunk = await _read(arriving, start, stop, held_back)
        if not chunk:
            raise UpstreamMalformed(file.url, f"{file.filename} ends after {start:,} of {stop:,} bytes")

    async def _send_bytes(self, scope: Scope, send: Send, headers: Headers, content: bytes) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = [*headers, (b"etag", etag.encode()), _length(len(content))]
        if matches_etag(header(scope, b"if-none-match"), etag):
            await send_whole(send, 304, [pair for pair in headers if pair[0] != b"content-length"], b"")
        else:
            await send_whole(send, 200, headers, b"" if scope["method"] == "HEAD" else content)


def _held_back_from(start: int, stop: int) -> int:
    """From where on a part waits for the whole file: as for the end of one, and a short part waits altogether."""
    return start if stop - start <= _SMALL_BYTES else stop - _HELD_BACK_BYTES


async def _read(arriving: Arriving, start: int, stop: int, held_back: int) -> bytes:
    """Some bytes before `stop`; from `held_back` on only once the hash of the whole file is right."""
    if start < held_back:
        return await arriving.read(start, min(_CHUNK_BYTES, held_back - start))
    await arriving.read(arriving.size - 1, 1)  # which comes only then
    return await arriving.read(start, min(_CHUNK_BYTES, stop - start))


def _immutable(*, is_public: bool) -> bytes:
    return b"max-age=365000000, immutable, public" if is_public else b"max-age=365000000, immutable, private"


def _length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", str(size).encode()


def _span(scope: Scope, size: int, file: DistFile) -> Span | Unsatisfiable | None:
    """The part that is asked for; all of it where If-Range names another file (RFC 9110, 13.1.5)."""
    asked = header(scope, b"range")
    if asked is None:
        return None
    condition = header(scope, b"if-range")
    if condition is not None and condition.strip() != f'"{file.sha256}"':
        return None
    return parse_range(asked, size)


def _head(headers: Headers, span: Span | None, size: int) -> tuple[int, Headers]:
    """The status and the headers of a file or of a part of it."""
    if span is None:
        return 200, [*headers, _length(size)]
    content_range = f"bytes {span.start}-{span.stop - 1}/{size}"
    return 206, [*headers, _length(span.stop - span.start), (b"content-range", content_range.encode())]


async def _send_unsatisfiable(send: Send, headers: Headers, size: int) -> None:
    kept = [pair for pair in headers if pair[0] != b"content-type" and pair[0] != b"cache-control"]
    await send_whole(send, 416, [*kept, (b"content-range", f"bytes */{size}".encode()), _length(0)], b"")
