"""Markers with three answers: true, false, or open where the environment leaves a variable open (None).

The rules of one comparison are packaging's (PEP 508 and the specification "Dependency specifiers"). packaging shows no
syntax tree, so the tree is read from `str(marker)`, which is the language of PEP 508 itself and the same everywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet

from pypim.core.names import normalize_extra
from pypim.core.target import python_range

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.markers import Marker
    from packaging.utils import NormalizedName

    from pypim.core.target import Environment

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<parenthesis>[()])
        | "(?P<double>[^"]*)" | '(?P<single>[^']*)'
        | (?P<operator>===|==|~=|!=|<=|>=|<|>|not\s+in\b|in\b)
        | (?P<logical>and\b|or\b)
        | (?P<variable>[A-Za-z_][A-Za-z_.]*)
    )\s*""",
    re.VERBOSE,
)

# Compared as versions where both sides are versions, else as text; `platform_version` is text in packaging.
_VERSIONS = frozenset({"implementation_version", "platform_release", "python_full_version", "python_version"})
_FULL_VERSIONS = frozenset({"implementation_version", "python_full_version"})
_RELEASE = re.compile(r"\d+(?:\.\d+)*", re.ASCII)
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

_AS_TEXT: dict[str, Callable[[str, str], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "in": lambda left, right: left in right,
    "not in": lambda left, right: left not in right,
    ">=": lambda left, right: left == right,
    "<=": lambda left, right: left == right,
    ">": lambda _left, _right: False,
    "<": lambda _left, _right: False,
}


class Comparison(msgspec.Struct, frozen=True):
    """A variable against a literal; `is_reversed` where the literal stands on the left."""

    variable: str
    operator: str
    literal: str
    is_reversed: bool = False


class Logical(msgspec.Struct, frozen=True):
    """Several conditions joined by one word."""

    word: Literal["and", "or"]
    parts: tuple[Condition, ...]


class Unreadable(msgspec.Struct, frozen=True):
    """A condition that the specification gives no meaning, such as a comparison of two variables."""


Condition = Comparison | Logical | Unreadable


class _Compiled(msgspec.Struct, frozen=True):
    condition: Condition
    extras: frozenset[NormalizedName]
    """The extras it speaks of, normalised (PEP 685)."""


def evaluate(
    marker: Marker | None, environment: Environment, extras: frozenset[NormalizedName] = frozenset()
) -> bool | None:
    """Whether a marker holds: True or False where it is certain, None where it is open. Never raises.

    `extras` are those that were asked for, together: `extra == "x"` says that x is one of them.
    """
    if marker is None:
        return True
    try:
        text = str(marker)
    except ValueError:  # packaging cannot write a literal that holds both kinds of quotes
        return None
    return _evaluate(text, environment, extras & compile_marker(text).extras)


@lru_cache(maxsize=65536)
def _evaluate(text: str, environment: Environment, extras: frozenset[NormalizedName]) -> bool | None:
    return _decide(compile_marker(text).condition, environment, extras)


def _decide(condition: Condition, environment: Environment, extras: frozenset[NormalizedName]) -> bool | None:
    if isinstance(condition, Comparison):
        return _compare(condition, environment, extras)
    if isinstance(condition, Unreadable):
        return None
    # Kleene's logic: one False decides an `and`, one True an `or`; else what is open keeps the whole open.
    deciding = condition.word == "or"
    is_open = False
    for part in condition.parts:
        value = _decide(part, environment, extras)
        if value is deciding:
            return deciding
        is_open = is_open or value is None
    return None if is_open else not deciding


# --- one comparison -------------------------------------------------------------------------------------------------
def _compare(atom: Comparison, environment: Environment, extras: frozenset[NormalizedName]) -> bool | None:
    if atom.variable == "extra":
        return _compare_extra(atom, extras)
    if atom.variable in environment.impossible:
        return False
    value = environment.variables.get(atom.variable)
    if value is not None:
        left, right = (atom.literal, value) if atom.is_reversed else (value, atom.literal)
        return _compare_values(left, atom.operator, right, is_version=atom.variable in _VERSIONS)
    if _is_some_patch_release(atom.variable, environment):
        assert environment.python is not None
        return _compare_any_patch(atom, environment.python)
    return None


def _compare_extra(atom: Comparison, extras: frozenset[NormalizedName]) -> bool | None:
    if atom.operator not in {"==", "!="}:
        return None
    return (normalize_extra(atom.literal) in extras) is (atom.operator == "==")


def _compare_values(left: str, operator: str, right: str, *, is_version: bool) -> bool | None:
    if is_version:
        try:
            return Specifier(f"{operator}{right}").contains(left, prereleases=True)
        except InvalidSpecifier:
            pass
    as_text = _AS_TEXT.get(operator)
    return None if as_text is None else as_text(left, right)


def _is_some_patch_release(variable: str, environment: Environment) -> bool:
    """CPython's own version is Python's; that of any other implementation says nothing of the kind."""
    if environment.python is None or variable not in _FULL_VERSIONS:
        return False
    return variable == "python_full_version" or environment.variables.get("implementation_name") == "cpython"


def _compare_any_patch(atom: Comparison, python: tuple[int, int]) -> bool | None:
    """Compare every 3.12.x at once: certain only where all of them agree."""
    operator = atom.operator
    if atom.is_reversed:
        # Turning a comparison around is sound for release numbers only: "<" and ">" of PEP 440 treat 1.0rc1 and
        # 1.0.post1 differently on their two sides, and a prefix is no version.
        operator = _MIRRORED.get(operator, "") if _RELEASE.fullmatch(atom.literal) else ""
    try:
        accepted = SpecifierSet([Specifier(f"{operator}{atom.literal}")]).to_range()
    except InvalidSpecifier:
        return None
    possible = python_range(python)
    if possible.is_subset(accepted):
        return True
    return False if possible.is_disjoint(accepted) else None


# --- the tree -------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=65536)
def compile_marker(text: str) -> _Compiled:
    """The tree of a marker that packaging wrote, and the extras it names; what cannot be read is `Unreadable`."""
    try:
        condition = _Reader(text).whole()
    except (_UnexpectedTokenError, RecursionError):
        condition = Unreadable()
    return _Compiled(condition, frozenset(_extras(condition)))


def _extras(condition: Condition) -> Iterator[NormalizedName]:
    if isinstance(condition, Logical):
        for part in condition.parts:
            yield from _extras(part)
    elif isinstance(condition, Comparison) and condition.variable == "extra":
        yield normalize_extra(condition.literal)


class _UnexpectedTokenError(Exception):
    """The text is not the language of PEP 508; stays inside this file."""


class _Reader:
    """Reads `or` of `and` of comparisons and parentheses; `and` binds tighter (PEP 508)."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._next = 0

    def whole(self) -> Condition:
        condition = self._any_of()
        if self._next != len(self._tokens):
            raise _UnexpectedTokenError
        return condition

    def _any_of(self) -> Condition:
        parts = [self._all_of()]
        while self._take("logical", "or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else Logical("or", tuple(parts))

    def _all_of(self) -> Condition:
        parts = [self._single()]
        while self._take("logical", "and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Logical("and", tuple(parts))

    def _single(self) -> Condition:
        if self._take("parenthesis", "("):
            inside = self._any_of()
            if not self._take("parenthesis", ")"):
                raise _UnexpectedTokenError
            return inside
        (left_kind, left), (kind, operator), (right_kind, right) = self._three()
        if kind != "operator":
            raise _UnexpectedTokenError
        match left_kind, right_kind:
            case "variable", "literal":
                return Comparison(left, operator, right)
            case "literal", "variable":
                return Comparison(right, operator, left, is_reversed=True)
            case _:
                return Unreadable()

    def _take(self, kind: str, value: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == (kind, value):
            self._next += 1
            return True
        return False

    def _three(self) -> list[tuple[str, str]]:
        taken = self._tokens[self._next : self._next + 3]
        self._next += 3
        if len(taken) < 3:  # noqa: PLR2004 - a comparison has three parts
            raise _UnexpectedTokenError
        return taken


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise _UnexpectedTokenError
        position = found.end()
        kind = found.lastgroup or ""
        value = found.group(kind)
        if kind == "operator":
            yield kind, " ".join(value.split())
        else:
            yield ("literal" if kind in {"double", "single"} else kind), value
