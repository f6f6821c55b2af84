"""Targets: the machines a mirror is for, turned into environments (Python, marker values and wheel tags)."""

from __future__ import annotations

import re
from collections import Counter
from difflib import get_close_matches
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Annotated

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pypim.core.errors import InvalidRequirement
from pypim.core.interpreters import (
    IMPLEMENTATIONS,
    Python,
    parse_python,
    suits_implementation,
    wheel_interpreters,
    wheel_tags,
)
from pypim.core.platforms import machine_platform, marker_values, near_matches, parse_platform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.ranges import VersionRange
    from packaging.tags import Tag

    from pypim.core.platforms import Platform

__all__ = [
    "FIRST_END",
    "LAST_END",
    "MARKER_VARIABLES",
    "Environment",
    "TargetSpec",
    "between_ends",
    "end_names",
    "environments",
    "machine_platform",
    "patch_ends",
    "python_allows",
    "python_range",
    "wheel_rank",
]

MARKER_VARIABLES = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
"""Every variable of PEP 508 that an environment has; `extra` belongs to a requirement instead."""

_PYTHON_MARKERS = frozenset({"python_version", "python_full_version"})
_IMPLEMENTATION_MARKERS = frozenset({"implementation_name", "platform_python_implementation"})
_DEFAULT_IMPLEMENTATIONS = ("cpython",)
_LAST_PATCH = 99

FIRST_END, LAST_END = " (first patch release)", " (last patch release)"
"""Stand behind the name of an environment where only one of its ends is meant."""
_RANK_STEP = 1 << 20  # more than any list of platforms is long


