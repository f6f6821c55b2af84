"""A lock that a real tool has made is mirrored to the letter, and the tool installs it from the mirror alone."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.clients.clients import _UV, ClientResult, Environment, pip_install, run
from tests.clients.test_install import web_server
from tests.conftest import ServeWorld
from tests.sync.mirror import files_below, published_in, pypim
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release, sdist, wheel

HERE = f"cp{sys.version_info.major}{sys.version_info.minor}"
WORLD = World.of(
    project("app", release("1.0", requires=["lib>=1", "win-only; sys_platform == 'win32'", "more; extra == 'all'"])),
    project(
        "lib",
        release(
            "1.0", *(wheel(f"{HERE}-{HERE}-{tag}") for tag in ("win_amd64", "macosx_11_0_arm64")), wheel(), sdist()
        ),
        release("2.0a1", wheel(), sdist()),
    ),
    project("win-only", release("3.0", wheel("py3-none-win_amd64"))),
    project("more", "1.0"),
    project("Tool.Box", release("0.4"), release("0.5", wheel(), sdist(), yanked="broken")),
    project("pre", release("1.0"), release("2.0rc1", requires=["more"])),
    project("unasked", "1.0"),
)
PYPROJECT = f"""\
[project]
name = "mine"
version = "0.1"
requires-python = ">=3.{sys.version_info.minor}"
dependencies = ["app[all]", "lib==1.0", "pre==2.0rc1"]
[dependency-groups]
dev = ["tool-box==0.5"]
"""
INSTALLED = {"app": "1.0", "lib": "1.0", "more": "1.0", "pre": "2.0rc1", "tool-box": "0.5"}


def uv(folder: Path, *arguments: str | Path, **variables: str) -> ClientResult:
    """Run uv for the project in a folder."""
    command = [*_UV, "--directory", str(folder), *map(str, arguments), "--no-cache"]
    return run(command, more_environ={"UV_PYTHON": sys.executable, **variables}).expect_ok()


@pytest.fixture
def server(serve: ServeWorld) -> WorldServer:
    return serve(WORLD)


@pytest.fixture
def mine(server: WorldServer, tmp_path: Path) -> Path:
    """A project with a lock that uv has made from the world."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT)
    uv(folder, "lock", "--default-index", server.url, "--quiet")
    return folder


def named_by(lock: dict[str, Any], packages: str) -> dict[str, list[str]]:
    """Project → the names of the files in a TOML lock whose files have a `url`."""
    found = {}
    for package in lock[packages]:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        if files:
            found[package["name"]] = sorted(file["url"].rpartition("/")[2] for file in files)
    return found


def swap_host(file: Path, server: WorldServer, url: str) -> None:
    """The lock as its owner has it after the index moved to another address: paths of files stay as they are."""
    text = file.read_text()
    assert server.url.removesuffix("/simple/") in text
    file.write_text(text.replace(server.url.removesuffix("/simple/"), url.removesuffix("/simple/")))


def test_uv_installs_its_lock_from_the_mirror_of_that_lock(
    server: WorldServer, mine: Path, tmp_path: Path, environment: Environment
) -> None:
    """The files that a lock names are held exactly: also yanked ones, pre-releases, and those for other platforms."""
    mirror = tmp_path / "mirror"
    done = pypim("sync", "-r", mine / "uv.lock", "--to", mirror, "--upstream", server.url).expect()
    assert "mine (the project itself)" in done.stderr
    named = named_by(tomllib.loads((mine / "uv.lock").read_text()), "package")
    assert named["win-only"] == ["win_only-3.0-py3-none-win_amd64.whl"]
    assert len(named["lib"]) == 4
    assert len(named["tool-box"]) == 2
    assert published_in(mirror) == named
    before = files_below(mirror)
    pypim("sync", "--to", mirror).expect()
    assert files_below(mirror) == before
    server.misbehave("*", faults.no_answer())
    server.forget_requests()
    with web_server(mirror) as url:
        swap_host(mine / "uv.lock", server, url)
        uv(mine, "sync", "--frozen", "--default-index", url, UV_PROJECT_ENVIRONMENT=str(environment.folder))
    assert environment.installed() == INSTALLED
    assert not server.requests


def test_uv_installs_a_pylock_from_the_mirror_of_that_pylock(
    server: WorldServer, mine: Path, tmp_path: Path, environment: Environment
) -> None:
    """PEP 751: pylock.NAME.toml is a name of such a file, too."""
    uv(mine, "export", "--frozen", "--format", "pylock.toml", "--output-file", "pylock.ci.toml", "--quiet")
    mirror = tmp_path / "mirror"
    pypim("sync", "-r", mine / "pylock.ci.toml", "--to", mirror, "--upstream", server.url).expect()
    assert published_in(mirror) == named_by(tomllib.loads((mine / "pylock.ci.toml").read_text()), "packages")
    server.misbehave("*", faults.no_answer())
    with web_server(mirror) as url:
        swap_host(mine / "pylock.ci.toml", server, url)
        python = ["--python", str(environment.python)]
        uv(mine, "pip", "sync", "--preview", "pylock.ci.toml", *python)
    assert environment.installed() == INSTALLED


def test_pip_installs_what_uv_has_compiled_with_hashes(
    server: WorldServer, mine: Path, tmp_path: Path, environment: Environment
) -> None:
    """`uv pip compile --generate-hashes`, then `pip install --require-hashes` from the mirror of that file."""
    options = ["--generate-hashes", "--default-index", server.url, "--output-file", "requirements.txt", "--quiet"]
    uv(mine, "pip", "compile", "pyproject.toml", "--group", "dev", *options)
    mirror = tmp_path / "mirror"
    pypim("sync", "-r", mine / "requirements.txt", "--to", mirror, "--upstream", server.url).expect()
    server.misbehave("*", faults.no_answer())
    requirements = [line for line in (mine / "requirements.txt").read_text().splitlines() if "-index" not in line]
    (mine / "requirements.txt").write_text("\n".join(requirements))
    options = ["--require-hashes", "-r", str(mine / "requirements.txt")]
    pip_install(f"{mirror.as_uri()}/simple/", [], environment, *options).expect_ok()
    assert environment.installed() == INSTALLED
