"""Markers with three answers: true, false, or open where the environment leaves a variable open (None).

The rules of one comparison are packaging's (PEP 508 and the specification "Dependency specifiers"), or those of uv.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet

from pypim.core.marker_tree import Comparison, Unreadable, compile_marker
from pypim.core.names import normalize_extra
from pypim.core.target import python_range
from pypim.core.uv_markers import as_uv_reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.markers import Marker
    from packaging.utils import NormalizedName

    from pypim.core.marker_tree import Condition
    from pypim.core.target import Environment

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


def evaluate(
    marker: Marker | None,
    environment: Environment,
    extras: frozenset[NormalizedName] = frozenset(),
    *,
    is_for_uv: bool = False,
) -> bool | None:
    """Whether a marker holds: True or False where it is certain, None where it is open. Never raises.

    `extras` are those that were asked for, together: `extra == "x"` says that x is one of them. `is_for_uv`: as uv
    reads it, which leaves out comparisons that make no sense to it (see `core/uv_markers.py`).
    """
    if marker is None:
        return True
    try:
        text = str(marker)
    except ValueError:  # packaging cannot write a literal that holds both kinds of quotes
        return None
    return _evaluate(text, environment, extras & compile_marker(text).extras, is_for_uv=is_for_uv)


@lru_cache(maxsize=65536)
def _evaluate(
    text: str, environment: Environment, extras: frozenset[NormalizedName], *, is_for_uv: bool
) -> bool | None:
    condition = compile_marker(text).condition
    return _decide(as_uv_reads(condition) if is_for_uv else condition, environment, extras)


def differs_for_uv(marker: Marker) -> bool:
    """Whether uv may decide otherwise than pip."""
    try:
        return _differs_for_uv(str(marker))
    except ValueError:
        return False


@lru_cache(maxsize=65536)
def _differs_for_uv(text: str) -> bool:
    condition = compile_marker(text).condition
    return as_uv_reads(condition) != condition


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
