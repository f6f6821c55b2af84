"""Finds one version of everything that is needed so that all requirements hold, or a proof that there is none.

The algorithm is PubGrub (Natalie Weizenbaum, "PubGrub: Next-Generation Version Solving", 2018): conflict-driven
learning over incompatibilities. It knows nothing of packaging. A variable has a finite set of states: bit 0 of its
mask says "not needed", the other bits are its versions, the most wanted first; so a term is one integer, and what a
proof needs of set arithmetic are `&`, `|` and `~`. It asks for the requirements of a version, and never fetches.
"""

from __future__ import annotations

from heapq import heappop, heappush, heappushpop
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Generator, Hashable, Iterator, Sequence

ABSENT = 1
"""The state of a variable that nothing needs."""

_STEPS_AT_ONCE = 20_000  # so many take a few hundredths of a second
_CONFLICTS_THAT_COUNT = 4  # a variable that was in so many conflicts is decided before others

Key = TypeVar("Key", bound="Hashable")
Fact = TypeVar("Fact")


class Requirement(msgspec.Struct, Generic[Key, Fact], frozen=True):
    """That a variable must be in one of some states, and the fact that says so."""

    key: Key
    every: int
    """All states of the variable, `ABSENT` included."""
    allowed: int
    """The states that satisfy it; 0 where none does."""
    fact: Fact


class Question(msgspec.Struct, Generic[Key], frozen=True):
    """What a variable requires in one state."""

    key: Key
    state: int


class Pause(msgspec.Struct, frozen=True):
    """No question: whoever asks may do something else before the search goes on. The answer is nothing."""


class Refusal(msgspec.Struct, Generic[Fact], frozen=True):
    """The answer that a state cannot be used at all, and the fact that says so."""

    fact: Fact


class Solution(msgspec.Struct, Generic[Key], frozen=True):
    """The state of every variable that is needed."""

    states: dict[Key, int]


class Impossible(msgspec.Struct, Generic[Fact], frozen=True):
    """There is no solution: these facts contradict each other, in the order in which the proof uses them."""

    facts: tuple[Fact, ...]


class Undecided(msgspec.Struct, frozen=True):
    """The budget was spent before there was a solution or a proof."""

    steps: int
    """What it was when nothing of it was spent."""


class Budget:
    """The steps that searches may take: each looks at one incompatibility once, which takes the same time anywhere.

    It counts no seconds, so that what comes of a search depends on nothing but what is asked. Several searches for the
    same thing share one.
    """

    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.most = self.left = most

    def renew(self) -> None:
        """What was decided within it costs nothing; what is spent stays spent."""
        if self.left > 0:
            self.left = self.most


class _Incompatibility(Generic[Fact]):
    """Terms of which at least one must be false. `facts` where it was given, `parents` where it was derived."""

    __slots__ = ("fact", "parents", "terms")

    def __init__(
        self,
        terms: dict[int, int],
        fact: Fact | None,
        parents: tuple[_Incompatibility[Fact], _Incompatibility[Fact]] | None = None,
    ) -> None:
        self.terms = terms
        self.fact = fact
        self.parents = parents


class _Step(Generic[Fact]):
    """One entry of the trail: what was said of a variable, what was known of it after, at which level, and why."""

    __slots__ = ("after", "cause", "level", "said", "variable")

    def __init__(self, variable: int, said: int, after: int, level: int, cause: _Incompatibility[Fact] | None) -> None:
        self.variable = variable
        self.said = said
        self.after = after
        self.level = level
        self.cause = cause


class _NoSolution(Exception):  # noqa: N818 - the end of the search, not a fault
    def __init__(self, proof: _Incompatibility[Any]) -> None:
        super().__init__()
        self.proof = proof


Answer = list[Requirement[Key, Fact]] | Refusal[Fact]


