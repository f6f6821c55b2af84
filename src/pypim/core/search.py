"""The complete resolution of one root in one environment, and in all that cannot be told from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.explain import explain_unsatisfied
from pypim.core.library import asks_itself
from pypim.core.markers import differs_for_uv
from pypim.core.rules import constrained, requirement_rule
from pypim.core.selection import ProblemKind
from pypim.core.solver import ABSENT, Impossible, Pause, Refusal, Requirement, Solution, Solver, Undecided

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from packaging.markers import Marker
    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.chains import ReleaseKey
    from pypim.core.closure import Want
    from pypim.core.library import Library, Wanted
    from pypim.core.solver import Answer, Budget, Question
    from pypim.core.universe import Universe

MOST_STEPS = 25_000_000
"""Steps of the solver after which a root is undecided: about ten seconds."""

_UNUSABLE = "cannot be used: its metadata is not valid, or for another Python"

Key = tuple["NormalizedName", "NormalizedName | None"]
"""A project, without or with one of its extras."""


class Lack(msgspec.Struct, frozen=True):
    """A requirement that nothing in the index meets."""

    project: NormalizedName
    requirement: str
    reason: str
    parent: ReleaseKey | None
    """The release that requires it; None for what is asked for at the start."""


class Cause(msgspec.Struct, frozen=True):
    """One of the facts that contradict each other, as a sentence without full stop."""

    sentence: str
    kind: ProblemKind = ProblemKind.UNSATISFIED
    lack: Lack | None = None
    """Where it is a requirement that nothing can meet, whatever else is chosen."""


Settled = dict["NormalizedName", tuple[tuple[int, int], ...]]
"""Project → the number of the release that stays as it is, and the environments of a mask in which it does."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is resolved: a release with extras that a root chose, or requirements that stand for themselves."""

    release: Release | None = None
    extras: frozenset[NormalizedName] = frozenset()
    with_yanked: bool = False
    wanted: tuple[Wanted, ...] = ()
    """Requirements without a release: of a build, of a file that is installed as one."""
    label: str = ""
    """Who has those requirements, for a message."""
    settled: Settled = {}
    """What others, with whom it is installed together, need and have; all that this requires is settled, too."""


class Found(msgspec.Struct, frozen=True):
    """A resolution: the number of the release of each project in its universe, and the extras of each."""

    releases: dict[NormalizedName, int]
    extras: dict[NormalizedName, frozenset[NormalizedName]]
    alike: int
    """The environments for which it holds."""


class Failed(msgspec.Struct, frozen=True):
    """There is no resolution, and why; `is_undecided` where the budget was spent first."""

    causes: tuple[Cause, ...]
    alike: int
    is_undecided: bool = False
    follows_open: bool = True
    """Whether requirements counted whose markers the environment leaves open."""
    is_disputed: bool = True
    """Whether another reading of the standards might find one."""


