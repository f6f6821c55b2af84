"""A group of indexes: the first that has the project answers, and nobody is asked who must not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import NormalizedName

from pypim.core.errors import (
    NotAuthorised,
    NotFound,
    ProjectNotFound,
    PypimError,
    StoreUnreadable,
    UpstreamUnavailable,
)
from pypim.core.model import Page, ProjectStatus
from pypim.core.patterns import ProjectPatterns
from pypim.index.group import GroupIndex, Member
from tests.index.shelf import Shelf, dist_file

if TYPE_CHECKING:
    from pathlib import Path

ACME = NormalizedName("acme")
FLASK = NormalizedName("flask")
OURS = dist_file("acme-1.0-py3-none-any.whl", "a", where="https://ours.example")
THEIRS = dist_file("acme-9.0-py3-none-any.whl", "b", where="https://files.example")


def group(*shelves: Shelf, merge: tuple[str, ...] = ()) -> GroupIndex:
    members = [Member(shelf, shelf.reserves if shelf.names_reserved else None) for shelf in shelves]
    return GroupIndex("all", members, ProjectPatterns.compile(merge, "merge"))


def ours(*pages: Page, reserved: frozenset[str] = frozenset()) -> Shelf:
    return Shelf("ours", *pages, reserved=reserved)


def theirs(*pages: Page) -> Shelf:
    return Shelf("theirs", *pages)


async def test_the_first_member_that_has_the_project_answers_alone() -> None:
    """A private name that also exists upstream with a higher version: only ours is on the page."""
    upstream = theirs(Page(name=ACME, files=(THEIRS,)))
    page = await group(ours(Page(name=ACME, files=(OURS,))), upstream).project(ACME)
    assert page.files == (OURS,)
    assert upstream.asked == []


async def test_what_the_first_does_not_have_the_next_answers() -> None:
    page = await group(ours(), theirs(Page(name=ACME, files=(THEIRS,)))).project(ACME)
    assert page.files == (THEIRS,)


async def test_case_35_a_project_with_no_files_left_answers_with_none() -> None:
    """Case 35: private name, zero files left → 200 `files: []`, not 404, and nobody else's files."""
    page = await group(ours(Page(name=ACME)), theirs(Page(name=ACME, files=(THEIRS,)))).project(ACME)
    assert page.files == ()


@pytest.mark.parametrize(
    "fault",
    [
        UpstreamUnavailable("https://index.example", "503"),
        StoreUnreadable("/store", "input/output error"),
        NotAuthorised("https://index.example"),
    ],
)
async def test_case_36_a_member_that_fails_ends_the_search(fault: UpstreamUnavailable) -> None:
    """Case 36: a fault is never read as "not here": what the failing member has, nobody knows."""
    first, second = ours(), theirs(Page(name=ACME, files=(THEIRS,)))
    first.fault = fault
    both = group(first, second)
    with pytest.raises(type(fault)):
        await both.project(ACME)
    with pytest.raises(type(fault)):
        await both.project_list()
    assert second.asked == []


async def test_a_member_that_fails_after_the_one_that_has_it_is_not_missed() -> None:
    last = theirs()
    last.fault = UpstreamUnavailable("https://index.example", "503")
    assert (await group(ours(Page(name=ACME, files=(OURS,))), last).project(ACME)).files == (OURS,)


async def test_not_found_only_when_every_member_said_so() -> None:
    first, second = ours(), theirs()
    both = group(first, second)
    with pytest.raises(ProjectNotFound):
        await both.project(ACME)
    second.fault = UpstreamUnavailable("https://index.example", "503")
    with pytest.raises(UpstreamUnavailable):
        await both.project(ACME)


async def test_a_reserved_name_is_never_asked_of_the_others_wherever_they_stand() -> None:
    upstream = theirs(Page(name=ACME, files=(THEIRS,)), Page(name=FLASK))
    private = ours(reserved=frozenset({"acme"}))
    both = group(upstream, private)
    assert (await both.project(ACME)).files == (), "reserved names exist, so that no client looks elsewhere"
    assert (await both.project(FLASK)).name == FLASK
    assert upstream.asked == ["flask"]
    private.put(Page(name=ACME, files=(OURS,)))
    assert (await both.project(ACME)).files == (OURS,)
    assert set((await both.project_list()).projects) == {"acme", "flask"}


async def test_the_list_leaves_out_what_upstream_calls_by_a_name_of_ours() -> None:
    both = group(theirs(Page(name=ACME), Page(name=FLASK)), ours(reserved=frozenset({"acme"})))
    assert set((await both.project_list()).projects) == {"flask"}


