"""What a well-behaved server of a world answers: a pure function from request to response."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from packaging.utils import canonicalize_name

from tests.worlds import pages
from tests.worlds.faults import Response
from tests.worlds.pages import HTML_TYPE, JSON_TYPE, Dialect

if TYPE_CHECKING:
    from tests.worlds.pages import ListedFile
    from tests.worlds.world import World

_LAST_MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(kw_only=True)
class Options(Dialect):
    """How the server is set up, on top of what its pages tell. May be changed while it runs."""

    serve_metadata: bool = True
    """Whether `<file>.metadata` is there, advertised or not."""
    ranges: bool = True
    json_api: bool = True
    """`/pypi/<name>/json`."""
    etags: bool = True
    last_modified: bool = False
    relative_urls: bool = False
    files_on_other_port: bool = False
    pypi_shaped: bool = True
    """`/packages/aa/bb/<60 hex>/<filename>`, else `/packages/<filename>`."""
    gzip_pages: bool = False
    """Whether pages are compressed for clients that accept it."""
    basic_auth: tuple[str, str] | None = None
    """(user, password) that every request must carry."""
    latency_s: float = 0.0
    """Wait before each answer."""
    page_headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "max-age=0"})


@dataclass(frozen=True)
class Site:
    """A world seen through options at one moment."""

    world: World
    options: Options
    root: str
    other_root: str

    def answer(self, method: str, target: str, headers: dict[str, str]) -> Response:
        """Return the response to a request; header names in lower case."""
        path = unquote(target.partition("?")[0])
        response = replace(self._refusal(method, headers) or self._found(path, headers), path=target)
        if response.status != 200:
            return response
        return self._conditional(self._compressed(response, headers), headers)

    def _refusal(self, method: str, headers: dict[str, str]) -> Response | None:
        if method not in {"GET", "HEAD"}:
            return Response(405, {"Allow": "GET, HEAD"})
        if self.options.basic_auth is None:
            return None
        token = base64.b64encode(":".join(self.options.basic_auth).encode()).decode()
        if headers.get("authorization") == f"Basic {token}":
            return None
        return Response(401, {"WWW-Authenticate": 'Basic realm="world"', "Content-Type": "text/plain"}, b"who?\n")

    def _found(self, path: str, headers: dict[str, str]) -> Response:
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) <= 2:
            return self._simple(path, parts[1:], headers.get("accept", "*/*"))
        if parts[0] == "packages":
            return self._file(path.strip("/"))
        if parts[0] == "pypi" and parts[-1] == "json" and len(parts) in {3, 4} and self.options.json_api:
            return self._json_api(parts[1:-1])
        if parts == ["flat"]:
            return self._page("".join(self._flat_links()).encode(), "text/html")
        return _not_found()

    def _simple(self, path: str, name: list[str], accept: str) -> Response:
        wanted = f"/simple/{canonicalize_name(name[0])}/" if name else "/simple/"
        if path != wanted:
            return Response(301, {"Location": wanted})
        if name and name[0] not in self.world.names:
            return _not_found()
        content_type = "text/html" if self.options.format == "html_only" else negotiated(accept)
        is_json = content_type == JSON_TYPE
        if not name:
            render_list = pages.list_json if is_json else pages.list_html
            return self._page(render_list(self.world, self.options), content_type, self.world.serial)
        render = pages.page_json if is_json else pages.page_html
        body = render(self.world, name[0], self.options, self.url_of)
        return self._page(body, content_type, self.world.spec(name[0]).serial)

    def _page(self, body: bytes, content_type: str, serial: int | None = None) -> Response:
        headers = {"Content-Type": content_type, "Vary": "Accept", **self.options.page_headers}
        if serial is not None and self.options.serials:
            headers["X-PyPI-Last-Serial"] = str(serial)
        return Response(200, headers, body)

    def _json_api(self, parts: list[str]) -> Response:
        name = canonicalize_name(parts[0])
        version = parts[1] if len(parts) == 2 else None
        if name not in self.world.names:
            return _not_found()
        spec = self.world.spec(name)
        if version is not None and all(made.version != version for made in spec.releases):
            return _not_found()
        body = pages.project_json(self.world, name, self.url_of, version)
        return self._page(body, "application/json", spec.serial)

    def _file(self, path: str) -> Response:
        is_metadata = path.endswith(".metadata")
        key = path.removesuffix(".metadata")
        built = self.world.file_at(key if self.options.pypi_shaped else key.removeprefix("packages/"))
        if built is None:
            return _not_found()
        headers = {"Content-Type": "application/octet-stream"}
        if is_metadata:
            is_there = built.metadata is not None and self.options.serve_metadata
            return Response(200, headers, built.metadata or b"") if is_there else _not_found()
        if self.options.ranges:
            headers["Accept-Ranges"] = "bytes"
        return Response(200, headers, built.content)

    def _flat_links(self) -> list[str]:
        return [f'<a href="{self.url_of(built)}">{built.filename}</a>\n' for built in self.world.files]

    def url_of(self, built: ListedFile) -> str:
        """Return the link to a file as pages carry it."""
        path = quote(built.path if self.options.pypi_shaped else f"packages/{built.filename}")
        if self.options.relative_urls:
            return f"../../{path}"
        return f"{self.other_root if self.options.files_on_other_port else self.root}/{path}"

    def _compressed(self, response: Response, headers: dict[str, str]) -> Response:
        is_page = "Vary" in response.headers
        if not (is_page and self.options.gzip_pages and "gzip" in headers.get("accept-encoding", "")):
            return response
        packed = gzip.compress(response.body, compresslevel=1, mtime=0)
        return replace(response, headers={**response.headers, "Content-Encoding": "gzip"}, body=packed)

    def _conditional(self, response: Response, headers: dict[str, str]) -> Response:
        """Add validators, and answer 304 or 206 where that is asked for (RFC 9110, sections 13 and 14)."""
        more = dict(response.headers)
        if self.options.etags:
            more["ETag"] = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
        if self.options.last_modified:
            more["Last-Modified"] = _LAST_MODIFIED
        response = replace(response, headers=more)
        if _is_unchanged(more, headers):
            return replace(response, status=304, body=b"")
        condition = headers.get("if-range")
        if "range" not in headers or "Accept-Ranges" not in more:
            return response
        if condition is not None and condition not in {more.get("ETag"), more.get("Last-Modified")}:
            return response
        return _part(response, headers["range"])


def negotiated(accept: str) -> str:
    """Return the content type for an Accept header (PEP 691): the highest q, JSON first among equals."""
    best, best_quality = "text/html", 0.0
    offers = {piece.partition(";")[0].strip(): piece for piece in accept.split(",")}
    for offer in (JSON_TYPE, HTML_TYPE, "text/html"):
        _, _, quality = offers.get(offer, "").partition("q=")
        value = float(quality or 1) if offer in offers else 0.0
        if value > best_quality:
            best, best_quality = offer, value
    return best


def _is_unchanged(validators: dict[str, str], headers: dict[str, str]) -> bool:
    if (tags := headers.get("if-none-match")) is not None:
        return "ETag" in validators and validators["ETag"] in [
            tag.strip().removeprefix("W/") for tag in tags.split(",")
        ]
    return "Last-Modified" in validators and headers.get("if-modified-since") == validators["Last-Modified"]


def _part(response: Response, asked: str) -> Response:
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return response
    size = len(response.body)
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or end <= start:
        return replace(response, status=416, headers={"Content-Range": f"bytes */{size}"}, body=b"")
    headers = {**response.headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return replace(response, status=206, headers=headers, body=response.body[start:end])


def _not_found() -> Response:
    return Response(404, {"Content-Type": "text/plain"}, b"not found\n")
