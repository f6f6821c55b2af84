"""The worlds are real: their archives install, their pages keep the rules, and pip and uv take them as an index."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from packaging.metadata import parse_email
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from tests.clients.clients import (
    Environment,
    pins,
    pip_download,
    pip_install,
    pip_install_from_folder,
    run,
    uv_compile,
    uv_install,
)
from tests.conftest import ServeWorld
from tests.worlds import archives
from tests.worlds.strategies import worlds
from tests.worlds.tree import write_tree
from tests.worlds.world import World, legacy, project, release, sdist, wheel

SMALL = World.of(
    project("app", release("1.0", wheel(console_script="app"), requires=["lib>=1", 'tool; extra == "x"'])),
    project("Lib", "1.0", release("2.0", sdist()), release("3.0", yanked="broken")),
    project("tool", release("3", sdist(metadata_version="2.1"))),
)


def test_the_same_spec_gives_the_same_bytes_in_every_run() -> None:
    spec = SMALL.spec("app").releases[0]
    assert archives.make_archive("app", spec, spec.files[0])[0] == SMALL.files_of("app")[0].content


def test_a_wheel_holds_correct_metadata_and_record() -> None:
    built = SMALL.file("app-1.0-py3-none-any.whl")
    with zipfile.ZipFile(io.BytesIO(built.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("app-1.0.dist-info/METADATA") == built.metadata
        record = archive.read("app-1.0.dist-info/RECORD").decode()
        assert {line.split(",")[0] for line in record.splitlines()} == set(archive.namelist())
    raw, unparsed = parse_email(built.metadata or b"")
    assert not unparsed
    assert raw["requires_dist"] == ["lib>=1", 'tool; extra == "x"']
    assert raw["provides_extra"] == ["x"]


def test_an_sdist_holds_pkg_info_and_pyproject() -> None:
    spec = sdist(metadata_version="2.2", dynamic=["Requires-Dist"], has_static_pyproject=True, requires_txt="b\n")
    world = World.of(project("a-b", release("1.0", spec, requires=["b", 'c>1; extra == "x"'])))
    with tarfile.open(fileobj=io.BytesIO(world.file("a_b-1.0.tar.gz").content)) as archive:
        names = archive.getnames()
        info = archive.extractfile("a_b-1.0/PKG-INFO")
        assert info is not None
        assert b"Dynamic: Requires-Dist" in info.read()
        pyproject = archive.extractfile("a_b-1.0/pyproject.toml")
        assert pyproject is not None
        assert b"x = ['c>1']" in pyproject.read()
    assert "a_b-1.0/a_b.egg-info/requires.txt" in names


def test_every_legacy_kind_has_its_file_name() -> None:
    kinds = ["egg", "wininst", "msi", "rpm", "dumb", "dmg", "deb"]
    world = World.of(project("old", release("1.0", *(legacy(kind) for kind in kinds))))
    assert [built.filename for built in world.files] == [
        "old-1.0-py2.7.egg",
        "old-1.0.win32-py2.7.exe",
        "old-1.0.win32-py2.7.msi",
        "old-1.0-1.noarch.rpm",
        "old-1.0.linux-x86_64.tar.gz",
        "old-1.0-py2.7-macosx10.9.dmg",
        "old-1.0-1_all.deb",
    ]


def test_a_change_raises_the_serial_of_what_changed_only() -> None:
    changed = SMALL.releasing("lib", release("4.0"))
    assert changed.spec("lib").serial == SMALL.serial + 1
    assert changed.spec("app").serial == SMALL.spec("app").serial
    assert [item.version for item in changed.spec("lib").releases] == ["1.0", "2.0", "3.0", "4.0"]
    assert changed.without("LIB").names == ("app", "tool")


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_random_worlds_hold_readable_files_with_names_of_their_own(world: World) -> None:
    filenames = [built.filename for built in world.files]
    assert len(filenames) == len(set(filenames))
    for built in world.files:
        if built.kind == "wheel":
            assert parse_wheel_filename(built.filename)[0] == built.project
            zipfile.ZipFile(io.BytesIO(built.content)).close()
        if built.kind == "sdist":
            assert parse_sdist_filename(built.filename)[0] == built.project


@pytest.mark.parametrize("format_", ["json_1_4", "json_1_0", "html_only"])
def test_pip_installs_a_world_and_builds_its_sdists_offline(
    serve: ServeWorld, environment: Environment, format_: str
) -> None:
    server = serve(SMALL, format=format_)
    pip_install(server.url, "app[x]", environment).expect_ok()
    assert environment.installed() == {"app": "1.0", "lib": "2.0", "tool": "3"}
    assert environment.version_of("lib") == "2.0"
    assert run([str(environment.folder / "bin" / "app")]).stdout == "1.0\n"


@pytest.mark.parametrize("format_", ["json_1_4", "json_1_0", "html_only"])
def test_uv_installs_a_world(serve: ServeWorld, environment: Environment, format_: str) -> None:
    server = serve(SMALL, format=format_)
    uv_install(server.url, "app[x]", environment).expect_ok()
    assert environment.installed() == {"app": "1.0", "lib": "2.0", "tool": "3"}


def test_uv_resolves_for_other_pythons_and_platforms(serve: ServeWorld) -> None:
    only_windows = 'win; sys_platform == "win32"'
    only_new = 'new; python_version >= "3.13"'
    server = serve(project("app", "1.0", requires=[only_windows, only_new]), project("win", "1"), project("new", "1"))
    for version, platform, found in [("3.11", "linux", {"app"}), ("3.13", "windows", {"app", "win", "new"})]:
        compiled = uv_compile(server.url, "app", python_version=version, python_platform=platform)
        assert pins(compiled).keys() == found


def test_a_world_is_also_a_folder(tmp_path: Path, environment: Environment) -> None:
    url = write_tree(SMALL, tmp_path / "tree")
    pip_install(url, "app", environment).expect_ok()
    assert pins(uv_compile(url, "app[x]")) == {"app": "1.0", "lib": "2.0", "tool": "3"}


def test_a_world_is_also_a_flat_folder_and_a_flat_page(
    serve: ServeWorld, tmp_path: Path, environment: Environment
) -> None:
    SMALL.write_flat(tmp_path / "flat")
    pip_install_from_folder(tmp_path / "flat", "lib==2.0", environment).expect_ok()
    flat = f"{serve(SMALL).root}/flat"
    assert pip_download("file:///nowhere", "lib==1.0", tmp_path, "--no-index", "--find-links", flat).expect_ok()
    assert (tmp_path / "lib-1.0-py3-none-any.whl").read_bytes() == SMALL.file("lib-1.0-py3-none-any.whl").content


def test_nothing_of_this_machine_reaches_a_client(serve: ServeWorld, environment: Environment) -> None:
    """A project that is not in the world is not found, whatever this machine's configuration offers."""
    server = serve(project("app", "1.0", requires=["packaging"]))
    assert "packaging" in pip_install(server.url, "app", environment).stderr
    assert not uv_install(server.url, "app", environment).ok
    assert environment.installed() == {}


def test_page_json_says_what_pep_700_and_792_want(serve: ServeWorld) -> None:
    server = serve(project("a", "1.0", status="archived", status_reason="done"))
    got = run(["curl", "-sf", "-H", "Accept: application/vnd.pypi.simple.v1+json", f"{server.url}a/"])
    page = json.loads(got.expect_ok().stdout)
    assert page["meta"]["api-version"] == "1.4"
    assert page["versions"] == ["1.0"]
    assert page["project-status"] == {"status": "archived", "reason": "done"}
    assert page["files"][0]["size"] == next(server.world.files).size
