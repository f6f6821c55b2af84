"""Interpreters: a Python version and implementation as people write them, turned into the wheel tags they accept.

Nothing here asks the interpreter it runs on: every ABI and platform is given to packaging explicitly.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from packaging.tags import Tag, compatible_tags, cpython_tags, generic_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
"""`implementation_name` → `platform_python_implementation` (PEP 508) of those whose wheel tags we know."""

_PYTHON = re.compile(r"(?P<major>[23])\.(?P<minor>\d{1,2})(?:\.(?P<patch>\d{1,3}))?(?P<threading>t)?")
_FREE_THREADED_SINCE = (3, 13)  # PEP 703
_NO_PYMALLOC_FLAG_SINCE = (3, 8)  # bpo-36707: the ABI tag lost its "m"
_PREFIXES = {"cpython": ("cp", "py"), "pypy": ("pp", "py")}


class Python(msgspec.Struct, frozen=True):
    """A Python version of a target: "3.12" (every patch release), "3.12.4" (that one) or "3.13t" (free-threaded)."""

    text: str
    version: tuple[int, int]
    patch: int | None = None
    is_free_threaded: bool = False


def parse_python(text: str) -> Python | None:
    """Read a Python version; None for what is none, or for a free-threaded build that never existed."""
    found = _PYTHON.fullmatch(text.strip())
    if not found:
        return None
    version = int(found["major"]), int(found["minor"])
    if found["threading"] and version < _FREE_THREADED_SINCE:
        return None
    patch = None if found["patch"] is None else int(found["patch"])
    return Python(text.strip(), version, patch, bool(found["threading"]))


def wheel_tags(implementation: str, python: Python, platforms: Sequence[str]) -> dict[Tag, int]:
    """Every wheel tag that an interpreter on such a machine accepts → its rank, 0 is best (PEP 425)."""
    ranks: dict[Tag, int] = {}
    for tag in _tags(implementation, python, platforms):
        ranks.setdefault(tag, len(ranks))
    return ranks


def wheel_interpreters(implementation: str | None, python: Python) -> dict[tuple[str, str], int]:
    """The (interpreter, ABI) pairs of wheel tags that it accepts, whatever the platform → rank; None: both builds."""
    pairs: dict[tuple[str, str], int] = {}
    if implementation is not None:
        tags = _tags(implementation, python, ["any"])
    else:
        builds = [("cpython", python), ("pypy", python)]
        if python.version >= _FREE_THREADED_SINCE:
            builds.append(("cpython", Python(python.text, python.version, python.patch, is_free_threaded=True)))
        tags = chain.from_iterable(_tags(name, build, ["any"]) for name, build in builds)
    for tag in tags:
        pairs.setdefault((tag.interpreter, tag.abi), len(pairs))
    return pairs


def suits_implementation(implementation: str | None, interpreter: str) -> bool:
    """Whether an interpreter of a wheel tag ("cp312", "pp310", "py3") may suit, where the version is open."""
    prefixes = _PREFIXES.get(implementation or "")
    return prefixes is None or interpreter.startswith(prefixes)


def _tags(implementation: str, python: Python, platforms: Sequence[str]) -> Iterator[Tag]:
    major, minor = python.version
    if implementation == "pypy":
        abi = f"pypy{major}{minor}_pp73" if major > 2 else "pypy_73"  # noqa: PLR2004 - Python 2 has its own spelling
        yield from generic_tags(f"pp{major}{minor}", [abi], platforms)
        yield from compatible_tags(python.version, "pp3" if major == 3 else None, platforms)  # noqa: PLR2004 - same
    else:
        yield from cpython_tags(python.version, _cpython_abis(python), platforms)
        yield from compatible_tags(python.version, f"cp{major}{minor}", platforms)


def _cpython_abis(python: Python) -> list[str]:
    """The ABIs of the usual builds: with reference counting by default, and without debugging."""
    abi = f"cp{python.version[0]}{python.version[1]}"
    if python.version < (3, 3):
        return [f"{abi}mu", f"{abi}m"]  # wide and narrow characters
    if python.version < _NO_PYMALLOC_FLAG_SINCE:
        return [f"{abi}m"]
    return [f"{abi}t"] if python.is_free_threaded else [abi]
