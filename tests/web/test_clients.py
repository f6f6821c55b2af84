"""Real pip, uv and twine against one running server with an index of every kind."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.clients import Environment, clean_environ, pins, pip_install, uv_compile, uv_install
from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web.asking import JSON, ask, files_of
from tests.web.conftest import Running
from tests.web.serving import RunningServer
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.tree import write_tree
from tests.worlds.world import World, project, release, wheel

PROGRAMS = Path(sys.executable).parent
OURS = World.of(project("mine", release("1.0", wheel(), requires=["lib"])))
NEWER = World.of(project("mine", release("1.1", wheel(), requires=["lib"])))
THEIRS = World.of(
    project("mine", release("9.0", wheel())),
    project("lib", release("1.0", wheel(payload=400_000))),
    project("app", release("1.0", wheel(), requires=["lib", "mine"])),
)
CONFIGURATION = """
[upstreams.up]
url = "{url}"
retries = 0
[server]
default-index = "all"
[indexes.copy]
kind = "mirror"
[indexes.copy.packages]
lib = "latest"
[indexes.cache]
kind = "proxy"
max-age = "1 second"
stale-while-revalidate = "0 seconds"
[indexes.own]
kind = "hosted"
reserve = ["acme-*"]
[indexes.all]
kind = "group"
members = ["own", "cache"]
[indexes.closed]
kind = "hosted"
read = "authenticated"
"""


class Everything:
    """A server with an index of every kind, its upstream, and a token that may do anything."""

    def __init__(self, server: RunningServer, upstream: WorldServer, folder: Path) -> None:
        self.server = server
        self.upstream = upstream
        self.folder = folder
        config = folder / "server" / "pypim.toml"
        made = pypim("-c", config, "token", "create", *["--may", "read", "--may", "upload", "--json"])
        self.token: str = made.expect().document["token"]

    @property
    def url(self) -> str:
        return self.server.url

    def with_token(self, index: str) -> str:
        return f"{self.url.replace('://', f'://__token__:{self.token}@')}/{index}/simple/"

    def upload(self, world: World, index: str) -> None:
        """By twine."""
        tree = self.folder / f"dist-{index}-{len(list(self.folder.iterdir()))}"
        write_tree(world, tree)
        command: list[str | Path] = [PROGRAMS / "twine", "upload", "--non-interactive", "--disable-progress-bar"]
        command += ["--repository-url", f"{self.url}/{index}/legacy/", *tree.rglob("*.whl")]
        variables = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": self.token}
        done = subprocess.run(
            command,
            check=False,
            env={**clean_environ(str(self.folder)), **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def everything(serve: ServeWorld, running: Running, tmp_path: Path) -> Everything:
    upstream = serve(THEIRS)
    server = running(CONFIGURATION.format(url=upstream.url))
    return Everything(server, upstream, tmp_path)


def test_every_kind_installs(everything: Everything, environment: Environment) -> None:
    config = everything.folder / "server" / "pypim.toml"
    pypim("-c", config, "sync", "--index", "copy").expect()
    everything.upload(OURS, "own")
    for index, wanted in (("copy", "lib"), ("cache", "lib"), ("all", "app")):
        uv_install(f"{everything.url}/{index}/simple/", wanted, environment, "--reinstall").expect_ok()
        pip_install(f"{everything.url}/{index}/simple/", wanted, environment, "--force-reinstall").expect_ok()
    assert environment.installed() == {"app": "1.0", "lib": "1.0", "mine": "1.0"}


def test_a_private_name_is_ours_however_new_theirs_is(everything: Everything, environment: Environment) -> None:
    """And nobody ever asks the upstream for a name that is reserved."""
    everything.upload(OURS, "own")
    for install in (uv_install, pip_install):
        install(f"{everything.url}/all/simple/", "mine", environment).expect_ok()
        assert environment.installed()["mine"] == "1.0"
    assert not uv_install(f"{everything.url}/all/simple/", "acme-secret", environment).ok
    assert not everything.upstream.asked("*acme*")
    assert not everything.upstream.asked("/simple/mine/*")


def test_an_upload_is_seen_at_once(everything: Everything) -> None:
    """Case 34: with a warm cache, for the page says that it must be asked for again."""
    everything.upload(OURS, "own")
    assert pins(uv_compile(f"{everything.url}/own/simple/", "mine", "--no-deps")) == {"mine": "1.0"}
    everything.upload(NEWER, "own")
    assert pins(uv_compile(f"{everything.url}/own/simple/", "mine", "--no-deps")) == {"mine": "1.1"}
    headers = ask(f"{everything.url}/own/simple/mine/").headers
    assert headers["cache-control"] == "no-cache"
    assert headers["etag"]


def test_credentials(everything: Everything, environment: Environment) -> None:
    """Cases 37 and 38: a 401 that asks for Basic, and files on the host of the page."""
    everything.upload(NEWER, "closed")
    answer = ask(f"{everything.url}/closed/simple/mine/")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    for install, again in ((uv_install, "--reinstall"), (pip_install, "--force-reinstall")):
        assert not install(f"{everything.url}/closed/simple/", "mine", environment, "--no-deps", again).ok
        install(everything.with_token("closed"), "mine", environment, "--no-deps", again).expect_ok()
    authorization = {"Authorization": f"Bearer {everything.token}"}
    (entry,) = files_of(f"{everything.url}/closed/simple/mine/", **authorization).values()
    assert entry["url"].startswith(f"{everything.url}/closed/packages/")
    assert ask(entry["url"]).status == 401
    held = ask(entry["url"], **authorization)
    assert held.status == 200
    assert "private" in held.headers["cache-control"]


def test_many_at_once_make_one_request(everything: Everything) -> None:
    """Case 75."""
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(f"{everything.url}/cache/simple/lib/", Accept=JSON).status, range(50)))
    assert answers == [200] * 50
    assert len(everything.upstream.asked("/simple/lib/")) == 1


def test_nothing_of_ours_is_lost_with_a_restart(everything: Everything, environment: Environment) -> None:
    """And what was kept of the upstream serves when that is gone."""
    everything.upload(OURS, "own")
    uv_install(f"{everything.url}/all/simple/", "app", environment).expect_ok()
    everything.upstream.misbehave("*", faults.no_answer())
    everything.server.restart()
    uv_install(f"{everything.url}/all/simple/", "app", environment, "--reinstall").expect_ok()
    assert environment.installed() == {"app": "1.0", "lib": "1.0", "mine": "1.0"}
    assert ask(f"{everything.url}/cache/simple/other/").status == 502