def _told(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A family of machines: Python versions, times platforms, times implementations, times markers by hand."""

    python: Annotated[
        tuple[str, ...], _told('Python versions: "3.12" (every 3.12.x), "3.12.4", "3.13t" (free-threaded). None: all.')
    ] = ()
    platforms: Annotated[
        tuple[str, ...],
        _told('Platforms: "linux", "windows", "macos", a wheel platform tag, or a name as in uv. None: all.'),
    ] = ()
    implementations: Annotated[tuple[str, ...], _told('Python implementations: "cpython", "pypy".')] = (
        _DEFAULT_IMPLEMENTATIONS
    )
    markers: Annotated[
        dict[str, tuple[str, ...]],
        _told("Marker variables by hand; one left out means any, an empty list that no value is possible."),
    ] = {}


class Environment(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One kind of machine. Each is its own value: compare `name`, which is unique within a call of `environments`."""

    name: str
    target: str
    python: tuple[int, int] | None = None
    """(major, minor); every patch release is meant unless `python_full_version` is known. None: every Python."""
    variables: dict[str, str] = {}
    """Marker variables that are known; an absent one is open. Not to be changed."""
    impossible: frozenset[str] = frozenset()
    """Marker variables that have no value: every comparison with one is false."""
    tags: dict[Tag, int] | None = None
    """Wheel tag → rank, lower is better; None where Python or platform is open. Not to be changed."""
    interpreters: dict[tuple[str, str], int] | None = None
    """Where `tags` is None: the (interpreter, ABI) pairs of wheel tags that the Python accepts; None: every one."""
    platforms: dict[str, int] | None = None
    """Where `tags` is None: the platforms of wheel tags that the machine accepts, `any` included; None: every one."""


def environments(targets: Mapping[str, TargetSpec]) -> tuple[Environment, ...]:
    """Every environment of every target, in order; a single open one named "any" where there is no target.

    Raises InvalidRequirement for a Python version, platform, implementation or marker variable that does not exist.
    """
    if not targets:
        return (Environment(name="any", target="any"),)
    return tuple(found for name, spec in targets.items() for found in _expand(name, spec))


def patch_ends(environments: Sequence[Environment]) -> tuple[Environment, ...]:
    """The same with the first patch release where none is named, then again those with the last one there may be.

    What is installable at both ends of "3.12" is so for every 3.12.x, as far as anybody draws one line between them;
    what is asked for between two lines is open at both ends (see `between_ends`).
    """
    some = [e for e in environments if e.python is not None and "python_full_version" not in e.variables]
    return (*(_at_patch(e, 0) if e in some else e for e in environments), *(_at_patch(e, _LAST_PATCH) for e in some))


def between_ends(environments: Sequence[Environment]) -> tuple[tuple[Environment, int], ...]:
    """What lies between the two ends of an environment (see `patch_ends`): any of its patch releases, for a mask."""
    known: dict[str, int] = {}
    found: list[tuple[Environment, int]] = []
    for number, environment in enumerate(environments):
        first = known.setdefault(environment.name, number)
        if first != number:
            named = frozenset(environments[first].variables.items()) & frozenset(environment.variables.items())
            found.append((msgspec.structs.replace(environment, variables=dict(named)), 1 << first | 1 << number))
    return tuple(found)


def end_names(environments: Sequence[Environment]) -> tuple[str, ...]:
    """The names of environments with both ends, or of others: the two ends of one get names of their own."""
    names = [environment.name for environment in environments]
    both = {name for name, count in Counter(names).items() if count > 1}
    seen: set[str] = set()
    found: list[str] = []
    for name in names:
        found.append(name + (LAST_END if name in seen else FIRST_END) if name in both else name)
        seen.add(name)
    return tuple(found)


def _at_patch(environment: Environment, patch: int) -> Environment:
    assert environment.python is not None, "only a Python has patch releases"
    full = "{}.{}.{}".format(*environment.python, patch)
    variables = {**environment.variables, "python_full_version": full}
    if variables.get("implementation_name") == "cpython":
        variables["implementation_version"] = full
    return msgspec.structs.replace(environment, variables=variables)


def wheel_rank(environment: Environment, tags: frozenset[Tag], *, is_for_uv: bool = False) -> float | None:
    """How well a wheel with these tags suits (0 is best), or None where it cannot be used.

    A plain `linux_*` is the best platform for pip, and the last but `any` for uv.
    """
    if not environment.variables:
        return 0  # every machine there is
    if environment.tags is not None:
        ranked = environment.tags
        if is_for_uv and any(tag.platform.startswith("linux_") for tag in tags):
            return min((_uv_rank(ranked, tag) for tag in tags if tag in ranked), default=None)
        return min((ranked[tag] for tag in tags if tag in ranked), default=None)
    return min((rank for tag in tags if (rank := _open_rank(environment, tag)) is not None), default=None)


def _uv_rank(ranked: Mapping[Tag, int], tag: Tag) -> float:
    if not tag.platform.startswith("linux_"):
        return ranked[tag]
    alike = (one for one in ranked if (one.interpreter, one.abi) == (tag.interpreter, tag.abi))
    return max(ranked[one] for one in alike if one.platform != "any") + 0.5


def python_range(python: tuple[int, int]) -> VersionRange:
    """Every full version of a Python (3, 12): all the 3.12.x, for "3.12" names no patch release."""
    return _range_of(f">={python[0]}.{python[1]},<{python[0]}.{python[1] + 1}")


def python_allows(environment: Environment, requires_python: str | None) -> bool:
    """Whether some Python of the environment satisfies a Requires-Python; what cannot be read constrains nothing."""
    if requires_python is None:
        return True
    return _python_allows(environment.python, environment.variables.get("python_full_version"), requires_python)


@lru_cache(maxsize=16384)
def _python_allows(python: tuple[int, int] | None, full: str | None, requires_python: str) -> bool:
    try:
        specifier = SpecifierSet(requires_python)
        if full is not None:
            return specifier.contains(Version(full), prereleases=True)
        return python is None or not python_range(python).is_disjoint(specifier.to_range())
    except ValueError:  # InvalidSpecifier, InvalidVersion, or a number with more digits than int() takes
        return True


@lru_cache(maxsize=256)
def _range_of(specifier: str) -> VersionRange:
    return SpecifierSet(specifier).to_range()


def _open_rank(environment: Environment, tag: Tag) -> int | None:
    """The rank of one wheel tag where Python or platform is open: usable unless something known speaks against it."""
    interpreter: int | None = 0
    if environment.interpreters is not None:
        interpreter = environment.interpreters.get((tag.interpreter, tag.abi))
    if not suits_implementation(environment.variables.get("implementation_name"), tag.interpreter):
        return None
    platform: int | None = 0
    if environment.platforms is not None:
        platform = environment.platforms.get(tag.platform)
    elif any(environment.variables.get(variable, value) != value for variable, value in marker_values(tag.platform)):
        return None
    return None if interpreter is None or platform is None else interpreter * _RANK_STEP + platform


# --- from a target to its environments ------------------------------------------------------------------------------
def _expand(name: str, spec: TargetSpec) -> Iterator[Environment]:
    where = f"targets.{name}"
    pythons: list[Python | None] = [_known_python(text, where) for text in dict.fromkeys(spec.python)]
    platforms: list[tuple[str, Platform | None]] = [
        (t, _known_platform(t, where)) for t in dict.fromkeys(spec.platforms)
    ]
    combinations = _markers_by_hand(spec, where)
    impossible = frozenset(variable for variable, values in spec.markers.items() if not values)
    for implementation, named, (platform_name, platform), by_hand in product(
        _implementations(spec, where), pythons or [None], platforms or [("", None)], combinations
    ):
        if named and named.is_free_threaded and implementation == "pypy":
            raise InvalidRequirement(
                f"{where}.python", named.text, "PyPy has no free-threaded build", hint="Name it in a target of its own."
            )
        variables = {**_variables(implementation, named, platform), **by_hand}
        python = named or _python_of(variables)
        label = [name, implementation, named.text if named else None, platform_name]
        label += [f"{variable}={value}" for variable, value in by_hand.items()]
        is_closed = implementation is not None and python is not None and platform is not None
        yield Environment(
            name=" ".join(part for part in label if part),
            target=name,
            python=python.version if python else None,
            variables=variables,
            impossible=impossible,
            tags=wheel_tags(implementation, python, platform.tags) if implementation and python and platform else None,
            interpreters=wheel_interpreters(implementation, python) if python and not is_closed else None,
            platforms=_platform_ranks(platform) if platform and not is_closed else None,
        )


def _known_python(text: str, where: str) -> Python:
    found = parse_python(text)
    if found is None:
        raise InvalidRequirement(
            f"{where}.python",
            text,
            "this is not a Python version that we know",
            hint="Write it as 3.12, as 3.12.4 for that patch release only, or from 3.13t on for a free-threaded build.",
        )
    return found


def _known_platform(text: str, where: str) -> Platform:
    found = parse_platform(text)
    if found is None:
        near = near_matches(text)
        guess = f"Did you mean {' or '.join(near)}? " if near else ""
        raise InvalidRequirement(
            f"{where}.platforms",
            text,
            "this is not a platform that we know",
            hint=f"{guess}Use linux, windows, macos, a wheel platform tag such as manylinux_2_28_x86_64, win_amd64 or "
            "macosx_14_0_arm64, or a name of uv's --python-platform.",
        )
    return found


def _implementations(spec: TargetSpec, where: str) -> list[str | None]:
    """The implementations that count; [None] where the default is all there is and other things decide."""
    for text in spec.implementations:
        if text.lower() not in IMPLEMENTATIONS:
            hint = (
                f"{_guess(text.lower(), IMPLEMENTATIONS)}Use cpython or pypy; any other one goes by hand, as a value "
            )
            hint += "of markers.implementation_name."
            raise InvalidRequirement(f"{where}.implementations", text, "this is not one that we know", hint=hint)
    decided_by_hand = _IMPLEMENTATION_MARKERS & spec.markers.keys()
    nothing_else = not spec.python and not spec.platforms
    if spec.implementations == _DEFAULT_IMPLEMENTATIONS and (decided_by_hand or nothing_else):
        return [None]
    return list(dict.fromkeys(text.lower() for text in spec.implementations)) or [None]


def _markers_by_hand(spec: TargetSpec, where: str) -> list[dict[str, str]]:
    """Every combination of the marker values that were given by hand."""
    for variable in spec.markers:
        if variable not in MARKER_VARIABLES:
            hint = f"{_guess(variable, MARKER_VARIABLES)}Use one of {', '.join(MARKER_VARIABLES)}."
            raise InvalidRequirement(f"{where}.markers", variable, "this is not a marker variable", hint=hint)
        if spec.python and variable in _PYTHON_MARKERS:
            hint = "Leave out one of the two; python takes full versions such as 3.12.4 too."
            raise InvalidRequirement(f"{where}.markers", variable, "python says which versions are meant", hint=hint)
    given = {variable: tuple(dict.fromkeys(values)) for variable, values in sorted(spec.markers.items()) if values}
    return [dict(zip(given, values, strict=True)) for values in product(*given.values())]


def _guess(text: str, known: Iterable[str]) -> str:
    near = get_close_matches(text, known, n=1)
    return f"Did you mean {near[0]}? " if near else ""


def _variables(implementation: str | None, python: Python | None, platform: Platform | None) -> dict[str, str]:
    known: dict[str, str] = dict(platform.variables) if platform else {}
    if implementation is not None:
        known["implementation_name"] = implementation
        known["platform_python_implementation"] = IMPLEMENTATIONS[implementation]
    if python is not None:
        known["python_version"] = f"{python.version[0]}.{python.version[1]}"
        if python.patch is not None:
            known["python_full_version"] = f"{known['python_version']}.{python.patch}"
            if implementation == "cpython":
                known["implementation_version"] = known["python_full_version"]
    return known


def _python_of(variables: Mapping[str, str]) -> Python | None:
    """Python's version where it was only given as a marker variable."""
    text = variables.get("python_version") or variables.get("python_full_version") or ""
    found = re.match(r"(\d+)\.(\d+)(?!\d)", text)
    return parse_python(found.group()) if found else None


def _platform_ranks(platform: Platform) -> dict[str, int]:
    return {tag: rank for rank, tag in enumerate((*platform.tags, "any"))}
