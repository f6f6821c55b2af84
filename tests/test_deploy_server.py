"""What `deploy/` has for the server: nginx in front of `pypim serve`, the service of systemd, the container file."""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import trustme

from tests.sync.mirror import pypim
from tests.test_deploy import DEPLOY, replaced, run
from tests.web.asking import JSON, Answer
from tests.web.process import ServeProcess
from tests.web.uploading import BOUNDARY, CONFIG, Upload, body_of, sdist, wheel

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed (tools/debian.sh installs it)")
SYSTEMD = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
SERVER = "[server]\nroot-path = '/pypi'\naccelerated = '/held'\n"
HOST = "index.example"


class Site:
    """nginx with a certificate, and pypim behind it."""

    def __init__(self, port: int, authority: trustme.CA, server: ServeProcess) -> None:
        self.port = port
        self.server = server
        self.base = f"https://{HOST}:{port}"
        self._context = ssl.create_default_context()
        authority.configure_trust(self._context)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        connection = TlsConnection(self.port, self._context)
        with closing(connection):
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, {"Host": f"{HOST}:{self.port}", **given})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())


class TlsConnection(http.client.HTTPSConnection):
    """To nginx on this machine, which shows the certificate of HOST."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__("127.0.0.1", port, context=context, timeout=30)
        self._tls = context

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=HOST)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    work = tmp_path_factory.mktemp("site")
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    certificate.private_key_pem.write_to_path(str(work / "key.pem"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(work / "chain.pem"), append=True)
    with ServeProcess(work / "server", CONFIG.replace("[server]\n", SERVER)) as server:
        port = free_port()
        pid_file = start_nginx(work, server, port)
        try:
            yield Site(port, authority, server)
        finally:
            os.kill(int(pid_file.read_text()), signal.SIGTERM)


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def start_nginx(work: Path, server: ServeProcess, port: int) -> Path:
    """With the file of `deploy/`, of which only what is marked there is changed."""
    assert NGINX is not None
    text = (DEPLOY / "nginx-server.conf").read_text()
    text = replaced(text, "server 127.0.0.1:8080;", f"server 127.0.0.1:{urlsplit(server.url).port};")
    text = replaced(text, "listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    text = replaced(text, "/etc/ssl/pypim/chain.pem", str(work / "chain.pem"))
    text = replaced(text, "/etc/ssl/pypim/key.pem", str(work / "key.pem"))
    text = replaced(text, "alias /var/lib/pypim/data/;", f"alias {work}/server/data/;")
    (work / "pypim.conf").write_text(text)
    folders = "\n".join(
        f"{kind}_temp_path {work}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (work / "nginx.conf").write_text(
        f"{user}\npid {work}/nginx.pid;\nerror_log {work}/error.log;\nevents {{ }}\n"
        f"http {{\naccess_log off;\n{folders}\ninclude {work}/pypim.conf;\n}}\n"
    )
    command = [NGINX, "-p", str(work), "-e", str(work / "error.log"), "-c", str(work / "nginx.conf")]
    run([*command, "-t"], work)
    run(command, work)
    return work / "nginx.pid"


@pytest.fixture(scope="module")
def uploads(site: Site) -> list[Upload]:
    """What was uploaded through nginx, with a token that an administrator made."""
    made = pypim("-c", site.server.config, "token", "create", "--may", "upload", "--json").expect()
    sent = [wheel("ours", "1.0", payload=600_000), sdist("ours", "1.0"), wheel("ours", "1.1+cu124")]
    for upload in sent:
        answer = site.ask(
            "/pypi/private/legacy/",
            "POST",
            body_of(upload),
            Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
            Authorization=f"Bearer {made.document['token']}",
        )
        assert answer.status == 200, answer
    return sent


# --- nginx ----------------------------------------------------------------------------------------------------------
def path_of(site: Site, filename: str) -> str:
    page = site.ask("/pypi/private/simple/ours/", Accept=JSON)
    urls: list[str] = [file["url"] for file in page.document["files"] if file["filename"] == filename]
    return urlsplit(urljoin(f"{site.base}/pypi/private/simple/ours/", urls[0])).path


@needs_nginx
def test_files_are_sent_by_nginx_with_ranges(site: Site, uploads: list[Upload]) -> None:
    """X-Accel-Redirect: pypim says which file, and nginx sends it; local versions have a plus sign in their names."""
    for upload in uploads:
        path = path_of(site, upload.filename)
        assert path.startswith("/pypi/private/packages/")
        answer = site.ask(path, Accept_Encoding="gzip")
        assert (answer.status, answer.body) == (200, upload.content)
        assert answer.headers["server"].startswith("nginx")
        assert "x-accel-redirect" not in answer.headers
        assert "content-encoding" not in answer.headers
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        part = site.ask(path, Range="bytes=10-19", If_Range=answer.headers["etag"])
        assert (part.status, part.body) == (206, upload.content[10:20])
        assert site.ask(path, If_None_Match=answer.headers["etag"]).status == 304
        head = site.ask(path, "HEAD")
        assert (head.headers["content-length"], head.body) == (str(len(upload.content)), b"")


@needs_nginx
def test_core_metadata_comes_through(site: Site, uploads: list[Upload]) -> None:
    """PEP 658."""
    answer = site.ask(path_of(site, uploads[0].filename) + ".metadata")
    assert answer.status == 200
    assert b"Name: ours" in answer.body


@needs_nginx
@pytest.mark.parametrize("path", ["/held/catalog.sqlite", "/held/", "/private/simple/", "/pypi/../held/catalog.sqlite"])
def test_the_store_is_not_open_to_clients(site: Site, path: str) -> None:
    assert site.ask(path).status == 404


@needs_nginx
def test_addresses_are_those_that_the_client_knows(site: Site, uploads: list[Upload]) -> None:
    """https, the host that was asked for, and the sub-path, as forwarded by a proxy that is trusted."""
    assert uploads
    (index,) = site.ask("/pypi/api/v1/indexes").document["indexes"]
    assert index["simple_url"] == f"{site.base}/pypi/private/simple/"
    assert site.ask("/pypi/private/simple").headers["location"] == "/pypi/private/simple/"
    assert site.ask("/pypi/private/legacy", "POST", b"").headers["location"] == f"{site.base}/pypi/private/legacy/"


@needs_nginx
def test_nobody_becomes_this_machine_by_saying_so(site: Site, uploads: list[Upload]) -> None:
    """The audit log has the address that nginx saw."""
    site.ask("/pypi/api/v1/users", X_Forwarded_For="192.0.2.7")
    log = (site.server.folder / "data" / "audit.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["peer"] == "192.0.2.7"  # nginx itself is on this machine here, and is believed
    site.ask("/pypi/api/v1/users", X_Forwarded_For="127.0.0.1, 192.0.2.8")
    log = (site.server.folder / "data" / "audit.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["peer"] == "192.0.2.8"


# --- systemd --------------------------------------------------------------------------------------------------------
@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    program = Path(sys.executable).with_name("pypim")
    path = tmp_path / "pypim.service"
    path.write_text(replaced((DEPLOY / "pypim.service").read_text(), "=/opt/pypim/bin/pypim ", f"={program} "))
    return path


@needs_systemd
def test_systemd_understands_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_systemd_finds_little_that_the_service_could_harm(unit: Path) -> None:
    """Of 10, where 10 is everything."""
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_unit_waits_longer_than_the_server_does() -> None:
    """Else systemd would kill what the server is still finishing."""
    from pypim.wiring_supervisor import STOP_SECONDS

    found = re.search(r"^TimeoutStopSec=(\d+)$", (DEPLOY / "pypim.service").read_text(), re.MULTILINE)
    assert found is not None
    assert int(found[1]) > STOP_SECONDS


def test_what_the_unit_runs_is_a_command_of_pypim() -> None:
    found = re.search(r"^ExecStart=\S+ (.*)$", (DEPLOY / "pypim.service").read_text(), re.MULTILINE)
    assert found is not None
    done = subprocess.run(
        [sys.executable, "-m", "pypim", *shlex.split(found[1])], capture_output=True, text=True, check=False
    )
    assert "/etc/pypim/pypim.toml: no such file" in done.stderr


# --- the container --------------------------------------------------------------------------------------------------
def instructions() -> list[tuple[str, str]]:
    text = (DEPLOY / "Containerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_container_names_no_registry_and_no_root() -> None:
    found = instructions()
    assert ("ARG", "BASE=python:3.13-slim") in found
    assert {rest.split()[0] for name, rest in found if name == "FROM"} == {"${BASE}"}
    (user,) = [rest for name, rest in found if name == "USER"]
    assert user.isdecimal()
    assert int(user) > 0
    assert ("VOLUME", "/data") in found


def test_the_container_copies_what_is_there() -> None:
    for name, rest in instructions():
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (DEPLOY.parent / source).exists(), source


def test_nothing_but_what_is_copied_is_sent_to_the_builder() -> None:
    taken = {line[1:] for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
    assert taken == {source for sources in copied for source in sources}


def test_the_containers_check_tells_whether_the_server_lives(tmp_path: Path) -> None:
    (check,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    program, *arguments = json.loads(check.partition("CMD ")[2])
    assert program == "python"

    def status(url: str) -> int:
        code = replaced(arguments[1], "http://127.0.0.1:8080", url)
        return subprocess.run([sys.executable, arguments[0], code], capture_output=True, check=False).returncode

    with ServeProcess(tmp_path, CONFIG) as server:
        assert status(server.url) == 0
    assert status(server.url) != 0