async def test_a_reservation_that_cannot_be_read_fails_closed() -> None:
    def unreadable(_: NormalizedName) -> bool:
        raise StoreUnreadable("/store", "input/output error")

    upstream = theirs(Page(name=ACME, files=(THEIRS,)))
    none = ProjectPatterns.compile((), "merge")
    with pytest.raises(StoreUnreadable):
        await GroupIndex("all", [Member(upstream), Member(ours(), unreadable)], none).project(ACME)
    assert upstream.asked == []


async def test_case_78_one_file_name_with_two_contents_is_reported_and_never_merged(tmp_path: Path) -> None:
    """Case 78: two indexes, same filename, different sha256 → never merged under one URL; conflict reported."""
    twin = dist_file(OURS.filename, "c")
    first, second = ours(Page(name=ACME, files=(OURS,))), theirs(Page(name=ACME, files=(twin, THEIRS)))
    first.paths[OURS.filename] = tmp_path / "ours"
    second.paths[THEIRS.filename] = tmp_path / "theirs"
    both = group(first, second, merge=("acm*",))
    page = await both.project(ACME)
    assert page.files == (OURS, THEIRS)
    assert page.dropped == (
        "acme-1.0-py3-none-any.whl: the file of theirs has other bytes than that of ours, which is served",
    )
    assert await both.content(ACME, OURS) == tmp_path / "ours"
    assert await both.content(ACME, THEIRS) == tmp_path / "theirs"
    with pytest.raises(NotFound):
        await both.content(ACME, twin)


async def test_what_a_member_has_reserves_nothing_where_all_are_taken_but_its_rules_do() -> None:
    """A group never mixes files of two sources unless a rule for that project says so; reserved names are reserved."""
    private, upstream = ours(Page(name=ACME, files=(OURS,))), theirs(Page(name=ACME, files=(THEIRS,)))
    merge = ProjectPatterns.compile(("acme",), "merge")
    by_rule: set[NormalizedName] = set()
    members = [Member(upstream), Member(private, lambda _: True, lambda name: name in by_rule)]
    assert (await GroupIndex("all", members, merge).project(ACME)).files == (THEIRS, OURS)
    by_rule.add(ACME)
    upstream.asked.clear()
    assert (await GroupIndex("all", members, merge).project(ACME)).files == (OURS,)
    assert upstream.asked == []


async def test_a_merged_page_needs_every_member() -> None:
    first, second = ours(Page(name=ACME, files=(OURS,))), theirs(Page(name=ACME, files=(THEIRS,)))
    second.fault = UpstreamUnavailable("https://index.example", "503")
    with pytest.raises(UpstreamUnavailable):
        await group(first, second, merge=("acme",)).project(ACME)


async def test_bytes_come_from_the_member_that_answers_the_page(tmp_path: Path) -> None:
    """A file may be served if and only if it is on the page that this very index returns."""
    first, second = ours(Page(name=ACME, files=(OURS,))), theirs(Page(name=ACME, files=(THEIRS,)))
    first.paths[OURS.filename] = tmp_path
    first.metadata[OURS.filename] = b"Name: acme\n"
    both = group(first, second)
    assert await both.content(ACME, OURS) == tmp_path
    assert await both.metadata_bytes(ACME, OURS) == b"Name: acme\n"
    with pytest.raises(NotFound):
        await both.content(ACME, THEIRS)


async def test_a_mark_changes_with_the_members_that_were_asked_and_with_no_other() -> None:
    first, second = ours(Page(name=ACME, files=(OURS,))), theirs()
    both = group(first, second)
    await both.project(ACME)
    mark = both.mark(ACME)
    second.put(Page(name=ACME, files=(THEIRS,)))
    assert both.mark(ACME) == mark
    asked = list(first.asked)
    await both.project(ACME)
    assert first.asked == asked, "what has not changed is not asked for again"
    first.drop("acme")
    assert both.mark(ACME) != mark
    assert (await both.project(ACME)).files == (THEIRS,)


async def test_a_new_reservation_of_a_later_member_changes_the_mark() -> None:
    private = ours(reserved=frozenset({"other"}))
    both = group(theirs(Page(name=ACME, files=(THEIRS,))), private)
    await both.project(ACME)
    mark = both.mark(ACME)
    private.names_reserved = frozenset({"acme"})
    private.put(Page(name=ACME, files=(OURS,)))
    assert both.mark(ACME) != mark
    assert (await both.project(ACME)).files == (OURS,)


