"""The closure call by call: what it wants and when, what it waits for, and what it makes of silence."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import msgspec
import pytest

from pypim.core.closure import WantMetadata, WantPage
from pypim.core.names import parse_name
from pypim.core.selection import Problem, ProblemKind, Reason, Selection
from pypim.core.target import TargetSpec
from tests.core.offers import (
    Asked,
    Following,
    Offer,
    Projects,
    World,
    choose,
    drive,
    files_of,
    first,
    last,
    metadata_wanted,
    pythons,
    releases_of,
    shuffled,
    small,
    wheel,
)

A, B, C = parse_name("a"), parse_name("b"), parse_name("c")


def answered(world: World, *projects: str) -> list[str]:
    """What is wanted after the pages of these projects were answered, in order."""
    closure = world.closure()
    closure.start(world.asked())
    wanted = [
        want for name in projects for want in closure.answer(WantPage(parse_name(name)), world.page(parse_name(name)))
    ]
    return [want.file.filename if isinstance(want, WantMetadata) else want.project for want in wanted]


def reasons_of(selection: Selection, project: str, version: str) -> list[Reason]:
    return [x for r in selection.releases if (r.project, r.version) == (project, version) for x in r.reasons]


# --- wants ----------------------------------------------------------------------------------------------------------
def test_the_first_wants_are_the_pages_of_the_roots_each_once() -> None:
    world = small({"a": {"1.0": []}, "b": {"1.0": []}}, "a", "b", "a[x]>=1", targets=pythons("3.12"))
    assert world.closure().start(world.asked()) == [WantPage(A), WantPage(B)]


def test_no_roots_want_nothing_and_select_nothing() -> None:
    closure = small({}).closure()
    assert closure.start([]) == []
    assert closure.selection() == Selection()


def test_a_page_leads_to_the_metadata_of_the_files_that_count() -> None:
    files = {
        wheel("a", "1.0"): Offer(),
        wheel("a", "2.0", "cp312-cp312-manylinux_2_17_x86_64"): Offer(),
        wheel("a", "2.0", "cp312-cp312-win_amd64"): Offer(),
        wheel("a", "2.0", "cp311-cp311-win_amd64"): Offer(),
        "a-2.0.tar.gz": Offer(),
    }
    two = small({"a": files}, "a", targets=pythons("3.12", platforms=["linux", "windows"]))
    assert answered(two, "a") == [
        wheel("a", "2.0", "cp312-cp312-manylinux_2_17_x86_64"),
        wheel("a", "2.0", "cp312-cp312-win_amd64"),
    ]
    three = small({"a": files}, "a", targets=pythons("3.12", platforms=["linux", "windows", "macos"]))
    assert answered(three, "a")[-1] == "a-2.0.tar.gz"


def test_a_need_waits_for_all_the_files_it_would_choose() -> None:
    """Or else what the last of them says could not change the choice any more."""
    world = small(
        {"a": {wheel("a", "1.0"): [], "a-2.0.zip": ["b"], "a-2.0.tar.gz": ["b"]}}, "a", targets=pythons("3.12")
    )
    closure = world.closure()
    closure.start(world.asked())
    first, second = closure.answer(WantPage(A), world.page(A))
    assert closure.answer(first, world.answer(first)) == []
    assert closure.answer(second, world.answer(second)) == [WantPage(B)]


def test_what_requires_python_rules_out_gives_way_to_the_next_release() -> None:
    silent = {f"{n}.0": Offer(requires_python=">=3.13", page_python=None) for n in range(2, 9)}
    world = small({"a": {"1.0": [], **silent}}, "a", targets=pythons("3.12"))
    selection, wanted = drive(world)
    assert releases_of(selection) == ["a 1.0"]
    assert metadata_wanted(wanted) == [wheel("a", f"{n}.0") for n in range(8, 0, -1)]


def test_a_file_that_was_ruled_out_leaves_no_warning() -> None:
    doubtful = Offer(requires_python=">=3.13", page_python=None, requires=("!!",))
    world = small({"a": {"1.0": [], "2.0": doubtful}}, "a", targets=pythons("3.12"))
    assert choose(world).warnings == ()
    assert len(choose(small({"a": {"1.0": Offer(requires=("!!",))}}, "a")).warnings) == 1


def test_an_open_want_must_be_answered_before_there_is_a_selection() -> None:
    world = small({"a": {"1.0": []}}, "a")
    closure = world.closure()
    closure.start(world.asked())
    with pytest.raises(AssertionError):
        closure.selection()
    closure.answer(WantPage(A), world.page(A))
    with pytest.raises(AssertionError):
        closure.selection()


# --- silence --------------------------------------------------------------------------------------------------------
def test_a_project_that_cannot_be_had_is_named_with_its_chain() -> None:
    world = small({"a": {"1.0": ["b>=2"]}}, "a", targets=pythons("3.12"))
    assert choose(world).problems == (
        Problem(
            project="b",
            requirement="b>=2",
            reason="b cannot be had",
            chain=("command line", "a 1.0"),
            environments=("t cpython 3.12 linux",),
            is_root=False,
            kind=ProblemKind.MISSING,
            is_certain=True,
        ),
    )


def test_a_lack_without_a_reason_has_one_all_the_same() -> None:
    world = small({}, "a")
    closure = world.closure()
    (want,) = closure.start(world.asked())
    assert closure.answer(want, None) == []
    (problem,) = closure.selection().problems
    assert (problem.kind, problem.is_root, bool(problem.reason)) == (ProblemKind.MISSING, True, True)


def test_metadata_that_cannot_be_had_leaves_the_file_chosen() -> None:
    world = small({"a": {"1.0": Offer(requires=("b",), has_metadata=False)}}, "a")
    selection = choose(world)
    assert releases_of(selection) == ["a 1.0"]
    assert selection.problems == ()
    assert "its requirements are not known" in selection.warnings[0]


def test_each_environment_has_its_own_cause() -> None:
    files = {wheel("a", "1.0", "cp312-cp312-win_amd64"): Offer(yanked=True)}
    world = small({"a": files}, "a", targets=pythons("3.12", platforms=["linux", "windows"]))
    told = {problem.environments: problem.reason for problem in choose(world).problems}
    assert told == {
        ("t cpython 3.12 linux",): "no file of 1.0 fits (wheel tags or Requires-Python)",
        ("t cpython 3.12 windows",): "1.0: yanked, and only an exact pin takes a yanked file",
    }


# --- what the order could have changed ------------------------------------------------------------------------------
def test_what_a_pin_adds_to_a_release_is_followed_whoever_comes_first() -> None:
    """The yanked wheel of a release counts for the pin only, and the pin may be met before or after the range."""
    projects: Projects = {
        "a": {"1.0": ["c"], wheel("a", "1.0", "py3.py2-none-any"): Offer(yanked=True, requires=("d",))},
        "b": {"1.0": ["a==1.0"]},
        "c": {"1.0": []},
        "d": {"1.0": []},
    }
    world = small(projects, "a", "b", targets=pythons("3.12"))
    for order in (last, *map(shuffled, range(20))):
        assert releases_of(choose(world, order)) == ["a 1.0", "b 1.0", "c 1.0", "d 1.0"]
    assert releases_of(choose(small(projects, "a"))) == ["a 1.0", "c 1.0"]


def test_an_sdist_speaks_only_where_there_is_no_wheel_however_needs_meet() -> None:
    """b needs a on Linux and Windows at once, the root on Windows alone; only Linux builds the sdist."""
    projects: Projects = {
        "a": {wheel("a", "1.0", "cp312-cp312-win_amd64"): [], "a-1.0.tar.gz": ["c; sys_platform == 'win32'"]},
        "b": {"1.0": ["a"]},
        "c": {"1.0": []},
    }
    targets = pythons("3.12", platforms=["linux", "windows"])
    world = small(projects, "b", "a; sys_platform == 'win32'", targets=targets)
    for order in (last, *map(shuffled, range(20))):
        assert releases_of(choose(world, order)) == ["a 1.0", "b 1.0"]


def test_what_was_learned_for_a_root_with_hashes_counts_for_others_too() -> None:
    silent = Offer(requires_python=">=3.13", page_python=None)
    limited = Asked(requirement="a", hashes=(wheel("a", "2.0"),))
    world = small({"a": {"1.0": [], "2.0": silent}, "b": {"1.0": ["a"]}}, limited, "b", targets=pythons("3.12"))
    for order in (first, last, *map(shuffled, range(10))):
        assert releases_of(choose(world, order)) == ["a 1.0", "b 1.0"]


def test_files_stand_as_on_the_page_also_where_one_root_limits_them_to_a_hash() -> None:
    """Of wheels that are alike pip takes the one that stands last."""
    names = [wheel("a", "1.0", "py2.py3-none-any"), wheel("a", "1.0")]
    roots = (Asked(requirement="a", hashes=(names[0],)), Asked(requirement="a"))
    for order, versions in itertools.product((roots, roots[::-1]), ("newest", "resolve")):
        following = msgspec.convert({"versions": versions}, Following)
        (release,) = choose(small({"a": dict.fromkeys(names, ())}, *order, dependencies=following)).releases
        assert [file.filename for file in release.files] == names


def test_a_shorter_way_found_late_is_followed_further() -> None:
    projects: Projects = {
        "a": {"1": ["b"]},
        "b": {"1": ["c"]},
        "c": {"1": ["d"]},
        "d": {"1": ["e"]},
        "e": {"1": ["f"]},
        "r": {"1": ["c"]},
    }
    world = small(projects, "a", "r", dependencies=Following(max_depth=3))
    for order in (last, *map(shuffled, range(20))):
        assert releases_of(choose(world, order)) == ["a 1", "b 1", "c 1", "d 1", "e 1", "r 1"]


def test_long_chains_and_wide_releases_need_no_deep_stack() -> None:
    count = 3000
    chain: dict[str, Mapping[str, list[str]]] = {f"p{n}": {"1.0": [f"p{n + 1}[x]"]} for n in range(count)}
    chain[f"p{count}"] = {"1.0": []}
    extras = [f"a[x{n + 1}]; extra == 'x{n}'" for n in range(count)]
    world = small({**chain, "a": {"1.0": extras}}, "p0", "a[x0]")
    assert len(choose(world).releases) == count + 2


# --- reasons --------------------------------------------------------------------------------------------------------
def test_every_requirement_and_root_that_keeps_a_release_is_a_reason() -> None:
    projects: Projects = {"a": {"1.0": ["b>=1; sys_platform == 'win32'", "b"]}, "b": {"1.0": []}, "c": {"1.0": ["b<2"]}}
    world = small(projects, "a", "c", "b", targets=pythons("3.12", platforms=["linux", "windows"]))
    found = {
        (reason.parent_project or reason.origin, reason.requirement): reason.environments
        for reason in reasons_of(choose(world), "b", "1.0")
    }
    both = ("t cpython 3.12 linux", "t cpython 3.12 windows")
    assert found == {
        ("command line", "b"): both,
        ("a", "b>=1; sys_platform == 'win32'"): ("t cpython 3.12 windows",),
        ("a", "b"): both,
        ("c", "b<2"): both,
    }


def test_a_release_that_two_roots_choose_differently_gives_each_reason_once() -> None:
    projects: Projects = {"a": {"1.0": ["b"]}, "b": {"1.0": []}}
    limited = Asked(requirement="a==1.0", hashes=(wheel("a", "1.0"),))
    (reason,) = reasons_of(choose(small(projects, "a", limited)), "b", "1.0")
    assert reason.parent_project == "a"


# --- roots ----------------------------------------------------------------------------------------------------------
def test_only_roots_get_the_extras_that_roots_get() -> None:
    offer = Offer(requires=("c; extra == 'x'", "b"), extras=("x",))
    projects: Projects = {
        "a": {"1.0": offer},
        "b": {"1.0": Offer(requires=("d; extra == 'x'",), extras=("x",))},
        "c": {"1.0": []},
    }
    named = Following(extras=("X",))
    assert releases_of(choose(small(projects, "a", dependencies=named))) == ["a 1.0", "b 1.0", "c 1.0"]
    assert releases_of(choose(small(projects, "a", dependencies=Following(extras="all")))) == [
        "a 1.0",
        "b 1.0",
        "c 1.0",
    ]
    assert releases_of(choose(small(projects, "a"))) == ["a 1.0", "b 1.0"]


def test_an_empty_set_of_targets_is_every_machine() -> None:
    tags = ["cp38-cp38-win32", "cp313-cp313t-musllinux_1_2_aarch64", "pp310-pypy310_pp73-macosx_11_0_arm64"]
    files = {wheel("a", "1.0", tag): Offer() for tag in tags}
    assert files_of(choose(small({"a": files}, "a"))) == set(files)


def test_the_same_release_for_two_pythons_is_asked_for_once() -> None:
    world = small({"a": {"1.0": ["b"]}, "b": {"1.0": []}}, "a", targets={"t": TargetSpec(python=("3.11", "3.12"))})
    selection, wanted = drive(world)
    assert len(wanted) == 4
    assert releases_of(selection) == ["a 1.0", "b 1.0"]
