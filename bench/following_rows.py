"""The rows about following an upstream of 700,000 projects, beside bandersnatch's listing and comparing of them.

bandersnatch is given ten projects to mirror: what it then does is to read the whole list and to compare it.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bench import peers
from bench.report import OURS, Figure, Report, attempt, fresh

PROJECTS = 700_000
CHANGES = (100, 1_000, 10_000)
_PEER = "bandersnatch"


class Steered:
    """The generated upstream, in a process of its own."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.names: list[str] = []

    def do(self, what: str) -> object:
        """Steer it; see `bench.listed`."""
        request = urllib.request.Request(f"{self.root}/-/{what}", method="POST")
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def sent_bytes(self) -> int:
        """Since it was told to forget."""
        with urllib.request.urlopen(f"{self.root}/-/counts") as answer:
            return int(json.loads(answer.read())["bytes"])


@contextmanager
def listed(projects: int = PROJECTS) -> Iterator[Steered]:
    """Serve an upstream of so many projects."""
    command = [sys.executable, "-m", "bench.listed", "--projects", str(projects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=peers.OUT.parent.parent) as process:
        assert process.stdout is not None
        try:
            steered = Steered(process.stdout.readline().strip())
            steered.names = list(map(str, _as_list(steered.do("change?count=10"))))
            yield steered
        finally:
            process.terminate()


def _as_list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def update_first(runs: int) -> Report:
    """What is upstream, learned for the first time."""
    report = Report("update-first")
    with listed() as upstream:
        _note(report, upstream)
        for _ in range(runs):
            for name, command in _commands(upstream).items():
                folder = fresh(report.row, name)
                attempt(report, name, command(folder), folder)
    report.ratio(_PEER, 1.0)
    report.ratio(_PEER, 0.7, "peak_mb")
    _bound_memory(report, 219)
    return report


def update_nothing(runs: int) -> Report:
    """The same again with nothing new, on each way that an upstream may offer."""
    report = Report("update-nothing")
    ways = {"changelog": "", "304": "changelog=no", "equal bytes": "changelog=no&validators=no"}
    with listed() as upstream:
        _note(report, upstream)
        folders = _ready(report, upstream)
        for label, offer in ways.items():
            upstream.do("offer?changelog=yes&validators=yes")
            if offer:
                upstream.do(f"offer?{offer}")
                _forget_capabilities(folders[OURS])
            attempt(report, f"{OURS}, finding out", _pypim(upstream, folders[OURS]), folders[OURS])
            name = OURS if label == "changelog" else f"{OURS}, {label}"
            for _ in range(runs):
                upstream.do("forget")
                attempt(report, name, _pypim(upstream, folders[OURS]), folders[OURS])
                if label != "equal bytes":
                    _add_figure(report, f"bytes, {label}", upstream.sent_bytes(), 2000, "bytes")
                if label == "changelog":
                    attempt(report, _PEER, _bandersnatch(upstream, folders[_PEER]), folders[_PEER])
    _compare_with_peer(report, 0.5)
    _bound_memory(report, 100)
    return report


def update_changes(runs: int) -> Report:
    """With K projects changed: what it costs above nothing new is linear in K, and K rows are written."""
    report = Report("update-changes")
    with listed() as upstream:
        _note(report, upstream)
        folder = _ready(report, upstream, [OURS])[OURS]
        attempt(report, f"{OURS}, finding out", _pypim(upstream, folder), folder)
        for _ in range(runs):
            attempt(report, f"{OURS}, 0 changes", _pypim(upstream, folder), folder)
            for count in CHANGES:
                upstream.do(f"change?count={count}")
                attempt(report, f"{OURS}, {count} changes", _pypim(upstream, folder), folder)
                _add_figure(report, f"rows written for {count} changes", _newest_rows(folder), count, "rows")
    if not report.failures:
        nothing = report.series[f"{OURS}, 0 changes"].cpu_s
        each = {count: (report.series[f"{OURS}, {count} changes"].cpu_s - nothing) / count for count in CHANGES}
        ratio = each[CHANGES[-1]] / max(each[CHANGES[-2]], 1e-9)
        report.figures.append(Figure(f"CPU for a change, of {CHANGES[-1]} / of {CHANGES[-2]}", ratio, 1.2))
    _bound_memory(report, 250)
    return report


ROWS: dict[str, Callable[[int], Report]] = {
    "update-first": update_first,
    "update-nothing": update_nothing,
    "update-changes": update_changes,
}


def _note(report: Report, upstream: Steered) -> None:
    with urllib.request.urlopen(f"{upstream.root}/simple/") as answer:
        size = len(answer.read())
    report.notes.append(f"{PROJECTS:,} projects; as HTML without gzip the list has {size / 1e6:.1f} MB")


def _commands(upstream: Steered) -> dict[str, Callable[[Path], list[str]]]:
    return {
        OURS: lambda folder: _pypim(upstream, folder),
        _PEER: lambda folder: _bandersnatch(upstream, folder),
    }


def _ready(report: Report, upstream: Steered, names: list[str] | None = None) -> dict[str, Path]:
    """Folders in which everybody has run once."""
    folders = {}
    for name in names or [OURS, _PEER]:
        folders[name] = fresh(report.row, name)
        attempt(report, f"{name}, the first time", _commands(upstream)[name](folders[name]), folders[name])
    return folders


def _pypim(upstream: Steered, folder: Path) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "pypim.toml"
    config.write_text(
        f'[store]\npath = "data"\n[upstreams.bench]\nurl = "{upstream.root}/simple/"\n'
        '[indexes.main]\nkind = "mirror"\nupstream = "bench"\n'
    )
    return [str(peers.BIN / "pypim"), "-c", str(config), "update", "--no-progress"]


def _bandersnatch(upstream: Steered, folder: Path) -> list[str]:
    command = peers.bandersnatch(upstream.root, folder)
    config = folder / "bandersnatch.conf"
    allowed = "".join(f"    {name}\n" for name in upstream.names)
    config.write_text(
        config.read_text() + f"\n[plugins]\nenabled = allowlist_project\n\n[allowlist]\npackages =\n{allowed}"
    )
    return command


def _forget_capabilities(folder: Path) -> None:
    """What was found out of an upstream that has changed its mind."""
    with closing(sqlite3.connect(folder / "data" / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("DELETE FROM capabilities")


def _newest_rows(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "data" / "catalog.sqlite")) as catalog:
        query = "SELECT count(*) FROM listed WHERE revision > 0 AND revision = (SELECT max(revision) FROM listed)"
        return int(catalog.execute(query).fetchone()[0])


def _compare_with_peer(report: Report, goal: float) -> None:
    if _PEER not in report.series:
        return
    for name, series in report.series.items():
        if name.startswith(OURS) and "first" not in name and "finding" not in name:
            ratio = series.wall_s / report.series[_PEER].wall_s
            report.figures.append(Figure(f"wall, {name} / {_PEER}", ratio, goal))


def _bound_memory(report: Report, goal_mb: float) -> None:
    for name, series in report.series.items():
        if name.startswith(OURS) and "finding" not in name and ("first" not in name or report.row == "update-first"):
            report.figures.append(Figure(f"peak memory, {name}", series.peak_mb, goal_mb, "MB"))


def _add_figure(report: Report, label: str, value: float, goal: float, unit: str) -> None:
    """The worst of several runs."""
    others = [figure for figure in report.figures if figure.label != label]
    before = [figure.value for figure in report.figures if figure.label == label]
    report.figures = [*others, Figure(label, max([value, *before]), goal, unit)]
