"""The graph of a selection as steps: who asks for a release, with which extra of its own, and for which extras of it.

A requirement that only an extra brings in belongs to the release *with* that extra, and leads nowhere without it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra
from pypim.core.selection import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.selection import ChosenRelease, Selection

    Extra = NormalizedName | None
    State = tuple["ReleaseKey", Extra]

ReleaseKey = tuple[str, str]
"""Project and version, as a selection names a release."""

_NAMED_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']*)["']""")
_EXTRAS_OF_KEY = re.compile(r"\[([^\[\]]*)\]\Z")


class OwnRequirement(msgspec.Struct, frozen=True):
    """A release that requires itself, to ask for further extras; a selection does not record it."""

    requirement: str
    environments: tuple[str, ...]
    """Where it holds."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """Somebody asks for a release."""

    reason: Reason
    child: ReleaseKey
    by: State | None
    """A release without or with one of its extras; None for a root, and where the release is listed no more."""
    asks: frozenset[NormalizedName] | None
    """The extras of the child that it asks for; None for all."""
    mask: int
    """The environments in which it holds."""
    is_own: bool = False
    """Whether the child asks it of itself."""

    def reaches(self, extra: Extra) -> bool:
        """Whether it leads to the child with that extra, or at all."""
        if extra is None:
            return not self.is_own
        return self.asks is None or extra in self.asks


class Steps:
    """Answers who asks for what, in a selection."""

    def __init__(
        self,
        selection: Selection,
        own: Callable[[ReleaseKey], Iterable[OwnRequirement]] | None = None,
        *,
        root_extras: frozenset[NormalizedName] | None = frozenset(),
    ) -> None:
        """`own` tells what a release requires of itself; `root_extras` every root gets besides its own, None: all."""
        self.releases: dict[ReleaseKey, ChosenRelease] = {
            (release.project, release.version): release for release in selection.releases
        }
        self._own = own
        self._root_extras = root_extras
        self._bits: dict[str, int] = {}
        self._masks: dict[tuple[str, ...], int] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._to: dict[ReleaseKey, list[Step]] = {}

    def mask(self, environments: tuple[str, ...]) -> int:
        """Names of environments as a mask."""
        found = self._masks.get(environments)
        if found is None:
            found = 0
            for name in environments:
                found |= self._bits.setdefault(name, 1 << len(self._bits))
            self._masks[environments] = found
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """The sorted names of the environments of a mask."""
        found = self._names.get(mask)
        if found is None:
            found = self._names[mask] = tuple(sorted(name for name, bit in self._bits.items() if mask & bit))
        return found

    def all_to(self, key: ReleaseKey) -> list[Step]:
        """Every step that leads to a release, with or without an extra."""
        found = self._to.get(key)
        if found is None:
            found = self._to[key] = [*self._given(self.releases[key])]
        return found

    def to(self, state: State) -> list[Step]:
        """Every step that leads to a release with an extra, or at all.

        Where nobody is known to ask for the extra, all that ask for the release: it was chosen with it, after all.
        """
        key, extra = state
        steps = self.all_to(key)
        return [step for step in steps if step.reaches(extra)] or [step for step in steps if not step.is_own]

    def _given(self, release: ChosenRelease) -> Iterator[Step]:
        key = (release.project, release.version)
        for reason in release.reasons:
            mask = self.mask(reason.environments)
            parent = (reason.parent_project, reason.parent_version)
            if not reason.parent_project:
                yield Step(reason, key, None, self._asked_by_root(release.project, reason), mask)
            elif parent not in self.releases:
                yield Step(reason, key, None, extras_asked(reason.requirement), mask)
            else:
                for extra in extras_needed(reason.requirement):
                    yield Step(reason, key, (parent, extra), extras_asked(reason.requirement), mask)
        for own in self._own(key) if self._own is not None else ():
            mask = self.mask(own.environments)
            project, version = key
            reason = Reason(
                origin="",
                parent_project=project,
                parent_version=version,
                requirement=own.requirement,
                environments=own.environments,
            )
            for extra in extras_needed(own.requirement):
                yield Step(reason, key, (key, extra), extras_asked(own.requirement), mask, is_own=True)

    def _asked_by_root(self, project: NormalizedName, reason: Reason) -> frozenset[NormalizedName] | None:
        if self._root_extras is None:
            return None
        requirement = parse_requirement(reason.requirement)
        if requirement is not None and requirement.name == project:
            return requirement.extras | self._root_extras
        named = _EXTRAS_OF_KEY.search(reason.origin)
        given = named[1].split(",") if named else []
        return self._root_extras.union(normalize_extra(text.strip()) for text in given if text.strip())


@lru_cache(maxsize=65536)
def extras_asked(requirement: str) -> frozenset[NormalizedName]:
    """The extras in the brackets of a requirement."""
    if "[" not in requirement:
        return frozenset()
    parsed = parse_requirement(requirement)
    return frozenset() if parsed is None else parsed.extras


@lru_cache(maxsize=65536)
def extras_needed(requirement: str) -> tuple[Extra, ...]:
    """The extras of whoever requires it, any of which brings it in; (None,) where its marker names none."""
    _, _, marker = requirement.partition(";")
    if "extra" not in marker:
        return (None,)
    return tuple(dict.fromkeys(normalize_extra(text) for text in _NAMED_EXTRA.findall(marker))) or (None,)
