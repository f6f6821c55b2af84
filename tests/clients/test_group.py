"""Dependency confusion: a private name that also exists upstream, asked for with real pip and real uv."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.clients import ClientResult, Environment, pip_install, uv_install
from tests.conftest import ServeWorld
from tests.web.asking import ask
from tests.web.serving import RunningServer
from tests.worlds.specs import project, release, wheel
from tests.worlds.world import World

THEIRS = World.of(
    project("acme-tool", release("99.0", wheel())),
    project("acme-late", release("99.0", wheel())),
    project("flask", release("1.0", wheel())),
)
OURS = World.of(
    project("acme-tool", release("1.0", wheel())),
    project("acme-late", release("1.0", wheel())),
    project("acme-app", release("1.0", requires=["acme-tool"])),
)
CONFIG = """
[store]
path = "data"
[access]
open-on-loopback = true
[upstreams.up]
url = "{url}"
[indexes.private]
kind = "hosted"
reserve = ["acme-*"]
[indexes.cache]
kind = "proxy"
upstream = "up"
[indexes.all]
kind = "group"
members = {members}
"""


@pytest.mark.parametrize("members", ['["private", "cache"]', '["cache", "private"]'])
@pytest.mark.parametrize("install", [pip_install, uv_install])
def test_ours_is_installed_and_nothing_while_ours_fails(
    install: Callable[..., ClientResult], members: str, serve: ServeWorld, tmp_path: Path
) -> None:
    """A higher version upstream is never seen; a hosted member that cannot be read is no reason to look elsewhere."""
    upstream = serve(THEIRS)
    config = tmp_path / "pypim.toml"
    config.write_text(CONFIG.format(url=upstream.url, members=members))
    with RunningServer(config) as server:
        for file in OURS.files:
            path = f"{server.url}/packages/py3/a/{file.project}/{file.filename}"
            assert ask(path, "PUT", file.content).status == 200
        index = f"{server.url}/all/simple/"
        environment = Environment.create(tmp_path / "env")
        install(index, "acme-app", environment).expect_ok()
        assert environment.installed() == {"acme-app": "1.0", "acme-tool": "1.0"}
        install(index, "flask", environment).expect_ok()
        assert not install(index, "acme-secret", Environment.create(tmp_path / "env2")).ok, "reserved: nobody has it"
        with sqlite3.connect(tmp_path / "data" / "catalog.sqlite") as catalog:
            catalog.execute("ALTER TABLE hosted_files RENAME TO lost")
        assert ask(f"{index}acme-late/").status >= 500
        environment = Environment.create(tmp_path / "env3")
        hurried = ["--retries=0"] if install is pip_install else []
        failed = install(index, "acme-late", environment, *hurried)
        assert not failed.ok
        assert environment.installed() == {}
        with sqlite3.connect(tmp_path / "data" / "catalog.sqlite") as catalog:
            catalog.execute("ALTER TABLE lost RENAME TO hosted_files")
        install(index, "acme-late", environment).expect_ok()
        assert environment.installed() == {"acme-late": "1.0"}, "it heals without a restart"
        assert upstream.asked("*acme*") == []
