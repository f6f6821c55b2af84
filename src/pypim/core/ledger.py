"""The ledger of a closure: what was chosen and why, and what could not be had, until it becomes a selection."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import is_settled
from pypim.core.chains import ReleaseKey, shortest_links
from pypim.core.explain import explain_unsatisfied
from pypim.core.selection import ChosenRelease, Problem, ProblemKind, ProjectFacts, Reason, Selection, Share
from pypim.core.target import end_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Candidates, Chooser, Release
    from pypim.core.chains import Link
    from pypim.core.exact import FoundFiles
    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.core.rules import Rule
    from pypim.core.target import Environment


_MOST = 3  # so many versions are named in one sentence; a person wants the gist


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """Why something is needed: a root's origin, or the requirement of a chosen release."""

    origin: str = ""
    parent: ReleaseKey | None = None
    requirement: str
    is_build: bool = False
    """Whether the parent requires it to be built from its sdist (PEP 518), rather than to run."""


_Accounted = dict[ReleaseKey, dict[Edge, dict[int, int]]]
"""What is chosen and why → in which resolutions, by their numbers, each with the environments."""


class _Trouble(msgspec.Struct, frozen=True):
    project: NormalizedName
    edge: Edge
    kind: ProblemKind
    reason: str


class Account:
    """The reasons that count in one resolution, which is not the newest of everything."""

    __slots__ = ("entries", "key")

    def __init__(self, key: tuple[str, ...]) -> None:
        self.key = key
        """Tells the resolution from all others, in every run alike."""
        self.entries: list[tuple[ReleaseKey, Edge, int]] = []


