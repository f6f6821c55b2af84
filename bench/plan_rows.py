"""The rows about planning, with `uv pip compile` as the peer: nothing is downloaded, so all of it is deciding."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bench import peers
from bench.measure import Run, RunError, run
from bench.nginx import Served
from bench.plan_upstream import PYTHONS, PlanUpstream
from bench.report import OURS, Figure, Report, attempt, fresh

FRESH_SECONDS = 36_000
"""Clients are told that pages stay as they are for so long: then a warm cache of either asks nobody."""
SAMPLE = 200
_PLATFORMS = ("linux", "windows", "macos")
_HERE = ("3.12",)
_UV = "uv pip compile"


def plan(runs: int) -> Report:
    """10,000 roots for one environment, all that is known of them warm, beside one uv of them all."""
    report = Report("plan")
    with _served(report, counts_requests=True) as running:
        folders = _warmed(report, running.upstream.names, running.direct)
        counted: list[int] = []
        for _ in range(runs if folders else 0):
            _forget_plans(folders[OURS])
            running.forget_requests()
            attempt(report, OURS, _pypim("plan", folders[OURS]), folders[OURS])
            counted.append(len(running.requests()))
            attempt(report, _UV, _uv(running.direct, folders[_UV], running.upstream.names), folders[_UV])
        report.ratio(_UV, 3.0)
        if OURS in report.series:
            report.figures.append(Figure("peak memory", report.series[OURS].peak_mb, 400, "MB"))
            report.figures.append(Figure("requests", max(counted), 0, "requests"))
    return report


def plan_again(runs: int) -> Report:
    """A second plan of the same with nothing changed, beside the first."""
    report = Report("plan-again")
    first = "pypim, the first"
    with _served(report) as running:
        folders = _warmed(report, running.upstream.names, running.direct, [OURS])
        for _ in range(runs if folders else 0):
            _forget_plans(folders[OURS])
            attempt(report, first, _pypim("plan", folders[OURS]), folders[OURS])
            attempt(report, OURS, _pypim("plan", folders[OURS]), folders[OURS])
        report.ratio(first, 0.1)
    return report


def plan_12(runs: int) -> Report:
    """200 roots, each by itself for 12 environments, beside as many separate runs of uv."""
    report = Report("plan-12")
    with _served(report) as running:
        sample = running.upstream.sample(SAMPLE)
        folders = _warmed(report, sample, running.direct, pythons=PYTHONS, platforms=_PLATFORMS)
        for _ in range(runs if folders else 0):
            _forget_plans(folders[OURS])
            attempt(report, OURS, _pypim("plan", folders[OURS]), folders[OURS])
            print(f"{report.row}: {_UV}, {len(sample) * 12} times", file=sys.stderr)
            try:
                report.add(_UV, _each_by_itself(running.direct, folders[_UV], sample))
            except RunError as error:
                report.failures.append(f"{_UV}: {error}")
                break
        report.ratio(_UV, 0.5, "cpu_s")
    return report


def plan_cold(runs: int) -> Report:
    """One root that needs 300 projects, nothing known of them, with 25 ms of round trip."""
    report = Report("plan-cold")
    with _served(report, is_delayed=True) as running:
        for _ in range(runs):
            for name in (OURS, _UV):
                folder = fresh(report.row, name)
                command = _commands(running.delayed, folder, [running.upstream.large])[name]
                if not attempt(report, name, command(), folder):
                    return report
        report.ratio(_UV, 1.5)
    return report


ROWS: dict[str, Callable[[int], Report]] = {
    "plan": plan,
    "plan-12": plan_12,
    "plan-again": plan_again,
    "plan-cold": plan_cold,
}


@contextmanager
def _served(
    report: Report, *, counts_requests: bool = False, is_delayed: bool = False
) -> Iterator[Served[PlanUpstream]]:
    upstream = PlanUpstream(peers.OUT / "upstreams" / "plans")
    report.notes.append(upstream.summary())
    with Served(
        upstream,
        peers.OUT / "nginx",
        counts_requests=counts_requests,
        is_delayed=is_delayed,
        fresh_seconds=FRESH_SECONDS,
    ) as running:
        yield running


def _commands(
    root: str,
    folder: Path,
    roots: Sequence[str],
    pythons: Iterable[str] = _HERE,
    platforms: Iterable[str] = ("linux",),
) -> dict[str, Callable[[], peers.Command]]:
    """What either does for the first time, in an empty folder."""
    return {
        OURS: lambda: peers.pypim_plan(root, folder, roots, pythons, platforms),
        _UV: lambda: _uv(root, folder, roots),
    }


def _warmed(
    report: Report,
    roots: Sequence[str],
    root: str,
    names: Iterable[str] = (OURS, _UV),
    pythons: Sequence[str] = _HERE,
    platforms: Sequence[str] = ("linux",),
) -> dict[str, Path]:
    """Let each learn, unmeasured, all that it will need; their folders, or none where one could not."""
    folders: dict[str, Path] = {}
    aside = Report(report.row)
    for name in names:
        folder = fresh(report.row, name)
        command = _commands(root, folder, roots, pythons, platforms)[name]()
        if name == OURS:
            command = _pypim("metadata", folder)
        if attempt(aside, name, command, folder):
            folders[name] = folder
    if _UV in folders and len(pythons) > 1:
        _each_by_itself(root, folders[_UV], roots)
    report.failures += aside.failures
    return {} if aside.failures else folders


def _pypim(command: str, folder: Path) -> peers.Command:
    return [str(peers.BIN / "pypim"), "-c", str(folder / "pypim.toml"), command, "--no-progress"]


def _forget_plans(folder: Path) -> None:
    """Make the next plan the first one."""
    with closing(sqlite3.connect(folder / "data" / "catalog.sqlite", isolation_level=None)) as catalog:
        catalog.execute("DELETE FROM plans")


def _uv(
    root: str, folder: Path, roots: Sequence[str], python: str = "3.12", platform: str = "linux", name: str = "roots"
) -> peers.Command:
    """Resolve the roots together; nothing is left of an earlier answer but the cache."""
    (folder / f"{name}.txt").unlink(missing_ok=True)
    command = peers.uv_compile(root, folder, roots, name)
    return [*command, "--python-version", python, "--python-platform", platform]


def _each_by_itself(root: str, folder: Path, sample: Sequence[str]) -> Run:
    """The cost of uv for every root and environment by itself, one after the other, from one shell script."""
    script = folder / "each.sh"
    lines = []
    for number, name in enumerate(sample):
        for python in PYTHONS:
            for platform in _PLATFORMS:
                command = _uv(root, folder, [name], python, platform, f"root-{number}")
                at = command.index("--output-file")
                lines.append(f"{shlex.join([*command[:at], *command[at + 2 :]])} || exit 1\n")
    script.write_text("".join(lines))
    return run([shutil.which("sh") or "sh", str(script)], folder.with_suffix(".log"))
