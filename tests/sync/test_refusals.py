"""Exit statuses: every way in which a run is refused names the place and the remedy, and leaves nothing half done."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, files_below, pypim, pypim_process
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

WORLD = World.of(project("app", "1.0", requires=["lib"]), project("lib", "1.0"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[indexes.main]\npackages = { app = "latest" }\ntarget = ["x"]\n', 3, "targets"),
        ('[indexes.main]\n[indexes.main.packages]\napp = ">=1,<"\n', 3, ">=1,<"),
        ('[indexes.main]\n[indexes.main.packages]\napp = ["latest", "0 latest"]\n', 3, "1 or more"),
        ('[targets.x]\npython = ["3.12"]\nplatforms = ["solaris"]\n[indexes.main]\n', 3, "solaris"),
        ('[indexes.main]\ntargets = ["nowhere"]\n', 2, "nowhere"),
        ('[indexes.main]\non-removal = "burn"\n', 2, "burn"),
        ('[indexes.main.filters]\nexclude = ["ok", "a b"]\n', 2, "a b"),
        ('[indexes.main.filters]\nmax-file-size = "1 parsec"\n', 2, "parsec"),
        ('[indexes.main.patterns]\n"(" = "latest"\n', 2, "("),
        ('[indexes.main]\nkind = "mirror"\n[indexes.main\n', 3, ""),
        ('[upstreams.x]\nurl = "gopher://index.example/"\n[indexes.main]\n', 2, "gopher"),
        ('[indexes.main]\nrequirements = ["gone.txt"]\n', 2, "gone.txt"),
    ],
)
def test_a_fault_of_the_configuration_is_named_with_its_line(mirror: Mirror, text: str, line: int, words: str) -> None:
    """Exit 2; nothing is made."""
    mirror.write(text)
    for command in ("sync", "plan", "list", "status"):
        if words == "gone.txt" and command in {"list", "status"}:
            continue
        error = mirror.run(command, "--json").expect(2).error
        assert words in error["message"], error
        assert f"{mirror.config}:{line}: " in error["message"]
    assert [path.name for path in mirror.folder.iterdir()] == ["pypim.toml"]


def test_every_fault_is_reported_at_once(mirror: Mirror) -> None:
    mirror.write('[indexes.main]\nbogus = 1\non-removal = "burn"\n[indexes.main.packages]\napp = "^1"\nlib = "=1"\n')
    message = mirror.run("sync", "--json").expect(2).error["message"]
    assert [f"pypim.toml:{n}:" in message for n in (2, 3, 5, 6)] == [True] * 4


def test_a_requirement_that_cannot_be_read_is_named_with_file_and_line(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(WORLD).url, requirements=["wanted.txt"])
    (mirror.folder / "wanted.txt").write_text("# fine\napp\napp ==\n")
    error = mirror.refuses(status=2)
    assert "wanted.txt:3" in error["message"]
    assert not mirror.tree.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "app ==", "--to", "d"),
        ("sync", "app", "--to", "d", "--platform", "solaris"),
        ("sync", "app", "--to", "d", "--python", "twelve"),
        ("sync", "app", "--to", "d", "--format", "zip"),
        ("sync", "app", "--to", "d", "--jobs", "0"),
        ("sync", "app", "--to", "d", "--binary-only", "--source-only"),
        ("sync", "app", "--to", "d", "--upstream", "gopher://index.example/"),
        ("sync", "app", "--to", "d", "--exclude", "a b"),
        ("sync", "app", "--to", "d", "-r", "nowhere.txt"),
        ("-c", "pypim.toml", "sync", "--to", "d"),
        ("sync", "app", "--replace"),
        ("sync", "--no-such-option"),
        ("no-such-command",),
        ("why-not", "a b c", "--to", "d"),
        ("sync", "app", "--to", ""),
        ("list", "--to", " "),
        ("sync", "app", "--to", "d", "--upstream", ""),
        ("sync", "app", "--to", "d", "--upstream", "http://index.example:port/simple/"),
        ("sync", "app", "--to", "d", "--upstream", "http://index.example:99999/simple/"),
        ("sync", "app", "--to", "d", "--upstream", "http://index example/simple/"),
        ("sync", "app", "--to", "d", "--upstream", "file://server/simple/"),
        ("-c", "", "list"),
        (),
    ],
    ids=" ".join,
)
def test_arguments_that_cannot_be_used_are_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Exit 2, and a next step."""
    outcome = pypim_process(*arguments, cwd=tmp_path)
    assert outcome.status in {2, 3 if arguments[:1] == ("why-not",) else 2}, outcome
    assert "Traceback" not in outcome.stderr
    assert outcome.stderr.strip()
    assert list(tmp_path.iterdir()) == []
    if arguments:
        document = pypim_process(*arguments, "--json", cwd=tmp_path).error
        assert document["message"]


