"""The command: `python -m bench [row …] [--runs N] [--keep] [--json FILE]`; without rows, all of them."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from bench.page import keep
from bench.peers import OUT
from bench.rows import ROWS


def main() -> int:
    """Run the rows and print their figures; the exit status is 1 where a goal is missed or a contestant failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures pypim beside its peers.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each contestant (default: 3)")
    parser.add_argument("--keep", action="store_true", help="also keep what is found in bench/results/")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run to this file")
    arguments = parser.parse_args()
    if unknown := [row for row in arguments.rows if row not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    reports = []
    for row in arguments.rows or ROWS:
        report = ROWS[row](arguments.runs)
        reports.append(report)
        print(report, flush=True)
        if arguments.keep:
            keep(report)
        if not report.failures:  # what a failed run left behind is wanted
            shutil.rmtree(OUT / "runs" / row, ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    is_clean = all(not report.failures and all(figure.is_reached for figure in report.figures) for report in reports)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
