"""Which configuration and which indexes a command is about, and how options change them for one run."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pypim.cli.command import Command
from pypim.cli.options import PlaceArguments, SyncArguments, place_options, sync_options
from pypim.cli.place import Place, find_place
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


def _place(folder: Path, *words: str, config: str = _CONFIG) -> Place:
    path = folder / "pypim.toml"
    path.write_text(config)
    return find_place(str(path), _arguments(*words))


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
        place=PlaceArguments(to=tmp_path / "m", index="main"),
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
    assert _arguments() == SyncArguments(place=PlaceArguments(), told=Told())
    assert _arguments("--binary-only").told.formats == ("wheel",)
    assert _arguments("--source-only").told.formats == ("sdist",)


def test_a_relative_upstream_is_meant_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _arguments("--upstream", "other/simple").told.upstream == str(tmp_path / "other" / "simple")


def test_options_replace_keys_for_one_run(tmp_path: Path) -> None:
    words = ["flask", "--python", "3.13", "--exclude", "six", "--no-deps", "--jobs", "2", "--upstream", str(tmp_path)]
    place = _place(tmp_path, *words)
    (index,) = place.indexes
    assert index.requirements == ("flask",)
    assert [target.python for target in index.targets.values()] == [("3.13",)]
    assert (index.filters.exclude, index.follow.is_followed, index.jobs) == (("six",), False, 2)
    assert index.upstream.url == tmp_path.as_uri() + "/"
    assert (place.changed_files, len(place.notes)) == ({}, 1)
    assert place.config.indexes["main"].requirements == ()


def test_without_options_it_is_the_configuration(tmp_path: Path) -> None:
    place = _place(tmp_path)
    assert place.indexes == tuple(place.config.indexes.values())
    assert place.notes == ()


def test_requirements_need_one_index(tmp_path: Path) -> None:
    config = "[indexes.a]\n[indexes.b]\n"
    with pytest.raises(InvalidUsage, match="need one index"):
        _place(tmp_path, "flask", config=config)
    assert [index.name for index in _place(tmp_path, "flask", "--index", "b", config=config).indexes] == ["b"]
    assert len(_place(tmp_path, "--jobs", "2", config=config).indexes) == 2


def test_all_faults_of_the_options_are_in_one_message(tmp_path: Path) -> None:
    with pytest.raises(InvalidUsage) as caught:
        _place(tmp_path, "a b", "--python", "three", "--platform", "beos", "--exclude", "x>>1", "--upstream", "x://y")
    lines = caught.value.message.splitlines()
    assert [line.split()[0] for line in lines] == ["--python", "--platform", "REQ", "--exclude:", "--upstream"]


def test_place_options_become_a_place(tmp_path: Path) -> None:
    seen: list[PlaceArguments] = []

    @click.command(cls=Command)
    @place_options
    def command(place: PlaceArguments) -> None:
        seen.append(place)

    CliRunner().invoke(command, ["--to", str(tmp_path), "--index", "x"], catch_exceptions=False)
    assert seen == [PlaceArguments(to=tmp_path, index="x")]
