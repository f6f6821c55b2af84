"""Real clients with users and tokens: uploads, installs, no way around a refusal, and uploads that CI vouches for."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.clients.clients import _PIP, _UV, ClientResult, Environment, clean_environ, run
from tests.sync.mirror import pypim
from tests.web.asking import files_of
from tests.web.issuer import Issuer
from tests.web.serving import RunningServer
from tests.worlds.archives import archive_of
from tests.worlds.specs import FileSpec, ReleaseSpec

CONFIGURATION = """
[indexes.internal]
kind = "hosted"
read = "authenticated"
[indexes.public]
kind = "hosted"
[access]
failures-per-minute = 100000
[access.publishers.ci]
issuer = "{issuer}"
audience = "pypim"
claims = {{ repository = "acme/widgets" }}
index = "internal"
projects = ["acme-*"]
"""
CONFUSING = "9.9"


def wheel(folder: Path, project: str, version: str) -> Path:
    spec = FileSpec()
    content, _ = archive_of(project, ReleaseSpec(version=version, files=(spec,)), spec)
    path = folder / f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
    path.write_bytes(content)
    return path


class House:
    """A server with a private index, and a public one on which somebody has taken a private name."""

    def __init__(self, folder: Path, issuer: str) -> None:
        self.folder = folder
        self.config = folder / "pypim.toml"
        self.config.write_text(CONFIGURATION.format(issuer=issuer))
        self.token = self.create("--index", "internal", "--project", "acme-*", "--may", "upload", "--may", "read")
        self.reader = self.create("--index", "internal", "--may", "read")
        self.elsewhere = self.create("--index", "public", "--may", "read", "--may", "upload")
        self.server = RunningServer(self.config)

    @property
    def host(self) -> str:
        return self.server.url.partition("//")[2]

    def create(self, *arguments: str) -> str:
        return pypim("-c", self.config, "token", "create", *arguments).expect().stdout.strip()

    def index(self, name: str = "internal", password: str | None = None) -> str:
        who = "" if password is None else f"__token__:{password}@"
        return f"http://{who}{self.host}/{name}/simple/"

    def twine(self, file: Path, password: str, name: str = "internal") -> ClientResult:
        command = [sys.executable, "-m", "twine", "upload", "--non-interactive", "--disable-progress-bar"]
        repository = f"{self.server.url}/{name}/legacy/"
        environ = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": password}
        return run([*command, "--repository-url", repository, str(file)], more_environ=environ)

    def uv_publish(self, file: Path, password: str) -> ClientResult:
        command = [*_UV, "publish", "--publish-url", f"{self.server.url}/internal/legacy/", "--no-attestations"]
        return run([*command, "--trusted-publishing", "never", str(file)], more_environ={"UV_PUBLISH_TOKEN": password})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as made:
        yield made


@pytest.fixture
def house(tmp_path: Path, issuer: Issuer) -> Iterator[House]:
    folder = tmp_path / "server"
    folder.mkdir()
    made = House(folder, issuer.url)
    with made.server:
        made.twine(wheel(tmp_path, "acme-app", "1.0"), made.token).expect_ok()
        made.twine(wheel(tmp_path, "acme-app", CONFUSING), made.elsewhere, "public").expect_ok()
        yield made


@pytest.mark.parametrize("client", ["twine", "uv"])
def test_an_upload_needs_a_token_for_it(house: House, tmp_path: Path, client: str) -> None:
    publish = house.twine if client == "twine" else house.uv_publish
    file = wheel(tmp_path, "acme-app", "2.0")
    for password in (house.reader, house.elsewhere, "wrong", house.token[:-1]):
        refused = publish(file, password)
        assert not refused.ok
        assert "403" in refused.stdout + refused.stderr
    assert not publish(wheel(tmp_path, "other", "1.0"), house.token).ok
    publish(file, house.token).expect_ok()
    assert "acme_app-2.0-py3-none-any.whl" in files_of(
        f"{house.index()}acme-app/", Authorization=f"Bearer {house.reader}"
    )


def test_pip_and_uv_install_with_a_token(house: House, environment: Environment) -> None:
    """Case 38: credentials in the index's address also go with the files, for they are on the same host.

    As well in netrc, and for uv in the variables of its index.
    """
    host, _, _ = house.host.partition(":")
    netrc = house.folder / "netrc"
    netrc.write_text(f"machine {host} login __token__ password {house.reader}\n")
    netrc.chmod(0o600)
    pip = [*_PIP, "--python", str(environment.python), "install", "--no-compile", "--force-reinstall", "--index-url"]
    uv = [*_UV, "pip", "install", "--python", str(environment.python), "--reinstall"]
    named = {"UV_INDEX_INTERNAL_USERNAME": "__token__", "UV_INDEX_INTERNAL_PASSWORD": house.reader}
    calls: list[tuple[list[str], dict[str, str]]] = [
        ([*pip, house.index(password=house.reader), "acme-app"], {}),
        ([*pip, house.index(), "acme-app"], {"NETRC": str(netrc)}),
        ([*uv, "--default-index", house.index(password=house.reader), "acme-app"], {}),
        ([*uv, "--default-index", house.index(), "acme-app"], {"NETRC": str(netrc)}),
        ([*uv, "--index", f"internal={house.index()}", "--default-index", house.index("public"), "acme-app"], named),
    ]
    for command, environ in calls:
        done = run(command, more_environ=environ).expect_ok()
        assert environment.installed() == {"acme-app": "1.0"}
        assert house.reader not in done.stdout + done.stderr


@pytest.mark.parametrize("password", [None, "wrong", "elsewhere"])
def test_uv_takes_no_other_index_for_one_that_refuses(
    house: House, environment: Environment, password: str | None
) -> None:
    """Protocol 1.8: 401 and 403 stop uv's search. The public index has a higher version of the private name."""
    shown = {None: None, "wrong": house.token[:-1] + "_", "elsewhere": house.elsewhere}[password]
    command = [*_UV, "pip", "install", "--python", str(environment.python), "--index", house.index(password=shown)]
    assert not run([*command, "--default-index", house.index("public"), "acme-app"]).ok
    assert environment.installed() == {}