class Solver(Generic[Key, Fact]):
    """One search. Variables are decided in the order in which they became known, those in many conflicts first."""

    def __init__(self, budget: Budget) -> None:
        """`budget` is what makes a search end."""
        self._budget = budget
        self._numbers: dict[Key, int] = {}
        self._keys: list[Key] = []
        self._every: list[int] = []
        self._known: list[int] = []
        self._steps_of: list[list[int]] = []
        self._watching: list[list[_Incompatibility[Fact]]] = []
        self._conflicts: list[int] = []
        self._asked: set[tuple[int, int]] = set()
        self._trail: list[_Step[Fact]] = []
        self._undecided: set[int] = set()
        self._ranked: list[tuple[int, bool, int]] = []
        """A heap of the ranks of what is undecided; some of them are no longer true."""
        self._level = 0

    def solve(
        self, needed: Sequence[Requirement[Key, Fact]]
    ) -> Generator[Question[Key] | Pause, Answer[Key, Fact], Solution[Key] | Impossible[Fact] | Undecided]:
        """Satisfy all that is needed. Yields questions; send the answer to each, and a list without any to a pause."""
        budget = self._budget
        changed: list[int] = []
        try:
            for requirement in needed:
                changed += self._require({}, requirement)
            pause_at = budget.left - _STEPS_AT_ONCE
            while budget.left > 0:
                if budget.left <= pause_at:
                    yield Pause()
                    pause_at = budget.left - _STEPS_AT_ONCE
                budget.left -= 1
                self._propagate(changed)
                variable = self._next_variable()
                if variable is None:
                    return Solution({self._keys[n]: state for n, state in self._decided()})
                state = _first_version(self._known[variable])
                if (variable, state) not in self._asked:
                    self._asked.add((variable, state))
                    answer = yield Question(self._keys[variable], state)
                    fresh, changed = self._learn(variable, state, answer)
                else:
                    fresh, changed = False, []
                if not fresh:
                    self._decide(variable, state)
                    changed.append(variable)
        except _NoSolution as end:
            return Impossible(tuple(dict.fromkeys(_facts(end.proof))))
        return Undecided(budget.most)

    # --- what is known ----------------------------------------------------------------------------------------------
    def _number(self, key: Key, every: int) -> int:
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
            self._every.append(every)
            self._known.append(every)
            self._steps_of.append([])
            self._watching.append([])
            self._conflicts.append(0)
        return number

    def _require(self, condition: dict[int, int], requirement: Requirement[Key, Fact]) -> list[int]:
        """Under a condition, a requirement holds; the variables to look at."""
        variable = self._number(requirement.key, requirement.every)
        terms = dict(condition)
        forbidden = self._every[variable] & ~requirement.allowed
        if forbidden != self._every[variable]:
            terms[variable] = forbidden & terms.get(variable, forbidden)
        incompatibility = _Incompatibility(terms, requirement.fact)
        self._add(incompatibility)
        if not terms:
            raise _NoSolution(incompatibility)
        return list(terms)

    def _learn(self, variable: int, state: int, answer: Answer[Key, Fact]) -> tuple[bool, list[int]]:
        """Take in what a state requires; whether that already speaks against the state, and what to look at."""
        condition = {variable: state}
        if isinstance(answer, Refusal):
            self._add(_Incompatibility(condition, answer.fact))
            return True, [variable]
        changed: list[int] = []
        is_against = False
        for requirement in answer:
            number = self._number(requirement.key, requirement.every)
            is_against = is_against or not self._known[number] & requirement.allowed
            changed += self._require(condition, requirement)
        return is_against, changed

    def _add(self, incompatibility: _Incompatibility[Fact]) -> None:
        for variable in incompatibility.terms:
            self._watching[variable].append(incompatibility)

    # --- choosing ---------------------------------------------------------------------------------------------------
    def _next_variable(self) -> int | None:
        """What is needed and open: first what is in many conflicts, then what has no choice, then what came first."""
        while self._ranked:
            rank = self._ranked[0]
            variable = rank[2]
            true = self._rank(variable)
            if variable in self._undecided and rank == true:
                return variable
            if variable in self._undecided and rank < true:
                heappushpop(self._ranked, true)
            else:
                heappop(self._ranked)  # a lower rank was noted when it came about
        return None

    def _rank(self, variable: int) -> tuple[int, bool, int]:
        many = self._conflicts[variable] if self._conflicts[variable] >= _CONFLICTS_THAT_COUNT else 0
        known = self._known[variable]
        return -many, known & (known - 1) != 0, variable

    def _open(self, variable: int) -> None:
        """It is undecided, and its rank is perhaps lower than before."""
        self._undecided.add(variable)
        heappush(self._ranked, self._rank(variable))

    def _decide(self, variable: int, state: int) -> None:
        self._level += 1
        self._push(variable, state, None)
        self._undecided.discard(variable)

    def _decided(self) -> Iterator[tuple[int, int]]:
        return ((number, known) for number, known in enumerate(self._known) if not known & ABSENT)

    def _push(self, variable: int, said: int, cause: _Incompatibility[Fact] | None) -> None:
        before = self._known[variable]
        after = before & said
        self._known[variable] = after
        self._steps_of[variable].append(len(self._trail))
        self._trail.append(_Step(variable, said, after, self._level, cause))
        if variable in self._undecided or (before & ABSENT and not after & ABSENT):
            self._open(variable)

    # --- propagation ------------------------------------------------------------------------------------------------
    def _propagate(self, changed: list[int]) -> None:
        """Draw every conclusion that leaves no choice; a conflict teaches something and goes back to where it helps."""
        waiting = dict.fromkeys(changed)
        while waiting:
            variable = waiting.popitem()[0]
            self._budget.left -= len(self._watching[variable])
            for incompatibility in reversed(self._watching[variable]):
                open_variable = self._open_variable(incompatibility)
                if open_variable == _SEVERAL:
                    continue
                if open_variable == _NONE:
                    learned = self._resolve(incompatibility)
                    waiting = {}
                    open_variable = self._open_variable(learned)
                    incompatibility = learned  # noqa: PLW2901 - what was learned takes its place
                    self._push(open_variable, ~learned.terms[open_variable], learned)
                    waiting[open_variable] = None
                    break
                self._push(open_variable, ~incompatibility.terms[open_variable], incompatibility)
                waiting[open_variable] = None

    def _open_variable(self, incompatibility: _Incompatibility[Fact]) -> int:
        """The only variable whose term is neither true nor false; `_NONE` if all are true, `_SEVERAL` if it is moot."""
        found = _NONE
        for variable, states in incompatibility.terms.items():
            known = self._known[variable]
            if known & ~states:
                if not known & states or found != _NONE:
                    return _SEVERAL
                found = variable
        return found

    # --- learning from a conflict -----------------------------------------------------------------------------------
    def _resolve(self, conflict: _Incompatibility[Fact]) -> _Incompatibility[Fact]:
        """Follow a conflict to the choice that caused it, undo that, and remember why it can never be made again."""
        is_learned = False
        while conflict.terms:
            self._budget.left -= len(conflict.terms)
            step, previous = self._satisfier(conflict)
            self._conflicts[step.variable] += 1
            if step.variable in self._undecided:
                self._open(step.variable)
            if step.cause is None or previous < step.level:
                self._go_back(previous)
                if is_learned:
                    self._add(conflict)
                return conflict
            conflict = _resolvent(conflict, step.cause, step.variable, self._every[step.variable])
            is_learned = True
        raise _NoSolution(conflict)

    def _satisfier(self, conflict: _Incompatibility[Fact]) -> tuple[_Step[Fact], int]:
        """The step that made the last term true, and the level at which all that it needed besides was there."""
        last, previous = -1, 0
        for variable, states in conflict.terms.items():
            index = self._first_true(variable, states, -1)
            if index > last:
                if last >= 0:
                    previous = max(previous, self._trail[last].level)
                last = index
            else:
                previous = max(previous, self._trail[index].level)
        step = self._trail[last]
        states = conflict.terms[step.variable]
        if step.said & self._every[step.variable] & ~states:
            # The step alone does not make its term true; what was known before it did the rest.
            helper = self._first_true(step.variable, states, step.said)
            if helper >= 0:
                previous = max(previous, self._trail[helper].level)
        return step, previous

    def _first_true(self, variable: int, states: int, besides: int) -> int:
        """The first step after which, with what `besides` says, a term is true; -1 where it was from the beginning."""
        if not self._every[variable] & besides & ~states:
            return -1
        return next(n for n in self._steps_of[variable] if not self._trail[n].after & besides & ~states)

    def _go_back(self, level: int) -> None:
        while self._trail and self._trail[-1].level > level:
            step = self._trail.pop()
            steps = self._steps_of[step.variable]
            steps.pop()
            known = self._trail[steps[-1]].after if steps else self._every[step.variable]
            self._known[step.variable] = known
            if known & ABSENT:
                self._undecided.discard(step.variable)
            elif step.cause is None or step.variable in self._undecided:
                self._open(step.variable)
        self._level = level


_NONE, _SEVERAL = -1, -2


def _first_version(known: int) -> int:
    versions = known & ~ABSENT
    return versions & -versions


def _resolvent(
    conflict: _Incompatibility[Fact], cause: _Incompatibility[Fact], pivot: int, every: int
) -> _Incompatibility[Fact]:
    """What follows from two incompatibilities that agree on everything but one variable."""
    terms = dict(conflict.terms)
    for variable, states in cause.terms.items():
        if variable == pivot:
            union = terms[pivot] | states
            if union == every:
                del terms[pivot]
            else:
                terms[pivot] = union
        else:
            terms[variable] = terms.get(variable, states) & states
    return _Incompatibility(terms, None, (conflict, cause))


def _facts(proof: _Incompatibility[Fact]) -> Iterator[Fact]:
    """The facts that a proof rests on, those nearest to its end last; each incompatibility is visited once."""
    seen: set[int] = set()
    waiting = [proof]
    while waiting:
        incompatibility = waiting.pop()
        if id(incompatibility) in seen:
            continue
        seen.add(id(incompatibility))
        if incompatibility.fact is not None:
            yield incompatibility.fact
        if incompatibility.parents is not None:
            waiting += incompatibility.parents
