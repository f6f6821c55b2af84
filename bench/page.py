"""Writes docs/performance.md from what the rows have found: `python -m bench.page`.

`python -m bench … --keep` keeps what it finds in bench/results/, one file a row, which is part of the project.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.report import Report
from bench.rows import ROWS

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
_HEAD = """# Performance

What the rows of `bench/` found when they were run last, each with its peers in the same run. Only the ratios inside one
row mean anything, for machines differ. `make bench-report` runs all rows and writes this page; for one row,
`python -m bench ROW --keep` and then `python -m bench.page` do. The upstreams are generated, and served on loopback.
"""


def keep(report: Report) -> None:
    """Put down what a row has found, in the place of what it had found before."""
    RESULTS.mkdir(exist_ok=True)
    found = {
        "row": report.row,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        **{name: value for name, value in asdict(report).items() if name not in {"row", "series"}},
        "series": [
            {"name": one.name, "wall_s": one.wall_s, "cpu_s": one.cpu_s, "peak_mb": one.peak_mb, "runs": len(one.runs)}
            for one in report.series.values()
        ],
    }
    (RESULTS / f"{report.row}.json").write_text(json.dumps(found, indent=1) + "\n")


def _machine() -> str:
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, {memory_gib:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


def kept() -> dict[str, dict[str, Any]]:
    """What was found last, by row, in the order of the rows."""
    return {row: json.loads(path.read_text()) for row in ROWS if (path := RESULTS / f"{row}.json").is_file()}


def page(found: dict[str, dict[str, Any]]) -> str:
    """The page."""
    lines = [_HEAD, "| row | measured | found | goal | |", "| --- | --- | --- | --- | --- |"]
    lines += [line for row, one in found.items() for line in _figures(row, one)]
    for row, one in found.items():
        lines += ["", *_details(row, one)]
    return "\n".join(lines) + "\n"


def _figures(row: str, found: dict[str, Any]) -> Iterator[str]:
    for figure in found["figures"]:
        is_least, value, goal = figure["is_least"], figure["value"], figure["goal"]
        is_reached = value >= goal if is_least else value <= goal
        bound = "at least" if is_least else "at most"
        mark = "" if is_reached else "missed"
        unit = figure["unit"]
        yield f"| [{row}](#{row}) | {figure['label']} | {value:.3g} {unit} | {bound} {goal:g} | {mark} |"


def _details(row: str, found: dict[str, Any]) -> Iterator[str]:
    yield f"## {row}"
    yield ""
    yield " ".join((ROWS[row].__doc__ or "").split())
    yield f"Run on {found['date']}: {found['machine']}."
    if found["series"]:
        yield ""
        yield "| contestant | wall, s | CPU, s | peak, MB | runs |"
        yield "| --- | --- | --- | --- | --- |"
        for one in found["series"]:
            costs = f"{one['wall_s']:.3g} | {one['cpu_s']:.3g} | {one['peak_mb']:.0f}"
            yield f"| {one['name']} | {costs} | {one['runs']} |"
    if found["notes"]:
        yield ""
        yield "```text"
        yield from found["notes"]
        yield "```"
    for failure in found["failures"]:
        yield ""
        yield f"Failed: {failure}"


def main() -> int:
    """Write the page."""
    PAGE.write_text(page(kept()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
