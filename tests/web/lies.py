"""An upstream that says whatever a test wants: other bytes than it lists, other metadata, and not to everybody."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.web.uploading import Upload

_PAGE = "application/vnd.pypi.simple.v1+json"


class LyingUpstream:
    """Serves what it was told on a real socket until the context is left."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        """By path."""
        self.authorization: str | None = None
        """What it wants to be told before it says anything."""
        self.asked: list[str] = []
        """Method and path of each request, in order."""
        self.has_ranges = True
        self.breaks_at: int | None = None
        """After so many bytes of a file it hangs up, and does not go on when it is asked to."""
        self.goes_on = threading.Event()
        """Cleared: in the middle of a file it waits until this is set."""
        self.goes_on.set()
        self._files: dict[str, list[dict[str, Any]]] = {}

    def lists(
        self, project: str, listed: Upload, *, content: bytes | None = None, metadata: bytes | None = None, **more: Any
    ) -> None:
        """List a file with its hash, and have other content, or none (b""), and a `.metadata` of any text."""
        url = f"/files/{project}/{listed.filename}"
        entry = {
            "filename": listed.filename,
            "url": url,
            "hashes": {"sha256": listed.sha256},
            "size": len(listed.content),
        }
        if metadata is not None:
            entry["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
            self.answers[f"{url}.metadata"] = metadata
        actual = listed.content if content is None else content
        if actual:
            self.answers[url] = actual
        files = self._files.setdefault(project, [])
        files.append({**entry, "upload-time": "2020-01-01T00:00:00Z", **more})
        page = {"meta": {"api-version": "1.1"}, "name": project, "versions": [listed.version], "files": files}
        self.answers[f"/simple/{project}/"] = json.dumps(page).encode()
        names = [{"name": name} for name in self._files]
        self.answers["/simple/"] = json.dumps({"meta": {"api-version": "1.1"}, "projects": names}).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/simple/"

    def url_as(self, user: str) -> str:
        """The same with credentials."""
        return self.url.replace("//", f"//{user}@")

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: LyingUpstream) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        upstream = self.server.upstream
        upstream.asked.append(f"GET {self.path}")
        body = upstream.answers.get(self.path)
        if upstream.authorization not in {None, self.headers.get("authorization")}:
            self._send(401, b"who are you?", {"www-authenticate": "Basic"})
        elif body is None:
            self._send(404, b"", {})
        elif self.path.startswith("/simple/"):
            self._send(200, body, {"content-type": _PAGE})
        else:
            self._send_file(body, self.headers.get("range"), upstream.breaks_at)

    def _send_file(self, body: bytes, asked: str | None, breaks_at: int | None) -> None:
        if asked is None or not self.server.upstream.has_ranges:
            self._send(200, body, {}, breaks_at)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(len(body), int(last) + 1) if first and last else len(body)
        most = None if breaks_at is None else 0
        self._send(206, body[start:end], {"content-range": f"bytes {start}-{end - 1}/{len(body)}"}, most)

    def _send(self, status: int, body: bytes, headers: dict[str, str], most: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        sent = body[:most]
        self.wfile.write(sent[: len(sent) // 2])
        self.server.upstream.goes_on.wait(20)
        self.wfile.write(sent[len(sent) // 2 :])
        self.close_connection = most is not None

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""
