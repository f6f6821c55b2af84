"""A page of very many files: whatever it has, a worker that serves it stays small, and answers it all the same."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.asking import HTML, JSON, ask
from tests.web.process import ServeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 120 * 1000**2
"""Of a worker, at its peak."""
CONFIGURATION = """
[store]
path = "data"
[upstreams.up]
url = "{url}/simple/"
[server]
default-index = "cache"
[indexes.cache]
kind = "proxy"
upstream = "up"
"""


def entry(project: str, number: int) -> dict[str, object]:
    """A file as the largest index lists it."""
    sha256 = hashlib.sha256(b"%d" % number).hexdigest()
    filename = f"{project}-{number // 4}.{number % 4}-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    metadata = {"sha256": sha256[::-1]}
    return {
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "filename": filename,
        "hashes": {"sha256": sha256},
        "provenance": None,
        "requires-python": ">=3.8",
        "size": 100_000 + number,
        "upload-time": "2024-01-01T00:00:00.123456Z",
        "url": f"https://files.example/packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{filename}",
        "yanked": False,
    }


@contextmanager
def upstream(files: int) -> Iterator[str]:
    """Serve a page of so many files under the name of every project."""
    document = {"meta": {"api-version": "1.4"}, "name": "vast", "files": [entry("vast", n) for n in range(files)]}
    body = gzip.compress(json.dumps(document).encode(), 1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in (("Content-Type", JSON), ("Content-Encoding", "gzip"), ("ETag", '"1"')):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def peak_bytes(process_id: int) -> int:
    status = Path(f"/proc/{process_id}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def workers(process_id: int) -> list[int]:
    listing = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
    return [int(one) for one in listing if b"multiprocessing-fork" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.mark.parametrize("files", [20_000, pytest.param(60_000, marks=pytest.mark.slow)])
def test_a_worker_stays_small_whatever_the_length_of_a_page(tmp_path: Path, files: int) -> None:
    with upstream(files) as url, ServeProcess(tmp_path, CONFIGURATION.format(url=url)) as server:
        for accept in (JSON, HTML, "text/html"):
            page = ask(f"{server.url}/simple/vast/", Accept=accept)
            assert page.status == 200
            assert page.body.count(b"manylinux2014_x86_64.whl") >= 2 * files
        path = json.loads(ask(f"{server.url}/simple/vast/", Accept=JSON).body)["files"][files // 2]["url"]
        file = ask(f"{server.url}/simple/vast/{path}".replace("/simple/vast/../..", ""), "HEAD")
        assert (file.status, file.headers["content-length"]) == (200, str(100_000 + files // 2))
        assert len(ask(f"{server.url}/pypi/vast/json").document["urls"]) > 0
        peaks = [peak_bytes(one) for one in workers(server.process.pid)]
        assert len(peaks) == 1
        assert peaks[0] < MOST_BYTES
