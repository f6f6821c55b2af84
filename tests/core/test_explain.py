"""The sentences that say why nothing satisfies a rule, and what keeps each file out."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from pypim.core.explain import explain_files, explain_unsatisfied
from pypim.core.model import ProjectStatus
from pypim.core.names import parse_name
from pypim.core.policy import Filters
from pypim.core.rules import constrained, parse_rule
from pypim.core.selection import ProblemKind
from tests.core.offers import Offer, World, pythons, small, wheel

A = parse_name("a")
LINUX = pythons("3.12")
UNFIT = "no file of {} fits (wheel tags or Requires-Python)"


def reason(world: World, rule: str) -> tuple[ProblemKind, str]:
    page = world.page(A)
    assert page is not None
    return explain_unsatisfied(world.chooser().candidates(page), parse_rule(rule, "packages.a"), 1)


def verdicts(world: World, specifier: str = "") -> dict[str, str]:
    page = world.page(A)
    assert page is not None
    chooser = world.chooser()
    found = explain_files(chooser.candidates(page), SpecifierSet(specifier), chooser)
    return {verdict.filename: verdict.reason for verdict in found}


MAC, WINDOWS = "cp312-cp312-macosx_11_0_arm64", "cp312-cp312-win_amd64"
WORLDS: list[tuple[dict[str, Offer], str, str]] = [
    ({}, "latest", "the project lists no distribution file"),
    ({"1.0": Offer()}, ">=2", "no release matches; the newest is 1.0"),
    ({wheel("a", "1.0", WINDOWS): Offer()}, "latest", UNFIT.format("1.0")),
    ({"1.0": Offer(requires_python=">=3.13")}, "1.0", UNFIT.format("1.0")),
    ({f"{n}.0": Offer(requires_python="<3") for n in range(1, 6)}, "*", UNFIT.format("5.0, 4.0, 3.0 and 2 more")),
    ({"1.0": Offer(yanked=True)}, "latest", "1.0: yanked, and only an exact pin takes a yanked file"),
    (
        {"1.0": Offer(yanked=True), "2.0": Offer(requires_python="<3")},
        "latest",
        f"{UNFIT.format('2.0')}; 1.0: yanked, and only an exact pin takes a yanked file",
    ),
    ({"1.0": Offer(yanked=True, requires_python="<3")}, "latest", UNFIT.format("1.0")),
    ({"1.0": Offer(yanked=True, requires_python="<3")}, "1.0", UNFIT.format("1.0")),
    ({"a-2004d.tar.gz": Offer()}, "latest", "2004d: not a valid version, and only the rule * takes those"),
    ({"a-2004d.tar.gz": Offer()}, ">=1", "no release matches; the newest is 2004d"),
]


@pytest.mark.parametrize(("files", "rule", "expected"), WORLDS)
def test_why_nothing_satisfies_a_rule(files: dict[str, Offer], rule: str, expected: str) -> None:
    assert reason(small({"a": files}, targets=LINUX), rule) == (ProblemKind.UNSATISFIED, expected)


def test_a_constraint_is_named_where_nothing_matches_with_it() -> None:
    """Who reads that nothing matches `==1.0` beside a newest release 1.0 must see what else is asked for."""
    page = small({"a": {"1.0": []}}).page(A)
    assert page is not None
    rule = constrained(parse_rule("==1.0", "requirements.txt:1"), SpecifierSet("<1"))
    told = explain_unsatisfied(small({"a": {"1.0": []}}).chooser().candidates(page), rule, 1)
    assert told == (ProblemKind.UNSATISFIED, "no release matches under the constraint <1; the newest is 1.0")


def test_filters_that_take_away_every_match_are_named_the_most_frequent_first() -> None:
    files = {
        wheel("a", "1.0", WINDOWS): Offer(),
        wheel("a", "1.0", MAC): Offer(),
        "1.0": Offer(size=5000),
        "0.9": Offer(),
    }
    filters = Filters(exclude_tags=("win*", "mac*"), max_file_size=2000)
    kind, sentence = reason(small({"a": files}, targets=LINUX, filters=filters), ">=1")
    assert kind is ProblemKind.EXCLUDED
    assert sentence == (
        'every file that matches is taken away: filters.exclude-tags: "mac*"; filters.exclude-tags: "win*"; '
        "filters.max-file-size: 5,000 bytes, 2,000 are allowed"
    )


def test_the_sentence_does_not_depend_on_the_order_of_the_page() -> None:
    files = {wheel("a", "1.0", WINDOWS): Offer(), wheel("a", "1.0", MAC): Offer(), "1.0": Offer(size=5000)}
    filters = Filters(exclude_tags=("win*", "mac*"), max_file_size=2000)
    mixed = {name: files[name] for name in reversed(files)}
    assert reason(small({"a": files}, filters=filters), "*") == reason(small({"a": mixed}, filters=filters), "*")


def test_filters_that_take_away_all_that_does_not_match_are_told_too() -> None:
    world = small({"a": {"1.0": []}}, filters=Filters(exclude=("a<2",)))
    assert reason(world, ">=2") == (ProblemKind.UNSATISFIED, "no release matches, and filters take away all there are")


@pytest.mark.parametrize("rule", ["latest", ">=1", "1.0"])
def test_a_quarantine_is_told_whatever_was_asked(rule: str) -> None:
    world = small({"a": {"1.0": []}}, status={"a": ProjectStatus.QUARANTINED})
    assert "quarantined" in reason(world, rule)[1]


def test_what_keeps_each_file_out() -> None:
    files = {
        wheel("a", "1.0"): Offer(),
        wheel("a", "1.0", WINDOWS): Offer(),
        wheel("a", "1.1", WINDOWS): Offer(requires_python=">=3.13"),
        "a-1.2.tar.gz": Offer(requires_python=">=3.13"),
        wheel("a", "1.3"): Offer(yanked="broken"),
        wheel("a", "1.4"): Offer(yanked=True),
        wheel("a", "1.5rc1"): Offer(),
        "a-1.6.zip": Offer(),
        "a-1.7.exe": Offer(),
    }
    world = small({"a": files}, targets=LINUX, filters=Filters(extensions=("whl", "tar.gz")))
    assert verdicts(world) == {
        wheel("a", "1.0"): "",
        wheel("a", "1.0", WINDOWS): "no target accepts its wheel tags",
        wheel("a", "1.1", WINDOWS): "no target accepts its wheel tags",
        "a-1.2.tar.gz": "no target has a Python that its Requires-Python '>=3.13' allows",
        wheel("a", "1.3"): "it is yanked: broken; only an exact pin takes it",
        wheel("a", "1.4"): "it is yanked; only an exact pin takes it",
        wheel("a", "1.5rc1"): "it is a pre-release; pin it, name one in the specifier, or set filters.prereleases",
        "a-1.6.zip": "filters.extensions: zip is not among them",
        "a-1.7.exe": "filters.formats: wininst is not among them",
    }
    assert verdicts(world, "==1.0") == {
        wheel("a", "1.0"): "",
        wheel("a", "1.0", WINDOWS): "no target accepts its wheel tags",
    }


def test_a_prerelease_that_is_all_there_is_is_not_kept_out() -> None:
    assert verdicts(small({"a": {"1.0rc1": []}}, targets=LINUX)) == {wheel("a", "1.0rc1"): ""}
    assert verdicts(small({"a": {"1.0rc1": [], "1.0": []}}, targets=LINUX))[wheel("a", "1.0rc1")]


@pytest.mark.parametrize("specifier", [">=1.0rc1", "<=1.0rc1", "<2,>0.5,!=0.6,==1.0rc1"])
def test_a_specifier_that_names_a_prerelease_lets_it_in(specifier: str) -> None:
    """PEP 440, "Handling of pre-releases"."""
    files: dict[str, list[str]] = {"0.9": [], "1.0rc1": [], "1.0": []}
    assert verdicts(small({"a": files}, targets=LINUX), specifier)[wheel("a", "1.0rc1")] == ""


def test_a_python_bound_that_only_the_core_metadata_has() -> None:
    world = small({"a": {"1.0": []}}, targets=LINUX)
    page = world.page(A)
    assert page is not None
    chooser = world.chooser()
    (file,) = page.files
    narrowed = chooser.candidates(page).narrowed(file, chooser.python_mask(">=3.99"))
    (verdict,) = explain_files(narrowed, SpecifierSet(), chooser, {file.identity: ">=3.99"})
    assert "its core metadata's Requires-Python '>=3.99'" in verdict.reason


def test_a_file_that_each_target_refuses_for_another_cause() -> None:
    only_old = {wheel("a", "1.0", "cp311-cp311-manylinux_2_17_x86_64"): Offer(requires_python=">=3.12")}
    (reason,) = verdicts(small({"a": only_old}, targets=pythons("3.11", "3.12"))).values()
    assert reason == "no target accepts both its wheel tags and its Requires-Python '>=3.12'"


def test_legacy_versions_and_legacy_kinds() -> None:
    files = {"a-2004d.tar.gz": Offer(), "1.0": Offer(), "a-1.0-py2.7.egg": Offer()}
    found = verdicts(small({"a": files}, targets=LINUX, filters=Filters(formats=("wheel", "sdist", "egg"))))
    assert found["a-2004d.tar.gz"] == "its version is not a valid one; only the rule * takes it"
    assert found["a-1.0-py2.7.egg"] == ""
