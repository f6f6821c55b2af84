"""The graph of a selection as steps: who asks for a release, with which extra of its own, and for which extras of it.

A requirement that only an extra brings in belongs to the release *with* that extra, and leads nowhere without it. Each
step counts in the resolutions that its reason counts in: no way goes from one into another, but by way of a build.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import repeat
from typing import TYPE_CHECKING

import msgspec

from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra
from pypim.core.selection import Reason
from pypim.core.target import FIRST_END, LAST_END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.selection import ChosenRelease, Selection, Share

    Extra = NormalizedName | None
    State = tuple["ReleaseKey", Extra, int]
    """A release with one of its extras or at all, in a resolution."""

ReleaseKey = tuple[str, str]
"""Project and version, as a selection names a release."""

_NAMED_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']*)["']""")
_EXTRAS_OF_KEY = re.compile(r"\[([^\[\]]*)\]\Z")


class OwnRequirement(msgspec.Struct, frozen=True):
    """A release that requires itself, to ask for further extras; a selection does not record it."""

    requirement: str
    environments: tuple[str, ...]
    """Where it holds; see `target.end_names`."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """Somebody asks for a release."""

    reason: Reason
    child: ReleaseKey
    by: tuple[ReleaseKey, Extra] | None
    """A release without or with one of its extras; None for a root, and where the release is listed no more."""
    asks: frozenset[NormalizedName] | None
    """The extras of the child that it asks for; None for all."""
    mask: int
    """The environments in which it holds."""
    masks: dict[int, int]
    """Those in which it counts in each resolution; a step to its own release counts in all of them."""
    is_own: bool = False
    """Whether the child asks it of itself."""

    def reaches(self, extra: Extra) -> bool:
        """Whether it leads to the child with that extra, or at all."""
        if extra is None:
            return not self.is_own
        return self.asks is None or extra in self.asks


NOTHING_ELSE = -1
"""In place of a resolution: a root with which nothing else comes."""


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
        self._shifts: dict[str, int] = {}
        self._masks: dict[tuple[str, ...], int] = {}
        self._names: dict[int, tuple[str, ...]] = {}
        self._to: dict[ReleaseKey, list[Step]] = {}
        self._in: dict[ReleaseKey, dict[int, list[tuple[Step, int]]]] = {}

    def mask(self, environments: tuple[str, ...]) -> int:
        """Names of environments as a mask, with two bits for each: both its ends, or that which is named."""
        found = self._masks.get(environments)
        if found is None:
            found = 0
            for name in environments:
                is_first, is_last = name.endswith(FIRST_END), name.endswith(LAST_END)
                whole = name.removesuffix(FIRST_END).removesuffix(LAST_END)
                shift = self._shifts.setdefault(whole, 2 * len(self._shifts))
                found |= (0b01 if is_first else 0b10 if is_last else 0b11) << shift
            self._masks[environments] = found
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """The sorted names of the environments of a mask."""
        found = self._names.get(mask)
        if found is None:
            named = (name for name, shift in self._shifts.items() if mask >> shift & 0b11)
            found = self._names[mask] = tuple(sorted(named))
        return found

    def all_to(self, key: ReleaseKey) -> list[Step]:
        """Every step that leads to a release, with or without an extra."""
        found = self._to.get(key)
        if found is None:
            found = self._to[key] = [*self._given(self.releases[key])]
        return found

    def resolutions(self, key: ReleaseKey) -> dict[int, list[tuple[Step, int]]]:
        """The resolutions with which a release comes, each with the steps that lead to it there and where they hold."""
        found = self._in.get(key)
        if found is None:
            found = self._in[key] = {}
            steps = self.all_to(key)
            for step in steps:
                for number, mask in step.masks.items():
                    found.setdefault(number, []).append((step, mask))
            own = [(step, step.mask) for step in steps if step.is_own]
            for number in found if own else ():
                found[number] += own
        return found

    def to(self, state: State) -> list[tuple[Step, int]]:
        """Every step that leads to a release with an extra, or at all, and where it holds.

        Where nobody is known to ask for the extra, all that ask for the release: it was chosen with it, after all.
        """
        key, extra, number = state
        steps = self.resolutions(key).get(number, [])
        return [one for one in steps if one[0].reaches(extra)] or [one for one in steps if not one[0].is_own]

    def _given(self, release: ChosenRelease) -> Iterator[Step]:
        key = (release.project, release.version)
        for reason, shares in zip(release.reasons, release.shares or repeat(()), strict=False):
            mask = self.mask(reason.environments)
            masks = self._shared(shares) if shares else {0: mask}
            parent = (reason.parent_project, reason.parent_version)
            if not reason.parent_project:
                yield Step(reason, key, None, self._asked_by_root(release.project, reason), mask, masks)
            elif parent not in self.releases:
                yield Step(reason, key, None, extras_asked(reason.requirement), mask, masks)
            else:
                for extra in extras_needed(reason.requirement):
                    yield Step(reason, key, (parent, extra), extras_asked(reason.requirement), mask, masks)
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
                yield Step(reason, key, (key, extra), extras_asked(own.requirement), mask, {}, is_own=True)

    def _shared(self, shares: Iterable[Share]) -> dict[int, int]:
        found: dict[int, int] = {}
        for share in shares:
            mask = self.mask(share.environments)
            for number in share.resolutions or (NOTHING_ELSE,):
                found[number] = found.get(number, 0) | mask
        return found

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
