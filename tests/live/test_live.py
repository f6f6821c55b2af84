"""The real index, through the preset: what is mirrored from it installs with no other index.

About 35 projects in all. Never anything that needs the index's list of all projects: no `update`, no patterns.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.clients.clients import Environment, pins, pip_install, run, uv_compile, uv_install
from tests.sync.mirror import Document, pypim, report_of

pytestmark = pytest.mark.live

UPSTREAM_FAULT = 6
ROOTS = ("requests[socks]", "django", "uvicorn[standard]", "numpy", "cryptography")
PYTHONS = ("3.11", "3.13")
PLATFORMS = ("linux", "windows", "macos")
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: whoever wants to leave this machine fails."""


class Mirrored(NamedTuple):
    """A mirror, and what the sync that made it reported."""

    folder: Path
    report: Document
    arguments: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"{self.folder.as_uri()}/simple/"


@pytest.fixture(scope="module")
def reachable(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where the index cannot be reached; any other fault is a fault."""
    plan = pypim("plan", "flask", "--no-deps", "--to", tmp_path_factory.mktemp("reachable"), "--json")
    if plan.status == UPSTREAM_FAULT:
        pytest.skip(f"the real index cannot be reached: {plan.error['message']}")
    plan.expect()


def mirrored(folder: Path, *arguments: str) -> Mirrored:
    report = report_of(pypim("sync", *arguments, "--to", folder, "--json").expect())
    return Mirrored(folder, report, arguments)


@pytest.fixture(scope="module")
def flask(reachable: None, tmp_path_factory: pytest.TempPathFactory) -> Mirrored:
    return mirrored(tmp_path_factory.mktemp("flask"), "flask")


@pytest.fixture(scope="module")
def machines(reachable: None, tmp_path_factory: pytest.TempPathFactory) -> Mirrored:
    """Five roots for two Pythons on three platforms."""
    targets = [f"--python={python}" for python in PYTHONS] + [f"--platform={name}" for name in PLATFORMS]
    return mirrored(tmp_path_factory.mktemp("machines"), *ROOTS, *targets)


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """What tells whether a file of the tree was written again."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns, path.stat().st_size)
        for part in ("simple", "packages")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", ["flask", "machines"])
def test_a_second_sync_downloads_no_file_and_rewrites_no_page(name: str, request: pytest.FixtureRequest) -> None:
    mirror: Mirrored = request.getfixturevalue(name)
    before = stamps(mirror.folder)
    assert before
    report = report_of(pypim("sync", "--to", mirror.folder, "--json").expect())
    assert (report["outcome"], report["fetched_files"], report["pages_written"]) == ("unchanged", 0, 0)
    assert stamps(mirror.folder) == before


def test_every_wheel_has_its_metadata_and_every_file_what_clients_ask_for(machines: Mirrored) -> None:
    """The size and the sha256 of each file, and its upload time, for this upstream tells it."""
    files = [path for path in (machines.folder / "packages").rglob("*") if path.is_file()]
    wheels = [path for path in files if path.suffix == ".whl"]
    assert wheels
    assert all(path.with_name(path.name + ".metadata").is_file() for path in wheels)
    for page in (machines.folder / "simple").glob("*/index.html"):
        for link in re.findall(r"<a .*</a>", page.read_text()):
            assert re.search(r"#sha256=[0-9a-f]{64}", link)
            assert "data-size=" in link
            assert "data-upload-time=" in link


@pytest.mark.parametrize("client", ["pip", "uv"])
def test_flask_installs_and_runs_with_nothing_else_in_reach(
    client: str, flask: Mirrored, environment: Environment
) -> None:
    if client == "pip":
        pip_install(flask.url, "flask", environment, "--proxy", NOWHERE).expect_ok()
    else:
        uv_install(flask.url, "flask", environment, "--offline").expect_ok()
    said = environment.run("-c", "import flask; print(flask.Flask('live').name)").expect_ok()
    assert said.stdout.strip() == "live"
    assert environment.installed().keys() >= {"flask", "werkzeug", "jinja2", "markupsafe", "click", "itsdangerous"}


def cases() -> Iterator[tuple[str, str, str]]:
    for root in ROOTS:
        for python in PYTHONS:
            for machine in PLATFORMS:
                yield root, python, machine


@pytest.mark.parametrize(("root", "python", "machine"), list(cases()))
def test_every_root_resolves_for_every_target(root: str, python: str, machine: str, machines: Mirrored) -> None:
    """What a complete resolver finds in the mirror alone; wheels only, for nothing can be built for other machines."""
    compiled = uv_compile(
        machines.url, root, "--offline", "--only-binary", ":all:", python_version=python, python_platform=machine
    )
    assert root.partition("[")[0] in pins(compiled)


def test_all_roots_install_together_on_this_machine(machines: Mirrored, environment: Environment) -> None:
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here not in PYTHONS or sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip(f"the mirror is not for Python {here} on {sys.platform} {platform.machine()}")
    pip_install(machines.url, ROOTS, environment, "--proxy", NOWHERE).expect_ok()
    script = "import requests, socks, django, uvicorn, httptools, numpy; from cryptography.fernet import Fernet"
    run([str(environment.python), "-I", "-c", script]).expect_ok()


def test_the_reasons_of_a_real_mirror_lead_to_its_roots(machines: Mirrored) -> None:
    why = pypim("why", "pycparser", "--to", machines.folder, "--json").expect().document
    assert any(
        chain["links"][0]["requirement"] == "cryptography"
        for kept in why["kept"]
        for chain in kept["release"]["chains"]
    )
    pypim("verify", "--to", machines.folder).expect()
