"""An upstream of any number of projects that stand nowhere: its list is made once, a page when it is asked for.

`python -m bench.listed --projects 700000` serves it and prints its address. Of each project there is one release for
each time that it changed, with one small wheel. What it offers is that of the warehouse: the list in both forms with
serials, validators and gzip, the changelog over XML-RPC, pages, core metadata, the JSON API, files.

Steering, for measurements and tests: POST `/-/change?count=K` changes K projects, `/-/add?count=K` adds some,
`/-/remove?count=K` removes some; GET `/-/counts` tells requests and bytes since the last `/-/forget` (POST).
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import io
import json
import random
import re
import xmlrpc.client
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
FIRST_SERIAL = 10_000_000
MOST_EVENTS = 50_000
_SYLLABLES = (
    "ba",
    "co",
    "dj",
    "fla",
    "go",
    "ing",
    "ka",
    "lib",
    "mo",
    "net",
    "py",
    "ra",
    "sk",
    "to",
    "ut",
    "x",
    "y",
    "z",
)


class Answer(NamedTuple):
    """What goes back; a body with its headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class Project:
    """One project: how many releases it has, and the serial of its last change."""

    __slots__ = ("releases", "serial")

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.releases = 1


class Listing:
    """All projects and what happened to them."""

    def __init__(self, projects: int, *, is_sorted: bool = False) -> None:
        """With `is_sorted` in the order of characters; else as the warehouse does it, where hyphens hardly count."""
        self._random = random.Random(projects)
        self._is_sorted = is_sorted
        names: set[str] = set()
        while len(names) < projects:
            parts = (
                "".join(self._random.choices(_SYLLABLES, k=self._random.randint(1, 4)))
                for _ in range(self._random.randint(1, 3))
            )
            names.add("-".join(parts) + str(self._random.randint(0, 99)))
        self.serial = FIRST_SERIAL
        self.projects: dict[str, Project] = {}
        for name in self._ordered(names):
            self.projects[name] = Project(FIRST_SERIAL + 1 + self._random.randrange(20_000_000))
        self.serial = max(project.serial for project in self.projects.values())
        newest = max(self.projects, key=lambda name: self.projects[name].serial)
        self.events: list[tuple[str, str | None, int, str, int]] = [
            (newest, "1.0", 1_700_000_000, "new release", self.serial)
        ]
        self._made: dict[tuple[str, int], bytes] = {}

    def _ordered(self, names: set[str]) -> list[str]:
        return sorted(names) if self._is_sorted else sorted(names, key=lambda name: (name.replace("-", ""), name))

    def change(self, count: int) -> list[str]:
        """Make so many projects have a release more."""
        changed = self._random.sample(list(self.projects), count)
        for name in changed:
            project = self.projects[name]
            project.releases += 1
            project.serial = self._event(name, f"{project.releases}.0", "new release")
        return changed

    def add(self, count: int) -> list[str]:
        """So many new projects."""
        added = [f"new-{self.serial}-{number}" for number in range(count)]
        for name in added:
            self.projects[name] = Project(self._event(name, None, "create"))
        self.projects = {name: self.projects[name] for name in self._ordered(set(self.projects))}
        return added

    def remove(self, count: int) -> list[str]:
        """So many projects go."""
        removed = self._random.sample(list(self.projects), count)
        for name in removed:
            self.remove_one(name)
        return removed

    def remove_one(self, name: str) -> None:
        """This project goes."""
        del self.projects[name]
        self._event(name, None, "remove project")

    def _event(self, name: str, version: str | None, action: str) -> int:
        self.serial += 1
        self.events.append((name, version, 1_700_000_000, action, self.serial))
        self._made.clear()
        return self.serial

    # --- lists ------------------------------------------------------------------------------------------------------
    def list_json(self) -> bytes:
        """PEP 691, as the warehouse writes it."""
        return self._kept("json", self._list_json)

    def _list_json(self) -> bytes:
        entries = (f'{{"_last-serial":{project.serial},"name":"{name}"}}' for name, project in self.projects.items())
        meta = f'{{"_last-serial":{self.serial},"api-version":"1.4"}}'
        return f'{{"meta":{meta},"projects":[{",".join(entries)}]}}'.encode()

    def list_html(self) -> bytes:
        """PEP 503, as the warehouse writes it."""
        return self._kept("html", self._list_html)

    def _list_html(self) -> bytes:
        links = "\n".join(f'    <a href="/simple/{name}/">{name}</a>' for name in self.projects)
        head = '<meta name="pypi:repository-version" content="1.4">\n    <title>Simple index</title>'
        return (
            f"<!DOCTYPE html>\n<html>\n  <head>\n    {head}\n  </head>\n  <body>\n{links}\n</body>\n</html>"
            f"<!--SERIAL {self.serial}-->"
        ).encode()

    def packed(self, form: str, body: bytes) -> bytes:
        """The same in gzip, as every warehouse behind a CDN sends it."""
        return self._kept(form + ".gz", lambda: gzip.compress(body, 6, mtime=0))

    def _kept(self, form: str, make: Callable[[], bytes]) -> bytes:
        key = (form, self.serial)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    # --- XML-RPC ----------------------------------------------------------------------------------------------------
    def call(self, body: bytes) -> bytes:
        """What an XML-RPC call gives."""
        parameters, method = xmlrpc.client.loads(body)
        match method:
            case "changelog_last_serial":
                return _response(self.serial)
            case "changelog_since_serial":
                since = parameters[0]
                assert isinstance(since, int)
                return _response([list(event) for event in self.events if event[4] > since][:MOST_EVENTS])
            case "list_packages_with_serial":
                return self._kept("xml", self._list_xml)
            case _:
                fault = xmlrpc.client.Fault(-32500, f"RuntimeError: {method} is not offered")
                return xmlrpc.client.dumps(fault).encode()

    def _list_xml(self) -> bytes:
        members = "".join(
            f"<member>\n<name>{name}</name>\n<value><int>{project.serial}</int></value>\n</member>\n"
            for name, project in self.projects.items()
        )
        return (
            "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n"
            f"{members}</struct></value>\n</param>\n</params>\n</methodResponse>\n"
        ).encode()

    # --- pages and files --------------------------------------------------------------------------------------------
    def wheels(self, name: str) -> Iterator[tuple[str, str, bytes]]:
        """(version, filename, content) of each release."""
        for number in range(1, self.projects[name].releases + 1):
            version = f"{number}.0"
            yield version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", wheel(name, version)

    def page(self, name: str) -> bytes:
        """The page of a project as JSON."""
        files = [_entry(name, filename, content) for _, filename, content in self.wheels(name)]
        serial = self.projects[name].serial
        versions = [version for version, _, _ in self.wheels(name)]
        meta = {"_last-serial": serial, "api-version": "1.4"}
        return json.dumps({"meta": meta, "name": name, "files": files, "versions": versions}).encode()

    def project_json(self, name: str, root: str) -> bytes:
        """The per-project JSON API."""
        releases = {
            version: [
                {
                    "filename": filename,
                    "url": f"{root}/packages/{name}/{filename}",
                    "digests": _digests(content),
                    "size": len(content),
                    "packagetype": "bdist_wheel",
                    "upload_time_iso_8601": "2024-01-01T00:00:00.000000Z",
                    "yanked": False,
                }
            ]
            for version, filename, content in self.wheels(name)
        }
        info = {"name": name, "version": list(releases)[-1]}
        urls = releases[list(releases)[-1]]
        return json.dumps(
            {"info": info, "last_serial": self.projects[name].serial, "releases": releases, "urls": urls}
        ).encode()


