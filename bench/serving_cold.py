"""The rows about a proxy that has nothing yet, and about memory: installs, first bytes, the list of everything."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import statistics
import sys
import threading
import time
import urllib.request
import xmlrpc.client
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from bench import peers, servers, wrk
from bench.measure import RunError, run
from bench.nginx import Served
from bench.recipes import COLD_FILES, INSTALLED
from bench.report import OURS, Figure, Report, fresh
from bench.servers import HTML, JSON, Server
from bench.serving import NGINX, skip, upstream
from bench.upstream import Upstream

NAMES = 700_000
CLIENTS = 64
FILES = 100_000
PAGES = 60
MIDDLE = (220, 440, 660)
"""Files of pages that are just not long, that are long, and that are not even read by a worker."""
SPARSE_BYTES = 2 << 30
_LOAD_SECONDS = 10.0
_MOST_MB = 120
_MOST_TIMES = 2.0
_GRACE_S = 0.010


# --- installs ---------------------------------------------------------------------------------------------------------
def install(runs: int) -> Report:
    """Uv installs 40 projects, the proxy cold and then warm."""
    report = Report("serve-install")
    with upstream() as running:
        root = running.direct
        for number in range(runs):
            folder = fresh(report.row, str(number))
            for state in ("cold", "warm"):
                _install(report, f"{NGINX} {state}", f"{root}/simple/", folder / f"{NGINX}-{state}")
            _cold_and_warm(report, OURS, servers.pypim(root, folder / "cache"), folder)
            _cold_and_warm(report, "devpi", servers.devpi(root, folder / "devpi"), folder)
    for state, peer, goal in (("cold", NGINX, 1.5), ("cold", "devpi", 0.4), ("warm", NGINX, 1.1)):
        ours, theirs = report.series.get(f"{OURS} {state}"), report.series.get(f"{peer} {state}")
        if ours and theirs:
            report.figures.append(Figure(f"{state}, {OURS} / {peer}", ours.wall_s / theirs.wall_s, goal))
    return report


def _cold_and_warm(report: Report, name: str, context: AbstractContextManager[Server], folder: Path) -> None:
    try:
        with context as server:
            for state in ("cold", "warm"):
                before = server.cpu_s()
                _install(report, f"{name} {state}", server.simple, folder / f"{name}-{state}")
                report.notes.append(f"{name} {state}: {server.cpu_s() - before:.3f} s CPU of the server")
    except (RunError, OSError) as error:
        report.failures.append(f"{name}: {error}")


def _install(report: Report, name: str, simple: str, folder: Path) -> None:
    print(f"{report.row}: {name}", file=sys.stderr)
    options = ["--no-config", "--no-python-downloads", "--cache-dir", str(folder / "cache"), "--quiet"]
    where = ["--default-index", simple, "--python", sys.executable, "--target", str(folder / "target")]
    report.add(name, run([str(peers.BIN / "uv"), *options, "pip", "install", *where, "app-00"], folder / "log"))
    installed = len(list((folder / "target").glob("*.dist-info")))
    if installed != INSTALLED:
        report.failures.append(f"{name}: {installed} projects were installed, not {INSTALLED}")
    shutil.rmtree(folder)


# --- files that are not there yet -------------------------------------------------------------------------------------
def streaming(runs: int) -> Report:
    """The first byte of a cold file of 20 MB, and 64 clients that want the same one."""
    report = Report("serve-streaming")
    with upstream(counts_requests=True) as running:
        theirs, ours, counted, peaks = [], [], [], []
        for _ in range(runs):
            with servers.pypim(running.direct, fresh(report.row, "cache")) as server:
                urls = [
                    (servers.first_file(f"{running.direct}/simple/bench-20m-{n}/"), server.file_url(f"bench-20m-{n}"))
                    for n in range(COLD_FILES)
                ]
                _first_byte(server.file_url("bench-small"))  # connections and code are warm, the files are not
                for known, cold in urls[1:]:
                    theirs.append(_first_byte(known))
                    ours.append(_first_byte(cold))
                running.forget_requests()
                lengths = _all_at_once(urls[0][1])
                path = urlsplit(urls[0][0]).path
                counted.append(sum(path in line for line in running.requests()))
                if lengths != [lengths[0]] * CLIENTS or not lengths[0]:
                    report.failures.append(f"some of {CLIENTS} clients did not get all of it: {sorted(set(lengths))}")
                peaks.append(server.peak_mb())
    ours_s, theirs_s = statistics.median(ours), statistics.median(theirs)
    report.notes.append(f"first byte: {ours_s * 1e3:.2f} ms through the proxy, {theirs_s * 1e3:.2f} ms from upstream")
    ratio = max(0.0, ours_s - _GRACE_S) / theirs_s
    report.figures.append(Figure("first byte without 10 ms, pypim / upstream", ratio, _MOST_TIMES))
    report.figures.append(Figure(f"requests upstream for {CLIENTS} clients", max(counted), 1, "requests"))
    report.figures.append(Figure(f"peak of a worker, {CLIENTS} clients and one file", max(peaks), _MOST_MB, "MB"))
    return report


def _first_byte(url: str) -> float:
    """Seconds until the first byte of the body; all of it is read."""
    parts = urlsplit(url)
    began = time.perf_counter()
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    connection.request("GET", parts.path)
    answer = connection.getresponse()
    answer.read(1)
    taken = time.perf_counter() - began
    answer.read()
    connection.close()
    return taken


def _all_at_once(url: str) -> list[int]:
    """How many bytes each of many clients got."""
    lengths: list[int] = []

    def ask() -> None:
        length = 0
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:
                while chunk := answer.read(1 << 16):
                    length += len(chunk)
        except (OSError, http.client.HTTPException):
            length = 0
        lengths.append(length)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return lengths


# --- the list of everything -------------------------------------------------------------------------------------------
def whole_list(runs: int) -> Report:
    """700,000 names, through a proxy, beside devpi; a first page before it must not have loaded them."""
    report = Report("serve-list")
    with upstream(counts_requests=True) as running:
        _write_list(running.pages, list(running.upstream.names))
        with servers.pypim(running.direct, fresh(report.row, "cache")) as server:
            running.forget_requests()
            began = time.perf_counter()
            servers.fetch(server.page("bench-small"), {"Accept": JSON})
            report.notes.append(f"the first page of a fresh proxy: {time.perf_counter() - began:.3f} s")
            asked = sum(line.startswith("GET /simple/ ") for line in running.requests())
            report.figures.append(Figure("lists that a first page loads", asked, 0, "requests"))
            report.notes.append(f"the first list: {_seconds_of_list(server, JSON):.2f} s")
            ours = [_seconds_of_list(server, JSON) for _ in range(runs)]
            html = [_seconds_of_list(server, HTML) for _ in range(runs + 1)]
            report.notes.append(f"the list in HTML: {statistics.median(html):.3f} s (the first {html[0]:.3f} s)")
            report.notes.append(f"list_packages_with_serial: {_seconds_of_serials(server):.2f} s")
            _pull_at_once(server.simple)
            report.figures.append(Figure("peak of a worker, the list served to 64", server.peak_mb(), _MOST_MB, "MB"))
        with servers.devpi(running.direct, fresh(report.row, "devpi")) as server:
            began = time.perf_counter()
            servers.fetch(server.page("bench-small"), {"Accept": JSON})
            report.notes.append(f"devpi's first page: {time.perf_counter() - began:.2f} s")
            report.notes.append(f"devpi's first list: {_seconds_of_list(server, JSON):.2f} s")
            theirs = [_seconds_of_list(server, JSON) for _ in range(runs)]
    ours_s, theirs_s = statistics.median(ours), statistics.median(theirs)
    report.notes.append(f"the list: {OURS} {ours_s:.3f} s, devpi {theirs_s:.3f} s")
    report.figures.append(Figure(f"{OURS} / devpi", ours_s / theirs_s, 0.05))
    return report


def _write_list(folder: Path, others: list[str]) -> None:
    names = sorted([*others, *(f"project-{number:06}" for number in range(NAMES - len(others)))])
    meta = {"api-version": "1.4", "_last-serial": 700_000}
    projects = [{"name": name, "_last-serial": number} for number, name in enumerate(names, 1)]
    (folder / "simple" / "index.v1_json").write_text(json.dumps({"meta": meta, "projects": projects}))
    links = "".join(f'<a href="/simple/{name}/">{name}</a>\n' for name in names)
    (folder / "simple" / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")


def _seconds_of_list(server: Server, accept: str) -> float:
    began = time.perf_counter()
    body = servers.fetch(server.simple, {"Accept": accept, "Accept-Encoding": "identity"})[1]
    if len(body) < NAMES * 20:
        raise RunError(f"{server.name}: the list has {len(body)} bytes only")
    return time.perf_counter() - began


def _seconds_of_serials(server: Server) -> float:
    call = xmlrpc.client.dumps((), "list_packages_with_serial").encode()
    asked = urllib.request.Request(server.simple.replace("/simple/", "/pypi"), call, {"Content-Type": "text/xml"})
    began = time.perf_counter()
    length = 0
    with urllib.request.urlopen(asked, timeout=120) as answer:
        while chunk := answer.read(1 << 16):
            length += len(chunk)
    if length < NAMES * 20:
        raise RunError(f"{server.name}: the list in XML has {length} bytes only")
    return time.perf_counter() - began


def _pull_at_once(url: str) -> None:
    if wrk.missing() is None:
        wrk.load(url, CLIENTS, _LOAD_SECONDS, {"Accept": JSON})


# --- memory -----------------------------------------------------------------------------------------------------------
def memory(runs: int) -> Report:
    """The peak of a worker while 64 clients fetch a file of 2 GB, nearly all of it a hole, and a very long page."""
    report = Report("serve-memory")
    if skip(report):
        return report
    with upstream() as running:
        for _ in range(runs):
            folder = fresh(report.row, "mirror")
            with servers.pypim(running.direct, folder, "mirror") as server:
                url = server.file_url("bench-20m-0")
                path = next(folder.rglob(url.rpartition("/")[2]))
                os.truncate(path, SPARSE_BYTES)
                before = server.peak_mb()
                loads = [wrk.load(url, CLIENTS, _LOAD_SECONDS)]
                loads.append(wrk.load(url, CLIENTS, _LOAD_SECONDS, {"Range": "bytes=1-"}))
                report.notes.append(
                    f"{loads[0].mb_s:,.0f} MB/s whole, {loads[1].mb_s:,.0f} MB/s as a range; {before:.0f} MB before"
                )
                report.figures.append(Figure("peak of a worker, 64 clients", server.peak_mb(), _MOST_MB, "MB"))
            for files in MIDDLE:
                report.figures.append(_peak_of_many(running, fresh(report.row, f"many-{files}"), files))
            _write_vast(running.pages)
            with servers.pypim(running.direct, fresh(report.row, "cache")) as server:
                began = time.perf_counter()
                for accept in (JSON, HTML):
                    servers.fetch(server.page("vast"), {"Accept": accept})
                report.notes.append(
                    f"a page of {FILES:,} files, for the first time: {time.perf_counter() - began:.1f} s"
                )
                _pull_at_once(server.page("vast"))
                figure = Figure(f"peak of a worker, {FILES:,} files on a page", server.peak_mb(), _MOST_MB, "MB")
                report.figures.append(figure)
    return report


def _peak_of_many(running: Served[Upstream], folder: Path, files: int) -> Figure:
    """64 clients ask for 60 pages in all forms and encodings, first of an empty proxy and then of one that has them."""
    names = [f"middle-{files}-{number}" for number in range(PAGES)]
    for name in names:
        _write_page(running.pages, name, files)
    script = folder / "many.lua"
    script.parent.mkdir(parents=True, exist_ok=True)
    asked = [(name, accept, coding) for name in names for accept in (JSON, HTML) for coding in ("identity", "gzip")]
    table = ",".join(f'{{"/simple/{name}/","{accept}","{coding}"}}' for name, accept, coding in asked)
    script.write_text(_LUA.replace("TABLE", table))
    with servers.pypim(running.direct, folder) as server:
        for _ in range(2):
            wrk.load(server.simple, CLIENTS, _LOAD_SECONDS, script=script)
        return Figure(f"peak of a worker, {PAGES} pages of {files} files", server.peak_mb(), _MOST_MB, "MB")


_LUA = """
local asked = {TABLE}
math.randomseed(1)
request = function()
  local one = asked[math.random(#asked)]
  return wrk.format("GET", one[1], {["Accept"] = one[2], ["Accept-Encoding"] = one[3]})
end
"""


def _write_vast(folder: Path) -> None:
    """A page as long as none is yet."""
    _write_page(folder, "vast", FILES)


def _write_page(folder: Path, name: str, count: int) -> None:
    """A page of so many files, in both forms."""
    files = [_long_file(name, number) for number in range(count)]
    page = folder / "simple" / name
    page.mkdir(parents=True, exist_ok=True)
    document = {"meta": {"api-version": "1.4"}, "name": name, "files": files, "versions": []}
    (page / "index.v1_json").write_text(json.dumps(document))
    links = "".join(f'<a href="{file["url"]}">{file["filename"]}</a><br>\n' for file in files)
    (page / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")


def _long_file(name: str, number: int) -> dict[str, object]:
    sha256 = hashlib.sha256(f"{name} {number}".encode()).hexdigest()
    version, tags = f"{number // 4}.{number % 4}", "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"
    filename = f"{name.replace('-', '_')}-{version}-{tags}.whl"
    return {
        "filename": filename,
        "url": f"https://files.example/packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{filename}",
        "hashes": {"sha256": sha256},
        "core-metadata": {"sha256": sha256[::-1]},
        "requires-python": ">=3.8",
        "size": 100_000 + number,
        "upload-time": "2024-01-01T00:00:00.123456Z",
        "yanked": False,
    }


ROWS: dict[str, Callable[[int], Report]] = {
    "serve-install": install,
    "serve-streaming": streaming,
    "serve-list": whole_list,
    "serve-memory": memory,
}
