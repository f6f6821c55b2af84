"""Recorded worlds: what an index offers and what is asked, and the selection that must come of it, in any order."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pypim.core.selection import Problem
from tests.core.offers import Order, World, drive, first, last, metadata_wanted, shuffled

SCENARIOS = sorted((Path(__file__).parent.parent / "scenarios").glob("*.json"))


class Expected(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What must come of a world."""

    releases: dict[str, tuple[str, ...]]
    """"project version" → its files; no other release, no other file."""
    problems: tuple[str, ...] = ()
    """Each as "kind, certain or open: project, as requirement, from chain"."""
    reasons: tuple[str, ...] = ()
    """Parts of the sentences that say why, in the order of the problems; none where they do not matter."""
    environments: dict[str, tuple[str, ...]] = {}
    """"project version" → where it is needed, for the releases that are named here."""
    warnings: tuple[str, ...] = ()
    """Parts of the warnings, in their order."""
    metadata: tuple[str, ...] | None = None
    """The files whose metadata is asked for."""


class Scenario(World, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A world with what must come of it."""

    about: str
    expected: Expected


def told(problem: Problem) -> str:
    certainty = "certain" if problem.is_certain else "open"
    return f"{problem.kind}, {certainty}: {problem.project}, as {problem.requirement}, from {' > '.join(problem.chain)}"


@pytest.mark.parametrize("order", [first, last, shuffled(1), shuffled(2)], ids=["first", "last", "any", "any-other"])
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_recorded_world(path: Path, order: Order) -> None:
    scenario = msgspec.json.decode(path.read_bytes(), type=Scenario)
    expected = scenario.expected
    selection, wanted = drive(scenario, order)
    chosen = {f"{r.project} {r.version}": tuple(sorted(file.filename for file in r.files)) for r in selection.releases}
    assert chosen == {key: tuple(sorted(files)) for key, files in expected.releases.items()}, scenario.about
    assert sorted(map(told, selection.problems)) == sorted(expected.problems), scenario.about
    needed = {f"{r.project} {r.version}": {e for x in r.reasons for e in x.environments} for r in selection.releases}
    assert {key: needed[key] for key in expected.environments} == {k: set(v) for k, v in expected.environments.items()}
    for part, problem in zip(expected.reasons, selection.problems, strict=bool(expected.reasons)):
        assert part in problem.reason
    assert len(selection.warnings) == len(expected.warnings), selection.warnings
    for part, warning in zip(expected.warnings, selection.warnings, strict=True):
        assert part in warning
    if expected.metadata is not None:
        assert sorted(metadata_wanted(wanted)) == sorted(expected.metadata)


def test_there_are_recorded_worlds() -> None:
    assert len(SCENARIOS) > 30
    abouts = [msgspec.json.decode(path.read_bytes(), type=Scenario).about for path in SCENARIOS]
    assert len(set(abouts)) == len(abouts)
    assert all(about.endswith(".") for about in abouts)
