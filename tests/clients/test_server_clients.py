"""Real clients before a running server with an index of every kind: installers, uploaders, a mirror and a parser.

Those that are foreign to us live in .clients/ (`make clients`); without it their tests are skipped.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
import uvicorn

from pypim.web.app import App
from tests.clients.clients import ClientResult, Environment, pip_install, run, uv_install
from tests.sync.mirror import pypim
from tests.web.asking import ask, files_of
from tests.web.serving import RunningServer
from tests.web.serving import _Server as Server
from tests.worlds.server import WorldServer
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.world import World
from tools.clients import is_installed, python_of

KINDS = ["main", "cache", "private", "all"]
UV = str(Path(sys.executable).parent / "uv")
WORLD = World.of(
    project(
        "my.app",
        release("1.0", wheel(), sdist(), requires=["my-lib>=1.0"]),
        release("2.0", wheel(), sdist(), requires=["my-lib>=1.0"], requires_python=">=3.6,<4"),
        release("3.0", wheel(), yanked="breaks <everything>"),
    ),
    project("my-lib", release("1.0+local.1", wheel()), release("1.0", wheel(), sdist())),
)
CONFIG = """
[store]
path = "data"
[server]
default-index = "all"
[upstreams.up]
url = "{url}"
[indexes.main]
upstream = "up"
packages."my.app" = ">=1"
packages.my-lib = ">=1"
[indexes.cache]
kind = "proxy"
upstream = "up"
[indexes.private]
kind = "hosted"
overwrite = "never"
[indexes.all]
kind = "group"
members = ["private", "cache"]
"""


def needs(client: str) -> pytest.MarkDecorator:
    """Skip where the client is not there."""
    return pytest.mark.skipif(not is_installed(client), reason=f"{client} is not in .clients/: run `make clients`")


def foreign(*names: str) -> list[object]:
    return [pytest.param(name, marks=needs(name)) for name in names]


class Scene(NamedTuple):
    url: str
    secure_url: str
    """The same store behind TLS."""
    authority: Path
    """Who signed its certificate."""
    token: str

    def simple(self, kind: str) -> str:
        return f"{self.url}/{kind}/simple/"


class SecureServer(RunningServer):
    """With a certificate of an authority that it makes itself, in ca.pem beside the configuration."""

    def __init__(self, config_path: Path) -> None:
        super().__init__(config_path)
        self._folder = config_path.parent
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self._folder / "ca.pem"))
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(self._folder / "key.pem"))

    async def _serve(self, app: App, listener: socket.socket, tell_started: Callable[[], None]) -> None:
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", ssl_certfile=self._folder / "key.pem"
        )
        self._server = Server(settings, tell_started)
        self.url = self.url.replace("http:", "https:")
        await self._server.serve(sockets=[listener])


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Four indexes with the same files; the hosted one got them by twine."""
    folder = tmp_path_factory.mktemp("server")
    config = folder / "pypim.toml"
    with WorldServer(WORLD) as upstream:
        config.write_text(CONFIG.format(url=upstream.url))
        pypim("-c", config, "sync", "--index", "main").expect()
        with RunningServer(config) as server, SecureServer(config) as secure:
            for file in WORLD.files:
                (folder / file.filename).write_bytes(file.content)
            paths = [str(folder / file.filename) for file in WORLD.files]
            words = ("--index", "private", "--may", "upload", "--may", "yank", "--expires", "1 day", "--json")
            token = pypim("-c", config, "token", "create", *words).expect().document["token"]
            made = Scene(server.url, secure.url, folder / "ca.pem", token)
            target = Target(f"{server.url}/private/legacy/", folder, paths, made.token)
            upload_with_twine(sys.executable, target).expect_ok()
            path = "/api/v1/indexes/private/projects/my-app/3.0/yank"
            body = b'{"reason": "breaks <everything>"}'
            assert ask(server.url + path, "POST", body, Authorization=f"Bearer {made.token}").status == 200
            yield made


