"""The solver agrees with trying everything, on small worlds of any shape."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.solver import (
    ABSENT,
    Answer,
    Budget,
    Impossible,
    Pause,
    Refusal,
    Requirement,
    Solution,
    Solver,
    Undecided,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

World = dict[str, list[dict[str, set[int]] | None]]
"""Project → for each version, the newest first, what it requires (project → versions); None where it is unusable."""

NAMES = "abcde"


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, dict[str, set[int]]]:
    """A world, and what is asked of it."""
    counts = {name: draw(st.integers(1, 4)) for name in NAMES}

    def requirements(most: int) -> dict[str, set[int]]:
        names = draw(st.lists(st.sampled_from(NAMES), max_size=most, unique=True))
        return {name: draw(st.sets(st.integers(0, counts[name] - 1))) for name in names}

    world: World = {
        name: [None if draw(st.integers(0, 9)) == 0 else requirements(3) for _ in range(count)]
        for name, count in counts.items()
    }
    return world, requirements(3)


def every(world: World, name: str) -> int:
    """All states of a project."""
    return (1 << len(world[name]) + 1) - 1


def as_requirement(world: World, name: str, versions: set[int], fact: str) -> Requirement[str, str]:
    """A requirement of the world in the solver's words."""
    return Requirement(name, every(world, name), sum(2 << version for version in versions), fact)


def solve(world: World, roots: Mapping[str, set[int]], most_steps: int = 1_000_000) -> object:
    """Answer every question of the solver from the world."""
    solver: Solver[str, str] = Solver(Budget(most_steps))
    search = solver.solve([as_requirement(world, name, versions, f"root:{name}") for name, versions in roots.items()])
    answer: Answer[str, str] | None = None
    while True:
        try:
            question = search.send(answer) if answer is not None else next(search)
        except StopIteration as end:
            return end.value
        if isinstance(question, Pause):
            answer = []
            continue
        version = question.state.bit_length() - 2
        required = world[question.key][version]
        if required is None:
            answer = Refusal(f"unusable:{question.key}:{version}")
        else:
            label = f"{question.key}:{version}"
            answer = [as_requirement(world, name, versions, f"{label}:{name}") for name, versions in required.items()]


def is_solvable(world: World, roots: Mapping[str, set[int]], facts: set[str] | None = None) -> bool:
    """Try everything; where `facts` are given, only those count."""

    def counts(fact: str) -> bool:
        return facts is None or fact in facts

    states = [range(-1, len(world[name])) for name in NAMES]
    for chosen in product(*states):
        state = dict(zip(NAMES, chosen, strict=True))
        needed = [(name, versions) for name, versions in roots.items() if counts(f"root:{name}")]
        is_usable = True
        for name, version in state.items():
            if version < 0:
                continue
            required = world[name][version]
            if required is None:
                is_usable = is_usable and not counts(f"unusable:{name}:{version}")
                continue
            needed += [(other, found) for other, found in required.items() if counts(f"{name}:{version}:{other}")]
        if is_usable and all(state[name] in versions for name, versions in needed):
            return True
    return False


@settings(max_examples=400, deadline=None)
@given(worlds())
def test_finds_a_solution_exactly_where_there_is_one(asked: tuple[World, dict[str, set[int]]]) -> None:
    """Sound and complete: what it finds holds, and where it finds nothing there is nothing."""
    world, roots = asked
    found = solve(world, roots)
    if isinstance(found, Solution):
        versions = {name: state.bit_length() - 2 for name, state in found.states.items()}
        needed = [*roots.items()]
        for name, version in versions.items():
            required = world[name][version]
            assert required is not None
            needed += required.items()
        assert all(versions[name] in allowed for name, allowed in needed)
        assert {name for name, _ in needed} == set(versions), "nothing is chosen that nothing needs"
    else:
        assert isinstance(found, Impossible)
        assert not is_solvable(world, roots)
        assert not is_solvable(world, roots, set(found.facts)), "the facts of the proof suffice"


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_takes_the_newest_of_everything_where_that_holds(asked: tuple[World, dict[str, set[int]]]) -> None:
    """The first version of each project is the most wanted one."""
    world, roots = asked
    newest: dict[str, None] = dict.fromkeys(roots)
    requirements = [*roots.items()]
    for name in newest:
        requirements += (world[name][0] or {}).items()
    reached = list(newest)
    for name in reached:
        for other in world[name][0] or {}:
            if other not in reached:
                reached.append(other)
    holds = all(world[name][0] is not None for name in reached) and all(
        0 in allowed
        for name, allowed in [*roots.items(), *((o, a) for n in reached for o, a in (world[n][0] or {}).items())]
    )
    if holds:
        assert solve(world, roots) == Solution(dict.fromkeys(reached, ABSENT << 1))


def test_gives_up_when_its_budget_is_spent() -> None:
    """It says so instead of going on."""
    world: World = {"a": [{"b": {0}}], "b": [{"c": {0}}], "c": [{}], "d": [{}], "e": [{}]}
    assert solve(world, {"a": {0}}, most_steps=2) == Undecided(2)
    assert solve(world, {"a": {0}}, most_steps=20) == Solution({"a": 2, "b": 2, "c": 2})