def test_pip_with_the_one_index_gets_nothing_without_credentials(house: House, environment: Environment) -> None:
    """Case 37: no credentials where they are needed: a 401, at which pip gives up."""
    for password in (None, "wrong", house.elsewhere):
        command = [*_PIP, "--python", str(environment.python), "install", "--index-url", house.index(password=password)]
        assert not run([*command, "acme-app"]).ok
    assert environment.installed() == {}


@contextmanager
def ci_service(issuer: Issuer, **claims: Any) -> Iterator[dict[str, str]]:
    """What a build of GitHub's CI finds in its environment: where it gets its identity, and what it shows for it."""
    audiences = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            audience = self.path.partition("audience=")[2]
            audiences.append(audience)
            body = b'{"value": "%s"}' % issuer.token(aud=audience, jti=str(time.monotonic_ns()), **claims).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the class's own name for it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the runner",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"http://127.0.0.1:{server.server_address[1]}/token?api-version=2.0",
        }
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving_tls(config: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """`pypim serve` with a certificate: (URL, how a client comes to trust it). uv asks for tokens over TLS only."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    folder = config.parent
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = config.read_text()
    config.write_text(text + '[server]\nhost = "127.0.0.1"\ntls-certificate = "server.pem"\ntls-key = "key.pem"\n')
    command = [sys.executable, "-m", "pypim", "-c", str(config), "serve", "--port", str(port)]
    server = subprocess.Popen(command, cwd=folder, env=clean_environ(str(folder)), stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"https://localhost:{port}", {"SSL_CERT_FILE": str(folder / "ca.pem")}
    finally:
        server.terminate()
        server.wait(30)


def wait_for(port: int) -> None:
    """Until something listens there."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < until, "the server did not start"
        else:
            return


def test_uv_publishes_from_ci_without_a_secret(tmp_path: Path, issuer: Issuer) -> None:
    """The build of the right repository gets a token for minutes; another build gets none."""
    folder = tmp_path / "server"
    folder.mkdir()
    house = House(folder, issuer.url)
    with serving_tls(house.config) as (url, trust):

        def publish(file: Path, environ: dict[str, str]) -> ClientResult:
            command = [*_UV, "publish", "--publish-url", f"{url}/internal/legacy/", "--no-attestations"]
            return run([*command, "--trusted-publishing", "always", str(file)], more_environ={**trust, **environ})

        with ci_service(issuer) as environ:
            publish(wheel(tmp_path, "acme-app", "3.0"), environ).expect_ok()
            assert not publish(wheel(tmp_path, "other", "1.0"), environ).ok
        with ci_service(issuer, repository="mallory/widgets") as environ:
            refused = publish(wheel(tmp_path, "acme-app", "4.0"), environ)
    listed = pypim("-c", house.config, "token", "list").expect().stdout
    assert listed.count("publisher ci") == 2
    assert "no corresponding publisher" in refused.stdout + refused.stderr
