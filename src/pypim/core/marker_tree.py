"""The tree of a marker: comparisons joined by "and" and "or".

packaging shows no syntax tree, so it is read from `str(marker)`, which is the language of PEP 508 itself and the same
everywhere.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import msgspec

from pypim.core.names import normalize_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName

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


ALWAYS = Logical("and", ())
"""What holds everywhere: nothing contradicts it."""
NEVER = Logical("or", ())
"""What holds nowhere."""


class Compiled(msgspec.Struct, frozen=True):
    """A marker that was read."""

    condition: Condition
    extras: frozenset[NormalizedName]
    """The extras it speaks of, normalised (PEP 685)."""


@lru_cache(maxsize=65536)
def compile_marker(text: str) -> Compiled:
    """The tree of a marker that packaging wrote, and the extras it names; what cannot be read is `Unreadable`."""
    try:
        condition = _Reader(text).whole()
    except (_UnexpectedTokenError, RecursionError):
        condition = Unreadable()
    return Compiled(condition, frozenset(_extras(condition)))


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
