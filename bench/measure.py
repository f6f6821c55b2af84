"""One run of a command measured from outside: wall time, CPU time and peak memory, as the kernel counts them."""

from __future__ import annotations

import os
import shlex
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_KIB = 1024


@dataclass(frozen=True)
class Run:
    """What one run of a command cost."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Largest resident set of any one process of it, in 10^6 bytes."""


@dataclass
class Series:
    """The runs of one contestant in one row."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(run.cpu_s for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """Highest."""
        return max(run.peak_mb for run in self.runs)

    def __str__(self) -> str:
        lowest, highest = min(run.wall_s for run in self.runs), max(run.wall_s for run in self.runs)
        return (
            f"{self.name}: {self.wall_s:.3g} s wall ({lowest:.3g}-{highest:.3g}), "
            f"{self.cpu_s:.3g} s CPU, {self.peak_mb:.0f} MB, {len(self.runs)} runs"
        )


class RunError(Exception):
    """A contestant ended with an error, so there is no figure."""


def environ() -> dict[str, str]:
    """Return the variables of a run: nothing that points to another index, a proxy or a configuration."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LANG": "C.UTF-8", "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "*", "no_proxy": "*"}


def run(command: Sequence[str], log: Path) -> Run:
    """Run a command to its end; its output goes to the log. Raises RunError if it does not succeed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            list(command), stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environ()
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise RunError(f"{shlex.join(command)} ended with status {process.returncode}, see {log}\n{tail}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _KIB / 1e6)
