"""What happens to files that the rules no longer choose."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from pypim.core.errors import InvalidRequirement
from pypim.core.model import DistFile, Page, ProjectStatus
from pypim.core.names import parse_name
from pypim.core.policy import Filters, Policy
from pypim.core.retention import OnRemoval, carried_over, parse_on_removal
from pypim.core.selection import ChosenRelease, Problem, ProjectFacts, Reason, Selection, Share
from tests.store.values import dist_file

KEEP = OnRemoval(keeps_listed=True, delete_after=timedelta())
PRUNE = OnRemoval(keeps_listed=False, delete_after=timedelta())
OLD_REASON = Reason(origin="packages.a", requirement="1.0", environments=("any",))
NEW_REASON = Reason(origin="packages.a", requirement="latest", environments=("any",))
A1, A1_SDIST = dist_file("a-1.0-py3-none-any.whl", sha256="1" * 64), dist_file("a-1.0.tar.gz", sha256="2" * 64)
A2, B1 = dist_file("a-2.0-py3-none-any.whl", sha256="3" * 64), dist_file("b-1.0.tar.gz", sha256="4" * 64)


def release(version: str, *files: DistFile, project: str = "a", reason: Reason = NEW_REASON) -> ChosenRelease:
    return ChosenRelease(project=parse_name(project), version=version, files=files, reasons=(reason,))


def selected(*releases: ChosenRelease, **statuses: ProjectStatus) -> Selection:
    names = {release.project for release in releases} | set(map(parse_name, statuses))
    facts = [ProjectFacts(name=name, status=statuses.get(name, ProjectStatus.ACTIVE)) for name in sorted(names)]
    return Selection(releases=releases, projects=tuple(facts))


def carried(
    selection: Selection,
    current: Selection | None,
    on_removal: OnRemoval = KEEP,
    filters: Filters | None = None,
    *,
    is_partial: bool = False,
) -> dict[str, list[str]]:
    policy = Policy.compile(filters or Filters(), "filters")
    found = carried_over(selection, current, on_removal, policy, {}, is_partial=is_partial)
    keys = [(release.project, release.version) for release in found.releases]
    assert keys == sorted(keys)
    assert [known.name for known in found.projects] == sorted({*(project for project, _ in keys), *names_of(selection)})
    return {f"{r.project} {r.version}": [file.filename for file in r.files] for r in found.releases}


def names_of(selection: Selection) -> list[str]:
    return [known.name for known in selection.projects]


CURRENT = selected(release("1.0", A1, A1_SDIST, reason=OLD_REASON), release("1.0", B1, project="b", reason=OLD_REASON))
ALL = {"a 1.0": [A1.filename, A1_SDIST.filename], "a 2.0": [A2.filename], "b 1.0": [B1.filename]}


# --- the key --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "keeps_listed", "delete_after"),
    [
        ("keep", True, timedelta()),
        ("prune", False, timedelta()),
        ("prune-after 30 days", False, timedelta(days=30)),
        ("prune-after  1 day", False, timedelta(days=1)),
        ("prune-after 36 hours", False, timedelta(hours=36)),
        ("prune-after 2 weeks ", False, timedelta(weeks=2)),
        ("prune-after 0 days", False, timedelta()),
    ],
)
def test_rules_for_removal(text: str, keeps_listed: bool, delete_after: timedelta) -> None:
    assert parse_on_removal(text, "main") == OnRemoval(keeps_listed=keeps_listed, delete_after=delete_after)


@pytest.mark.parametrize(
    "text", ["", "delete", "prune-after", "prune-after 30", "prune-after -1 days", "prune-after 1e9 days"]
)
def test_a_rule_that_cannot_be_read_names_its_place_and_the_remedy(text: str) -> None:
    with pytest.raises(InvalidRequirement, match="prune-after 30 days") as caught:
        parse_on_removal(text, "indexes.main.on-removal")
    assert caught.value.where == "indexes.main.on-removal"


# --- what stays listed ----------------------------------------------------------------------------------------------
def test_without_keep_a_selection_is_all_that_is_listed() -> None:
    new = selected(release("2.0", A2))
    assert carried(new, CURRENT, PRUNE) == {"a 2.0": [A2.filename]}
    assert carried(new, None) == {"a 2.0": [A2.filename]}


def test_with_keep_what_was_listed_stays() -> None:
    assert carried(selected(release("2.0", A2)), CURRENT) == ALL


def test_after_a_partial_run_nothing_is_unlisted() -> None:
    """An upstream that fails is never read as "deleted"."""
    assert carried(selected(release("2.0", A2)), CURRENT, PRUNE, is_partial=True) == ALL


def test_files_of_a_release_that_is_chosen_again_are_united_under_the_new_reasons() -> None:
    found = carried_over(
        selected(release("1.0", A1)), CURRENT, KEEP, Policy.compile(Filters(), "f"), {}, is_partial=False
    )
    assert found.releases[0] == release("1.0", A1, A1_SDIST)
    kept = CURRENT.releases[1]
    assert msgspec.structs.replace(found.releases[1], shares=()) == kept
    # Nothing new is kept by what once needed it: in no resolution of the new selection has it any part.
    assert found.releases[1].shares == ((Share(kept.reasons[0].environments, ()),),)


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        (Filters(exclude=("a",)), {A1.filename, A1_SDIST.filename}),
        (Filters(exclude=("a<2",)), {A1.filename, A1_SDIST.filename}),
        (Filters(formats=("wheel",)), {A1_SDIST.filename, B1.filename}),
        (Filters(exclude_tags=("py3",)), {A1.filename}),
        (Filters(allow=("b",)), set()),
        (Filters(min_age="9 days"), set()),
    ],
)
def test_a_filter_takes_away_what_was_kept(filters: Filters, gone: set[str]) -> None:
    dated = [
        msgspec.structs.replace(
            r, files=tuple(msgspec.structs.replace(f, upload_time="2026-11-19T00:00:00Z") for f in r.files)
        )
        for r in CURRENT.releases
    ]
    found = carried(Selection(), selected(*dated), filters=filters)
    assert {name for names in found.values() for name in names} == {A1.filename, A1_SDIST.filename, B1.filename} - gone


def test_a_size_that_was_learned_since_counts() -> None:
    """A file that came from an index without sizes stays only while it is known to be small enough, or not known."""
    page = Page(name=parse_name("a"), files=(msgspec.structs.replace(A1, size=5000), A1_SDIST))
    policy = Policy.compile(Filters(max_file_size="1 kB"), "filters")
    found = carried_over(Selection(), CURRENT, KEEP, policy, {page.name: page}, is_partial=False)
    assert [file.filename for r in found.releases for file in r.files] == [A1_SDIST.filename, B1.filename]


def test_a_page_names_a_file_once_even_if_its_content_or_release_changed() -> None:
    changed = msgspec.structs.replace(A1, sha256="9" * 64)
    assert carried(selected(release("1.0", changed)), CURRENT)["a 1.0"] == [A1.filename, A1_SDIST.filename]
    renamed = selected(release("1", A1_SDIST, A1))
    assert carried(renamed, CURRENT) == {"a 1": [A1_SDIST.filename, A1.filename], "b 1.0": [B1.filename]}


@pytest.mark.parametrize("is_partial", [False, True])
def test_a_quarantined_project_keeps_nothing(is_partial: bool) -> None:
    """PEP 792: it offers no files."""
    new = selected(release("1.0", B1, project="b"), a=ProjectStatus.QUARANTINED)
    assert carried(new, CURRENT, is_partial=is_partial) == {"b 1.0": [B1.filename]}


def test_what_is_newly_known_of_a_project_counts() -> None:
    new = selected(a=ProjectStatus.ARCHIVED)
    found = carried_over(new, CURRENT, KEEP, Policy.compile(Filters(), "f"), {}, is_partial=False)
    assert {known.name: known.status for known in found.projects} == {"a": "archived", "b": "active"}


def test_problems_and_warnings_are_those_of_the_run() -> None:
    problem = Problem(project="c", requirement="c", reason="gone")
    new = Selection(problems=(problem,), warnings=("new",))
    current = msgspec.structs.replace(CURRENT, problems=(), warnings=("old",))
    found = carried_over(new, current, KEEP, Policy.compile(Filters(), "f"), {}, is_partial=True)
    assert (found.problems, found.warnings) == ((problem,), ("new",))
