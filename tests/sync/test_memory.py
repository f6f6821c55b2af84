"""`--to DIR` names a mirror made without a configuration file, and what it was told is kept in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, published_in, pypim, pypim_process, wheels
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release, wheel

WORLD = World.of(
    project("a", "1.0", "2.0", "3.0rc1", requires=["lib"]),
    project("b", release("1.0", wheel("cp312-cp312-manylinux_2_17_x86_64"), wheel("cp312-cp312-win_amd64"))),
    project("c", "1.0"),
    project("lib", "1.0"),
)


@pytest.fixture
def server(serve: ServeWorld) -> WorldServer:
    return serve(WORLD)


def sync(folder: Path, *arguments: str, status: int = 0) -> dict[str, list[str]]:
    pypim("sync", *arguments, "--to", folder).expect(status)
    return published_in(folder)


def kept(folder: Path) -> Document:
    return tomllib.loads((folder / ".pypim" / "pypim.toml").read_text())


def test_requirements_add_up_until_replace(server: WorldServer, tmp_path: Path) -> None:
    """`sync a --to D` then `sync b --to D` holds both; `--replace` starts anew; `sync --to D` repeats."""
    folder = tmp_path / "d"
    assert list(sync(folder, "a", "--upstream", server.url, *LINUX_OPTIONS)) == ["a", "lib"]
    assert list(sync(folder, "b")) == ["a", "b", "lib"]
    assert list(sync(folder)) == ["a", "b", "lib"]
    assert sync(folder, "a<2")["a"] == wheels("a 1.0"), "a newer requirement takes the place of the older one"
    assert list(sync(folder, "c", "--replace", "--upstream", server.url, *LINUX_OPTIONS)) == ["c"]
    assert list(sync(folder)) == ["c"]


def test_options_stay_until_they_are_said_anew(server: WorldServer, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    one = sync(folder, "a", "b", "--upstream", server.url, *LINUX_OPTIONS, "--include-prereleases", "--no-deps")
    assert one == {"a": wheels("a 3.0rc1"), "b": ["b-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]}
    assert sync(folder, "c")["a"] == wheels("a 3.0rc1")
    assert sync(folder, "--platform", "windows")["b"] == ["b-1.0-cp312-cp312-win_amd64.whl"]
    assert sync(folder)["b"] == ["b-1.0-cp312-cp312-win_amd64.whl"]
    less = sync(folder, "--exclude", "b*", "--keep-going", "--force", status=1)
    assert less == {"a": wheels("a 3.0rc1"), "c": wheels("c 1.0")}
    assert kept(folder)["indexes"]["main"]["filters"] == {"exclude": ["b*"], "prereleases": True}


def test_the_state_is_an_ordinary_configuration(server: WorldServer, tmp_path: Path) -> None:
    """It may be given with -c, and edited; an option that would undo an edit is refused."""
    folder = tmp_path / "d"
    sync(folder, "a", "--upstream", server.url, *LINUX_OPTIONS)
    config = folder / ".pypim" / "pypim.toml"
    pypim("-c", config, "sync").expect()
    pypim("-c", config, "config", "check").expect()
    config.write_text(config.read_text() + '\n[indexes.main.packages]\nc = "latest"\n')
    assert list(sync(folder)) == ["a", "c", "lib"]
    assert list(sync(folder, "b")) == ["a", "b", "c", "lib"], "requirements have a file of their own"
    error = pypim("sync", "--to", folder, "--no-deps", "--json").expect(2).error
    assert "edited by hand" in error["message"]
    assert "--replace" in error["hint"]


def test_requirements_files_are_remembered_by_their_place(server: WorldServer, tmp_path: Path) -> None:
    """`-r FILE` is read again by every sync."""
    file = tmp_path / "wanted.txt"
    file.write_text("c\n")
    outcome = pypim_process(
        "sync", "-r", "wanted.txt", "--to", "d", "--upstream", server.url, *LINUX_OPTIONS, cwd=tmp_path
    )
    outcome.expect()
    assert list(published_in(tmp_path / "d")) == ["c"]
    file.write_text("c\na\n")
    assert list(sync(tmp_path / "d")) == ["a", "c", "lib"]
    file.unlink()
    error = pypim("sync", "--to", tmp_path / "d", "--json").expect(2).error
    assert str(file) in error["message"]


def test_nothing_outside_the_folder_is_written(server: WorldServer, tmp_path: Path) -> None:
    """Nothing outside the store, the `--to` / `publish` folder and standard output is written."""
    home = tmp_path / "home"
    home.mkdir()
    pypim_process("sync", "a", "--to", "d", "--upstream", server.url, *LINUX_OPTIONS, cwd=home).expect()
    assert [path.name for path in home.iterdir()] == ["d"]
    assert sorted(path.name for path in (home / "d").iterdir()) == [".pypim", "packages", "simple"]


def test_targets_are_this_machine_unless_said(server: WorldServer, tmp_path: Path) -> None:
    """Its targets are this machine's Python and platform unless `--python` and `--platform` say otherwise."""
    pypim("sync", "c", "--to", tmp_path / "d", "--upstream", server.url).expect()
    target = kept(tmp_path / "d")["targets"]["machines"]
    assert target["python"]
    assert target["platforms"]


