"""Fills a catalog from bytes in memory and measures that alone: `python -m bench.catalog_keep WAY FOLDER PROJECTS`.

WAY is `pages`, `all` (pages and documents), or `sqlite3`: the rows of the files alone, ready-made, into one plain table
with executemany. What makes the answers is not measured. One JSON document on standard output.
"""

from __future__ import annotations

import gc
import json
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench.catalog_upstream import Upstream, project_name
from pypim.core.description import read_description
from pypim.core.names import parse_name
from pypim.core.records import Gathered, StoredResponse
from pypim.index.remote import parse_page
from pypim.store.catalog import Catalog
from pypim.store.decoded import DecodedPage, PageRows

_ROOT = "https://index.example"
_AT_ONCE = 80
"""Projects in one transaction: 20,000 files, as `pypim metadata` has it."""
_TABLES = ("listed_files", "listed_releases", "projects", "descriptions", "classifiers", "requirements")


class Stopwatch:
    """Adds up what is measured."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = self.waited_s = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure what is done meanwhile: by the clock, in CPU time, and how long others had the core in its stead."""
        wall, cpu, waited = time.perf_counter(), time.process_time(), _waited_s()
        yield
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += time.process_time() - cpu
        self.waited_s += _waited_s() - waited


def _waited_s() -> float:
    """How long this thread was ready to run and had no core, as the kernel counts it; 0 where nobody does."""
    counts = Path("/proc/thread-self/schedstat")
    return int(counts.read_text().split()[1]) / 1e9 if counts.exists() else 0.0


def _response(url: str, kind: str, body: bytes) -> StoredResponse:
    return StoredResponse(
        url=url,
        final_url=url,
        status=200,
        content_type=kind,
        etag='"0123456789abcdef"',
        last_modified=None,
        serial=None,
        fetched_at=1.0,
        body=body,
    )


def _page(name: str, body: bytes) -> Gathered:
    response = _response(f"{_ROOT}/simple/{name}/", "application/vnd.pypi.simple.v1+json", body)
    project = parse_name(name)
    return Gathered(project=project, response=response, page=parse_page(project, response))


def _document(name: str, body: bytes) -> Gathered:
    response = _response(f"{_ROOT}/pypi/{name}/json", "application/json", body)
    return Gathered(project=parse_name(name), response=response, description=read_description(body, response.url))


def fill(folder: Path, projects: int, *, with_documents: bool) -> dict[str, float]:
    """Decode and keep everything."""
    upstream, watch = Upstream(projects), Stopwatch()
    path = folder / "catalog.sqlite"
    with Catalog.open(path) as catalog:
        for start in range(0, projects, _AT_ONCE):
            numbers = range(start, min(projects, start + _AT_ONCE))
            bodies = [
                (project_name(one), upstream.page(one), upstream.document(one) if with_documents else b"")
                for one in numbers
            ]
            with watch.running():
                gathered = [_page(name, page) for name, page, _ in bodies]
                gathered += [_document(name, document) for name, _, document in bodies if document]
                catalog.facts.keep("big", gathered)
        count = catalog.database.connection.execute
        rows = {table: count(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES}
    return _found(watch, rows["listed_files"], sum(rows.values()), path)


def insert(folder: Path, projects: int) -> dict[str, float]:
    """The same rows of files, ready-made, as the limit of what the driver does."""
    upstream, watch = Upstream(projects), Stopwatch()
    path = folder / "plain.sqlite"
    files = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        columns = ", ".join(f"column_{number}" for number in range(12))
        connection.execute(f"CREATE TABLE files (id INTEGER PRIMARY KEY, {columns})")
        statement = f"INSERT INTO files VALUES ({', '.join('?' * 13)})"
        for start in range(0, projects, _AT_ONCE):
            numbers = range(start, min(projects, start + _AT_ONCE))
            pages = [(one, _page(project_name(one), upstream.page(one)).page) for one in numbers]
            rows = [row for one, page in pages if page for row in PageRows(one, DecodedPage("big", "", page)).files()]
            files += len(rows)
            with watch.running():
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
    return _found(watch, files, files, path)


def _found(watch: Stopwatch, files: int, rows: int, path: Path) -> dict[str, float]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    amounts = {"files": files, "rows": rows, "megabytes": path.stat().st_size / 1e6}
    own_s = watch.wall_s - watch.waited_s
    return {"wall_s": watch.wall_s, "cpu_s": watch.cpu_s, "own_s": own_s, "peak_mb": peak_mb, **amounts}


def main() -> None:
    """Run one way and print what it took."""
    way, folder, projects = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    gc.set_threshold(100_000, 20, 100)  # as the program has it
    folder.mkdir(parents=True, exist_ok=True)
    found = insert(folder, projects) if way == "sqlite3" else fill(folder, projects, with_documents=way == "all")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
