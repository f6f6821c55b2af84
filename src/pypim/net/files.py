"""The Fetcher for file: URLs: files, ranges of them, and folders as pages (RFC 8089)."""

from __future__ import annotations

import mimetypes
import re
from contextlib import AbstractAsyncContextManager
from email.utils import formatdate, parsedate_to_datetime
from html import escape
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, BinaryIO, Self
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable
from pypim.core.records import Fetched
from pypim.net.body import too_long

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Iterator, Mapping

_CHUNK_BYTES = 1 << 18
_RANGE_NOT_SATISFIABLE = 416
_JSON_PAGE = "application/vnd.pypi.simple.v1+json"
_PAGES = (("index.v1_json", _JSON_PAGE), ("index.json", _JSON_PAGE), ("index.html", "text/html"))
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class FileFetcher(AbstractAsyncContextManager["FileFetcher"]):
    """A Fetcher for this machine's files. Reading is done in place: a local disk answers faster than a thread starts.

    A folder answers with its index page: the JSON one if it has one and JSON is accepted, else index.html, else a
    listing in the HTML of the Simple API, with sizes.
    """

    async def __aexit__(self, *_: object) -> None:
        """Nothing is held between requests."""

    def open(self, url: str, headers: Mapping[str, str], body: bytes | None = None) -> _FileExchange:
        """Stream a file, or the part of it that a Range header names. Raises UpstreamMalformed where a body is sent."""
        if body is not None:
            raise UpstreamMalformed(url, "nothing can be sent to a file")
        return _FileExchange(url, headers)

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """Read a file whole."""
        async with _FileExchange(url, headers) as incoming:
            if int(incoming.headers.get("content-length", "0")) > limit_bytes:
                raise too_long(url, limit_bytes)
            body = b"".join([chunk async for chunk in incoming.chunks()])
            return Fetched(incoming.status, incoming.url, incoming.headers, body)


class _FileExchange:
    """One file being read: an async context manager that is its own Incoming."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url = url.partition("#")[0]
        self.status = 404
        self.headers: dict[str, str] = {}
        self._asked = {name.lower(): value for name, value in headers.items()}
        self._stream: BinaryIO | None = None
        self._body = b""
        self._left = 0

    async def __aenter__(self) -> Self:
        path = path_of(self.url)
        try:
            self._answer(path)
        except (FileNotFoundError, NotADirectoryError):
            if not path.parent.exists():
                # A disk that is not mounted must not read as an index from which everything was deleted.
                hint = "Check the upstream's path, and whether its disk is mounted."
                raise UpstreamUnavailable(self.url, f"the folder {path.parent} is not there", hint=hint) from None
            self.status = 404
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            hint = "Check the path and its permissions."
            raise UpstreamUnavailable(self.url, f"cannot be read: {reason}", hint=hint) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces. Raises UpstreamUnavailable (transient) when the file became shorter meanwhile."""
        if self._body:
            yield self._body
        while self._left and self._stream is not None:
            chunk = self._stream.read(min(_CHUNK_BYTES, self._left))
            if not chunk:
                raise UpstreamUnavailable(self.url, "the file became shorter while it was read", is_transient=True)
            self._left -= len(chunk)
            yield chunk

    def _answer(self, path: Path) -> None:
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        state = path.stat()
        if S_ISDIR(state.st_mode):
            base = self.url.partition("?")[0].rstrip("/") + "/"
            page = next(((name, kind) for name, kind in self._pages() if (path / name).is_file()), None)
            if page is None:
                self.url, self.status, self._body = base, 200, _listing(path)
                self.headers = {"content-type": "text/html", "content-length": str(len(self._body))}
                return
            name, content_type = page
            self.url, path = base + name, path / name
            state = path.stat()
        if not S_ISREG(state.st_mode):
            raise OSError("not a regular file")
        self._answer_file(path, state, content_type)

    def _pages(self) -> Iterator[tuple[str, str]]:
        accepts_json = "+json" in self._asked.get("accept", "")
        return (page for page in _PAGES if accepts_json or page[1] != _JSON_PAGE)

    def _answer_file(self, path: Path, state: os.stat_result, content_type: str) -> None:
        etag = f'"{state.st_mtime_ns:x}-{state.st_size:x}"'
        self.headers = {"etag": etag, "last-modified": formatdate(state.st_mtime, usegmt=True)}
        if self._is_unchanged(etag, state.st_mtime):
            self.status = 304
            return
        self.headers |= {"content-type": content_type, "accept-ranges": "bytes"}
        start, stop = self._part(state.st_size, etag)
        if self.status == _RANGE_NOT_SATISFIABLE:
            return
        self._stream = path.open("rb")
        self._stream.seek(start)
        self._left = stop - start
        self.headers["content-length"] = str(self._left)

    def _is_unchanged(self, etag: str, modified: float) -> bool:
        """If-None-Match decides alone where it is given (RFC 9110, 13.1.3)."""
        if wanted := self._asked.get("if-none-match"):
            return etag in wanted
        try:
            return int(modified) <= parsedate_to_datetime(self._asked["if-modified-since"]).timestamp()
        except (KeyError, ValueError, OverflowError):
            return False

    def _part(self, size: int, etag: str) -> tuple[int, int]:
        """The bytes [start, stop) that were asked for; a Range that cannot be read is ignored (RFC 9110, 14.2)."""
        self.status = 200
        asked = _RANGE.fullmatch(self._asked.get("range", ""))
        if not asked or asked[0] == "bytes=-" or self._asked.get("if-range", etag) != etag:
            return 0, size
        first, last = asked.groups()
        start = int(first) if first else max(0, size - int(last))
        stop = min(size, int(last) + 1) if first and last else size
        if start >= stop:
            self.status = _RANGE_NOT_SATISFIABLE
            self.headers["content-range"] = f"bytes */{size}"
            return 0, 0
        self.status = 206
        self.headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
        return start, stop


def path_of(url: str) -> Path:
    """The path that a file: URL names. Raises UpstreamMalformed for another scheme, another host, or a broken URL."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UpstreamMalformed(url, f"not a usable URL: {error}") from error
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise UpstreamMalformed(url, "not a file: URL of this machine")
    return Path(url2pathname(parts.path))


def _listing(folder: Path) -> bytes:
    """A folder as a page of links; folders end in "/" and are projects, files say their size."""
    lines = []
    for entry in sorted(folder.iterdir()):
        name = entry.name
        if name.startswith("."):
            continue
        if entry.is_dir():
            lines.append(f'<a href="{quote(name)}/">{escape(name)}</a><br>')
        elif entry.is_file():
            lines.append(f'<a href="{quote(name)}" data-size="{entry.stat().st_size}">{escape(name)}</a><br>')
    text = "\n".join(["<!DOCTYPE html>", "<html><body>", *lines, "</body></html>", ""])
    return text.encode("utf-8", "surrogateescape")
