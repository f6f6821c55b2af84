"""What a chosen release asks for in turn: the requirements of its files, and what builds those that must be built.

Each is followed once from wherever it was reached, so that cycles come to an end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.version import Version

from pypim.core.expand import build_requirements, lacks_extra, means_itself, wanted_requirements
from pypim.core.metadata import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
    from pypim.core.ledger import Ledger
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata

_SETUPTOOLS_WITHOUT_WHEEL = Version("70.1")
_WHEEL = parse_requirement("wheel")


class Reached(msgspec.Struct, frozen=True):
    """From which depth on, and where, the requirements of a file are followed."""

    depth: int
    mask: int
    certain: int
    is_for_build: bool = False
    """Whether a build leads here whose requirements are others than those of an installation: constraints are."""

    def where(self, holds: int, is_open: int) -> Reached:
        """The same, in the environments in which a requirement holds for certain, and those in which it is open."""
        return msgspec.structs.replace(self, mask=holds | is_open, certain=holds & self.certain)


class Follower:
    """Remembers what was followed of each file, and from where."""

    def __init__(self, chooser: Chooser, ledger: Ledger) -> None:
        self._chooser = chooser
        self._ledger = ledger
        self._followed: dict[tuple[str, NormalizedName | None], list[Reached]] = {}
        self._built: dict[str, list[Reached]] = {}

    def requirements(
        self,
        release: Release,
        identity: str,
        metadata: CoreMetadata,
        start: Reached,
        extras: Iterable[NormalizedName],
    ) -> Iterator[tuple[ParsedRequirement, Reached]]:
        """What a file requires, with none and with each of the extras, where that was not followed before."""
        waiting: list[tuple[NormalizedName | None, Reached]] = [(extra, start) for extra in (None, *extras)]
        while waiting:
            extra, reached = waiting.pop()
            fresh = _fresh(self._followed.setdefault((identity, extra), []), reached)
            if not fresh:
                continue
            for requirement, holds, is_open in wanted_requirements(metadata, extra, fresh, self._chooser):
                where = reached.where(holds, is_open)
                if means_itself(requirement, release.project, release.version):
                    self.note_unknown(release, metadata, requirement.extras)
                    waiting += [(further, where) for further in requirement.extras]
                else:
                    yield requirement, where

    def build_requirements(
        self, identity: str, metadata: CoreMetadata, start: Reached
    ) -> Iterator[tuple[ParsedRequirement, Reached]]:
        """What must be installed to build an sdist (PEP 518), where that was not followed before."""
        fresh = _fresh(self._built.setdefault(identity, []), start)
        for requirement, holds, is_open in build_requirements(metadata, fresh, self._chooser):
            yield requirement, start.where(holds, is_open)

    def note_unknown(self, release: Release, metadata: CoreMetadata, extras: Iterable[NormalizedName]) -> None:
        """Tell of extras that something asks for and the release is known not to provide."""
        for extra in extras:
            if lacks_extra(metadata, extra):
                self._ledger.lacks_extra(release, extra)


def asked_by_backend(release: Release) -> ParsedRequirement | None:
    """What a build requirement wants beside itself to make a wheel, though no file says so (PEP 517 lets it ask)."""
    is_old = release.version is not None and release.version < _SETUPTOOLS_WITHOUT_WHEEL
    return _WHEEL if release.project == "setuptools" and is_old else None


def _fresh(before: list[Reached], reached: Reached) -> int:
    """The environments in which this was not yet followed as certainly, from this depth or a smaller one."""
    mask, certain = reached.mask, reached.certain
    for known in before:
        if known.depth <= reached.depth and known.is_for_build == reached.is_for_build:
            mask &= ~known.mask
            certain &= ~known.certain
    fresh = mask | certain
    if fresh:
        before.append(reached)
    return fresh
