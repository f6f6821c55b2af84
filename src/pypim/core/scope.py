"""What is resolved by itself, and the readings of the standards that are tried for it, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.candidates import Chooser
from pypim.core.lenient import ParsedRequirement
from pypim.core.library import Library, Wanted, asks_itself
from pypim.core.newest import NewestGraph
from pypim.core.search import Start
from pypim.core.universe import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.closure import Root, Want
    from pypim.core.ledger import Account
    from pypim.core.library import Facts
    from pypim.core.newest import Key


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Something to resolve by itself: a release that a root took, or the build of an sdist."""

    release: Release
    """That of the root, or the one that must be built."""
    mask: int
    scope: Scope
    root: Root | None = None
    """None for a build."""
    extras: frozenset[NormalizedName] = frozenset()
    needed: tuple[Wanted, ...] = ()
    """What a build needs."""
    is_stand_in: bool = False
    """Whether the release stands in for the one that the rule of the root takes."""

    @property
    def may_step_back(self) -> bool:
        """Whether another release may stand in: not for a pin, nor where all that match are taken anyway."""
        root = self.root
        if root is None or self.is_stand_in:
            return False
        return not root.rule.is_pin and root.rule.count is not None and not root.hashes

    @property
    def with_yanked(self) -> bool:
        """Whether yanked files of the release count, as they do for a pin."""
        return self.root is not None and self.root.rule.is_pin

    @property
    def keys(self) -> list[Key]:
        """What a root's release is in the newest of everything, where that has it."""
        project = self.release.project
        return [(project, None), *((project, extra) for extra in self.extras)] if self.extras else [(project, None)]

    @property
    def is_newest(self) -> bool:
        """Whether the newest of everything has the root's release wherever it is to be resolved."""
        return self.root is not None and self.scope.newest.has(self.release, self.keys, self.mask)

    def wanted(self, library: Library) -> list[Wanted]:
        """What is required at the start: by the release with its extras, those it asks of itself included."""
        if self.root is None:
            return list(self.needed)
        masks: dict[NormalizedName | None, int] = dict.fromkeys((None, *sorted(self.extras)), self.mask)
        waiting = list(masks)
        while waiting:
            extra = waiting.pop(0)
            for one in self._wanted_with(extra, masks[extra], library):
                for further in one.requirement.extras if asks_itself(one, self.release) else ():
                    if one.mask & ~masks.get(further, 0):
                        masks[further] = masks.get(further, 0) | one.mask
                        waiting.append(further)
        return [one for extra, mask in masks.items() for one in self._wanted_with(extra, mask, library)]

    def _wanted_with(self, extra: NormalizedName | None, mask: int, library: Library) -> Iterator[Wanted]:
        for one in library.wanted(self.release, self.mask, extra, with_yanked=self.with_yanked):
            if bits := one.mask & mask:
                yield one if bits == one.mask else msgspec.structs.replace(one, mask=bits)

    def outward(self, library: Library) -> list[Wanted]:
        """What is required at the start of others: what a root's release asks of itself, only that release meets."""
        wanted = self.wanted(library)
        return wanted if self.root is None else [one for one in wanted if not asks_itself(one, self.release)]

    def start(self) -> Start:
        """As a search wants it."""
        if self.root is None:
            label = f"the build of {self.release.project} {self.release.text}"
            return Start(wanted=self.needed, label=label)
        return Start(release=self.release, extras=self.extras, with_yanked=self.with_yanked)


class Scope:
    """The readings that are tried one after the other, and the newest of everything in the first of them."""

    def __init__(
        self,
        facts: Facts,
        chooser: Chooser,
        constraints: Mapping[NormalizedName, SpecifierSet],
        spawn: Callable[[Generator[list[Want], None, None]], None],
    ) -> None:
        readings = [chooser.reading or one for one in Reading]
        each = [Chooser(chooser.environments, chooser.policy, chooser.now, one) for one in readings]
        self.libraries = [
            Library(facts, one, constraints, reading) for reading, one in zip(readings, each, strict=True)
        ]
        self.fallbacks = [
            Library(facts, one, constraints, reading, follows_open=False)
            for reading, one in zip(readings, each, strict=True)
        ]
        self.offered = Library(facts, chooser, constraints, Reading.BOTH)
        """What roots are taken from: whatever pip or uv may take, before anybody asks whether both do."""
        self.newest = NewestGraph(self.libraries[0], spawn)
        self.account: Account | None = None
        """On which the newest of everything is chosen, where that is not the one that roots have in common."""


def as_wanted(root: Root, extras: frozenset[NormalizedName], mask: int) -> Wanted:
    """What a root asks for, as a requirement: any release that its rule admits."""
    specifier = root.rule.specifier
    named = f"[{','.join(sorted(extras))}]" if extras else ""
    text = f"{root.project}{named}{specifier or ''}"
    requirement = ParsedRequirement(root.project, extras, specifier, None, None, text, is_repaired=False)
    return Wanted(requirement, specifier, mask)