@pytest.mark.parametrize("address", ["ftp://index.example/", "http://", "https://index.example:x/"])
def test_an_address_that_cannot_be_used_is_named_without_its_password(tmp_path: Path, address: str) -> None:
    error = pypim_process("sync", "app", "--to", "d", "--upstream", address, "--json", cwd=tmp_path).expect(2).error
    assert f"--upstream {address}: " in error["message"]
    secret = address.replace("://", "://me:hidden@")
    outcome = pypim_process("sync", "app", "--to", "d", "--upstream", secret, "--json", cwd=tmp_path).expect(2)
    assert "hidden" not in outcome.stderr + outcome.stdout


def test_a_project_that_the_upstream_does_not_have_is_not_found(serve: ServeWorld, tmp_path: Path) -> None:
    """Exit 3, with who wanted it."""
    server = serve(WORLD)
    for arguments in (["nowhere"], ["app", "No.Where[x]>=1"]):
        outcome = pypim("sync", *arguments, "--to", tmp_path / "d", "--upstream", server.url, *LINUX_OPTIONS, "--json")
        error = outcome.expect(3).error
        assert "where" in error["message"].lower()
        assert "command line" in error["message"] or "requirements.txt" in error["message"]
        assert "--keep-going" in error["hint"]
    assert not (tmp_path / "d" / "simple").exists()


