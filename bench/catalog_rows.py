"""The rows about the whole catalog: 20,000 projects with 5 million files go in, and are asked from the other end."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

from bench import peers
from bench.catalog_upstream import FILES, project_name, running
from bench.measure import Run
from bench.report import OURS, Figure, Report, attempt, fresh
from pypim.core.names import parse_name
from pypim.core.required import admits
from pypim.store.catalog import Catalog

PROJECTS = int(os.environ.get("BENCH_PROJECTS", "20000"))
_LIMIT = "sqlite3, the rows of the files alone, ready-made"
_PAGES = "pypim, pages"
_AGAIN = "pypim metadata --all, nothing new"
_EVERYTHING = "pypim metadata --all"


def _filled(report: Report, name: str, way: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.catalog_keep", way, str(folder), str(PROJECTS)]
    print(f"{report.row}: {name}", file=sys.stderr)
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    report.add(name, Run(found["wall_s"], found["cpu_s"], found["peak_mb"]))
    return found


def catalog(runs: int) -> Report:
    """Answers in memory become rows: decoded, with the raw answers beside them; then the program over loopback."""
    report = Report("catalog")
    report.notes.append("a second of a core of its own: by the clock, disk and all, without waits for a core")
    report.notes.append(f"{PROJECTS:,} projects of {FILES} files: pages of 157 KB, documents of 203 KB")
    for _ in range(runs):
        for name, way in ((_PAGES, "pages"), (OURS, "all"), (_LIMIT, "sqlite3")):
            folder = fresh(report.row, way)
            found = _filled(report, name, way, folder)
            shutil.rmtree(folder)
            files, rows, own_s = found["files"], found["rows"], found["own_s"]
            rates = f"{files / found['cpu_s']:,.0f} files a second of CPU, {files / own_s:,.0f} of a core of its own"
            size = f"{rows:,.0f} rows of all tables in {found['megabytes']:,.0f} MB"
            report.notes.append(f"{name}: {rates}; {size}")
            if name != _LIMIT:
                label = f"{name}: rows of files a second, decoded from bytes, raw answers kept; on a core of its own"
                report.figures.append(Figure(label, files / own_s, 100_000, "rows/s", is_least=True))
    report.notes.append("in the program, over loopback, from a server on the other core:")
    with running(PROJECTS) as url:
        folder = fresh(report.row, "program")
        (folder / "pypim.toml").write_text(
            f'[store]\npath = "data"\n[upstreams.big]\nurl = "{url}"\n'
            '[indexes.main]\nkind = "mirror"\nupstream = "big"\n[indexes.main.packages]\n"project-000001" = "latest"\n'
        )
        command = [str(peers.BIN / "pypim"), "-c", str(folder / "pypim.toml"), "--no-progress", "metadata", "--all"]
        for name in (_EVERYTHING, _AGAIN):
            attempt(report, name, command, folder)
        if _EVERYTHING in report.series:
            report.figures.append(Figure("peak memory", report.series[_EVERYTHING].peak_mb, 400, "MB"))
    return report


def reverse(runs: int) -> Report:
    """Questions from the other end, and what `status` adds up, on a catalog of that size that is warm."""
    report = Report("reverse")
    folder = fresh(report.row, "filled")
    _filled(report, "filling", "all", folder)
    report.series.clear()
    with Catalog.open(folder / "catalog.sqlite", writable=False) as known:
        facts = known.facts
        few, many = parse_name(project_name(PROJECTS // 2)), parse_name(project_name(0))
        version = Version("2.0")
        questions: dict[str, tuple[Callable[[], object], float]] = {
            "who requires a project that few require": (lambda: facts.requiring(few), 50),
            "who allows one release of it": (
                lambda: [one for one in facts.requiring(few) if admits(one.specifier, version)],
                50,
            ),
            "what a project requires": (lambda: facts.required_by(few), 50),
            "what is known of the upstream": (lambda: known.counts.upstream("big"), 100),
            "its last serial": (lambda: known.pages.last_serial("https://index.example/"), 100),
        }
        for label, (ask, goal) in questions.items():
            report.figures.append(Figure(label, _milliseconds(ask, runs), goal, "ms"))
        found = facts.requiring(many)
        took = _milliseconds(lambda: facts.requiring(many), runs)
        report.notes.append(f"who requires the project that {len(found):,} require: {took:.0f} ms for all of them")
    return report


def _milliseconds(ask: Callable[[], object], runs: int) -> float:
    """The median of a warm call."""
    ask()
    taken = []
    for _ in range(max(runs, 5)):
        start = time.perf_counter()
        ask()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1000


ROWS: dict[str, Callable[[int], Report]] = {"catalog": catalog, "reverse": reverse}
