"""The plan: what a sync fetches, lists, stops listing and keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.plan import Plan, PlannedRelease, make_plan, planned_files
from pypim.core.selection import ChosenRelease, Reason, Selection
from tests.store.values import dist_file, holding

if TYPE_CHECKING:
    from pypim.core.model import DistFile, Holding

ROOT = Reason(origin="packages.flask", requirement="latest", environments=("any",))
WHEEL = dist_file("flask-3.0.0-py3-none-any.whl", sha256="a" * 64, size=100)
SDIST = dist_file("flask-3.0.0.tar.gz", sha256="b" * 64, size=30)
OLDER = dist_file("flask-2.0.0.tar.gz", sha256="c" * 64, size=7)
UNSIZED = dist_file("click-8.0.tar.gz", sha256="d" * 64)


def release(project: str, version: str, *files: DistFile, reasons: tuple[Reason, ...] = (ROOT,)) -> ChosenRelease:
    return ChosenRelease(project=parse_name(project), version=version, files=files, reasons=reasons)


def selected(*releases: ChosenRelease) -> Selection:
    return Selection(releases=releases)


def held(*files: DistFile, size: int = 4) -> dict[str, Holding]:
    return {file.identity: holding(b"x" * size, file.filename) for file in files}


NEW = selected(release("click", "8.0", UNSIZED), release("flask", "3.0.0", WHEEL, SDIST))


def test_nothing_comes_of_nothing() -> None:
    plan = make_plan(Selection(), None, {})
    assert plan == Plan(
        fetch=(),
        removed=(),
        releases=(),
        fetch_bytes=0,
        unknown_sizes=0,
        total_files=0,
        total_bytes=0,
        removed_bytes=0,
    )
    assert plan.changes_nothing


def test_the_first_plan_fetches_everything() -> None:
    plan = make_plan(NEW, None, {})
    assert [planned.file for planned in plan.fetch] == [UNSIZED, WHEEL, SDIST]
    assert (plan.fetch_bytes, plan.unknown_sizes) == (130, 1)
    assert (plan.total_files, plan.total_bytes, plan.removed, plan.removed_bytes) == (3, 130, (), 0)
    assert not plan.changes_nothing
    click = PlannedRelease(project="click", version="8.0", added=(UNSIZED.filename,), reasons=(ROOT,))
    assert plan.releases[0] == click


def test_what_is_held_is_listed_without_being_fetched() -> None:
    plan = make_plan(NEW, None, held(WHEEL, SDIST, UNSIZED))
    assert plan.fetch == ()
    assert plan.fetch_bytes == plan.unknown_sizes == 0
    assert plan.total_bytes == 12, "the size that counts is that of the bytes we have"
    assert not plan.changes_nothing, "pages change"
    assert [release.added for release in plan.releases] == [(UNSIZED.filename,), (WHEEL.filename, SDIST.filename)]


def test_what_is_listed_and_no_longer_held_is_fetched_again() -> None:
    plan = make_plan(NEW, NEW, held(SDIST, UNSIZED))
    assert [planned.file for planned in plan.fetch] == [WHEEL]
    assert not plan.changes_nothing
    (_, flask) = plan.releases
    assert (flask.added, flask.removed, flask.kept, flask.fetch_bytes) == ((), (), 2, 100)


def test_releases_that_go_stay_in_the_plan_with_what_is_removed() -> None:
    before = selected(release("flask", "2.0.0", OLDER), release("flask", "3.0.0", WHEEL))
    after = selected(release("flask", "3.0.0", WHEEL, SDIST))
    plan = make_plan(after, before, held(OLDER, WHEEL, size=9))
    assert [planned.file for planned in plan.removed] == [OLDER]
    assert plan.removed_bytes == 9
    gone, stays = plan.releases
    assert (gone.version, gone.removed, gone.reasons) == ("2.0.0", (OLDER.filename,), ())
    assert (stays.version, stays.added, stays.kept, stays.fetch_bytes) == ("3.0.0", (SDIST.filename,), 1, 30)


def test_a_file_whose_content_changed_is_another_file() -> None:
    other = msgspec.structs.replace(WHEEL, sha256="e" * 64)
    plan = make_plan(
        selected(release("flask", "3.0.0", other)), selected(release("flask", "3.0.0", WHEEL)), held(WHEEL)
    )
    assert [planned.file for planned in plan.fetch] == [other]
    assert [planned.file for planned in plan.removed] == [WHEEL]


def test_what_only_the_page_says_anew_changes_no_file() -> None:
    yanked = msgspec.structs.replace(WHEEL, yanked="broken", url="https://elsewhere.example/flask.whl")
    plan = make_plan(
        selected(release("flask", "3.0.0", yanked)), selected(release("flask", "3.0.0", WHEEL)), held(WHEEL)
    )
    assert plan.changes_nothing


def test_every_file_of_a_selection_comes_with_its_release() -> None:
    found = [(planned.project, planned.version, planned.file.filename) for planned in planned_files(NEW)]
    assert found == [
        ("click", "8.0", parse_safe_filename("click-8.0.tar.gz")),
        ("flask", "3.0.0", WHEEL.filename),
        ("flask", "3.0.0", SDIST.filename),
    ]