def test_a_release_that_no_target_can_use_cannot_be_resolved(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 9, with the reason: tags, Requires-Python, yanked, no such version."""
    world = World.of(
        project("win", release("1.0", wheel("cp312-cp312-win_amd64"))),
        project("new", release("1.0", requires_python=">=3.99")),
        project("old", "1.0"),
        project("empty"),
    )
    url = serve(world).url
    for name, rule, reason in (
        ("win", "latest", "wheel tags"),
        ("new", "latest", "Requires-Python"),
        ("old", ">=2", "the newest is 1.0"),
        ("empty", "latest", "no distribution file"),
    ):
        mirror.configure(url, packages={name: rule})
        error = mirror.refuses(status=9)
        assert reason in error["message"]
        assert f"packages.{name}" in error["message"]


def test_a_second_sync_at_once_is_told_who_holds_the_store(serve: ServeWorld, tmp_path: Path) -> None:
    """Exit 8. Two syncs of one store do not run at once; reading goes on meanwhile."""
    server, gate = serve(WORLD), threading.Event()
    folder = tmp_path / "d"
    arguments = ("sync", "app", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS)
    pypim(*arguments).expect()
    server.misbehave("/simple/app/", faults.hold(gate), times=1)
    server.options.etags = False
    with _running(*arguments, cwd=tmp_path) as first:
        while not server.asked("/simple/app/")[1:]:
            assert first.poll() is None
        error = pypim("sync", "--to", folder, "--json").expect(8).error
        assert error["code"] == "locked"
        assert f"pid {first.pid} on " in error["message"]
        assert "sync app" in error["message"]
        assert error["hint"]
        pypim("list", "--to", folder).expect()
        pypim("status", "--to", folder).expect()
        gate.set()
        assert first.wait(30) == 0
    pypim("sync", "--to", folder).expect()


@contextmanager
def _running(*arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "pypim", *map(str, arguments)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_run_that_is_interrupted_says_so_and_has_lost_nothing(serve: ServeWorld, tmp_path: Path) -> None:
    """Exit 130, without a traceback; the next run goes on from there."""
    server, gate = serve(WORLD), threading.Event()
    server.misbehave("*/lib-1.0*.whl", faults.hold(gate))
    arguments = ("sync", "app", "--to", tmp_path / "d", "--upstream", server.url, *LINUX_OPTIONS)
    with _running(*arguments, cwd=tmp_path) as process:
        while not server.asked("*/lib-1.0*.whl"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(30) == 130
    gate.set()
    assert "Traceback" not in said
    assert "interrupted" in said
    server.behave()
    pypim("sync", "--to", tmp_path / "d").expect()
    pypim("verify", "--to", tmp_path / "d").expect()


@pytest.mark.parametrize("place", ["a-file", "below-a-file", "proc"])
def test_a_folder_that_cannot_be_written(serve: ServeWorld, tmp_path: Path, place: str) -> None:
    """Exit 8, with the path."""
    (tmp_path / "file").write_text("in the way")
    folder = {"a-file": tmp_path / "file", "below-a-file": tmp_path / "file" / "d", "proc": Path("/proc/pypim")}[place]
    outcome = pypim("sync", "app", "--to", folder, "--upstream", serve(WORLD).url, *LINUX_OPTIONS, "--json")
    assert outcome.status == (2 if place == "a-file" else 8), outcome
    assert str(folder) in outcome.error["message"] or str(folder.parent) in outcome.error["message"]
    assert (tmp_path / "file").read_text() == "in the way"


FOREIGN_PAGE = "<!DOCTYPE html>\n<html>\n  <head><title>Links for own</title></head></html>\n"


@pytest.mark.parametrize("command", ["sync", "plan"])
@pytest.mark.parametrize("place", ["simple/index.html", "simple/own/index.html", "simple/own/index.v1_json"])
@pytest.mark.parametrize("by", ["each project by itself", "all together"])
def test_another_tools_pages_are_not_taken_for_ours(
    serve: ServeWorld, mirror: Mirror, command: str, place: str, by: str
) -> None:
    """Exit 5, before anything is asked: publishing would replace them, and remove those of unknown projects."""
    server = serve(WORLD)
    page = mirror.tree / place
    page.parent.mkdir(parents=True)
    page.write_text(FOREIGN_PAGE)
    alone: Document = {"patterns": {"app": "latest"}, "dependencies": {"follow": False}}
    mirror.configure(server.url, **({"packages": {"app": "latest"}} if by == "all together" else alone))
    error = mirror.run(command, "--json").expect(5).error
    assert str(mirror.tree) in error["message"]
    assert "of its own" in error["hint"]
    assert files_below(mirror.tree) == {place: FOREIGN_PAGE.encode()}
    assert server.requests == []
    shutil.rmtree(mirror.tree)
    mirror.sync()
    assert "app" in mirror.published()


def test_our_own_pages_are_known_again_without_a_catalog(serve: ServeWorld, mirror: Mirror) -> None:
    """Somebody has lost the store, or given the index another name: its tree is taken up as it stands."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    (mirror.store / "catalog.sqlite").unlink()
    mirror.sync()
    mirror.config.write_text(mirror.config.read_text().replace("indexes.main", "indexes.other"))
    mirror.sync()
    assert files_below(mirror.tree) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if os.name == "posix" and os.geteuid() == 0
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip("only root can mount a small file system here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("options", [{}, {"format": "html_only", "json_api": False}], ids=["sizes", "no-sizes"])
def test_a_full_disk_is_said_and_nothing_is_lost(serve: ServeWorld, small_disk: Path, options: Document) -> None:
    """Exit 8, before anything is fetched where sizes are known; what was published stays as it was."""
    big = project("big", release("1.0", wheel(payload=3_000_000)))
    server = serve(WORLD.having(big), **options)
    folder = small_disk / "d"
    pypim("sync", "app", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS).expect()
    before = files_below(folder)
    error = pypim("sync", "big", "--to", folder, "--json").expect(8).error
    assert error["code"] == "out-of-space"
    assert "no space left" in error["message"]
    assert bool(server.asked("*/big-1.0*.whl")) == bool(options)
    assert files_below(folder) == before
    pypim("verify", "--to", folder).expect()
    pypim("sync", "app", "--replace", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS).expect()
    assert files_below(folder) == before


def test_without_a_configuration_the_next_step_is_named(tmp_path: Path) -> None:
    outcome = pypim_process("sync", "--json", cwd=tmp_path)
    assert outcome.status in {2, 3}
    assert "pypim.toml" in outcome.error["message"] + outcome.error["hint"]