class Ledger:
    """Collects choices in any order; `selection` sorts them, so that the order leaves no trace."""

    def __init__(self, chooser: Chooser) -> None:
        self._chooser = chooser
        self._files: dict[tuple[NormalizedName, str], dict[str, DistFile]] = {}
        self._kept: dict[tuple[Release, bool], int] = {}
        self._as_listed: dict[ReleaseKey, Release] = {}
        self._edges: dict[tuple[NormalizedName, str], dict[Edge, int]] = {}
        self._ends = Ends(chooser.environments)
        self._accounts: list[Account] = []
        self._apart: dict[ReleaseKey, dict[Edge, int]] = {}
        self._troubles: dict[_Trouble, tuple[int, int]] = {}
        self._warnings: set[str] = set()
        self._doubts: dict[str, set[str]] = {}
        self._limits: dict[str, frozenset[str]] = {}
        self._locked: dict[str, frozenset[str]] = {}
        self._unlimited: set[ReleaseKey] = set()
        self._lacking_extras: dict[tuple[NormalizedName, NormalizedName], set[str]] = {}

    def choose(
        self, release: Release, mask: int, edge: Edge, *, with_yanked: bool, account: Account | None = None
    ) -> None:
        """A release is chosen for the environments of a mask, as the newest of everything or on account of a search.

        Its hashes limit its files, unless a root takes the same release without any.
        """
        key = release.key
        if edge.parent is None and not release.hashes:
            self._unlimited.add(key)
        edges = self._edges.setdefault(key, {})
        if not edges or not release.hashes:
            self._as_listed[key] = release  # with every file that the page has, where anybody chooses it so
        if account is None:
            known = edges.setdefault(edge, mask)
            if mask & ~known:
                edges[edge] = known | mask
        else:
            edges.setdefault(edge, 0)
            account.entries.append((key, edge, mask))
        known = self._kept.get((release, with_yanked), 0)
        if mask & ~known:
            self._kept[(release, with_yanked)] = known | mask
            files = self._files.setdefault(key, {})
            for file in self._chooser.kept_files(release, mask & ~known, with_yanked=with_yanked):
                files[file.identity] = file
                if release.hashes:
                    self._limits[file.identity] = self._limits.get(file.identity, frozenset()) | release.hashes

    def chosen(self) -> Iterator[tuple[Release, int, bool]]:
        """Every release that was chosen, where, and whether yanked files of it count there."""
        return ((release, mask, with_yanked) for (release, with_yanked), mask in self._kept.items())

    def files(self, release: tuple[NormalizedName, str]) -> Iterable[DistFile]:
        """The files of a chosen release that are kept so far."""
        return self._files[release].values()

    def keep_besides(self, release: Release, file: DistFile) -> None:
        """Keep one more file of a chosen release, which no environment installs."""
        self._files[release.key][file.identity] = file
        if release.hashes:
            self._limits[file.identity] = self._limits.get(file.identity, frozenset()) | release.hashes

    def take_locked(self, project: NormalizedName, found: FoundFiles, edge: Edge, mask: int, certain: int) -> None:
        """The files of a lock are taken as they are, and what there is not of them is a problem."""
        for lack in found.lacks:
            self.problem(project, edge, lack, mask, certain)
        if found.held and not any(held.file.filename.endswith(".whl") for held in found.held):
            release = " ".join(found.held[0].release.key)
            self.warn(f"{release}: an sdist only, and a lock does not tell what builds it: name that beside the lock")
        for held in found.held:
            self._as_listed.setdefault(held.release.key, held.release)
            edges = self._edges.setdefault(held.release.key, {})
            edges[edge] = edges.get(edge, 0) | mask
            self.set_apart(held.release.key, edge, mask)
            self._files.setdefault(held.release.key, {})[held.file.identity] = held.file
            if held.hashes:
                known = self._locked.get(held.file.identity, frozenset())
                self._locked[held.file.identity] = known | held.hashes

    def open_account(self, *key: str) -> Account:
        """For the reasons of a resolution that a search found."""
        account = Account(key)
        self._accounts.append(account)
        return account

    def set_apart(self, release: ReleaseKey, edge: Edge, mask: int) -> None:
        """The newest of everything does not come with a root's release there; what does, an account tells."""
        apart = self._apart.setdefault(release, {})
        apart[edge] = apart.get(edge, 0) | mask

    def is_chosen(self, release: ReleaseKey) -> bool:
        """Whether anything has chosen that release so far."""
        return release in self._edges

    def problem(
        self, project: NormalizedName, edge: Edge, what: tuple[ProblemKind, str], mask: int, certain: int
    ) -> None:
        """Something cannot be had in the environments of a mask; `certain` are those that need it for certain."""
        trouble = _Trouble(project, edge, *what)
        known_mask, known_certain = self._troubles.get(trouble, (0, 0))
        self._troubles[trouble] = (known_mask | mask, known_certain | (certain & mask))

    def unsatisfied(self, candidates: Candidates, rule: Rule, edge: Edge, mask: int, certain: int) -> None:
        """No release satisfies a rule in the environments of a mask; each may have its own cause."""
        for bit in _bits(mask):
            self.problem(candidates.project, edge, explain_unsatisfied(candidates, rule, bit), bit, certain)

    def warn(self, warning: str) -> None:
        """A fact to know about what was chosen."""
        self._warnings.add(warning)

    def doubt(self, file: DistFile, sentence: str) -> None:
        """A fact to know about a file, should it be chosen."""
        self._doubts.setdefault(file.identity, set()).add(f"{file.filename}: {sentence}")

    def lacks_extra(self, release: Release, extra: NormalizedName) -> None:
        """A chosen release does not provide an extra that something asks for; it is told once for each project."""
        self._lacking_extras.setdefault((release.project, extra), set()).add(release.text)

    def learned(self, file: DistFile, metadata: CoreMetadata) -> None:
        """Note what the metadata of a file leaves in doubt."""
        if metadata.is_lower_bound:
            self.doubt(file, "an sdist that may require more than is known without building it")
        for fault in metadata.faults:
            self.doubt(file, fault)

    def selection(self, pages: Iterable[Page]) -> Selection:
        """Everything, sorted. `pages` are those of all projects that were asked for and exist."""
        accounted = self._accounted()
        releases = tuple(
            self._release(key, edges, accounted.get(key, {})) for key, edges in sorted(self._edges.items())
        )
        facts = [
            ProjectFacts(name=page.name, status=page.status, status_reason=page.status_reason)
            for page in sorted(pages, key=lambda page: page.name)
        ]
        files = (file for release in releases for file in release.files) if self._doubts else ()
        doubts = [self._doubts.get(file.identity, ()) for file in files]
        return Selection(
            releases=releases,
            projects=tuple(facts),
            problems=tuple(sorted(self._problems(shortest_links(releases)))) if self._troubles else (),
            warnings=tuple(sorted(self._warnings.union(*doubts, self._missing_extras()))),
        )

    def _accounted(self) -> _Accounted:
        """The numbers of the accounts follow their keys, so that the order of the answers leaves no trace."""
        numbers = {key: n for n, key in enumerate(sorted({account.key for account in self._accounts}), 1)}
        found: _Accounted = {}
        for account in self._accounts:
            number = numbers[account.key]
            for release, edge, mask in account.entries:
                masks = found.setdefault(release, {}).setdefault(edge, {})
                masks[number] = masks.get(number, 0) | mask
        return found

    def _release(
        self, key: tuple[NormalizedName, str], edges: Mapping[Edge, int], accounted: Mapping[Edge, Mapping[int, int]]
    ) -> ChosenRelease:
        rows: list[tuple[Reason, tuple[Share, ...]]] = []
        apart = self._apart.get(key, {})
        for edge, mask in edges.items():
            if not accounted and not apart and self._ends.are_both_in(mask):
                rows.append((self._reason(edge, mask), ()))
                continue
            others = accounted.get(edge, {})
            everywhere = reduce(or_, others.values(), mask)
            alone = apart.get(edge, 0)
            is_common = not others and not alone and self._ends.are_both_in(mask)
            shares = () if is_common else self._shares(mask & ~alone, others, everywhere)
            rows.append((self._reason(edge, everywhere), shares))
        rows.sort()
        files = sorted(self._files[key].values(), key=_by_name)
        if len(files) > 1 and (release := self._as_listed.get(key)) is not None:
            # As on the page: of wheels that are alike pip takes the one that stands last.
            position = {one.identity: n for n, one in enumerate(release.candidates)}
            files.sort(key=lambda file: position.get(file.identity, -1))
        return ChosenRelease(
            project=key[0],
            version=key[1],
            files=tuple(self._limited(file, key) for file in files) if self._locked or self._limits else tuple(files),
            reasons=tuple(reason for reason, _ in rows),
            shares=tuple(shares for _, shares in rows) if any(shares for _, shares in rows) else (),
        )

    def _shares(self, newest: int, others: Mapping[int, int], everywhere: int) -> tuple[Share, ...]:
        """Where a reason counts in the newest of everything, in other resolutions, and in none."""
        found: dict[int, list[int]] = {newest: [0]} if newest else {}
        rest = everywhere & ~newest
        for number, mask in others.items():
            rest &= ~mask
            found.setdefault(mask, []).append(number)
        if rest:
            found[rest] = []
        return tuple(sorted(Share(self._ends.names(mask), tuple(sorted(found[mask]))) for mask in found))

    def _limited(self, file: DistFile, release: ReleaseKey) -> DistFile:
        """The file with the hashes that its bytes must be compared with, where nothing on its page settles that."""
        locked = self._locked.get(file.identity, frozenset())
        limits = self._limits.get(file.identity, frozenset()) if release not in self._unlimited else frozenset()
        limits = locked or limits  # what a lock names has those very bytes, whoever else wants the release
        if not limits or is_settled(file, limits):
            return file
        return msgspec.structs.replace(file, allowed_hashes=tuple(sorted(limits)))

    def _reason(self, edge: Edge, mask: int) -> Reason:
        project, version = edge.parent or ("", "")
        return Reason(
            origin=edge.origin,
            parent_project=project,
            parent_version=version,
            requirement=edge.requirement,
            environments=self._chooser.names(mask),
            is_build=edge.is_build,
        )

    def _missing_extras(self) -> Iterator[str]:
        for (project, extra), versions in self._lacking_extras.items():
            shown = sorted(versions)
            more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
            yield f"{project} {', '.join(shown[:_MOST])}{more}: provides no extra {extra!r}, and is kept without it"

    def _problems(self, links: Mapping[ReleaseKey, tuple[Link, ...]]) -> Iterator[Problem]:
        for trouble, (mask, certain) in self._troubles.items():
            parent = trouble.edge.parent
            chain: tuple[str, ...] = (trouble.edge.origin,)
            if parent is not None:
                to_build = ", to be built" if trouble.edge.is_build else ""
                chain = (*(link.by for link in links.get(parent, ())), " ".join(parent) + to_build)
            for bits, is_certain in ((certain, True), (mask & ~certain, False)):
                if bits:
                    yield Problem(
                        project=trouble.project,
                        requirement=trouble.edge.requirement,
                        reason=trouble.reason,
                        chain=chain,
                        environments=self._chooser.names(bits),
                        is_root=parent is None,
                        kind=trouble.kind,
                        is_certain=is_certain,
                    )


