"""`--to DIR`: what the command line said is kept in DIR/.pypim as an ordinary configuration, and added to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pypim.config.inline import Remembered, Told, config_path, remember
from pypim.config.load import load, load_text
from pypim.config.model import Config
from pypim.core.errors import InvalidConfig, InvalidRequirement, InvalidUsage, NotFound
from pypim.core.target import TargetSpec


def _here() -> TargetSpec:
    return TargetSpec(python=("3.12",), platforms=("manylinux_2_36_x86_64",), implementations=("cpython",))


def _tell(directory: Path, told: Told, *, replace: bool = False, writes: bool = True) -> Remembered:
    kept = remember(directory, told, replace=replace, machine=_here)
    if writes:
        for path, text in kept.changed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return kept


def _requirements(config: Config) -> list[str]:
    text = config.read_text(Path(config.chosen("main")[0].requirement_files[0].path))
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_the_first_words_make_a_configuration_for_this_machine(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask", "django>=5,<6")))
    config = load(config_path(tmp_path))
    index = config.chosen("main")[0]
    assert (config.store.path, config.store.files, index.publish) == (tmp_path / ".pypim", tmp_path, tmp_path)
    assert list(index.targets.values()) == [_here()]
    assert index.upstream.url == load_text("[indexes.main]", tmp_path / "x").upstreams["pypi"].url
    assert [str(file) for file in index.requirement_files] == [str(tmp_path / ".pypim" / "requirements.txt")]
    assert _requirements(config) == ["flask", "django>=5,<6"]


def test_a_plan_reads_what_a_sync_would_write(tmp_path: Path) -> None:
    kept = _tell(tmp_path, Told(requirements=("flask",)), writes=False)
    config = load_text(kept.texts[kept.path], kept.path, kept.texts)
    assert _requirements(config) == ["flask"]
    assert not (tmp_path / ".pypim").exists()


def test_repeating_changes_nothing(tmp_path: Path) -> None:
    told = Told(requirements=("flask",), python=("3.11",), exclude=("torch",), keep_latest=2, upstream="/srv/index")
    first = _tell(tmp_path, told)
    assert len(first.changed) == 2
    assert _tell(tmp_path, told).changed == {}
    assert _tell(tmp_path, Told()).changed == {}


def test_requirements_are_added_and_newer_lines_take_the_place_of_older_ones(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask<3", "six", "uvicorn")))
    _tell(tmp_path, Told(requirements=("Flask>=3", "uvicorn[standard]", "flask<2")))
    assert _requirements(load(config_path(tmp_path))) == ["Flask>=3", "flask<2", "six", "uvicorn", "uvicorn[standard]"]


def test_lines_that_a_person_wrote_stay(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask",)))
    path = tmp_path / ".pypim" / "requirements.txt"
    path.write_text(path.read_text() + "# mine\n-c constraints.txt\n")
    _tell(tmp_path, Told(requirements=("flask>3",)))
    assert path.read_text().splitlines()[1:] == ["flask>3", "# mine", "-c constraints.txt"]


def test_options_that_are_given_count_and_the_others_stay(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask",), python=("3.11",), keep_latest=2, no_deps=True, jobs=3))
    _tell(tmp_path, Told(platforms=("windows",), keep_latest=5, extras="all", max_depth=2, include_prereleases=True))
    index = load(config_path(tmp_path)).chosen("main")[0]
    (target,) = index.targets.values()
    assert (target.python, target.platforms) == (("3.11",), ("windows",))
    assert (index.filters.keep_latest, index.filters.prereleases) == (5, True)
    assert (index.follow.is_followed, index.follow.root_extras, index.follow.max_depth) == (False, None, 2)
    assert index.jobs == 3


def test_no_limit_of_the_depth_takes_the_place_of_one(tmp_path: Path) -> None:
    """`--max-depth 0` means no limit, and is not the same as to say nothing."""
    _tell(tmp_path, Told(requirements=("flask",), max_depth=2))
    _tell(tmp_path, Told(jobs=3))
    assert load(config_path(tmp_path)).chosen("main")[0].follow.max_depth == 2
    _tell(tmp_path, Told(max_depth=0))
    assert load(config_path(tmp_path)).chosen("main")[0].follow.max_depth == 0
    assert _tell(tmp_path, Told(max_depth=0)).changed == {}


def test_requirements_files_are_added_by_their_absolute_path(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirement_files=("/srv/a.txt",)))
    _tell(tmp_path, Told(requirement_files=("/srv/b.txt", "/srv/a.txt")))
    files = load(config_path(tmp_path)).chosen("main")[0].requirement_files
    assert [str(file) for file in files[1:]] == ["/srv/a.txt", "/srv/b.txt"]


def test_replace_starts_anew(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask",), keep_latest=2))
    _tell(tmp_path, Told(requirements=("six",)), replace=True)
    config = load(config_path(tmp_path))
    assert _requirements(config) == ["six"]
    assert config.chosen("main")[0].filters.keep_latest is None


def test_there_must_be_something_to_mirror(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no mirror here"):
        _tell(tmp_path, Told(jobs=3))
    with pytest.raises(InvalidRequirement, match="command line"):
        _tell(tmp_path, Told(requirements=("flask=3.0",)))


def test_a_file_that_was_edited_by_hand_is_never_overwritten(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask",)))
    path = config_path(tmp_path)
    path.write_text(path.read_text() + '\n[indexes.main.packages]\nsix = "latest"\n')
    kept = _tell(tmp_path, Told(requirements=("django",)))
    assert list(kept.changed) == [path.with_name("requirements.txt")]
    with pytest.raises(InvalidUsage, match="edited by hand"):
        _tell(tmp_path, Told(keep_latest=3))
    assert _tell(tmp_path, Told(requirements=("six",)), replace=True).changed


def test_a_file_that_cannot_be_read_is_named_unless_it_is_replaced(tmp_path: Path) -> None:
    _tell(tmp_path, Told(requirements=("flask",)))
    (tmp_path / ".pypim" / "requirements.txt").write_bytes(b"\xff\n")
    with pytest.raises(InvalidConfig, match=r"requirements\.txt: this is not UTF-8 text"):
        _tell(tmp_path, Told())
    assert len(_tell(tmp_path, Told(requirements=("flask",)), replace=True).changed) == 1
