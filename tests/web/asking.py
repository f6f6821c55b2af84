"""One raw HTTP request: what a client would not show of an answer, and what it would not send."""

from __future__ import annotations

import gzip
import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"


class Answer(NamedTuple):
    """Status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def document(self) -> Any:
        return json.loads(gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body)

    @property
    def media_type(self) -> str:
        return self.headers["content-type"].partition(";")[0]


def ask(url: str, method: str = "GET", body: bytes | None = None, /, **headers: str) -> Answer:
    """Send one request, with `_` in names of headers for `-`; nothing is followed and nothing decoded."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def files_of(url: str, **headers: str) -> dict[str, dict[str, Any]]:
    """Filename → the entry of a project's page, with an absolute URL."""
    answer = ask(url, **{"Accept": JSON, **headers})
    assert answer.status == 200, answer
    return {entry["filename"]: {**entry, "url": urljoin(url, entry["url"])} for entry in answer.document["files"]}
