"""Real pip and real uv install from what was published, by `file://` and from a plain web server, and nothing else."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.clients.clients import (
    ClientResult,
    Environment,
    pins,
    pip_download,
    pip_install,
    pip_install_from_folder,
    uv_compile,
    uv_install,
)
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, pypim, pypim_process
from tests.worlds import faults
from tests.worlds.tree import write_tree
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project(
        "Hello.World",
        release("0.9", requires=["dep<2"]),
        release(
            "1.0",
            wheel(console_script="hello-world"),
            requires=[
                "dep>=2",
                "here; python_version >= '3.9'",
                "elsewhere; sys_platform == 'win32'",
                "quick; extra == 'fast'",
            ],
        ),
        release("2.0rc1"),
    ),
    project("dep", "1.0", "2.0", release("3.0", yanked="broken")),
    project("here", release("1.0", wheel("py2.py3-none-any"), requires_python=">=3.6")),
    project("elsewhere", "1.0"),
    project("quick", release("1.0", sdist(), requires=["dep"])),
    project("only-source", release("1.0", sdist(), requires=["dep"])),
)
ALL = {"hello-world": "1.0", "dep": "2.0", "here": "1.0"}

Install = Callable[..., ClientResult]


class _Quiet(SimpleHTTPRequestHandler):
    """The standard library's server of a folder, without its log."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the overridden argument
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The address of a plain web server over a folder, as `python -m http.server` starts it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def sync_here(folder: Path, url: str, *requirements: str) -> None:
    """Mirror for this machine's Python and platform, then cut the way to where it came from."""
    pypim("sync", *requirements, "--to", folder, "--upstream", url).expect()


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
@pytest.mark.parametrize("place", ["file", "web"])
@pytest.mark.parametrize("upstream", ["json_1_4", "html_only"])
def test_a_mirror_installs_with_no_other_index_in_reach(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install, place: str, upstream: str
) -> None:
    """`pip install --index-url file://$PWD/mirror/simple/ flask`; any web server, or `file://`, serves it."""
    silent = {"json_api": False, "dates": False, "sizes": False, "ranges": False, "advertise_metadata": False}
    server = serve(WORLD, format=upstream, **(silent if upstream == "html_only" else {}))
    folder = tmp_path / "mirror"
    sync_here(folder, server.url, "hello-world")
    server.misbehave("*", faults.no_answer())
    server.forget_requests()
    if place == "file":
        install(f"{folder.as_uri()}/simple/", "hello-world", environment).expect_ok()
    else:
        with web_server(folder) as url:
            install(url, "hello-world", environment).expect_ok()
    assert environment.installed() == ALL
    assert environment.version_of("hello_world") == "1.0"
    assert not server.requests


