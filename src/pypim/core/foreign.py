"""Wheels for other machines, whose metadata uv reads in place of that of the sdist that it would have to build.

uv takes it that all files of a release require the same. Where a machine can use no wheel and there is an sdist, it
reads the wheel that suits best all the same: whose platform alone is another, else whose ABI, else whose Python; of
those that are alike in this the one whose file name comes first, and a yanked one only after all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.lenient import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Callable

    from packaging.tags import Tag

    from pypim.core.candidates import Candidate, Release
    from pypim.core.model import CoreMetadata, DistFile
    from pypim.core.target import Environment

_PLATFORM, _ABI, _PYTHON = range(3)


class ForeignWheels:
    """Knows how far wheels are from suiting each environment."""

    def __init__(self, environments: tuple[Environment, ...]) -> None:
        self._environments = environments
        self._pairs = [_accepted(environment) for environment in environments]
        self._distances: dict[tuple[int, frozenset[Tag]], int] = {}

    def read(
        self, release: Release, found: list[tuple[Candidate, int]], may_read: Callable[[DistFile], bool]
    ) -> list[tuple[Candidate, int]]:
        """The wheel that uv reads for each environment in which only an sdist was found (`Release.installable`)."""
        wheels = [one for one in release.candidates if one.is_wheel] if len(release.candidates) > 1 else []
        built = 0
        for candidate, bits in found if wheels else ():
            built |= bits if candidate.is_sdist else 0
        wheels = [one for one in wheels if may_read(one.file)] if built else []
        if not wheels:
            return []
        chosen: dict[str, tuple[Candidate, int]] = {}
        while built:
            bit = built & -built
            built ^= bit
            number = bit.bit_length() - 1
            best = min(wheels, key=lambda one: (*self._distance(number, one), one.file.filename))
            known = chosen.get(best.identity, (best, 0))
            chosen[best.identity] = (best, known[1] | bit)
        return list(chosen.values())

    def _distance(self, number: int, wheel: Candidate) -> tuple[bool, int]:
        tags = wheel.parsed.tags or frozenset()
        found = self._distances.get((number, tags))
        if found is None:
            found = self._distances[(number, tags)] = _distance(self._pairs[number], tags)
        return wheel.file.is_yanked, found


def _distance(accepted: frozenset[tuple[str, str]] | None, tags: frozenset[Tag]) -> int:
    if accepted is None or any((tag.interpreter, tag.abi) in accepted for tag in tags):
        return _PLATFORM
    interpreters = {interpreter for interpreter, _ in accepted}
    return _ABI if any(tag.interpreter in interpreters for tag in tags) else _PYTHON


def _accepted(environment: Environment) -> frozenset[tuple[str, str]] | None:
    """The interpreters of wheel tags that an environment accepts, with their ABIs; None for every one."""
    if environment.tags is not None:
        return frozenset((tag.interpreter, tag.abi) for tag in environment.tags)
    return None if environment.interpreters is None else frozenset(environment.interpreters)


def says_the_same(one: CoreMetadata, other: CoreMetadata) -> bool:
    """Whether the metadata of two files of a release leads installers to the same, as far as both are certain."""
    if one.is_lower_bound or other.is_lower_bound or one.requires_python != other.requires_python:
        return False
    return one.requires_dist == other.requires_dist or _meanings(one) == _meanings(other)


def _meanings(metadata: CoreMetadata) -> set[str]:
    parsed = [(parse_requirement(text), text) for text in metadata.requires_dist]
    return {
        text if found is None or found.is_repaired or found.url is not None
        else f"{found.name}[{','.join(sorted(found.extras))}]{found.specifier};{found.marker}"
        for found, text in parsed
    }  # fmt: skip
