"""Several pages of one project as one: whose files stand on it, for any pages that members may have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import NormalizedName

from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.names import parse_safe_filename
from pypim.core.priority import Answered, combined_list, compose, conflict

NAME = NormalizedName("a")


@st.composite
def files(draw: st.DrawFn, where: str) -> DistFile:
    filename = f"a-{draw(st.integers(1, 3))}.0-py3-none-any.whl"
    digest = draw(st.sampled_from(["1", "2"])) * 64
    return DistFile(filename=parse_safe_filename(filename), url=f"{where}/{digest}/{filename}", sha256=digest)


@st.composite
def answers(draw: st.DrawFn) -> list[Answered]:
    made = []
    for member in ("one", "two", "three"):
        listed = draw(st.lists(files(f"https://{member}.example"), max_size=3, unique_by=lambda file: file.filename))
        status = draw(st.sampled_from([ProjectStatus.ACTIVE, ProjectStatus.ACTIVE, ProjectStatus.QUARANTINED]))
        page = Page(name=NAME, files=tuple(listed), status=status)
        made.append(Answered(member=member, page=draw(st.sampled_from([page, None]))))
    return made


@given(answers(), st.booleans())
def test_files_of_two_sources_stand_together_only_where_that_is_asked_for(said: list[Answered], merged: bool) -> None:
    """A group answers from the first index that has the project, never mixing files of two sources."""
    made = compose(NAME, said, is_merged=merged)
    having = [answer for answer in said if answer.page is not None]
    assert (made is None) == (not having)
    if made is None:
        return
    assert made.winner == having[0].member
    assert len(made.owners) == len(made.page.files)
    assert merged or set(made.owners) <= {made.winner}
    by_name = {answer.member: answer.page for answer in having}
    for file in made.page.files:
        owner = made.owner_of(file)
        assert owner is not None
        page = by_name[owner]
        assert page is not None
        assert file in page.files


@given(answers())
def test_of_a_merged_page_the_first_member_wins_each_name_and_every_other_content_is_reported(
    said: list[Answered],
) -> None:
    """Case 78: two indexes, same filename, different sha256 → never merged under one URL; conflict reported."""
    made = compose(NAME, said, is_merged=True)
    if made is None or made.page.status is ProjectStatus.QUARANTINED:
        return
    names = [file.filename for file in made.page.files]
    assert len(names) == len(set(names))
    served = {file.filename: file for file in made.page.files}
    open_pages = [a.page for a in said if a.page is not None and a.page.status is not ProjectStatus.QUARANTINED]
    for page in open_pages:
        for file in page.files:
            differs = served[file.filename].sha256 != file.sha256
            assert not differs or any(file.filename in line for line in made.page.dropped)


def test_a_reserved_name_has_a_page_though_nobody_has_it() -> None:
    made = compose(NAME, [Answered(member="one", page=None)], is_merged=False, is_reserved=True)
    assert made is not None
    assert made.page == Page(name=NAME)
    assert made.winner is None


def test_whether_two_files_are_the_same_bytes_is_not_guessed() -> None:
    name = parse_safe_filename("a-1.0.tar.gz")
    one = DistFile(filename=name, url="https://one.example/a-1.0.tar.gz", sha256="1" * 64)
    bare = DistFile(filename=name, url="https://two.example/a-1.0.tar.gz")
    sized = DistFile(filename=name, url="https://two.example/a-1.0.tar.gz", size=2)
    hashed = DistFile(filename=name, url="https://three.example/a-1.0.tar.gz", other_hash=("md5", "0" * 32))
    assert "may have other bytes" in (conflict("one", one, "two", bare) or "")
    assert "may have" in (conflict("two", bare, "three", hashed) or "")
    assert "has other bytes" in (conflict("one", DistFile(filename=name, url="x", size=1), "two", sized) or "")
    assert conflict("one", one, "two", DistFile(filename=name, url="elsewhere", sha256="1" * 64)) is None
    assert conflict("two", bare, "three", bare) is None
    other = DistFile(filename=name, url="https://four.example/a-1.0.tar.gz", other_hash=("md5", "1" * 32))
    assert "has other bytes" in (conflict("three", hashed, "four", other) or "")
    blake = DistFile(filename=name, url="https://five.example/a-1.0.tar.gz", blake2b_256="1" * 64)
    assert conflict("five", blake, "six", DistFile(filename=name, url="y", blake2b_256="1" * 64)) is None


def test_a_project_has_the_serial_of_the_member_that_answers_for_it() -> None:
    """Case 40: a page with a lower serial than its list's entry is taken for an old copy, so both are of one member."""
    b = NormalizedName("b")
    union = combined_list(
        [ProjectList(projects={NAME: 3}, last_serial=3), ProjectList(projects={NAME: 900, b: None}, last_serial=901)]
    )
    assert union.projects == {NAME: 3, b: None}
    assert union.last_serial == 901