@pytest.mark.parametrize("kind", ["json_1_0", "flat-page", "flat-folder", "folder"])
def test_a_mirror_of_any_upstream_installs(
    serve: ServeWorld, tmp_path: Path, environment: Environment, kind: str
) -> None:
    """JSON 1.0, a page of links, a folder of files, a folder that is an index."""
    mirror = Mirror(tmp_path / "mirror")
    layout = {"layout": "flat"} if kind.startswith("flat") else {}
    if kind == "flat-folder":
        WORLD.write_flat(tmp_path / "theirs")
        url = (tmp_path / "theirs").as_uri()
    elif kind == "folder":
        url = write_tree(WORLD, tmp_path / "theirs")
    else:
        server = serve(WORLD, format="json_1_0")
        url = f"{server.root}/flat/" if kind == "flat-page" else server.url
    # A page of links says nothing of yanked releases.
    rules = {"hello-world": "latest", "dep": "2.0"} if layout else {"hello-world": "latest"}
    mirror.configure(url, upstream=layout, packages=rules, targets={})
    mirror.sync()
    shutil.rmtree(tmp_path / "theirs", ignore_errors=True)
    pip_install(mirror.url, ["hello-world", "dep<3"], environment).expect_ok()
    assert environment.installed() == ALL


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_extras_and_sdists_install(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """What was asked for with its extras; what has no wheel is built from its sdist."""
    sync_here(tmp_path / "mirror", serve(WORLD).url, "hello-world[fast]", "only-source")
    url = f"{(tmp_path / 'mirror').as_uri()}/simple/"
    install(url, ["hello-world[fast]", "only-source"], environment).expect_ok()
    assert environment.installed() == {**ALL, "quick": "1.0", "only-source": "1.0"}


def test_a_console_script_runs(serve: ServeWorld, tmp_path: Path, environment: Environment) -> None:
    sync_here(tmp_path / "mirror", serve(WORLD).url, "hello-world")
    pip_install(f"{(tmp_path / 'mirror').as_uri()}/simple/", "hello-world", environment).expect_ok()
    script = environment.folder / "bin" / "hello-world"
    assert environment.run(str(script)).expect_ok().stdout.strip() == "1.0"


def test_every_target_finds_what_it_needs(serve: ServeWorld, tmp_path: Path) -> None:
    """Several targets in one mirror: uv resolves for each, pip downloads for each, from this index alone."""
    world = World.of(
        project(
            "native",
            release("1.0", wheel("cp311-cp311-manylinux_2_17_x86_64"), wheel("cp313-cp313-win_amd64")),
            release(
                "2.0",
                wheel("cp313-cp313-manylinux_2_17_x86_64"),
                wheel("cp313-cp313-macosx_11_0_arm64"),
                requires=["only-new; python_version >= '3.13'", "colour; sys_platform == 'win32'"],
                requires_python=">=3.12",
            ),
            release("3.0", wheel("cp314-cp314-win_arm64")),
        ),
        project("only-new", release("1.0", requires_python=">=3.13")),
        project("colour", "1.0"),
    )
    targets = {
        "old": {"python": ["3.11"], "platforms": ["linux"]},
        "new": {"python": ["3.13"], "platforms": ["linux", "macos", "windows"]},
    }
    mirror = Mirror(tmp_path / "mirror")
    mirror.configure(serve(world).url, packages={"native": "latest"}, targets=targets)
    mirror.sync()
    for version, platform, expected in (
        ("3.11", "x86_64-manylinux_2_28", {"native": "1.0"}),
        ("3.13", "x86_64-manylinux_2_28", {"native": "2.0", "only-new": "1.0"}),
        ("3.13", "aarch64-apple-darwin", {"native": "2.0", "only-new": "1.0"}),
    ):
        chosen = uv_compile(
            mirror.url, "native", "--only-binary", ":all:", python_version=version, python_platform=platform
        )
        assert pins(chosen) == expected
    pip_download(
        mirror.url,
        "native",
        tmp_path / "wheels",
        *("--only-binary", ":all:", "--python-version", "3.13", "--platform", "win_amd64"),
    ).expect_ok()
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == ["native-1.0-cp313-cp313-win_amd64.whl"]


@pytest.mark.parametrize("install", [pip_install, uv_install], ids=["pip", "uv"])
def test_hashes_of_a_lock_file_hold(
    serve: ServeWorld, tmp_path: Path, environment: Environment, install: Install
) -> None:
    """Requirements with hashes install from the mirror as they would from the upstream."""
    lines = [
        f"{name}=={version} --hash=sha256:{WORLD.file(filename).sha256}"
        for name, version, filename in (
            ("hello-world", "1.0", "hello_world-1.0-py3-none-any.whl"),
            ("dep", "2.0", "dep-2.0-py3-none-any.whl"),
            ("here", "1.0", "here-1.0-py2.py3-none-any.whl"),
        )
    ]
    locked = tmp_path / "locked.txt"
    locked.write_text("\n".join(lines) + "\n")
    outcome = pypim("sync", "-r", locked, "--to", tmp_path / "mirror", "--upstream", serve(WORLD).url)
    outcome.expect()
    url = f"{(tmp_path / 'mirror').as_uri()}/simple/"
    install(url, [], environment, "--require-hashes", "-r", str(locked)).expect_ok()
    assert environment.installed() == ALL


def test_what_could_be_had_installs_though_something_failed(
    serve: ServeWorld, tmp_path: Path, environment: Environment
) -> None:
    """With --keep-going exit 1: the rest is published and installs."""
    server = serve(WORLD)
    server.misbehave("*/only_source-1.0.tar.gz", faults.wrong_bytes())
    arguments = ("hello-world", "only-source", "--to", tmp_path / "mirror", "--upstream", server.url, "--keep-going")
    assert "only_source-1.0.tar.gz" in pypim("sync", *arguments).expect(1).stdout
    url = f"{(tmp_path / 'mirror').as_uri()}/simple/"
    pip_install(url, "hello-world", environment).expect_ok()
    assert not pip_install(url, "only-source", environment).ok


def test_the_whole_way_as_a_user_goes_it(serve: ServeWorld, tmp_path: Path, environment: Environment) -> None:
    """The program as its own process, in an empty folder, with a requirements file; then pip over the web."""
    (tmp_path / "requirements.txt").write_text("hello-world==0.9\n")
    server = serve(WORLD)
    place = ("--to", "mirror", "--upstream", server.url)
    outcome = pypim_process("sync", "-r", "requirements.txt", "here", *place, cwd=tmp_path).expect()
    assert "fetched 3 files" in outcome.stdout
    with web_server(tmp_path / "mirror") as url:
        pip_install(url, ["hello-world", "here"], environment).expect_ok()
    assert environment.installed() == {"hello-world": "0.9", "dep": "1.0", "here": "1.0"}


def test_the_files_of_a_mirror_install_from_a_folder(
    serve: ServeWorld, tmp_path: Path, environment: Environment
) -> None:
    """`packages/` holds plain files under their own names."""
    sync_here(tmp_path / "mirror", serve(WORLD).url, "hello-world")
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (tmp_path / "mirror" / "packages").rglob("*.whl"):
        shutil.copy(path, flat)
    pip_install_from_folder(flat, "hello-world", environment).expect_ok()
    assert environment.installed() == ALL
