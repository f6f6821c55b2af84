"""The file operations: whole or not at all, and every fault a StoreFault that names the path."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import OutOfSpace, StoreUnwritable
from pypim.store import atomic, linking

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def failing(name: str, number: int) -> Callable[[str, str], None]:
    def observer(operation: str, path: str) -> None:
        if operation == name:
            raise OSError(number, "broken on purpose", path)

    return observer


def test_folders_are_made_with_those_above(tmp_path: Path) -> None:
    atomic.make_folder(tmp_path / "a" / "b" / "c")
    atomic.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreUnwritable) as caught:
            atomic.make_folder(path)
        assert str(tmp_path / "file") in caught.value.path


@pytest.mark.parametrize("is_durable", [True, False])
def test_writing_atomically_replaces_and_leaves_nothing_else(tmp_path: Path, *, is_durable: bool) -> None:
    path = tmp_path / "page.html"
    for content in (b"one", b"two" * 100000, b""):
        atomic.write_atomically(path, content, staging=tmp_path / "staging", is_durable=is_durable)
        assert path.read_bytes() == content
        atomic.write_atomically(path, content, is_durable=is_durable)
    assert {entry.name for entry in tmp_path.iterdir()} == {"page.html", "staging"}
    assert list((tmp_path / "staging").iterdir()) == []


@pytest.mark.parametrize("operation", ["open", "write", "sync", "rename"])
def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, operation: str) -> None:
    path = tmp_path / "page.html"
    atomic.write_atomically(path, b"old")
    with atomic.observed(failing(operation, errno.ENOSPC)), pytest.raises(OutOfSpace):
        atomic.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["page.html"]


def test_writing_together_costs_two_syncs(tmp_path: Path) -> None:
    contents = {tmp_path / "simple" / str(number) / "index.html": str(number).encode() for number in range(20)}
    log: list[str] = []
    with atomic.observed(lambda operation, _: log.append(operation)):
        atomic.write_together(contents.items(), staging=tmp_path / "staging", top=tmp_path)
    assert {path: path.read_bytes() for path in contents} == contents
    assert log.count("sync") == 2
    assert log[-1] == "sync"
    assert log.index("sync") < log.index("rename")
    assert list((tmp_path / "staging").iterdir()) == []


def test_writing_together_that_fails_in_the_middle_leaves_whole_files(tmp_path: Path) -> None:
    contents = {tmp_path / name: name.encode() for name in ("a", "b", "c")}

    def second_rename_fails(operation: str, path: str) -> None:
        if operation == "rename" and path.endswith("b"):
            raise OSError(errno.EACCES, "Permission denied")

    with atomic.observed(second_rename_fails), pytest.raises(StoreUnwritable):
        atomic.write_together(contents.items(), staging=tmp_path / "staging", top=tmp_path)
    assert (tmp_path / "a").read_bytes() == b"a"
    assert {entry.name for entry in tmp_path.rglob("*")} == {"a", "staging"}


@pytest.mark.parametrize("can_link", [True, False])
def test_a_link_or_a_copy_replaces_the_target(tmp_path: Path, *, can_link: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content")
    target.write_bytes(b"older")

    def link() -> None:
        if can_link:
            linking.link_or_copy(source, target)
            return
        with atomic.observed(failing("link", errno.EXDEV)):
            linking.link_or_copy(source, target)

    link()
    link()
    assert target.read_bytes() == b"content"
    assert target.samefile(source) is can_link
    assert {entry.name for entry in tmp_path.iterdir()} == {"source", "target"}


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")

    def broken(operation: str, _path: str) -> None:
        if operation in {"link", "copy"}:
            raise OSError(errno.EXDEV if operation == "link" else errno.EDQUOT, "broken on purpose")

    with atomic.observed(broken), pytest.raises(OutOfSpace):
        linking.link_or_copy(tmp_path / "source", tmp_path / "target")
    assert {entry.name for entry in tmp_path.iterdir()} == {"source"}


def test_linking_what_is_not_there_names_the_place(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable):
        linking.link_or_copy(tmp_path / "none", tmp_path / "target")


def test_empty_folders_go_up_to_the_stop(tmp_path: Path) -> None:
    atomic.make_folder(tmp_path / "stop" / "a" / "b" / "c")
    (tmp_path / "stop" / "a" / "kept").write_text("x")
    atomic.remove_empty_folders(tmp_path / "stop" / "a" / "b" / "c", tmp_path / "stop")
    assert [entry.name for entry in (tmp_path / "stop" / "a").iterdir()] == ["kept"]
    atomic.remove(tmp_path / "stop" / "a" / "kept")
    atomic.remove(tmp_path / "stop" / "a" / "kept")
    atomic.remove_empty_folders(tmp_path / "stop" / "a" / "gone", tmp_path / "stop")
    assert list((tmp_path / "stop").iterdir()) == []
    atomic.remove_empty_folders(tmp_path / "stop", tmp_path / "elsewhere")
    assert (tmp_path / "stop").is_dir()


def test_syncing_files_syncs_the_folders_above_them(tmp_path: Path) -> None:
    atomic.make_folder(tmp_path / "a" / "b")
    files = [tmp_path / "a" / "b" / name for name in ("one", "two")]
    for file in files:
        file.write_text("x")
    synced: list[str] = []
    with atomic.observed(lambda _, path: synced.append(path)):
        atomic.sync_files(files, top=tmp_path)
    assert sorted(synced) == sorted(map(str, [*files, tmp_path / "a" / "b", tmp_path / "a", tmp_path]))


def test_a_sync_that_fails_is_never_silent(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable):
        atomic.sync_file_system(tmp_path / "none", [tmp_path / "none" / "file"])
    with pytest.raises(StoreUnwritable):
        atomic.sync_files([tmp_path / "none"])


def test_free_space_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    free = atomic.free_bytes(tmp_path / "not" / "yet")
    assert free is not None
    assert free > 0


def test_the_observer_is_gone_afterwards(tmp_path: Path) -> None:
    with atomic.observed(failing("make-folder", errno.EACCES)), pytest.raises(StoreUnwritable):
        atomic.make_folder(tmp_path / "a")
    atomic.make_folder(tmp_path / "a")
