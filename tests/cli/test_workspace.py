"""Which configuration and which indexes a command is about, and how options change them for one run."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pypim.cli.command import Command
from pypim.cli.options import SyncArguments, WorkspaceArguments, sync_options, workspace_options
from pypim.cli.workspace import Workspace, find_workspace
from pypim.config.inline import Told
from pypim.core.errors import InvalidUsage

_CONFIG = """
[targets.servers]
python = ["3.12"]
[indexes.main]
targets = ["servers"]
filters.exclude = ["torch"]
"""


def _arguments(*words: str) -> SyncArguments:
    """What the options of `sync` become."""
    seen: list[SyncArguments] = []

    @click.command(cls=Command)
    @sync_options(has_dry_run=True)
    def sync(arguments: SyncArguments) -> None:
        seen.append(arguments)

    result = CliRunner().invoke(sync, list(words))
    assert result.exit_code == 0, result.output
    return seen[0]


def _workspace(folder: Path, *words: str, config: str = _CONFIG) -> Workspace:
    path = folder / "pypim.toml"
    path.write_text(config)
    return find_workspace(str(path), _arguments(*words))


def test_every_option_becomes_a_value(tmp_path: Path) -> None:
    file = tmp_path / "r.txt"
    file.touch()
    words = [
        "flask",
        "six>1",
        "-r",
        str(file),
        "--to",
        str(tmp_path / "m"),
        "--python",
        "3.11,3.12",
        "--python",
        "3.13",
    ]
    words += [
        "--platform",
        "linux",
        "--exclude",
        "torch",
        "--format",
        "wheel",
        "--format",
        "egg",
        "--include-prereleases",
    ]
    words += [
        "--keep-latest",
        "3",
        "--no-deps",
        "--max-depth",
        "2",
        "--extras",
        "all",
        "--upstream",
        "https://index.example/",
    ]
    words += ["--jobs", "4", "--keep-going", "--dry-run", "--replace", "--index", "main"]
    assert _arguments(*words) == SyncArguments(
        workspace=WorkspaceArguments(to=tmp_path / "m", index="main"),
        told=Told(
            requirements=("flask", "six>1"),
            requirement_files=(str(file),),
            python=("3.11", "3.12", "3.13"),
            platforms=("linux",),
            upstream="https://index.example/",
            exclude=("torch",),
            formats=("wheel", "egg"),
            include_prereleases=True,
            keep_latest=3,
            no_deps=True,
            max_depth=2,
            extras="all",
            jobs=4,
        ),
        is_replacing=True,
        is_dry_run=True,
        keeps_going=True,
    )
    assert _arguments() == SyncArguments(workspace=WorkspaceArguments(), told=Told())
    assert _arguments("--binary-only").told.formats == ("wheel",)
    assert _arguments("--source-only").told.formats == ("sdist",)


def test_a_relative_upstream_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _arguments("--upstream", "other/simple").told.upstream == str(tmp_path / "other" / "simple")


def test_options_replace_keys_for_one_run(tmp_path: Path) -> None:
    words = ["flask", "--python", "3.13", "--exclude", "six", "--no-deps", "--jobs", "2", "--upstream", str(tmp_path)]
    workspace = _workspace(tmp_path, *words)
    (index,) = workspace.indexes
    assert index.requirements == ("flask",)
    assert [target.python for target in index.targets.values()] == [("3.13",)]
    assert (index.filters.exclude, index.follow.is_followed, index.jobs) == (("six",), False, 2)
    assert index.upstream.url == tmp_path.as_uri() + "/"
    assert (workspace.changed_files, len(workspace.notes)) == ({}, 1)
    assert workspace.config.chosen("main")[0].requirements == ()


def test_without_options_it_is_the_configuration(tmp_path: Path) -> None:
    workspace = _workspace(tmp_path)
    assert workspace.indexes == tuple(workspace.config.indexes.values())
    assert workspace.notes == ()


def test_requirements_need_one_index(tmp_path: Path) -> None:
    config = "[indexes.a]\n[indexes.b]\n"
    with pytest.raises(InvalidUsage, match="need one index"):
        _workspace(tmp_path, "flask", config=config)
    assert [index.name for index in _workspace(tmp_path, "flask", "--index", "b", config=config).indexes] == ["b"]
    assert len(_workspace(tmp_path, "--jobs", "2", config=config).indexes) == 2


def test_all_faults_of_the_options_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(InvalidUsage) as caught:
        _workspace(
            tmp_path, "a b", "--python", "three", "--platform", "beos", "--exclude", "x>>1", "--upstream", "x://y"
        )
    lines = caught.value.message.splitlines()
    assert [line.split()[0] for line in lines] == ["--python", "--platform", "REQ", "--exclude:", "--upstream"]


def test_workspace_options_become_a_place(tmp_path: Path) -> None:
    seen: list[WorkspaceArguments] = []

    @click.command(cls=Command)
    @workspace_options
    def command(workspace: WorkspaceArguments) -> None:
        seen.append(workspace)

    CliRunner().invoke(command, ["--to", str(tmp_path), "--index", "x"], catch_exceptions=False)
    assert seen == [WorkspaceArguments(to=tmp_path, index="x")]


@pytest.mark.parametrize("has_configuration", [False, True])
def test_a_pipe_is_refused(tmp_path: Path, *, has_configuration: bool) -> None:
    """It could not be read again, not by the next sync either; this is said before anything is done."""
    (tmp_path / "pypim.toml").write_text(_CONFIG)
    reading, writing = os.pipe()
    try:
        os.write(writing, b"six\n")
        os.close(writing)
        config = str(tmp_path / "pypim.toml") if has_configuration else None
        where = () if has_configuration else ("--to", str(tmp_path / "m"))
        with pytest.raises(InvalidUsage, match="no regular file") as caught:
            find_workspace(config, _arguments(*where, "-r", f"/dev/fd/{reading}"))
    finally:
        os.close(reading)
    assert "Save it as a file" in caught.value.hint
    assert not (tmp_path / "m").exists()
