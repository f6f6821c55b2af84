"""An upstream of many projects whose answers are made on request, as the real index writes them."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from socketserver import StreamRequestHandler, ThreadingTCPServer

FILES = 250
RELEASE_FILES = 10
SHAPES = 64
"""So many different pages are made; of the others only the names differ."""
_NAME = b"the-name-of-it"
_PLATFORMS = (
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "musllinux_1_2_x86_64",
    "macosx_11_0_arm64",
    "win_amd64",
)
_CLASSIFIERS = (
    "Development Status :: 5 - Production/Stable",
    "Intended Audience :: Developers",
    "License :: OSI Approved :: MIT License",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3.11",
    "Programming Language :: Python :: 3.12",
    "Topic :: Software Development :: Libraries",
)
_REQUIRED = 8
_PAGE_TYPE = "application/vnd.pypi.simple.v1+json"


def project_name(number: int) -> str:
    """Of as many characters as the place it takes."""
    return f"project-{number:06d}"


class Upstream:
    """Answers for any of its projects, made of a few shapes."""

    def __init__(self, projects: int) -> None:
        self.projects = projects
        self._pages = [_page(shape) for shape in range(SHAPES)]
        self._documents = [_document(shape) for shape in range(SHAPES)]

    def page(self, number: int) -> bytes:
        """The page of a project, in JSON."""
        name = project_name(number).encode()
        body = _named(self._pages[number % SHAPES], name)
        return body.replace(b'"_last-serial":0', b'"_last-serial":%d' % (1000 + number))

    def document(self, number: int) -> bytes:
        """The document of a project. Each requires some that come before it, and most the first ones."""
        name = project_name(number).encode()
        required = [f"{project_name(number * one // _REQUIRED)}>={one}.0" for one in range(_REQUIRED)]
        info = b'"requires_dist":' + json.dumps(required).encode()
        return _named(self._documents[number % SHAPES], name).replace(b'"requires_dist":null', info)

    def listing(self) -> bytes:
        """The list of projects, with serials."""
        projects = [{"name": project_name(one), "_last-serial": 1000 + one} for one in range(self.projects)]
        meta = {"api-version": "1.4", "_last-serial": 1000 + self.projects}
        return json.dumps({"meta": meta, "projects": projects}).encode()

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """(content type, body); None where there is nothing."""
        match path.strip("/").split("/"):
            case ["simple"]:
                return _PAGE_TYPE, self.listing()
            case ["simple", name] if (number := self.number(name)) is not None:
                return _PAGE_TYPE, self.page(number)
            case ["pypi", name, "json"] if (number := self.number(name)) is not None:
                return "application/json", self.document(number)
        return None

    def number(self, name: str) -> int | None:
        """That of a project; None where there is no such one."""
        digits = name.rpartition("-")[2]
        number = int(digits) if digits.isdigit() else self.projects
        return number if number < self.projects and name == project_name(number) else None


def _named(body: bytes, name: bytes) -> bytes:
    """The body of a shape for one project, also in the names of its wheels."""
    return body.replace(_NAME, name).replace(_NAME.replace(b"-", b"_"), name.replace(b"-", b"_"))


def _files(shape: int) -> Iterator[tuple[str, dict[str, object]]]:
    """(version, entry of the page) of each file."""
    name = _NAME.decode()
    for number in range(FILES):
        release, one = divmod(number, RELEASE_FILES)
        version = f"{release // 5}.{(release % 5) + shape}.{shape % 7}"
        sha256, blake2b, metadata = (
            hashlib.sha256(f"{kind} {shape} {number}".encode()).hexdigest() for kind in ("file", "path", "metadata")
        )
        wheel = f"-cp31{one // 5}-cp31{one // 5}-{_PLATFORMS[one % 5]}.whl"
        filename = f"{name}-{version}.tar.gz" if one == 0 else f"{name.replace('-', '_')}-{version}{wheel}"
        claim: object = {"sha256": metadata} if one else False
        yield (
            version,
            {
                "core-metadata": claim,
                "data-dist-info-metadata": claim,
                "filename": filename,
                "hashes": {"sha256": sha256},
                "provenance": None,
                "requires-python": ">=3.9",
                "size": 100_000 + number * 37,
                "upload-time": f"2024-{1 + release % 12:02d}-{1 + release % 28:02d}T10:20:30.{number:06d}Z",
                "url": f"https://files.example/packages/{blake2b[:2]}/{blake2b[2:4]}/{blake2b[4:]}/{filename}",
                "yanked": False,
            },
        )


def _page(shape: int) -> bytes:
    entries = list(_files(shape))
    page = {
        "alternate-locations": [],
        "files": [entry for _, entry in entries],
        "meta": {"_last-serial": 0, "api-version": "1.4"},
        "name": _NAME.decode(),
        "project-status": {"status": "active"},
        "versions": list(dict.fromkeys(version for version, _ in entries)),
    }
    return json.dumps(page, separators=(",", ":")).encode()


def _document(shape: int) -> bytes:
    releases: dict[str, list[dict[str, object]]] = {}
    for version, entry in _files(shape):
        releases.setdefault(version, []).append(
            {
                "comment_text": None,
                "digests": {"blake2b_256": "0" * 64, "md5": "0" * 32, **entry["hashes"]},  # type: ignore[dict-item]
                "downloads": -1,
                "filename": entry["filename"],
                "has_sig": False,
                "md5_digest": "0" * 32,
                "packagetype": "bdist_wheel",
                "python_version": "cp311",
                "requires_python": ">=3.9",
                "size": entry["size"],
                "upload_time": str(entry["upload-time"])[:19],
                "upload_time_iso_8601": entry["upload-time"],
                "url": entry["url"],
                "yanked": False,
                "yanked_reason": None,
            }
        )
    version = list(releases)[-1]
    info = {
        "author": f"Somebody of shape {shape}",
        "author_email": "somebody@project.example",
        "classifiers": _CLASSIFIERS,
        "description": "# A project\n\nIt does what it does.\n" * 60,
        "description_content_type": "text/markdown",
        "home_page": "https://project.example/",
        "keywords": "one,two,three",
        "license": "MIT",
        "maintainer": None,
        "maintainer_email": None,
        "name": _NAME.decode(),
        "project_urls": {"Homepage": "https://project.example/", "Source": "https://source.example/"},
        "requires_dist": None,
        "requires_python": ">=3.9",
        "summary": "A project that was made to be measured",
        "version": version,
        "yanked": False,
    }
    document = {"info": info, "last_serial": 1, "releases": releases, "urls": releases[version], "vulnerabilities": []}
    return json.dumps(document, separators=(",", ":")).encode()


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    upstream: Upstream


class _Requests(StreamRequestHandler):
    """Many requests on one connection; nothing of HTTP that is not needed here."""

    server: _Server

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while line := self.rfile.readline():
            length = 0
            while header := self.rfile.readline().strip().lower():
                if header.startswith(b"content-length:"):
                    length = int(header.partition(b":")[2])
            self.rfile.read(length)
            found = self.server.upstream.answer(line.split()[1].decode())
            kind, body = found or ("text/plain", b"")
            status = "200 OK" if found else "404 Not Found"
            head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)


def _serve(projects: int, ready: Connection) -> None:
    with _Server(("127.0.0.1", 0), _Requests) as server:
        server.upstream = Upstream(projects)
        ready.send(server.server_address[1])
        server.serve_forever()


@contextmanager
def running(projects: int) -> Iterator[str]:
    """Serve such an upstream from a process of its own; the URL of its Simple API."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(projects, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/simple/"
    finally:
        process.terminate()
        process.join()