def wheel(name: str, version: str) -> bytes:
    """A small wheel that installs nothing; the same name and version give the same bytes."""
    distribution = f"{name.replace('-', '_')}-{version}"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in (
            (f"{distribution}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
            (f"{distribution}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
            (f"{distribution}.dist-info/RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(path), text)
    return content.getvalue()


def _digests(content: bytes) -> dict[str, str]:
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "blake2b_256": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }


def _entry(name: str, filename: str, content: bytes) -> dict[str, object]:
    return {
        "filename": filename,
        "url": f"/packages/{name}/{filename}",
        "hashes": {"sha256": _digests(content)["sha256"]},
        "size": len(content),
        "upload-time": "2024-01-01T00:00:00.000000Z",
        "core-metadata": False,
        "yanked": False,
    }


def _response(value: object) -> bytes:
    return xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True).encode()  # type: ignore[arg-type] # a list


class Server:
    """The listing over HTTP. What it offers can be taken away, one by one."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.has_validators = True
        self.has_changelog = True
        self.has_json = True
        self.requests: dict[str, int] = {}
        self.sent_bytes = 0
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, headers = _parsed(head)
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                found = self.answer(method, target, headers, body)
                lines = [f"HTTP/1.1 {found.status} X", f"Content-Length: {len(found.body)}"]
                lines += [f"{name}: {value}" for name, value in found.headers]
                content = "\r\n".join([*lines, "", ""]).encode() + found.body
                self.sent_bytes += len(content)
                writer.write(content)
                await writer.drain()
        writer.close()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """What goes back for a request."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path.startswith("/-/"):
            return self._steered(method, path[3:], {name: values[0] for name, values in query.items()})
        kind = re.sub(r"/[^/]+/?$", "/*", path) if path.count("/") > 2 else path
        self.requests[kind] = self.requests.get(kind, 0) + 1
        if method == "POST":
            return self._called(path, body)
        if path in {"/simple/", "/simple"}:
            return self._list(headers)
        return self._below(path, headers)

    def _below(self, path: str, headers: dict[str, str]) -> Answer:
        section, name, *rest = (*path.strip("/").split("/"), "", "")
        if name not in self.listing.projects:
            return Answer(404)
        serial = (("X-PyPI-Last-Serial", str(self.listing.projects[name].serial)),)
        if section == "simple":
            return self._validated(headers, self.listing.page(name), JSON_TYPE, serial)
        if section == "pypi" and rest[0] == "json":
            return Answer(
                200, self.listing.project_json(name, self.url), (("Content-Type", "application/json"), *serial)
            )
        for _, filename, content in self.listing.wheels(name):
            if section == "packages" and filename == rest[0]:
                return Answer(200, content, (("Content-Type", "application/octet-stream"),))
        return Answer(404)

    def _list(self, headers: dict[str, str]) -> Answer:
        is_json = "json" in headers.get("accept", "") and self.has_json
        body = self.listing.list_json() if is_json else self.listing.list_html()
        content_type = JSON_TYPE if is_json else "text/html"
        extra: tuple[tuple[str, str], ...] = (("X-PyPI-Last-Serial", str(self.listing.serial)), ("Vary", "Accept"))
        if "gzip" in headers.get("accept-encoding", ""):
            body = self.listing.packed("json" if is_json else "html", body)
            extra = (*extra, ("Content-Encoding", "gzip"))
        tag = f"{'json' if is_json else 'html'}-{self.listing.serial}"
        return self._validated(headers, body, content_type, extra, tag)

    def _validated(
        self, headers: dict[str, str], body: bytes, content_type: str, extra: tuple[tuple[str, str], ...], tag: str = ""
    ) -> Answer:
        etag = f'"{tag or hashlib.sha256(body).hexdigest()}"'
        if not self.has_validators:
            return Answer(200, body, (("Content-Type", content_type), *extra))
        if headers.get("if-none-match") == etag:
            return Answer(304, b"", (("ETag", etag), *extra))
        return Answer(200, body, (("Content-Type", content_type), ("ETag", etag), *extra))

    def _called(self, path: str, body: bytes) -> Answer:
        if path.rstrip("/") != "/pypi" or not self.has_changelog:
            return Answer(405)
        return Answer(200, self.listing.call(body), (("Content-Type", "text/xml"),))

    def _steered(self, method: str, what: str, query: dict[str, str]) -> Answer:
        if method == "GET":
            return Answer(200, json.dumps({"requests": self.requests, "bytes": self.sent_bytes}).encode())
        if what == "forget":
            self.requests, self.sent_bytes = {}, 0
            return Answer(204)
        if what == "offer":
            for name, value in query.items():
                setattr(self, f"has_{name}", value == "yes")
            return Answer(204)
        changed = getattr(self.listing, what)(int(query["count"]))
        # Made now, so that nobody who is measured waits for it.
        self.listing.packed("json", self.listing.list_json())
        return Answer(200, json.dumps(changed).encode())


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines if line)
    return method, target, {name.lower(): value.strip() for name, _, value in pairs}


async def _serve(projects: int, *, is_sorted: bool, port: int) -> None:
    server = Server(Listing(projects, is_sorted=is_sorted))
    server.listing.packed("json", server.listing.list_json())
    await server.start(port)
    print(server.url, flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until somebody ends it."""
    parser = argparse.ArgumentParser(prog="python -m bench.listed", description=__doc__)
    parser.add_argument("--projects", type=int, default=700_000)
    parser.add_argument("--sorted", action="store_true", help="list the projects in the order of characters")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments.projects, is_sorted=arguments.sorted, port=arguments.port))


if __name__ == "__main__":
    main()
