"""The rule grammar and the choice a rule makes."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pypim.core.errors import InvalidRequirement
from pypim.core.rules import choose, parse_rule, parse_rules, requirement_rule

WHERE = "packages.django"


def chosen(text: str, versions: str, *, allow_prereleases: bool = False) -> list[str]:
    rule = parse_rule(text, WHERE)
    return [str(v) for v in choose(rule, [Version(v) for v in versions.split()], allow_prereleases=allow_prereleases)]


@pytest.mark.parametrize(
    ("text", "count", "specifier", "is_pin"),
    [
        ("latest", 1, "", False),
        ("1 latest", 1, "", False),
        (" Latest ", 1, "", False),
        ("2 latest", 2, "", False),
        ("2latest", 2, "", False),
        ("2 latest<3.0", 2, "<3.0", False),
        ("2 latest <3.0", 2, "<3.0", False),
        ("latest >=1, <2", 1, ">=1,<2", False),
        ("latest==1.0", 1, "==1.0", True),
        (">=1.2,<3", None, ">=1.2,<3", False),
        ("~=1.4.2", None, "~=1.4.2", False),
        ("==1.*", None, "==1.*", False),
        ("==1.2", None, "==1.2", True),
        ("===1.2", None, "===1.2", True),
        ("==1.2,!=1.3", None, "==1.2,!=1.3", True),
        (">=1,==1.5", None, ">=1,==1.5", True),
        ("latest>=1,===1.5", 1, ">=1,===1.5", True),
        ("!=1.5,==1.*", None, "!=1.5,==1.*", False),
        ("1.2", None, "==1.2", True),
        ("v1.2", None, "==1.2", True),
        ("1!2.0rc1", None, "==1!2.0rc1", True),
        ("*", None, "", False),
        ("", None, "", False),
    ],
)
def test_the_grammar(text: str, count: int | None, specifier: str, is_pin: bool) -> None:
    rule = parse_rule(text, WHERE)
    assert (rule.count, rule.specifier, rule.is_pin) == (count, SpecifierSet(specifier), is_pin)
    assert rule.text == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("newest", 'Write "latest"'),
        ("0 latest", "1 or more"),
        ("-1 latest", "1 or more"),
        ("9" * 5000 + " latest", "1 or more"),
        ("latest 3", "The number comes first"),
        ("^1.2", "not an operator"),
        ("~1.2", "~=1.4"),
        ("=1.2", '"=="'),
        ("1.*", '"==1.*"'),
        (">=1.0 <2", "separated by commas"),
        ("latest>>3", "neither a rule"),
        ("latestish", "neither a rule"),
        ("2004d", "neither a rule"),
    ],
)
def test_what_cannot_be_read_says_where_and_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        parse_rule(text, WHERE)
    assert str(caught.value).startswith(WHERE)
    assert hint in str(caught.value)
    assert caught.value.exit_status == 2


def test_one_rule_or_a_list() -> None:
    assert [rule.text for rule in parse_rules(["latest", "latest<5", "latest"], WHERE)] == ["latest", "latest<5"]
    assert [rule.text for rule in parse_rules("latest", WHERE)] == ["latest"]
    with pytest.raises(InvalidRequirement, match="asks for nothing"):
        parse_rules([], WHERE)


def test_newest_first_and_each_once() -> None:
    assert chosen("*", "1.0 1.10 1.9 1.0.0 1.9") == ["1.10", "1.9", "1.0"]
    assert chosen("2 latest<1.10", "1.0 1.10 1.9 0.5") == ["1.9", "1.0"]
    assert chosen("5 latest", "1.0 2.0") == ["2.0", "1.0"]
    assert chosen("latest>9", "1.0 2.0") == []


def test_prereleases_only_when_pinned_allowed_named_or_all_there_is() -> None:
    """PEP 440: "Pre-releases of any kind […] are implicitly excluded […] unless […]"."""
    assert chosen("latest", "1.0 2.0rc1") == ["1.0"]
    assert chosen("latest", "1.0 2.0rc1", allow_prereleases=True) == ["2.0rc1"]
    assert chosen("2.0rc1", "1.0 2.0rc1") == ["2.0rc1"]
    assert chosen("==2.0rc1", "1.0 2.0rc1") == ["2.0rc1"]
    assert chosen("latest>=1.0a1", "1.0 2.0rc1") == ["2.0rc1"]
    assert chosen("latest>1.0", "1.0 2.0a1") == ["2.0a1"]  # pip and uv both take it, no final release matches
    assert chosen("latest", "1.0a1 2.0.dev3") == ["2.0.dev3"]
    assert chosen("!=3.0b1", "1.0 2.0rc1") == ["1.0"]


def test_local_versions_satisfy_a_pin_and_are_preferred() -> None:
    """PEP 440: a specifier without a local version ignores that of the candidate."""
    assert chosen("==1.0", "1.0 1.0+cu1 1.1") == ["1.0+cu1", "1.0"]
    assert chosen("===1.0", "1.0 1.0+cu1") == ["1.0"]


def test_epochs_outrank_everything() -> None:
    assert chosen("latest", "2026.1 1!1.0") == ["1!1.0"]


def test_a_requirement_means_the_newest_that_matches() -> None:
    rule = requirement_rule(SpecifierSet(">=1,<2"), "six>=1,<2")
    assert [str(v) for v in choose(rule, [Version("1.0"), Version("1.5"), Version("2")], allow_prereleases=False)] == [
        "1.5"
    ]
    assert rule.text == "six>=1,<2"
    assert not rule.is_pin
    assert requirement_rule(SpecifierSet("==1.0"), "six==1.0").is_pin
