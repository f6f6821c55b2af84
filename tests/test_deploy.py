"""The ready-made configurations of `deploy/`: real nginx and real Caddy in front of a tree that pypim published."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.clients import Environment, pip_install, uv_install
from tests.worlds.server import WorldServer
from tests.worlds.world import BuiltFile, World, project, sdist, wheel

DEPLOY = Path(__file__).parent.parent / "deploy"
JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
PIP = f"{JSON}, {HTML}; q=0.1, text/html; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, text/html;q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

SPECS = World.of(
    project("app", "1.0", "1.1", requires=["lib>=1"], files=(wheel(payload=4000), sdist())),
    project("lib", "1.0", "1.1", "1.2"),
)


@dataclass(frozen=True)
class Site:
    """A web server in front of the tree."""

    port: int

    @property
    def index(self) -> str:
        return f"http://127.0.0.1:{self.port}/simple/"

    def ask(self, path: str, method: str = "GET", **headers: str | None) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pypim sync app --to DIR` publishes, with DIR/.pypim beside it."""
    folder = tmp_path_factory.mktemp("tree")
    with WorldServer(SPECS) as server:
        command = [sys.executable, "-m", "pypim", "-q", "sync", "app", "app<1.1", "lib<1.1"]
        command += ["--format", "wheel", "--format", "sdist", "--upstream", server.url, "--to", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def site(request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The web server with the configuration of `deploy/`, of which only the port and the folder are changed."""
    server = str(request.param)
    program = shutil.which(server) or shutil.which(server, path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(f"{server} is not installed (tools/debian.sh installs it)")
    work = tmp_path_factory.mktemp(server)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    start = start_nginx if server == "nginx" else start_caddy
    pid_file = start(program, work, tree, port)
    try:
        yield Site(port)
    finally:
        os.kill(int(pid_file.read_text()), signal.SIGTERM)


def start_nginx(program: str, work: Path, tree: Path, port: int) -> Path:
    """Start it; it leaves for the background once it listens."""
    text = (DEPLOY / "nginx.conf").read_text()
    text = replaced(replaced(text, "listen 8080;", f"listen 127.0.0.1:{port};"), "root /srv/mirror;", f"root {tree};")
    (work / "pypim.conf").write_text(text)
    folders = "\n".join(
        f"{kind}_temp_path {work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # the folder of a test is its owner's alone
    (work / "nginx.conf").write_text(
        f"{user}\npid {work}/nginx.pid;\nerror_log {work}/error.log;\nevents {{ }}\n"
        f"http {{\naccess_log off;\n{folders}\ninclude {work}/pypim.conf;\n}}\n"
    )
    command = [program, "-p", str(work), "-e", str(work / "error.log"), "-c", str(work / "nginx.conf")]
    run(command, work)
    return work / "nginx.pid"


def start_caddy(program: str, work: Path, tree: Path, port: int) -> Path:
    """Start it; it leaves for the background once it answers."""
    text = (DEPLOY / "Caddyfile").read_text()
    text = replaced(replaced(text, ":8080 {", f"http://127.0.0.1:{port} {{"), "root * /srv/mirror", f"root * {tree}")
    (work / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    command = [program, "start", "--adapter", "caddyfile", "--config", str(work / "Caddyfile")]
    run([*command, "--pidfile", str(work / "caddy.pid")], work)
    return work / "caddy.pid"


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} stands there once, for people to change"
    return text.replace(old, new)


def run(command: list[str], work: Path) -> None:
    """Its output goes to a file: what stays in the background must not hold a pipe of ours open."""
    log = work / "log"
    variables = {**os.environ, "XDG_CONFIG_HOME": str(work), "XDG_DATA_HOME": str(work), "HOME": str(work)}
    with log.open("wb") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream, check=False, timeout=60, env=variables)
    assert done.returncode == 0, log.read_text()


def built(filename: str) -> BuiltFile:
    return SPECS.file(filename)


@pytest.mark.parametrize("page", ["/simple/", "/simple/app/"])
@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        pytest.param(PIP, JSON, id="pip"),
        pytest.param(UV, JSON, id="uv"),
        pytest.param("application/vnd.pypi.simple.latest+json", JSON, id="latest"),
        pytest.param(BROWSER, "text/html; charset=utf-8", id="browser"),
        pytest.param("*/*", "text/html; charset=utf-8", id="anything"),
        pytest.param(None, "text/html; charset=utf-8", id="nothing said"),
        pytest.param(HTML, HTML, id="only the versioned HTML"),
        pytest.param(f"text/html, {JSON};q=0", "text/html; charset=utf-8", id="JSON refused"),
    ],
)
def test_a_page_comes_in_the_form_that_is_asked_for(site: Site, page: str, accept: str | None, media_type: str) -> None:
    """PEP 691: the Content-Type says which form came; a server may fall back to HTML for everybody else."""
    response, body = site.ask(page, Accept=accept)
    assert response.status == 200
    assert response.headers["Content-Type"] == media_type
    assert "Accept" in ", ".join(response.headers.get_all("Vary", [])).replace(",", " ").split()
    if media_type == JSON:
        assert json.loads(body)["meta"]["api-version"] == "1.4"
    else:
        assert body.startswith(b"<!DOCTYPE html>")


def test_pages_are_small_and_asked_for_conditionally(site: Site) -> None:
    """The same page again is a 304 without a body; gzip where the client can read it."""
    plain, text = site.ask("/simple/lib/", Accept=PIP)
    assert plain.headers["Cache-Control"] == "no-cache"
    again, body = site.ask("/simple/lib/", Accept=PIP, If_None_Match=plain.headers["ETag"])
    assert (again.status, body) == (304, b"")
    packed, body = site.ask("/simple/lib/", Accept=PIP, Accept_Encoding="gzip")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Content-Type"] == JSON
    assert gzip.decompress(body) == text
    assert len(body) < len(text)


@pytest.mark.parametrize("page", ["/simple", "/simple/app"])
def test_an_address_without_its_slash_leads_to_the_page(site: Site, page: str) -> None:
    """PEP 503: addresses end with a slash, and a repository should redirect those that do not."""
    response, _ = site.ask(page)
    assert response.status in {301, 308}
    assert response.headers["Location"].endswith(f"{page}/")


def test_the_bare_host_leads_to_the_list(site: Site) -> None:
    response, _ = site.ask("/")
    assert response.headers["Location"].endswith("/simple/")


@pytest.mark.parametrize("filename", ["app-1.1-py3-none-any.whl", "app-1.1.tar.gz"])
def test_files_are_sent_as_they_are_and_may_be_kept_for_ever(site: Site, filename: str) -> None:
    """No content encoding may be claimed or added: the bytes are what the digest on the page is of."""
    file = built(filename)
    response, body = site.ask(f"/{file.path}", Accept_Encoding="gzip")
    assert response.status == 200
    assert body == file.content
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert "Content-Encoding" not in response.headers
    assert int(response.headers["Content-Length"]) == file.size
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    head, nothing = site.ask(f"/{file.path}", "HEAD")
    assert (int(head.headers["Content-Length"]), nothing) == (file.size, b"")


def test_a_part_of_a_file_can_be_asked_for(site: Site) -> None:
    """Clients read the end of a wheel, and go on with a download that was cut."""
    file = built("app-1.1-py3-none-any.whl")
    response, body = site.ask(f"/{file.path}", Range="bytes=-100")
    assert (response.status, body) == (206, file.content[-100:])
    response, body = site.ask(f"/{file.path}", Range="bytes=1000-")
    assert response.headers["Content-Range"] == f"bytes 1000-{file.size - 1}/{file.size}"
    assert body == file.content[1000:]


def test_core_metadata_stands_beside_each_wheel(site: Site) -> None:
    """PEP 658: the file's address with `.metadata`, the same bytes as in the wheel."""
    file = built("app-1.1-py3-none-any.whl")
    response, body = site.ask(f"/{file.path}.metadata")
    assert response.status == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert body == file.metadata


@pytest.mark.parametrize(
    "path", ["/.pypim/catalog.sqlite", "/.pypim/pypim.toml", "/simple/absent/", "/packages/aa/bb/cc/absent.whl", "/x"]
)
def test_nothing_else_is_served_and_an_absence_is_not_kept(site: Site, path: str) -> None:
    response, _ = site.ask(path, Accept=PIP)
    assert response.status == 404
    assert "immutable" not in response.headers.get("Cache-Control", "")


def test_pip_installs_through_it(site: Site, environment: Environment) -> None:
    pip_install(site.index, "app", environment).expect_ok()
    assert environment.installed() == {"app": "1.1", "lib": "1.2"}


def test_uv_installs_through_it_and_knows_the_age_of_files(site: Site, environment: Environment) -> None:
    """`--exclude-newer` needs the upload times that only the JSON form has to carry."""
    uv_install(site.index, "app", environment, "--exclude-newer", "2024-01-15T00:00:00Z").expect_ok()
    assert environment.installed() == {"app": "1.0", "lib": "1.0"}
