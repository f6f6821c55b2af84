"""What `deploy/` has for the server: real nginx in front of `pypim serve`, the service of systemd, the container file."""

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

from tests.test_deploy import DEPLOY, replaced, run
from tests.web.asking import JSON, Answer
from tests.web.process import ServeProcess
from tests.web.uploading import BOUNDARY, CONFIG, body_of, sdist, wheel

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
def files(site: Site) -> dict[str, dict[str, str]]:
    """What was uploaded through nginx: filename → its entry, with an absolute URL."""
    for upload in (wheel("ours", "1.0", payload=600_000), sdist("ours", "1.0"), wheel("ours", "1.0+cu124")):
        answer = site.ask(
            "/pypi/private/legacy/",
            "POST",
            body_of(upload),
            Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
            # pypim sees that the request came from elsewhere, where the configuration lets only this machine in
            X_Forwarded_For="127.0.0.1",
        )
        assert answer.status in {200, 401}, answer
    return {}
