"""The command: `python -m bench [row …] [--runs N] [--keep] [--json FILE]`; without rows, all of them."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
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
    rows = arguments.rows or list(ROWS)
    if len(rows) > 1:
        return _each_by_itself(rows, arguments)
    report = ROWS[rows[0]](arguments.runs)
    print(report, flush=True)
    if arguments.keep:
        keep(report)
    if not report.failures:  # what a failed run left behind is wanted
        shutil.rmtree(OUT / "runs" / rows[0], ignore_errors=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(report)], indent=1) + "\n")
    return 0 if not report.failures and all(figure.is_reached for figure in report.figures) else 1


def _each_by_itself(rows: list[str], arguments: argparse.Namespace) -> int:
    """Run each row in a process of its own: the peak of a child is at least that of the process that begins it."""
    statuses: list[int] = []
    documents: list[object] = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            found = Path(folder) / "row.json"
            command = [sys.executable, "-m", "bench", row, "--runs", str(arguments.runs), "--json", str(found)]
            statuses.append(subprocess.run([*command, *(["--keep"] if arguments.keep else [])], check=False).returncode)
            documents += json.loads(found.read_text()) if found.exists() else []
            found.unlink(missing_ok=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(documents, indent=1) + "\n")
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
