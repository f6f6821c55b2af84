"""The choice of releases for groups of environments that can use different ones."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet

from pypim.core.choice import Choice
from pypim.core.names import parse_name
from pypim.core.policy import Filters
from pypim.core.rules import parse_rule, requirement_rule
from tests.core.offers import Offer, World, pythons, small

A = parse_name("a")
THREE = pythons("3.11", "3.12", "3.13")


def choice(world: World) -> Choice:
    page = world.page(A)
    assert page is not None
    return Choice(world.chooser().candidates(page), world.chooser().policy)


def taken(world: World, rule: str, mask: int = 1) -> dict[str, int]:
    return {release.text: bits for release, bits in choice(world).take(parse_rule(rule, "packages.a"), mask).items()}


def needed(world: World, specifier: str, mask: int = 1) -> list[str]:
    rule = requirement_rule(SpecifierSet(specifier), specifier)
    return [release.text for release in choice(world).take(rule, mask)]


def test_each_environment_has_its_own_newest() -> None:
    files = {
        "1.0": Offer(),
        "2.0": Offer(requires_python=">=3.12"),
        "3.0": Offer(requires_python=">=3.13"),
        "4.0": Offer(requires_python="<3.12"),
    }
    world = small({"a": files}, targets=THREE)
    assert taken(world, "latest", 0b111) == {"4.0": 0b001, "3.0": 0b100, "2.0": 0b010}
    assert taken(world, "latest<3", 0b111) == {"2.0": 0b110, "1.0": 0b001}
    assert taken(world, "2 latest", 0b011) == {"4.0": 0b001, "2.0": 0b010, "1.0": 0b011}
    assert taken(world, "*", 0b111) == {"4.0": 0b001, "3.0": 0b100, "2.0": 0b110, "1.0": 0b111}
    assert taken(world, "3.0", 0b111) == {"3.0": 0b100}
    assert taken(world, "latest", 0) == {}
    assert taken(world, ">=9", 0b111) == {}


def test_the_same_question_has_the_same_answer_again() -> None:
    made = choice(small({"a": {"1.0": [], "2.0": []}}))
    rule = parse_rule("latest", "packages.a")
    assert made.take(rule, 1) is made.take(parse_rule("1 latest", "packages.b"), 1)
    assert made.take(rule, 1) is not made.take(parse_rule("2 latest", "packages.a"), 1)


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("", ["2.0"]),
        (">=1.0a1", ["3.0b1", "2.0"]),
        (">=2.1a1", ["3.0b1"]),
        (">=2.1", ["3.0b1"]),
        ("==3.0b1", ["3.0b1"]),
        ("!=3.0b1", ["2.0"]),
        ("<3", ["2.0"]),
        ("<3.0b2", ["3.0b1", "2.0"]),
    ],
)
def test_prereleases_of_a_requirement(specifier: str, expected: list[str]) -> None:
    """Both where pip and uv differ: pip takes a pre-release that the specifier names, uv the newest final release."""
    world = small({"a": {"1.0": [], "2.0": [], "2.1rc1": [], "3.0b1": []}})
    assert needed(world, specifier) == expected


def test_prereleases_that_are_allowed_count_like_final_ones() -> None:
    world = small({"a": {"1.0": [], "2.0": [], "3.0b1": []}}, filters=Filters(prereleases=True))
    assert list(taken(world, "2 latest")) == ["3.0b1", "2.0"]
    assert list(taken(world, "*")) == ["3.0b1", "2.0", "1.0"]
    assert needed(world, "") == ["3.0b1"]


def test_yanked_files_count_for_a_pin_only() -> None:
    world = small({"a": {"1.0": Offer(yanked=True), "0.9": []}})
    assert taken(world, "1.0") == {"1.0": 1}
    assert needed(world, "==1.0") == ["1.0"]
    assert needed(world, "==1.*") == []
    assert needed(world, ">=0.1") == ["0.9"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("*", ["4.0", "3.0"]),
        (">=1", ["4.0", "3.0"]),
        ("3 latest", ["4.0", "3.0", "2.0"]),
        ("1.0", ["1.0", "1.0+a"]),
        ("<2", ["1.0+a", "1.0"]),
    ],
)
def test_keep_latest_caps_what_takes_every_match(rule: str, expected: list[str]) -> None:
    files: dict[str, list[str]] = {"1.0": [], "a-1.0+a-py3-none-any.whl": [], "2.0": [], "3.0": [], "4.0": []}
    world = small({"a": files}, filters=Filters(keep_latest=2))
    assert sorted(taken(world, rule)) == sorted(expected)


def test_legacy_versions_are_taken_by_the_rule_for_everything_only() -> None:
    world = small({"a": {"1.0": [], "a-2004d.tar.gz": [], "a-zoo.tar.gz": []}})
    assert list(taken(world, "*")) == ["1.0", "zoo", "2004d"]
    assert list(taken(world, ">=0")) == ["1.0"]
    assert list(taken(world, "3 latest")) == ["1.0"]
    capped = small({"a": {"1.0": [], "a-2004d.tar.gz": []}}, filters=Filters(keep_latest=1))
    assert list(taken(capped, "*")) == ["1.0"]
