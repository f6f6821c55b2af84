"""The newest of everything, as one graph for all roots and environments, and where it contradicts itself.

For most roots the newest usable release of every project that they need fits together; then that is their complete
resolution, and one walk over this graph shows it for all of them at once. Only where it does not, a search begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.library import asks_itself

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.closure import Want
    from pypim.core.library import Library, Wanted
    from pypim.core.search import Settled

Key = tuple["NormalizedName", "NormalizedName | None"]
"""A project, without or with one of its extras."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """A requirement of the newest release of a project, in the environments of a mask."""

    release: Release
    wanted: Wanted
    mask: int
    targets: tuple[Key, ...]
    """What it leads to: its project, without and with each of its extras."""


class NewestGraph:
    """Grows with what is demanded; `judge` is asked once nothing grows any more."""

    def __init__(self, library: Library, spawn: Callable[[Generator[list[Want], None, None]], None]) -> None:
        """`spawn` runs a generator that yields what it must know before it goes on."""
        self._library = library
        self._spawn = spawn
        self._demanded: dict[Key, int] = {}
        self._newest: dict[NormalizedName, dict[int, int]] = {}
        self._links: dict[Key, list[Link]] = {}
        self._bad: dict[Key, int] = {}

    # --- growing ----------------------------------------------------------------------------------------------------
    def demand(self, wanted: Wanted, mask: int) -> None:
        """The newest release of what a requirement names is needed, with its extras, in the environments of a mask."""
        for target in targets(wanted):
            self._demand(target, mask)

    def _demand(self, key: Key, mask: int) -> None:
        known = self._demanded.get(key, 0)
        fresh = mask & ~known
        if fresh:
            self._demanded[key] = known | fresh
            self._spawn(self._grow(key, fresh))

    def _grow(self, key: Key, mask: int) -> Generator[list[Want], None, None]:
        project, extra = key
        wants = self._library.ask_page(project)
        if wants:
            yield wants
        taken = yield from self._take(project, mask)
        links = self._links.setdefault(key, [])
        for release, bits in taken:
            for one in self._library.wanted(release, bits, extra):
                link = Link(release, one, one.mask & bits, targets(one))
                # Nobody but the release itself meets what it asks of itself, further extras.
                for target in link.targets[1:] if asks_itself(one, release) else link.targets:
                    self._demand(target, link.mask)
                links.append(link)

    def _take(self, project: NormalizedName, mask: int) -> Generator[list[Want], None, list[tuple[Release, int]]]:
        """The newest usable release of each environment of a mask."""
        universe = self._library.universe(project)
        if universe is None:
            return []
        while True:
            taken = list(universe.newest(mask))
            is_settled = True
            for number, bits in taken:
                usable = yield from self._library.examine(universe, number, bits)
                is_settled = is_settled and usable == bits
            if is_settled:
                break
        known = self._newest.setdefault(project, {})
        for number, bits in taken:
            known[number] = known.get(number, 0) | bits
        return [(universe.releases[number], bits) for number, bits in taken]

    # --- judging ----------------------------------------------------------------------------------------------------
    def judge(self) -> None:
        """Find every key from which a contradiction can be reached, and in which environments."""
        users: dict[Key, list[tuple[Key, int]]] = {}
        bad: dict[Key, int] = {}
        for key, links in self._links.items():
            for link in links:
                if missing := link.mask & ~self._met(link.wanted, link.release, link.mask):
                    bad[key] = bad.get(key, 0) | missing
                for target in link.targets:
                    users.setdefault(target, []).append((key, link.mask))
        waiting = list(bad.items())
        while waiting:
            key, mask = waiting.pop()
            for user, link_mask in users.get(key, ()):
                fresh = mask & link_mask & ~bad.get(user, 0)
                if fresh:
                    bad[user] = bad.get(user, 0) | fresh
                    waiting.append((user, fresh))
        self._bad = bad

    def consistent(self, release: Release, wanted: Iterable[Wanted], mask: int, *, is_build: bool = False) -> int:
        """The environments of a mask in which the newest of everything satisfies a root's release.

        `wanted` is what the root's own release requires, its extras included; or its build, of which it is no part.
        """
        good = mask if is_build else self._library.readable(release, mask, with_yanked=True)
        wanted = list(wanted)
        for one in wanted:
            bits = one.mask & mask
            is_own = not is_build and asks_itself(one, release)
            good &= ~(bits & ~(bits if is_own else self._met(one, None, bits)))
            for target in () if is_own else targets(one):
                good &= ~(bits & self._bad.get(target, 0))
        if is_build:
            return good
        if good and (release.project, None) in self._demanded:
            good &= ~self._meets_another(release, wanted, good)
        return good

    def holds_together(self, wanted: Iterable[Wanted], mask: int) -> int:
        """The environments of a mask in which the newest of everything satisfies some requirements that nobody has."""
        for one in wanted:
            if not mask:
                break
            bits = one.mask & mask
            mask &= ~(bits & ~self._met(one, None, bits))
            for target in targets(one):
                mask &= ~(bits & self._bad.get(target, 0))
        return mask

    def has(self, release: Release, keys: Iterable[Key], mask: int) -> bool:
        """Whether a release is the newest in all environments of a mask, and its keys were demanded there.

        Whoever made the release may see other files of it than this graph does; then it is another one. So it is where
        a root is judged by more than the graph asks: by yanked files, and by wheels that are read in place of an sdist.
        """
        for key in keys:
            if mask & ~self._demanded.get(key, 0):
                return False
        for own, bits in self.releases(release.project, mask):
            if bits == mask and own.text == release.text:
                ours = [(one.mask, one.file.yanked) for one in own.candidates]
                is_alike = ours == [(one.mask, False) for one in release.candidates]
                return is_alike and all(one.is_wheel for one, _ in own.installable(mask, with_yanked=True))
        return False

    def good(self, keys: Iterable[Key], mask: int) -> int:
        """The environments of a mask in which nothing that hangs below some keys contradicts itself."""
        for key in keys:
            mask &= ~self._bad.get(key, 0)
        return mask

    def settled(self, wanted: Iterable[tuple[Wanted, int]]) -> Settled:
        """The newest release of all that some requirements, which hold, need in the environments of their masks."""
        wanted = list(wanted)
        needed: dict[NormalizedName, int] = {}
        for one, bits in (*wanted, *((link.wanted, link.mask) for link in self.reached(self.keys(wanted)))):
            needed[one.requirement.name] = needed.get(one.requirement.name, 0) | bits
        return {
            name: tuple((number, bits & mask) for number, bits in self._newest.get(name, {}).items() if bits & mask)
            for name, mask in needed.items()
        }

    def keys(self, wanted: Iterable[tuple[Wanted, int]], *, holds: bool = True) -> Iterator[tuple[Key, int]]:
        """What requirements lead to in the environments of their masks; without `holds` only where they are met."""
        for one, bits in wanted:
            if met := bits if holds else self._met(one, None, bits):
                for target in targets(one):
                    yield target, met

    def reached(self, keys: Iterable[tuple[Key, int]], *, holds: bool = True) -> Iterator[Link]:
        """Every link that hangs below some keys in the environments of their masks, each with its part.

        Without `holds` some of the requirements are not met; what hangs below those is left out.
        """
        seen: dict[Key, int] = {}
        waiting = [*keys]
        while waiting:
            key, mask = waiting.pop()
            fresh = mask & ~seen.get(key, 0)
            if not fresh:
                continue
            seen[key] = seen.get(key, 0) | fresh
            for link in self._links.get(key, ()):
                bits = link.mask & fresh
                if bits:
                    yield link if bits == link.mask else Link(link.release, link.wanted, bits, link.targets)
                    if met := bits if holds else self._met(link.wanted, link.release, bits):
                        waiting += [(target, met) for target in link.targets]

    def releases(self, project: NormalizedName, mask: int) -> Iterator[tuple[Release, int]]:
        """The newest releases of a project in the environments of a mask."""
        universe = self._library.universe(project)
        for number, bits in self._newest.get(project, {}).items():
            if universe is not None and bits & mask:
                yield universe.releases[number], bits & mask

    def admits(self, wanted: Wanted, release: Release) -> bool:
        """Whether a requirement admits one of the newest releases."""
        universe = self._library.universe(release.project)
        return universe is not None and universe.admits(wanted.specifier, universe.index[release.text])

    def _met(self, wanted: Wanted, release: Release | None, mask: int) -> int:
        """The environments of a mask in which the newest release satisfies a requirement, of `release` if given."""
        if release is not None and asks_itself(wanted, release):
            return mask
        project = wanted.requirement.name
        universe = self._library.universe(project)
        if universe is None:
            return 0
        met = 0
        for number, bits in self._newest.get(project, {}).items():
            if bits & mask and universe.admits(wanted.specifier, number):
                met |= bits
        return met & mask

    def _meets_another(self, release: Release, wanted: list[Wanted], mask: int) -> int:
        """The environments in which a release needs, on some way, another release of its own project."""
        found = 0
        own = sum(bits for one, bits in self.releases(release.project, mask) if one.text == release.text)
        if not mask & ~own:
            return 0
        others = ((one, one.mask & mask) for one in wanted if not asks_itself(one, release))
        for link in self.reached(self.keys(others)):
            if link.wanted.requirement.name == release.project:
                found |= link.mask & ~own
        for one in wanted:
            if one.requirement.name == release.project and not asks_itself(one, release):
                found |= one.mask & ~own
        return found & mask


def targets(wanted: Wanted) -> tuple[Key, ...]:
    """What a requirement leads to: its project, without and with each of its extras."""
    requirement = wanted.requirement
    if not requirement.extras:
        return ((requirement.name, None),)
    return tuple((requirement.name, extra) for extra in (None, *requirement.extras))