class Ends:
    """Names parts of environments: one whose patch release is open counts at its first and at its last."""

    def __init__(self, environments: Sequence[Environment]) -> None:
        self._bits: dict[str, int] = {}
        self._ends: list[tuple[str, int]] = []
        for number, (environment, end) in enumerate(zip(environments, end_names(environments), strict=True)):
            self._bits[environment.name] = self._bits.get(environment.name, 0) | 1 << number
            self._ends.append((end, 1 << number))
        self._names: dict[int, tuple[str, ...]] = {}
        self._whole: dict[int, bool] = {}

    def are_both_in(self, mask: int) -> bool:
        """Whether a mask has no environment in part."""
        found = self._whole.get(mask)
        if found is None:
            found = self._whole[mask] = all(name in self._bits for name in self.names(mask))
        return found

    def names(self, mask: int) -> tuple[str, ...]:
        """The sorted names of all that is in a mask: of environments, and of the ends of those that are in part."""
        found = self._names.get(mask)
        if found is None:
            whole = {name: bits for name, bits in self._bits.items() if not bits & ~mask}
            rest = mask & ~sum(whole.values())
            found = tuple(sorted([*whole, *(end for end, bit in self._ends if rest & bit)]))
            self._names[mask] = found
        return found


def _by_name(file: DistFile) -> tuple[str, str]:
    return file.filename, file.identity


def _bits(mask: int) -> Iterator[int]:
    """Each environment of a mask as a mask of its own."""
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit
