"""What uv makes of the tree of a marker: comparisons that make no sense to it are left out, others mean something else.

Asked of uv 0.13, and asked again by `tests/clients/test_readings.py`.

- Left out of its "and" or "or", as if it were not written: a Python version against what is no version or no valid
  specifier (`== "3.1*"`, `>= "3.*"`), or looked for in it (`"2.7" in python_version`), or in a list that is not one of
  versions between blanks (`in "2.6, 2.7"`); text with `~=`; extras with anything but `==` and `!=`; two literals or two
  variables. Where nothing is left, the marker holds.
- `in` and `not in` compare a Python version with each of the list, where pip looks for one text in the other.
- Of the version that a Python is compared with, only the release counts: `> "3.11a1"` is `> "3.11"`.
- An extra whose name is none is neither equal nor unequal to anything.
"""

from __future__ import annotations

from functools import lru_cache

from packaging.specifiers import InvalidSpecifier, Specifier

from pypim.core.errors import InvalidName
from pypim.core.filenames import parse_version
from pypim.core.marker_tree import ALWAYS, NEVER, Comparison, Condition, Logical, Unreadable
from pypim.core.names import parse_name

__all__ = ["as_uv_reads"]

_PYTHON_VERSIONS = frozenset({"implementation_version", "python_full_version", "python_version"})
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@lru_cache(maxsize=65536)
def as_uv_reads(condition: Condition) -> Condition:
    """The tree that uv evaluates; the same tree where it reads it as pip does."""
    kept = _kept(condition)
    return ALWAYS if kept is None else kept


def _kept(condition: Condition) -> Condition | None:
    """What is left of a condition; None where nothing is."""
    if isinstance(condition, Logical):
        parts = tuple(kept for kept in map(_kept, condition.parts) if kept is not None)
        return Logical(condition.word, parts) if len(parts) > 1 else next(iter(parts), None)
    if isinstance(condition, Unreadable) or condition.operator == "===":
        return None if isinstance(condition, Unreadable) else condition  # uv passes over all that has "==="
    if condition.variable == "extra":
        return _kept_extra(condition)
    if condition.variable in _PYTHON_VERSIONS:
        return _kept_version(condition)
    return None if condition.operator == "~=" else condition


def _kept_extra(atom: Comparison) -> Condition | None:
    if atom.operator not in {"==", "!="}:
        return None
    try:
        parse_name(atom.literal)
    except InvalidName:
        return NEVER
    return atom


def _kept_version(atom: Comparison) -> Condition | None:
    if atom.operator in {"in", "not in"}:
        return None if atom.is_reversed else _kept_list(atom)
    literal = atom.literal.strip()
    operator, prefix = atom.operator, literal.removesuffix(".*")
    if atom.is_reversed:
        operator = _MIRRORED.get(operator, "")
        prefix = literal  # a pattern cannot stand on the left
    version = parse_version(prefix)
    if not operator or version is None or not _is_specifier(operator, literal):
        return None
    release = ".".join(map(str, version.release))
    kept = Comparison(atom.variable, operator, release + literal[len(prefix) :])
    return atom if atom.literal == kept.literal else kept


def _kept_list(atom: Comparison) -> Condition | None:
    words = atom.literal.split()
    if any(parse_version(word) is None for word in words):
        return None
    is_in = atom.operator == "in"
    parts = tuple(Comparison(atom.variable, "==" if is_in else "!=", word) for word in words)
    return Logical("or" if is_in else "and", parts)


def _is_specifier(operator: str, version: str) -> bool:
    try:
        Specifier(f"{operator}{version}")
    except InvalidSpecifier:
        return False
    return True