async def test_the_mark_of_a_member_that_must_be_asked_makes_the_group_ask() -> None:
    only = theirs(Page(name=ACME, files=(THEIRS,)))
    both = group(only)
    await both.project(ACME)
    only.fault = UpstreamUnavailable("https://index.example", "503")
    assert both.mark(ACME) != both.mark(ACME)
    with pytest.raises(UpstreamUnavailable):
        await both.project(ACME)


async def test_a_group_of_groups_is_a_group() -> None:
    inner = group(ours(), theirs(Page(name=ACME, files=(THEIRS,))))
    none = ProjectPatterns.compile((), "merge")
    outer = GroupIndex("outer", [Member(Shelf("own")), Member(inner)], none)
    assert (await outer.project(ACME)).files == (THEIRS,)


async def test_very_large_pages_are_not_remembered_and_still_answer() -> None:
    files = tuple(dist_file(f"acme-{n}-py3-none-any.whl") for n in range(10_001))
    first = ours(Page(name=ACME, files=files), Page(name=FLASK))
    both = group(first)
    for name in (FLASK, ACME, ACME, FLASK):
        assert (await both.project(name)).name == name
    assert first.asked == ["flask", "acme", "acme", "flask"]


async def test_quarantine_counts_as_it_does_at_each_member() -> None:
    """PEP 792: a quarantined project must not offer files."""
    locked = theirs(Page(name=ACME, files=(THEIRS,), status=ProjectStatus.QUARANTINED))
    page = await group(ours(Page(name=ACME, files=(OURS,))), locked, merge=("acme",)).project(ACME)
    assert page.files == (OURS,)
    page = await group(locked, ours(Page(name=ACME, files=(OURS,))), merge=("acme",)).project(ACME)
    assert page.status is ProjectStatus.QUARANTINED
    assert OURS not in page.files


async def test_a_survey_hears_every_member_that_may_be_asked() -> None:
    first, second, third = ours(), theirs(Page(name=ACME, files=(THEIRS,))), Shelf("last", Page(name=ACME))
    second.fault = UpstreamUnavailable("https://index.example", "503")
    survey = await group(first, second, third).survey(ACME)
    assert survey.members == ("ours", "theirs", "last")
    assert [type(answer).__name__ for answer in survey.answers] == ["Answered", "UpstreamUnavailable", "Answered"]
    reserved = await group(second, ours(Page(name=ACME), reserved=frozenset({"acme"}))).survey(ACME)
    assert reserved.reserved_by == ("ours",)
    assert reserved.answers[0] is None


NAMES = (ACME, FLASK)
FILES = (OURS, THEIRS, dist_file(OURS.filename, "c"))


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[int, str, NormalizedName, int]]:
    """What happens to which of three members: a page is put there or dropped, a name reserved, or it fails."""
    acts = st.sampled_from(["put", "put", "drop", "reserve", "fail", "heal"])
    change = st.tuples(st.integers(0, 2), acts, st.sampled_from(NAMES), st.integers(0, 7))
    return draw(st.lists(change, min_size=1, max_size=8))


def apply(shelf: Shelf, act: str, name: NormalizedName, bits: int) -> None:
    if act == "put":
        shelf.put(Page(name=name, files=tuple(file for n, file in enumerate(FILES) if bits >> n & 1)))
    elif act == "drop" and name in shelf.pages:
        shelf.drop(name)
    elif act == "reserve":
        shelf.names_reserved ^= {name}
        shelf.changes += 1
    elif act in {"fail", "heal"}:
        shelf.fault = UpstreamUnavailable(shelf.name, "503") if act == "fail" else None


async def said(index: GroupIndex, name: NormalizedName) -> Page | str:
    try:
        return await index.project(name)
    except PypimError as error:
        return error.code


@settings(max_examples=60, deadline=None)
@given(changes(), st.booleans())
async def test_what_is_remembered_is_what_a_new_group_would_say(
    changed: list[tuple[int, str, NormalizedName, int]], is_merged: bool
) -> None:
    """Two equal marks mean that the page has not changed between."""
    shelves = [Shelf(name) for name in ("one", "two", "three")]
    members = [Member(shelf, shelf.reserves) for shelf in shelves]
    merge = ProjectPatterns.compile(("acme",) if is_merged else (), "merge")
    old = GroupIndex("all", members, merge)
    seen: dict[tuple[NormalizedName, object], Page | str] = {}
    for position, act, name, bits in changed:
        apply(shelves[position], act, name, bits)
        for one in NAMES:
            mark = old.mark(one)
            fresh = await said(GroupIndex("all", members, merge), one)
            assert await said(old, one) == fresh
            assert seen.setdefault((one, mark), fresh) == fresh
            is_failing = any(shelf.fault is not None for shelf in shelves)
            assert fresh != "project-not-found" or not is_failing, "only when every member said so"
