"""What a row has found: the runs of every contestant, and figures beside their goals."""

from __future__ import annotations

import atexit
import shutil
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from bench import peers
from bench.measure import Run, RunError, Series, run

OURS = "pypim"


@dataclass(frozen=True)
class Figure:
    """One number beside its goal."""

    label: str
    value: float
    goal: float
    unit: str = "x"
    is_least: bool = False
    """Whether the goal is the least that will do, and not the most."""

    @property
    def is_reached(self) -> bool:
        """Whether it is at most the goal, or at least."""
        return self.value >= self.goal if self.is_least else self.value <= self.goal

    def __str__(self) -> str:
        sign = "ok  " if self.is_reached else "MISS"
        bound = "at least" if self.is_least else "at most"
        return f"  {sign} {self.label}: {self.value:.3g} {self.unit} (goal: {bound} {self.goal:g})"


@dataclass
class Report:
    """What a row found."""

    row: str
    notes: list[str] = field(default_factory=list)
    series: dict[str, Series] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, measured: Run) -> None:
        """Put a run to its series."""
        self.series.setdefault(name, Series(name)).runs.append(measured)

    def ratio(self, peer: str, goal: float, measure: str = "wall_s") -> None:
        """Compare our median with a peer's, where both have run."""
        if OURS not in self.series or peer not in self.series:
            return
        value = getattr(self.series[OURS], measure) / max(getattr(self.series[peer], measure), 1e-9)
        self.figures.append(Figure(f"{measure.partition('_')[0]}, {OURS} / {peer}", value, goal))

    def __str__(self) -> str:
        lines = [f"== {self.row}", *(f"  {note}" for note in self.notes)]
        lines += [f"  {series}" for series in self.series.values()]
        lines += [str(figure) for figure in self.figures]
        lines += [f"  FAILED {failure}" for failure in self.failures]
        return "\n".join(lines)


def attempt(report: Report, name: str, command: list[str], folder: Path) -> bool:
    """Run a contestant once; a failure is reported and costs it the race, not the others."""
    print(f"{report.row}: {name}", file=sys.stderr)
    try:
        report.add(name, run(command, folder.with_suffix(".log")))
    except (RunError, OSError) as error:
        report.failures.append(f"{name}: {error}")
        return False
    return True


def fresh(row: str, name: str) -> Path:
    """Return an empty folder for a contestant.

    What an earlier run left is moved aside, and deleted when all has been measured: for some seconds after many files
    were deleted, ext4 looks through them for each that is made.
    """
    folder = peers.OUT / "runs" / row / name
    aside = peers.OUT / "aside" / uuid.uuid4().hex
    if folder.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(aside)
        atexit.register(shutil.rmtree, aside.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