class Search:
    """One search over a library. `alike` shrinks with every question whose answer differs between environments."""

    def __init__(
        self, library: Library, start: Start, environment: int, others: int, *, is_strict: bool = True
    ) -> None:
        """`environment` is a mask of one bit; `others` those that the outcome may also be for.

        Without `is_strict`, what pip makes of all requirements of a project together is looked at in the end only.
        """
        self._library = library
        self._is_strict = is_strict
        self._start = start
        self._environment = environment
        self._alike = environment | others
        self._own_number = -1
        self._is_disputed = False
        self._markers: dict[int, Marker] = {}
        """Of what is required, by identity: whether pip and uv read one otherwise is asked where the search fails."""
        self._asked: dict[NormalizedName, list[tuple[Release | None, SpecifierSet]]] = {}
        """Project → who requires it (None for the start), and which versions."""

    def run(self, budget: Budget) -> Generator[list[Want], None, Found | Failed]:
        """Search; yields what it must know, and goes on once that was answered. An empty list is a mere pause."""
        while True:
            # Where files are found to be too large, all begins again as if they had never been listed.
            outcome = yield from self._try(Solver(budget))
            if outcome is not None:
                return outcome

    def _try(self, solver: Solver[Key, Cause]) -> Generator[list[Want], None, Found | Failed | None]:
        needed = yield from self._needed()
        search = solver.solve(needed)
        answer: Answer[Key, Cause] | None = None
        while True:
            try:
                question = next(search) if answer is None else search.send(answer)
            except StopIteration as end:
                return self._outcome(end.value)
            if isinstance(question, Pause):
                yield []
                answer = []
                continue
            answer = yield from self._answer(question)
            if answer is None:
                return None

    def _outcome(self, end: Solution[Key] | Impossible[Cause] | Undecided) -> Found | Failed:
        if isinstance(end, Undecided):
            return Failed((Cause(f"no decision within {end.steps:,} steps"),), self._alike, is_undecided=True)
        if isinstance(end, Impossible):
            return Failed(
                end.facts,
                self._alike,
                follows_open=self._library.follows_open,
                is_disputed=self._is_disputed
                or self._library.has_met_undeclared
                or any(map(differs_for_uv, self._markers.values())),
            )
        releases: dict[NormalizedName, int] = {}
        extras: dict[NormalizedName, set[NormalizedName]] = {}
        for (name, extra), state in end.states.items():
            if extra is None:
                releases[name] = state.bit_length() - 2
            else:
                extras.setdefault(name, set()).add(extra)
        if not self._is_strict and (refused := self._not_taken(releases)) is not None:
            return Failed(
                (Cause(f"pip takes no yanked release or pre-release of {refused} that is left"),), self._alike
            )
        return Found(releases, {name: frozenset(found) for name, found in extras.items()}, self._alike)

    def _not_taken(self, releases: dict[NormalizedName, int]) -> NormalizedName | None:
        """A project of which pip would not take the release, for all that is required of it together."""
        chosen: set[Release | None] = {None}
        for name, number in releases.items():
            universe = self._library.universe(name)
            assert universe is not None, "only what has a universe is found"
            chosen.add(universe.releases[number])
        own = self._start.release
        for name, number in releases.items():
            universe = self._library.universe(name)
            specifier = SpecifierSet()
            for who, asked in self._asked.get(name, ()):
                # No release vouches for itself: before it is taken, what it requires does not count.
                counts = who in chosen and (who is None or who.project != name)
                specifier = specifier & asked if counts else specifier
            is_own = own is not None and own.project == name and number == self._own_number
            if universe is not None and not is_own and not universe.is_taken(number, specifier, self._environment):
                return name
        return None

    # --- the root ---------------------------------------------------------------------------------------------------
    def _needed(self) -> Generator[list[Want], None, list[Requirement[Key, Cause]]]:
        start = self._start
        if start.release is None:
            return (yield from self._requirements(self._here(start.wanted), start.label, None))
        release = start.release
        universe = yield from self._universe(release.project)
        number = universe.index.get(release.text, -1) if universe is not None else -1
        if universe is None or number < 0:  # a legacy version, which no requirement can mean
            wanted = self._own_wanted(release, None)
            wanted += tuple(w for extra in sorted(start.extras) for w in self._own_wanted(release, extra))
            return (yield from self._requirements(wanted, f"{release.project} {release.text}", None))
        self._own_number = number
        cause = Cause(f"{release.project} {release.text} is asked for")
        return [
            Requirement((release.project, extra), universe.every, 2 << number, cause)
            for extra in (None, *sorted(start.extras))
        ]

    def _own_wanted(self, release: Release, extra: NormalizedName | None) -> tuple[Wanted, ...]:
        return self._here(self._library.wanted(release, self._alike, extra, with_yanked=self._start.with_yanked))

    # --- questions --------------------------------------------------------------------------------------------------
    def _answer(self, question: Question[Key]) -> Generator[list[Want], None, Answer[Key, Cause] | None]:
        """What a release needs; None where its files are found to be too large: then all begins again without them."""
        project, extra = question.key
        if extra is None and any(where & self._environment for _, where in self._start.settled.get(project, ())):
            return []
        universe = self._library.universe(project)
        assert universe is not None, "a question is asked only of what was answered before"
        number = question.state.bit_length() - 2
        release = universe.releases[number]
        own = self._start.release
        if own is not None and own.project == project and number == self._own_number:
            readable = self._library.readable(own, self._alike, with_yanked=self._start.with_yanked)
            if not readable & self._environment:
                self._alike &= ~readable
                self._is_disputed = True
                return Refusal(Cause(f"{project} {own.text} {_UNUSABLE}"))
            self._alike &= readable
            wanted = self._own_wanted(own, extra)
        else:
            usable = yield from self._library.examine(universe, number, self._alike)
            if universe.releases[number] is not release:
                return None
            self._is_disputed = self._is_disputed or universe.is_disputed
            if not usable & self._environment:
                self._alike &= ~usable
                return Refusal(Cause(f"{project} {release.text} {_UNUSABLE}"))
            self._alike &= usable
            wanted = self._here(self._library.wanted(release, self._alike, extra))
        # Several files that fit may require different things, and each installer reads those of one of them.
        self._is_disputed = self._is_disputed or self._has_choice(release)
        answer = yield from self._requirements(wanted, f"{project} {release.text}", release)
        if extra is not None:
            same = Cause(f"{project}[{extra}] {release.text} is {project} {release.text}")
            answer.append(Requirement((project, None), universe.every, question.state, same))
        return answer

    def _has_choice(self, release: Release) -> bool:
        """Whether several files of a release are read, in any environment that the outcome may be for."""
        if len(release.candidates) == 1:
            return False
        seen = 0
        for _, bits in self._library.preferred(release, self._alike, with_yanked=self._start.with_yanked):
            if seen & bits:
                return True
            seen |= bits
        return False

    def _requirements(
        self, wanted: Sequence[Wanted], label: str, release: Release | None
    ) -> Generator[list[Want], None, list[Requirement[Key, Cause]]]:
        pages = [want for one in wanted for want in self._library.ask_page(one.requirement.name)]
        if pages:
            yield pages
        found: list[Requirement[Key, Cause]] = []
        for one in wanted:
            requirement = one.requirement
            if requirement.marker is not None:
                self._markers[id(requirement.marker)] = requirement.marker
            universe = self._library.universe(requirement.name)
            if not self._is_strict:
                self._asked.setdefault(requirement.name, []).append((release, one.specifier))
            cause = f"{label} requires {requirement.text}"
            if universe is None:
                fact = _dead_end(one, cause, release, *self._library.lack(requirement.name))
                found.append(Requirement((requirement.name, None), ABSENT, 0, fact))
                continue
            self._is_disputed = self._is_disputed or universe.is_disputed or _asks_for_text(one)
            usable, same = universe.usable(self._environment)
            self._alike &= same | self._environment
            if release is not None and asks_itself(one, release):
                allowed = 2 << universe.index[release.text]
            else:
                allowed = universe.allowed(one.specifier, self._environment, is_strict=self._is_strict) & usable
                allowed |= self._own_state(universe, one.specifier)
            allowed &= self._settled_state(requirement.name)
            fact = Cause(cause) if allowed else self._no_match(universe, one, cause, release)
            found += [
                Requirement((requirement.name, extra), universe.every, allowed, fact)
                for extra in (None, *sorted(requirement.extras))
            ]
        return found

    def _settled_state(self, project: NormalizedName) -> int:
        """The only state that others leave; all states where they have nothing to say."""
        states = -1
        for number, where in self._start.settled.get(project, ()):
            is_here = bool(where & self._environment)
            self._alike &= where if is_here else ~where
            states &= 2 << number if is_here else -1
        return states

    def _own_state(self, universe: Universe, specifier: SpecifierSet) -> int:
        """The root's own release as a state: it counts even if yanked or a pre-release, for it was asked for."""
        own, number = self._start.release, self._own_number
        if own is None or own.version is None or own.project != universe.project or number < 0:
            return 0
        return 2 << number if specifier.contains(own.version, prereleases=True) else 0

    def _no_match(self, universe: Universe, wanted: Wanted, cause: str, release: Release | None) -> Cause:
        rule = requirement_rule(wanted.specifier, wanted.requirement.text)
        rule = constrained(rule, self._library.constraint(universe.project))
        candidates = self._library.candidates_now(universe.project)
        return _dead_end(wanted, cause, release, *explain_unsatisfied(candidates, rule, self._environment))

    def _universe(self, project: NormalizedName) -> Generator[list[Want], None, Universe | None]:
        wants = self._library.ask_page(project)
        if wants:
            yield wants
        return self._library.universe(project)

    def _here(self, wanted: Sequence[Wanted]) -> tuple[Wanted, ...]:
        """What holds in this environment; those in which other requirements hold are not alike."""
        masks: dict[str, int] = {}
        for one in wanted:
            masks[one.requirement.text] = masks.get(one.requirement.text, 0) | one.mask
        for mask in masks.values():
            self._alike &= mask if mask & self._environment else ~mask
        return tuple(one for one in wanted if one.mask & self._environment)


def _asks_for_text(wanted: Wanted) -> bool:
    """Whether a version is asked for as a text; what nothing was added to is looked at as it is written."""
    is_possible = "===" in wanted.requirement.text or wanted.specifier is not wanted.requirement.specifier
    return is_possible and "===" in str(wanted.specifier)


def _dead_end(wanted: Wanted, cause: str, release: Release | None, kind: ProblemKind, reason: str) -> Cause:
    """That nothing meets a requirement, whatever else is chosen."""
    parent = release.key if release is not None else None
    lack = Lack(wanted.requirement.name, wanted.requirement.text, reason, parent)
    return Cause(f"{cause}: {reason}", kind, lack)
