"""The contract of Hosted and Hosting, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.hosted import HostedFile, Standing
from pypim.core.model import ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.store.catalog import Catalog
from pypim.store.memory_hosted import MemoryHosted
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.store.catalog_hosted import CatalogHosted

    Both = CatalogHosted | MemoryHosted  # each is a Hosted and a Hosting

PROJECT = parse_name("ours")
INDEX = "private"


@pytest.fixture(params=["catalog", "memory"])
def hosted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Both]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            yield catalog.hosted
    else:
        yield MemoryHosted()


def file_of(filename: str = "ours-1.0.tar.gz", content: bytes = b"one", *, at: float = 1000.25) -> HostedFile:
    blob = values.holding(content).blob
    return HostedFile(
        project=PROJECT,
        filename=parse_safe_filename(filename),
        version="1.0",
        sha256=blob.sha256,
        blake2b_256=blob.blake2b_256,
        size=blob.size,
        uploaded_at=at,
        uploaded_by="alice",
        requires_python=">=3.9",
        attestations='[{"version":1}]',
    )


def add(hosted: Both, file: HostedFile, index: str = INDEX) -> bool:
    return hosted.add(index, file, hosted.standing(index, file.project, file.filename))


def actions(hosted: Both) -> list[str]:
    return [change.action for change in hosted.changes(INDEX, 0, 100)]


def test_at_first_there_is_nothing(hosted: Both) -> None:
    assert hosted.projects(INDEX) == []
    assert hosted.standing(INDEX, PROJECT, "ours-1.0.tar.gz") == Standing()
    assert hosted.last_serial(INDEX) == 0
    assert hosted.changes(INDEX, 0, 10) == []


def test_a_file_comes_back_as_it_was_added(hosted: Both) -> None:
    wheel = msgspec.structs.replace(file_of("ours-1.0-py3-none-any.whl", at=999.0), metadata_sha256="a" * 64)
    assert add(hosted, file_of())
    assert add(hosted, wheel)
    standing = hosted.standing(INDEX, PROJECT, wheel.filename)
    assert standing.files == (wheel, file_of())
    assert hosted.length(INDEX, PROJECT) == 2
    assert hosted.length("another", PROJECT) == 0
    assert standing.same_name == wheel
    assert standing.project is not None
    assert standing.project.serial == hosted.last_serial(INDEX)
    assert actions(hosted) == [
        "create",
        "new release",
        "add source file ours-1.0.tar.gz",
        "add py3 file ours-1.0-py3-none-any.whl",
    ]


def test_a_name_is_given_once_unless_that_was_decided(hosted: Both) -> None:
    undecided = hosted.standing(INDEX, PROJECT, file_of().filename)
    assert add(hosted, file_of())
    other = file_of(content=b"two")
    assert not hosted.add(INDEX, other, undecided)
    assert hosted.standing(INDEX, PROJECT).files == (file_of(),)
    assert add(hosted, other)
    assert hosted.standing(INDEX, PROJECT).files == (other,)
    assert actions(hosted)[-2:] == ["remove file ours-1.0.tar.gz", "add source file ours-1.0.tar.gz"]


@pytest.mark.parametrize("change", ["another file", "another status", "a deletion", "a yank"])
def test_whatever_has_changed_of_the_project_is_decided_again(hosted: Both, change: str) -> None:
    """Sizes, one sdist for each release, a status: all that was looked at must still be so."""
    first = file_of()
    add(hosted, first)
    decided_on = hosted.standing(INDEX, PROJECT, "ours-2.0.tar.gz")
    match change:
        case "another file":
            add(hosted, file_of("ours-1.0-py3-none-any.whl", b"two"))
        case "another status":
            hosted.mark(INDEX, PROJECT, ProjectStatus.ARCHIVED, None, 2.0)
        case "a deletion":
            hosted.remove(INDEX, first.filename, "", 2.0)
        case _:
            hosted.yank(INDEX, PROJECT, "1.0", 2.0, yanked=True)
    before = hosted.standing(INDEX, PROJECT)
    assert not hosted.add(INDEX, file_of("ours-2.0.tar.gz", b"three"), decided_on)
    assert hosted.standing(INDEX, PROJECT) == before
    assert add(hosted, file_of("ours-2.0.tar.gz", b"three"))


def test_the_deleted_names_of_a_project_are_told_to_whoever_adds(hosted: Both) -> None:
    for name in ("ours-2.0.tar.gz", "ours-1.0.tar.gz"):
        add(hosted, file_of(name))
        hosted.remove(INDEX, name, "", 2.0)
    add(hosted, file_of("ours-3.0.tar.gz"), "other")
    hosted.remove("other", "ours-3.0.tar.gz", "", 2.0)
    assert hosted.standing(INDEX, PROJECT, "x").deleted == ("ours-1.0.tar.gz", "ours-2.0.tar.gz")
    assert hosted.standing(INDEX, parse_name("theirs"), "x").deleted == ()


def test_bytes_may_be_there_again(hosted: Both) -> None:
    add(hosted, file_of())
    before, serial = hosted.standing(INDEX, PROJECT), hosted.last_serial(INDEX)
    hosted.hold(file_of())
    assert (hosted.standing(INDEX, PROJECT), hosted.last_serial(INDEX)) == (before, serial)


def test_two_indexes_know_nothing_of_each_other(hosted: Both) -> None:
    assert add(hosted, file_of())
    assert add(hosted, file_of(content=b"two"), "other")
    assert hosted.standing(INDEX, PROJECT).files == (file_of(),)
    assert hosted.last_serial("other") > hosted.last_serial(INDEX)
    assert {change.serial for change in hosted.changes(INDEX, 0, 9)}.isdisjoint(
        change.serial for change in hosted.changes("other", 0, 9)
    )


def test_a_deleted_name_is_remembered_and_so_is_the_project(hosted: Both) -> None:
    add(hosted, file_of())
    decided_before = hosted.standing(INDEX, PROJECT, file_of().filename)
    assert hosted.remove(INDEX, file_of().filename, "a secret in it", 2000.0) == file_of()
    assert hosted.remove(INDEX, file_of().filename, "again", 2000.0) is None
    standing = hosted.standing(INDEX, PROJECT, file_of().filename)
    assert (standing.files, standing.same_name, standing.is_deleted) == ((), None, True)
    assert [project.name for project in hosted.projects(INDEX)] == [PROJECT]
    assert actions(hosted)[-2:] == ["remove file ours-1.0.tar.gz", "remove release"]
    assert not hosted.add(INDEX, file_of(), decided_before)
    assert add(hosted, file_of())
    assert not hosted.standing(INDEX, PROJECT, file_of().filename).is_deleted


@pytest.mark.parametrize("yanked", [True, 'it "breaks" <things> & more\n'])
def test_a_release_is_yanked_and_taken_back(hosted: Both, yanked: bool | str) -> None:
    """PEP 592: yanking is mutable both ways."""
    add(hosted, file_of())
    assert hosted.yank(INDEX, PROJECT, "1.0", 2000.0, yanked=yanked)
    assert [file.yanked for file in hosted.standing(INDEX, PROJECT).files] == [yanked]
    serial = hosted.last_serial(INDEX)
    assert hosted.yank(INDEX, PROJECT, "1.0", 2001.0, yanked=yanked)
    assert hosted.last_serial(INDEX) == serial
    assert hosted.yank(INDEX, PROJECT, "1.0", 2002.0, yanked=False)
    assert hosted.standing(INDEX, PROJECT).files == (file_of(),)
    assert not hosted.yank(INDEX, PROJECT, "2.0", 2003.0, yanked=True)
    assert actions(hosted)[-2:] == ["yank release", "unyank release"]


def test_the_status_of_a_project(hosted: Both) -> None:
    """PEP 792."""
    assert not hosted.mark(INDEX, PROJECT, ProjectStatus.ARCHIVED, None, 1.0)
    add(hosted, file_of())
    assert hosted.mark(INDEX, PROJECT, ProjectStatus.QUARANTINED, "malware?", 2.0)
    [project] = hosted.projects(INDEX)
    assert (project.status, project.status_reason) == (ProjectStatus.QUARANTINED, "malware?")
    assert project.serial == hosted.last_serial(INDEX)
    assert hosted.mark(INDEX, PROJECT, ProjectStatus.ACTIVE, None, 3.0)
    assert actions(hosted)[-2:] == ["project quarantined", "project quarantine cleared"]


def test_changes_are_read_from_any_serial_on(hosted: Both) -> None:
    add(hosted, file_of())
    all_of_them = hosted.changes(INDEX, 0, 100)
    assert [change.serial for change in all_of_them] == sorted({change.serial for change in all_of_them})
    assert hosted.changes(INDEX, all_of_them[0].serial, 1) == all_of_them[1:2]
    assert all_of_them[-1].changed_at == 1000.25
