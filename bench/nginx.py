"""An nginx of our own in front of a generated upstream: in the foreground, on free loopback ports, gone at the end.

It answers at two addresses: `direct`, and `delayed` through a proxy that adds latency. The pages of each name
that address in their links, as a real index does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

ROUND_TRIP_MS = 25

_CONFIG = """
daemon off;
{user}
worker_processes 2;
pid {work}/nginx.pid;
error_log {work}/error.log warn;
events {{ worker_connections 4096; }}
http {{
    sendfile on;
    tcp_nopush off;
    keepalive_requests 1000000;
    absolute_redirect off;
    server_tokens off;
    client_body_temp_path {work}/temporary;
    proxy_temp_path {work}/temporary;
    fastcgi_temp_path {work}/temporary;
    uwsgi_temp_path {work}/temporary;
    scgi_temp_path {work}/temporary;
    log_format short '$request_method $request_uri $status $body_bytes_sent';
    access_log {log};
    open_file_cache off;
    map_hash_max_size 65536;
    map_hash_bucket_size 128;
    map $http_accept $page {{
        default index.html;
        "~*application/vnd\\.pypi\\.simple\\.v1\\+json" index.v1_json;
        "~*application/vnd\\.pypi\\.simple\\.latest\\+json" index.v1_json;
    }}
    map $uri $serial {{
        default {serial};
        include {work}/serials;
    }}
{servers}
}}
"""

_SERVER = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {pages};
        location /simple/ {{
            types {{ application/vnd.pypi.simple.v1+json v1_json; text/html html; }}
            index $page;
            add_header Vary Accept;
            add_header Cache-Control "max-age={fresh_seconds}";
            add_header X-PyPI-Last-Serial $serial;
        }}
        location /pypi/ {{
            default_type application/json;
            add_header Cache-Control "max-age=0";
            add_header X-PyPI-Last-Serial $serial;
        }}
        location /packages/ {{
            root {files};
            default_type application/octet-stream;
            {immutable}
        }}
    }}
"""


def nginx_command() -> str:
    """Return where nginx is, or end with the way to install it."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        sys.exit("The measurements need nginx, which is not installed. As root: sh tools/debian.sh")
    return found


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Spec(Protocol):
    @property
    def serial(self) -> int: ...


class Servable(Protocol):
    """A generated upstream: pages that can be written, and files below `folder`."""

    folder: Path

    @property
    def serial(self) -> int: ...
    @property
    def names(self) -> Sequence[str]: ...
    def spec(self, name: str) -> _Spec: ...
    def write_pages(self, folder: Path, root: str, *, only: Sequence[str] | None = None) -> None: ...


U = TypeVar("U", bound=Servable)


class Served(Generic[U]):
    """An upstream while it is served."""

    def __init__(
        self,
        upstream: U,
        work: Path,
        *,
        counts_requests: bool = False,
        is_delayed: bool = False,
        fresh_seconds: int = 0,
    ) -> None:
        """`fresh_seconds` is how long clients are told to take pages for fresh; above 0, files never change."""
        self.upstream = upstream
        self._fresh_seconds = fresh_seconds
        self._work = work.resolve()
        self._log = self._work / "access.log"
        self._counts_requests = counts_requests
        self._ports = (free_port(), free_port())
        self._delayed_port = free_port() if is_delayed else self._ports[1]
        self._stack = ExitStack()

    @property
    def direct(self) -> str:
        """Its address without added latency, no slash at the end."""
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def process_id(self) -> int:
        """Of nginx itself."""
        return self._process.pid

    @property
    def pages(self) -> Path:
        """The folder that `direct` shows."""
        return self._work / "direct"

    @property
    def delayed(self) -> str:
        """Its address with `ROUND_TRIP_MS` added, where asked for."""
        return f"http://127.0.0.1:{self._delayed_port}"

    def __enter__(self) -> Self:
        shutil.rmtree(self._work, ignore_errors=True)
        (self._work / "temporary").mkdir(parents=True)
        self.write_pages()
        config = self._work / "nginx.conf"
        config.write_text(self._config())
        command = [nginx_command(), "-p", str(self._work), "-c", str(config), "-e", str(self._work / "error.log")]
        self._start(command, self._ports[0])
        if self._delayed_port != self._ports[1]:
            proxy = [
                "--listen",
                str(self._delayed_port),
                "--to",
                str(self._ports[1]),
                "--round-trip",
                str(ROUND_TRIP_MS),
            ]
            self._start([sys.executable, "-m", "bench.latency", *proxy], self._delayed_port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def write_pages(self, *, only: list[str] | None = None) -> None:
        """Write the pages of both addresses, of all projects or of those that changed."""
        for name, root in (("direct", self.direct), ("delayed", self.delayed)):
            self.upstream.write_pages(self._work / name, root, only=only)
        lines = []
        for name in self.upstream.names:
            serial = self.upstream.spec(name).serial
            lines += [f"/simple/{name}/{page} {serial};\n" for page in ("index.html", "index.v1_json")]
            lines += [f"/pypi/{name}/json {serial};\n"]
        (self._work / "serials").write_text("".join(lines))

    def reload(self) -> None:
        """Make nginx read the serials again, and wait until it answers with them."""
        before = _worker_ids(self._process.pid)
        self._process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and before & _worker_ids(self._process.pid):
            time.sleep(0.02)

    def forget_requests(self) -> None:
        """Start the record of requests anew."""
        os.truncate(self._log, 0)

    def requests(self) -> list[str]:
        """Return the requests since then, each as `METHOD path status bytes`."""
        return self._log.read_text().splitlines()

    def _config(self) -> str:
        servers = "".join(
            _SERVER.format(
                port=port,
                pages=self._work / name,
                files=self.upstream.folder.resolve() / "files",
                fresh_seconds=self._fresh_seconds,
                immutable='add_header Cache-Control "max-age=365000000, immutable";' if self._fresh_seconds else "",
            )
            for port, name in zip(self._ports, ("direct", "delayed"), strict=True)
        )
        return _CONFIG.format(
            user="user root;" if os.geteuid() == 0 else "",
            work=self._work,
            log=f"{self._log} short" if self._counts_requests else "off",
            serial=self.upstream.serial,
            servers=servers,
        )

    def _start(self, command: list[str], port: int) -> None:
        process = subprocess.Popen(command, stdout=sys.stderr)
        self._stack.callback(_end, process)
        if "nginx" in command[0]:
            self._process = process
        _wait_for(port, process)


def _worker_ids(master: int) -> set[str]:
    """Return the processes that the master started; empty where the system does not tell."""
    listing = Path(f"/proc/{master}/task/{master}/children")
    return set(listing.read_text().split()) if listing.exists() else set()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    sys.exit(f"{process.args!r} did not begin to listen on port {port}")
