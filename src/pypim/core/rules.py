"""Rules: which releases of a project a person asks for ("2 latest<3.0", ">=1.2,<3", "1.2"), and the choice they make.

Grammar: `latest`, `N latest`, either followed by a specifier set; a specifier set; a version; `*` or nothing for
every release.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from pypim.core.errors import InvalidRequirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LATEST = re.compile(r"(?:(?P<count>-?\d+)\s*)?latest\b\s*(?P<specifier>.*)", re.IGNORECASE | re.DOTALL)
_MISPLACED_COUNT = re.compile(r"latest\s+\d+", re.IGNORECASE)
_MOST_DIGITS = 9
_GRAMMAR = 'Write "latest", "3 latest", "2 latest<3.0", a specifier such as ">=1.2,<3", a version, or "*".'


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for of one project."""

    text: str
    """As it was written."""
    count: int | None
    """So many of the newest that match; None for every one."""
    specifier: SpecifierSet
    is_pin: bool
    """Whether exactly one version is meant: pre-releases and yanked files count then (PEP 440, PEP 592)."""
    constraint: str = ""
    """What constraints have added to the specifier, for sentences about it."""


def parse_rule(text: str, where: str) -> Rule:
    """Read one rule; `where` is the place it stands, for the message. Raises InvalidRequirement."""
    stripped = text.strip()
    if stripped in {"", "*"}:
        return Rule(text=text, count=None, specifier=SpecifierSet(), is_pin=False)
    if found := _LATEST.fullmatch(stripped):
        specifier = _parse_specifier(found["specifier"], text, where)
        return Rule(
            text=text, count=_parse_count(found["count"], text, where), specifier=specifier, is_pin=_pins(specifier)
        )
    try:
        specifier = SpecifierSet(f"=={Version(stripped)}")
    except InvalidVersion:
        specifier = _parse_specifier(stripped, text, where)
    return Rule(text=text, count=None, specifier=specifier, is_pin=_pins(specifier))


def parse_rules(value: str | Sequence[str], where: str) -> tuple[Rule, ...]:
    """Read one rule or a list of them. Raises InvalidRequirement, also for an empty list: it would ask for nothing."""
    if isinstance(value, str):
        return (parse_rule(value, where),)
    if not value:
        raise InvalidRequirement(where, "[]", "an empty list asks for nothing", hint=_GRAMMAR)
    return tuple(dict.fromkeys(parse_rule(text, where) for text in value))


def requirement_rule(specifier: SpecifierSet, text: str) -> Rule:
    """The rule of a requirement: the newest release that matches."""
    return Rule(text=text, count=1, specifier=specifier, is_pin=_pins(specifier))


def constrained(rule: Rule, constraint: SpecifierSet | None) -> Rule:
    """The rule where a constraint on its project counts, too."""
    if constraint is None:
        return rule
    return msgspec.structs.replace(
        rule,
        specifier=rule.specifier & constraint,
        is_pin=rule.is_pin or _pins(constraint),
        constraint=str(constraint),
    )


def choose(rule: Rule, versions: Iterable[Version], *, allow_prereleases: bool) -> list[Version]:
    """The versions that a rule takes, newest first, each once.

    Pre-releases count when they are allowed, pinned, or named by the specifier, and otherwise only when no final
    release matches (PEP 440, "Handling of pre-releases").
    """
    newest_first = sorted(set(versions), reverse=True)
    admitted = True if rule.is_pin or allow_prereleases else None
    return list(islice(rule.specifier.filter(newest_first, prereleases=admitted), rule.count))


def _pins(specifier: SpecifierSet) -> bool:
    """Whether some part of it is `===`, or `==` without a wildcard: whatever stands beside that leaves one version."""
    return any(
        part.operator == "===" or (part.operator == "==" and not part.version.endswith(".*")) for part in specifier
    )


def _parse_count(text: str | None, rule: str, where: str) -> int:
    if text is None:
        return 1
    if len(text) > _MOST_DIGITS or int(text) < 1:
        raise InvalidRequirement(where, rule, "the number of releases must be 1 or more", hint=_GRAMMAR)
    return int(text)


def _parse_specifier(text: str, rule: str, where: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        reason = "this is neither a rule, a specifier nor a version"
        raise InvalidRequirement(where, rule, reason, hint=_hint(text, rule)) from None


def _hint(text: str, rule: str) -> str:
    """What was probably meant."""
    if _MISPLACED_COUNT.match(rule.strip()):
        return f"The number comes first. {_GRAMMAR}"
    if text.startswith("^") or (text.startswith("~") and not text.startswith("~=")):
        return f'"{text[0]}" is not an operator of Python\'s specifiers; use "~=1.4" or ">=1.4,<2". {_GRAMMAR}'
    if text.startswith("=") and not text.startswith("=="):
        return f'A pin is written with "==". {_GRAMMAR}'
    if text[:1].isdigit() and text.endswith("*"):
        return f'A prefix is written "=={text}". {_GRAMMAR}'
    if re.search(r"\d\s+[<>=!~]", text):
        return f"Specifiers are separated by commas. {_GRAMMAR}"
    return _GRAMMAR
