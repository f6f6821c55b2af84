"""The contestants of the serving rows, each in front of a generated upstream until its context is left."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from bench import peers
from bench.measure import RunError, environ, run
from bench.nginx import free_port

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"
_KIB = 1024
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    simple: str
    """The address of its list of projects, with a slash at the end."""
    process: subprocess.Popen[bytes]

    def page(self, project: str) -> str:
        """The address of a page."""
        return f"{self.simple}{project}/"

    def file_url(self, project: str) -> str:
        """The address of the first file that the page lists."""
        return first_file(self.page(project))

    def peak_mb(self) -> float:
        """The highest peak of any process that serves, in 10^6 bytes; needs Linux.

        Those that pypim starts beside a worker, so that it stays small, do not.
        """
        return max(_peak_bytes(one) for one in family(self.process.pid) if not _is_beside(one)) / 1e6

    def cpu_s(self) -> float:
        """The CPU time of all its processes so far; needs Linux."""
        return cpu_s(self.process.pid)


def fetch(url: str, headers: Mapping[str, str] | None = None) -> tuple[Mapping[str, str], bytes]:
    """The headers of an answer, and its body. Raises RunError where there is no good one."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=300) as answer:
            return answer.headers, answer.read()
    except OSError as error:
        raise RunError(f"{url}: {error}") from error


def first_file(page: str) -> str:
    """The address of the first file that a page lists."""
    headers, body = fetch(page, {"Accept": f"{JSON}, {HTML};q=0.1"})
    if "json" in headers["Content-Type"]:
        url: str = json.loads(body)["files"][0]["url"]
    else:
        url = re.findall(r'href="([^"]+)', body.decode())[0]
    return urljoin(page, url.partition("#")[0])


def family(process_id: int) -> list[int]:
    """A process and all that it has started."""
    listing = Path(f"/proc/{process_id}/task/{process_id}/children")
    children = [int(text) for text in listing.read_text().split()] if listing.exists() else []
    return [process_id, *(member for child in children for member in family(child))]


def cpu_s(process_id: int) -> float:
    """The CPU time so far of a process and of all that it has started; needs Linux."""
    return sum(_cpu_ticks(member) for member in family(process_id)) / os.sysconf("SC_CLK_TCK")


def _is_beside(process_id: int) -> bool:
    return b"pypim.wiring_" in Path(f"/proc/{process_id}/cmdline").read_bytes()


def _peak_bytes(process_id: int) -> int:
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return 0


def _cpu_ticks(process_id: int) -> int:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


# --- pypim ------------------------------------------------------------------------------------------------------------
_PYPIM = """
[store]
path = "data"

[upstreams.bench]
url = "{root}/simple/"

[indexes.mirror]
kind = "mirror"
upstream = "bench"

[indexes.mirror.patterns]
".*" = ">=0"

[indexes.mirror.dependencies]
follow = false

[indexes.mirror.filters]
prereleases = true

[indexes.cache]
kind = "proxy"
upstream = "bench"
max-age = "1 hour"

[server]
default-index = "{index}"
"""


@contextmanager
def pypim(
    root: str, folder: Path, index: str = "cache", *, workers: int = 1, is_synced: bool = False
) -> Iterator[Server]:
    """`pypim serve` in front of the upstream, with a mirror of it or a proxy; `is_synced`: the mirror is there."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "pypim.toml"
    config.write_text(_PYPIM.format(root=root, index=index))
    command = [str(peers.BIN / "pypim"), "-c", str(config)]
    if index == "mirror" and not is_synced:
        run([*command, "sync", "--no-progress"], folder / "sync.log")
    port = free_port()
    serve = [*command, "serve", "--port", str(port), "--workers", str(workers)]
    with _started(serve, folder, f"http://127.0.0.1:{port}/healthz") as process:
        yield Server(f"pypim {index}", f"http://127.0.0.1:{port}/simple/", process)


# --- peers ------------------------------------------------------------------------------------------------------------
@contextmanager
def devpi(root: str, folder: Path) -> Iterator[Server]:
    """devpi-server with an index that mirrors the upstream."""
    data = folder / "devpi"
    folder.mkdir(parents=True, exist_ok=True)
    init = Path(peers.tool("devpi-server")).with_name("devpi-init")
    run([str(init), "--serverdir", str(data), "--no-root-pypi"], folder / "init.log")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [peers.tool("devpi-server"), "--serverdir", str(data), "--port", str(port)]
    with _started(command, folder, f"{address}/+api") as process:
        login = _put(f"{address}/+login", {"user": "root", "password": ""}, {}, method="POST")
        secret = base64.b64encode(f"root:{login['result']['password']}".encode()).decode()
        index = {"type": "mirror", "mirror_url": f"{root}/simple/", "volatile": False, "mirror_cache_expiry": 3600}
        _put(f"{address}/root/bench", index, {"X-Devpi-Auth": secret})
        yield Server("devpi", f"{address}/root/bench/+simple/", process)


def _put(url: str, document: object, headers: Mapping[str, str], *, method: str = "PUT") -> dict[str, dict[str, str]]:
    sent = {"Content-Type": "application/json", "Accept": "application/json", **headers}
    request = urllib.request.Request(url, json.dumps(document).encode(), sent, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, dict[str, str]] = json.load(answer)
    return told


@contextmanager
def proxpi(root: str, folder: Path) -> Iterator[Server]:
    """Proxpi as its image starts it: gunicorn with one process, for its cache is one of the process, and threads."""
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    port = free_port()
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--threads", "8", "--worker-class", "gthread"]
    settings = {
        "PROXPI_INDEX_URL": f"{root}/simple/",
        "PROXPI_INDEX_TTL": "3600",
        "PROXPI_CACHE_DIR": str(folder / "cache"),
        "PROXPI_DISABLE_INDEX_SSL_VERIFICATION": "",
    }
    command = [peers.tool("proxpi", "gunicorn"), *bind, "proxpi.server:app"]
    with _started(command, folder, f"http://127.0.0.1:{port}/", settings) as process:
        yield Server("proxpi", f"http://127.0.0.1:{port}/index/", process)


@contextmanager
def _started(
    command: list[str], folder: Path, url: str, settings: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers at the URL. Raises RunError where it does not begin to."""
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**environ(), **(settings or {})})
    try:
        _wait(process, url, folder / "server.log")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                return  # it answers
            time.sleep(0.05)
        else:
            return
    raise RunError(f"{process.args!r} did not begin to answer, see {log}")


# --- nginx ------------------------------------------------------------------------------------------------------------
def write_static(folder: Path, source: Server, projects: Mapping[str, str]) -> None:
    """Write pages of a server below a folder that nginx serves: `same/<label>.json` and `same/<label>.html`."""
    place = folder / "same"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for label, project in projects.items():
        for suffix, accept in (("json", JSON), ("html", HTML)):
            (place / f"{label}.{suffix}").write_bytes(fetch(source.page(project), {"Accept": accept})[1])