# --- installers -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", foreign("pip-newest", "pip-22.3", "pip-21.3"))
def test_every_pip_installs_from_every_kind(scene: Scene, client: str, kind: str, tmp_path: Path) -> None:
    """pip from before JSON (21.3), the first that asks for it (22.3), and the newest."""
    command = [str(python_of(client)), "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    options = ["install", "--no-compile", "--target", str(tmp_path), "--index-url", scene.simple(kind)]
    run([*command, *options, "My_App"]).expect_ok()
    assert {path.name for path in tmp_path.glob("*.dist-info")} == {
        "my_app-2.0.dist-info",
        "my_lib-1.0+local.1.dist-info",
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("install", [pip_install, uv_install])
def test_the_installers_beside_us_do(
    scene: Scene, kind: str, install: Callable[..., ClientResult], tmp_path: Path
) -> None:
    environment = Environment.create(tmp_path / "env")
    install(scene.simple(kind), "my-app", environment).expect_ok()
    assert environment.installed() == {"my-app": "2.0", "my-lib": "1.0+local.1"}


POETRY = """
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = ["my-app (>=1)"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "ours"
url = "{url}"
priority = "primary"
"""
PDM = """
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.11,<4"
dependencies = ["my-app>=1"]
[tool.pdm]
distribution = false
[[tool.pdm.source]]
name = "pypi"
url = "{url}"
verify_ssl = false
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", foreign("poetry", "pdm"))
def test_poetry_and_pdm_lock_from_every_kind(scene: Scene, client: str, kind: str, tmp_path: Path) -> None:
    text = {"poetry": POETRY, "pdm": PDM}[client]
    (tmp_path / "pyproject.toml").write_text(text.format(url=scene.simple(kind)))
    locking = {"poetry": ["-C", str(tmp_path), "lock", "-n"], "pdm": ["lock", "-p", str(tmp_path)]}[client]
    run([str(python_of(client)), "-m", client, *locking], more_environ=quiet(tmp_path)).expect_ok()
    locked = (tmp_path / f"{client}.lock").read_text()
    assert WORLD.file("my_app-2.0-py3-none-any.whl").sha256 in locked
    assert "1.0+local.1" in locked


def quiet(folder: Path) -> dict[str, str]:
    """Variables under which poetry and pdm look at nothing else of this machine."""
    return {
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "POETRY_CONFIG_DIR": str(folder / "config"),
        "POETRY_VIRTUALENVS_CREATE": "false",
        "PDM_CHECK_UPDATE": "false",
        "PDM_PYTHON": sys.executable,
    }


# --- uploaders ------------------------------------------------------------------------------------------------------
class Target(NamedTuple):
    """Where to upload, the folder of the project, the files in it, and the token that lets one do so."""

    url: str
    folder: Path
    paths: list[str]
    token: str


def upload_with_twine(python: str, to: Target) -> ClientResult:
    options = ["--non-interactive", "--disable-progress-bar", "--repository-url", to.url]
    return run([python, "-m", "twine", "upload", *options, "-u", "__token__", "-p", to.token, *to.paths])


def upload_with_uv(_: str, to: Target) -> ClientResult:
    check = to.url.replace("/legacy/", "/simple/")
    return run([UV, "publish", "--publish-url", to.url, "--check-url", check, "--token", to.token, *to.paths])


def upload_with_poetry(python: str, to: Target) -> ClientResult:
    command = [python, "-m", "poetry", "-C", str(to.folder), "publish", "-r", "ours", "-n"]
    more = {**quiet(to.folder), "POETRY_REPOSITORIES_OURS_URL": to.url}
    return run([*command, "-u", "__token__", "-p", to.token], more_environ=more)


def upload_with_pdm(python: str, to: Target) -> ClientResult:
    command = [python, "-m", "pdm", "publish", "-p", str(to.folder), "--no-build", "--repository", to.url]
    return run([*command, "-u", "__token__", "-P", to.token], more_environ=quiet(to.folder))


def upload_with_hatch(python: str, to: Target) -> ClientResult:
    (to.folder / "hatch.toml").touch()
    command = [python, "-m", "hatch", "publish", "-r", to.url, "-u", "__token__", "-a", to.token, "-n", *to.paths]
    return run(command, more_environ={**quiet(to.folder), "HATCH_CONFIG": str(to.folder / "hatch.toml")})


def upload_with_flit(python: str, to: Target) -> ClientResult:
    """flit uploads only what it builds."""
    more = {"FLIT_INDEX_URL": to.url, "FLIT_USERNAME": "__token__", "FLIT_PASSWORD": to.token}
    command = [python, "-m", "flit", "-f", str(to.folder / "pyproject.toml"), "publish"]
    return run(command, more_environ={**more, "SOURCE_DATE_EPOCH": "1700000000"})


UPLOADS = {
    "twine-newest": upload_with_twine,
    "twine-6.1": upload_with_twine,
    "poetry": upload_with_poetry,
    "pdm": upload_with_pdm,
    "hatch": upload_with_hatch,
    "flit": upload_with_flit,
}
PROJECT = """
[build-system]
requires = ["flit_core >=3.11,<5"]
build-backend = "flit_core.buildapi"
[project]
name = "{name}"
version = "1.0"
description = "Uploaded by {client}."
requires-python = ">=3.8"
"""


@pytest.mark.parametrize("place", ["private/legacy/", "legacy/"])
@pytest.mark.parametrize("client", [*foreign(*UPLOADS), "uv"])
def test_every_uploader_uploads_and_may_do_so_again(scene: Scene, client: str, place: str, tmp_path: Path) -> None:
    """Duplicates: identical bytes and name → 200. `/legacy/` is the default index, whose hosted member takes it."""
    name = f"by-{client}-{place.partition('/')[0]}".replace(".", "-")
    world = World.of(project(name, release("1.0", wheel(), sdist())))
    module = name.replace("-", "_")
    (tmp_path / "dist").mkdir()
    (tmp_path / f"{module}.py").write_text(f'"""Uploaded by {client}."""\n__version__ = "1.0"\n')
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(name=name, client=client))
    for file in world.files:
        (tmp_path / "dist" / file.filename).write_bytes(file.content)
    paths = sorted(str(path) for path in (tmp_path / "dist").iterdir())
    upload = UPLOADS.get(client, upload_with_uv)
    for _ in range(2):
        upload(str(python_of(client)), Target(f"{scene.url}/{place}", tmp_path, paths, scene.token)).expect_ok()
        listed = files_of(scene.simple("private") + f"{name}/")
        assert set(listed) == {f"{module}-1.0-py3-none-any.whl", f"{module}-1.0.tar.gz"}
    environment = Environment.create(tmp_path / "env")
    uv_install(scene.simple("all"), name, environment).expect_ok()
    assert environment.installed() == {name: "1.0"}


# --- bandersnatch ---------------------------------------------------------------------------------------------------
BANDERSNATCH = """
[mirror]
directory = {folder}/mirror
master = {url}
json = true
timeout = 30
workers = 3
hash-index = false
stop-on-error = true
api-method = {method}
compare-method = hash
verifiers = 1
[plugins]
enabled = allowlist_project
[allowlist]
packages =
    my-app
    my-lib
"""


@needs("bandersnatch")
@pytest.mark.parametrize("method", ["simple", "xmlrpc"])
@pytest.mark.parametrize("kind", KINDS)
def test_bandersnatch_mirrors_from_us(scene: Scene, kind: str, method: str, tmp_path: Path) -> None:
    """First everything, then nothing; what it has installs without us, and `verify` finds nothing wrong."""
    config = tmp_path / "bandersnatch.conf"
    config.write_text(BANDERSNATCH.format(folder=tmp_path, url=f"{scene.secure_url}/{kind}", method=method))
    program = [str(python_of("bandersnatch").parent / "bandersnatch"), "-c", str(config)]
    trusting = {"SSL_CERT_FILE": str(scene.authority)}
    run([*program, "mirror"], more_environ=trusting).expect_ok()
    packages = tmp_path / "mirror" / "web" / "packages"
    held = {path.name: path for path in packages.rglob("*") if path.is_file() and not path.name.endswith(".metadata")}
    assert {name: path.read_bytes() for name, path in held.items()} == {
        file.filename: file.content for file in WORLD.files if kind != "main" or not file.yanked
    }
    times = {name: path.stat().st_mtime_ns for name, path in held.items()}
    again = run([*program, "mirror"], more_environ=trusting).expect_ok()
    assert "0 packages had changes" in again.stderr + again.stdout
    run([*program, "verify"], more_environ=trusting).expect_ok()
    assert {name: path.stat().st_mtime_ns for name, path in held.items()} == times
    environment = Environment.create(tmp_path / "env")
    pip_install((tmp_path / "mirror" / "web" / "simple").as_uri() + "/", "my-app", environment).expect_ok()
    assert environment.installed()["my-app"] == "2.0"


@needs("bandersnatch")
@pytest.mark.parametrize("method", ["simple", "xmlrpc"])
@pytest.mark.parametrize("kind", ["main", "private"])
def test_bandersnatch_sees_what_is_new(kind: str, method: str, tmp_path: Path) -> None:
    """A serial grows with every upload, and with every sync that changes something."""
    config = tmp_path / "pypim.toml"
    later = WORLD.releasing("my-lib", release("1.2", wheel()))
    with WorldServer(WORLD) as upstream:
        config.write_text(CONFIG.format(url=upstream.url) + "[access]\nopen-on-loopback = true\n")
        with RunningServer(config) as server:

            def offer(world: World) -> None:
                upstream.world = world
                pypim("-c", config, "sync", "--index", "main").expect()
                for file in world.files:
                    path = f"/packages/py3/m/{file.project}/{file.filename}"
                    assert ask(server.url + path, "PUT", file.content).status == 200

            text = BANDERSNATCH.format(folder=tmp_path, url=f"{server.url}/{kind}", method=method)
            (tmp_path / "bandersnatch.conf").write_text(text.replace("[plugins]", "allow-non-https = true\n[plugins]"))
            program = [
                str(python_of("bandersnatch").parent / "bandersnatch"),
                "-c",
                str(tmp_path / "bandersnatch.conf"),
            ]
            for world in (WORLD, later):
                offer(world)
                run([*program, "mirror"]).expect_ok()
                held = {path.name for path in (tmp_path / "mirror" / "web" / "packages").rglob("*.whl")}
                assert ("my_lib-1.2-py3-none-any.whl" in held) == (world is later)
                assert "my_lib-1.0-py3-none-any.whl" in held


# --- pypi-simple ----------------------------------------------------------------------------------------------------
PARSE = """
import json, sys
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple
found = {}
for form, accept in (("html", ACCEPT_HTML_ONLY), ("json", ACCEPT_JSON_ONLY)):
    with PyPISimple(sys.argv[1], accept=accept) as client:
        index = client.get_index_page()
        pages = {}
        for name in sorted(index.projects):
            page = client.get_project_page(name)
            pages[name] = {
                package.filename: [
                    package.project, package.version, package.package_type, package.digests.get("sha256"),
                    package.requires_python, package.is_yanked, package.yanked_reason, bool(package.has_metadata),
                    client.get_package_metadata(package).partition("\\n")[0] if package.has_metadata else None,
                ]
                for package in page.packages
            }
            assert page.repository_version and page.last_serial, page
        found[form] = pages
json.dump(found, sys.stdout)
"""


@needs("pypi-simple")
@pytest.mark.parametrize("kind", KINDS)
def test_pypi_simple_reads_every_page_alike_in_both_forms(scene: Scene, kind: str) -> None:
    done = run([str(python_of("pypi-simple")), "-c", PARSE, scene.simple(kind)]).expect_ok()
    found = json.loads(done.stdout)
    assert found["html"] == found["json"]
    app = found["json"]["my-app"]
    assert app["my_app-2.0-py3-none-any.whl"] == [
        "my_app",
        "2.0",
        "wheel",
        WORLD.file("my_app-2.0-py3-none-any.whl").sha256,
        ">=3.6,<4",
        False,
        None,
        True,
        "Metadata-Version: 2.1",
    ]