def test_a_failed_first_sync_leaves_no_memory(server: WorldServer, tmp_path: Path) -> None:
    """A requirement that cannot be had does not stay in the way of the next run."""
    folder = tmp_path / "d"
    pypim("sync", "nowhere", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS).expect(3)
    assert not (folder / ".pypim" / "pypim.toml").exists()
    sync(folder, "a", "--upstream", server.url, *LINUX_OPTIONS)
    pypim("sync", "nowhere", "--to", folder).expect(3)
    assert list(sync(folder)) == ["a", "lib"]


def test_what_was_asked_for_comes_from_the_command_line(server: WorldServer, tmp_path: Path) -> None:
    """Now and in every later run: the file in which it is kept is not there yet when it is first asked for."""
    folder = tmp_path / "d"
    arguments = ("--to", folder, "--upstream", server.url, *LINUX_OPTIONS, "--json")
    error = pypim("sync", "a", "nowhere", *arguments).expect(3).error
    assert "(wanted by command line)" in error["message"]
    assert ".pypim" not in error["message"] + error["hint"]
    reasons = []
    for _ in range(2):
        pypim("sync", "a", *arguments).expect()
        (release,) = pypim("why", "a", "--to", folder, "--json").expect().document["kept"]
        reasons.append(release["release"]["chains"])
    assert reasons[0] == reasons[1]
    assert "command line" in str(reasons[0])


def test_a_folder_whose_first_sync_failed_is_said_to_be_that(server: WorldServer, tmp_path: Path) -> None:
    """Exit 3; what it was asked for is not kept, and the message says so."""
    folder = tmp_path / "d 1"
    pypim("sync", "nowhere", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS).expect(3)
    for command in ("status", "sync"):
        error = pypim(command, "--to", folder, "--json").expect(3).error
        assert "nothing was mirrored here yet" in error["message"]
        assert f"pypim sync flask --to '{folder}'" in error["hint"]


def test_what_could_not_be_had_is_asked_for_again(server: WorldServer, tmp_path: Path) -> None:
    """With --keep-going it is remembered like the rest, named in every run, and told how to be forgotten."""
    folder = tmp_path / "d"
    memory = folder / ".pypim" / "requirements.txt"
    first = pypim(
        "sync", "c", "nowhere", "--keep-going", "--to", folder, "--upstream", server.url, *LINUX_OPTIONS
    ).expect(1)
    assert "nowhere" in first.stdout
    assert f"to forget a line of it, edit {memory}" in first.stderr
    error = pypim("sync", "--to", folder, "--json").expect(3).error
    assert "nowhere" in error["message"]
    assert "--keep-going" in error["hint"]
    assert f"to forget a line of it, edit {memory}" in error["hint"]
    again = pypim("sync", "--to", folder, "--keep-going").expect(1)
    assert "nowhere" in again.stdout
    memory.write_text(memory.read_text().replace("nowhere\n", ""))
    said = pypim("sync", "--to", folder).expect()
    assert "forget" not in said.stderr
    assert published_in(folder) == {"c": wheels("c 1.0")}


def test_a_mirror_may_be_moved(server: WorldServer, tmp_path: Path) -> None:
    """Nothing in it says where it is; its name may hold anything."""
    sync(tmp_path / "a b ü", "a", "--upstream", server.url, *LINUX_OPTIONS)
    (tmp_path / "a b ü").rename(tmp_path / "moved")
    server.forget_requests()
    outcome = pypim("sync", "--to", tmp_path / "moved").expect()
    assert "nothing new" in outcome.stdout
    assert {request.status for request in server.requests} == {304}
    pypim("verify", "--to", tmp_path / "moved").expect()


@pytest.mark.parametrize("command", ["sync", "verify", "list", "status", "prune", "doctor", "update", "metadata"])
def test_a_folder_without_a_mirror_is_said_to_be_none(tmp_path: Path, command: str) -> None:
    error = pypim(command, "--to", tmp_path / "nothing", "--json").expect(3).error
    assert "keeps no mirror here" in error["message"]
    assert "pypim sync flask --to" in error["hint"]
    assert not (tmp_path / "nothing").exists()
