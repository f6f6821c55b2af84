"""What the releases of a selection demand: each requirement once, with the releases of it that are held, newest first.

A selection holds what all roots need together, so that one requirement may be met by several releases of a project,
each for the sake of another root; only where it says why a release is needed is that recorded as its reason.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import parse_version
from pypim.core.metadata import parse_requirement
from pypim.core.steps import extras_asked, extras_needed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.version import Version

    from pypim.core.steps import Extra, ReleaseKey, Step, Steps


class Demand(msgspec.Struct, frozen=True, gc=False):
    """One requirement of a release."""

    project: str
    """What it names."""
    needed: tuple[Extra, ...]
    """The extras of whoever requires it that bring it in."""
    asks: frozenset[Extra]
    """With which extras; None, for without, is always among them."""
    is_build: bool
    mask: int
    """The environments in which it holds."""
    told: dict[ReleaseKey, int]
    """The releases that are held because of it, and where."""
    admitted: tuple[tuple[ReleaseKey, int], ...]
    """All that meet it, and where each is held."""

    @property
    def is_open(self) -> bool:
        """Whether several releases meet it in some environment."""
        seen = 0
        for _, mask in self.admitted:
            if seen & mask & self.mask:
                return True
            seen |= mask
        return False


DemandKey = tuple["ReleaseKey", str, bool]
"""Who requires, in which words, and whether to be built."""


class Demands:
    """Those of every release."""

    def __init__(self, steps: Steps) -> None:
        self._of: dict[ReleaseKey, list[Demand]] = {}
        self._open: set[DemandKey] = set()
        self._releases: dict[str, list[ReleaseKey]] = {}
        self._held: dict[ReleaseKey, int] = {}
        told: dict[DemandKey, dict[ReleaseKey, int]] = {}
        for key in steps.releases:
            self._releases.setdefault(key[0], []).append(key)
            for step in steps.all_to(key):
                self._held[key] = self._held.get(key, 0) | (0 if step.is_own else step.mask)
                if step.by is not None:
                    masks = told.setdefault(_key_of(step), {})
                    masks[key] = masks.get(key, 0) | step.mask
        for keys in self._releases.values():
            keys.sort(key=_newness, reverse=True)
        for name, masks in told.items():
            demand = self._demand(name, masks)
            self._of.setdefault(name[0], []).append(demand)
            if demand.is_open:
                self._open.add(name)

    def of(self, release: ReleaseKey) -> list[Demand]:
        """Those of a release, with all its extras and for its build."""
        return self._of.get(release, [])

    def releases(self, project: str) -> list[ReleaseKey]:
        """Every release of a project, the newest first."""
        return self._releases.get(project, [])

    def leaves_choice(self, steps: Iterable[Step]) -> bool:
        """Whether one of some steps could have led to another release."""
        return any(_key_of(step) in self._open for step in steps if step.by is not None and not step.is_own)

    def _demand(self, key: DemandKey, told: dict[ReleaseKey, int]) -> Demand:
        _, text, is_build = key
        mask = 0
        for bits in told.values():
            mask |= bits
        project = next(iter(told))[0]
        held = self._releases[project]
        admitted = held if len(held) == 1 else [one for one in held if one in told or _admits(text, one[1])]
        return Demand(
            project=project,
            needed=extras_needed(text),
            asks=frozenset((None, *extras_asked(text))),
            is_build=is_build,
            mask=mask,
            told=told,
            admitted=tuple((one, self._held[one]) for one in admitted),
        )


def _key_of(step: Step) -> DemandKey:
    assert step.by is not None, "a release requires it"
    return step.by[0], step.reason.requirement, step.reason.is_build


@lru_cache(maxsize=65536)
def _admits(requirement: str, text: str) -> bool:
    """Whether a version meets a requirement; a legacy one meets only what has no specifier (PEP 440)."""
    parsed, version = parse_requirement(requirement), parse_version(text)
    if parsed is None or version is None:
        return parsed is not None and not parsed.specifier
    return parsed.specifier.contains(version, prereleases=True)


def _newness(key: ReleaseKey) -> tuple[bool, Version | str]:
    """From old to new, and legacy versions before all of them."""
    version = parse_version(key[1])
    return version is not None, key[1] if version is None else version
