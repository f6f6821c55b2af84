"""The rows: each runs its contestants in turn, A B A B, and compares the medians with the goal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import catalog_rows, following_rows, many, peers, plan_rows, recipes, serving, serving_cold
from bench.nginx import Served
from bench.report import OURS, Figure, Report, attempt, fresh
from bench.upstream import Upstream


def upstream(name: str) -> Upstream:
    """Return one of the generated upstreams, making it where it is not there yet."""
    made = Upstream(peers.OUT / "upstreams" / name, _RECIPES[name]())
    print(f"upstream {name}: {made.summary()}", file=sys.stderr)
    return made


_RECIPES = {
    "large": recipes.large_upstream,
    "dependencies": recipes.dependency_upstream,
    "one": recipes.one_large_project,
    "many": recipes.many_small_projects,
}


@contextmanager
def served(name: str, *, counts_requests: bool = False, is_delayed: bool = False) -> Iterator[Served[Upstream]]:
    """Serve a generated upstream."""
    with Served(upstream(name), peers.OUT / "nginx", counts_requests=counts_requests, is_delayed=is_delayed) as running:
        yield running


Commands = dict[str, Callable[[Path], list[str]]]


def race(report: Report, commands: Commands, runs: int, *, expected: dict[str, int] | None = None) -> None:
    """Run every contestant `runs` times from nothing, one after the other in turn."""
    out_of_race: set[str] = set()
    for _ in range(runs):
        for name, command_in in commands.items():
            if name in out_of_race:
                continue
            folder = fresh(report.row, name)
            if not attempt(report, name, command_in(folder), folder):
                out_of_race.add(name)
            elif expected and name in expected and peers.held(folder) != expected[name]:
                out_of_race.add(name)
                report.failures.append(f"{name} has {peers.held(folder)} files, not {expected[name]}")


def sync(runs: int) -> Report:
    """A full sync on loopback."""
    return _full_sync("sync", runs, is_delayed=False)


def sync_latency(runs: int) -> Report:
    """A full sync with 25 ms of round trip."""
    return _full_sync("sync-latency", runs, is_delayed=True)


def _full_sync(row: str, runs: int, *, is_delayed: bool) -> Report:
    report = Report(row)
    with served("large", is_delayed=is_delayed) as running:
        root = running.delayed if is_delayed else running.direct
        files = len(running.upstream.files)
        report.notes.append(running.upstream.summary())
        commands: Commands = {
            OURS: lambda folder: peers.pypim_sync(root, folder),
            "curl": lambda folder: peers.curl(root, folder, running.upstream),
            "bandersnatch": lambda folder: peers.bandersnatch(root, folder),
        }
        race(report, commands, runs, expected=dict.fromkeys(commands, files))
        report.ratio("curl", 1.5)
        report.ratio("bandersnatch", 0.5)
        if OURS in report.series:
            ours = report.series[OURS]
            report.figures.append(Figure("CPU a file", ours.cpu_s / files * 1000, 0.5, "ms"))
            report.figures.append(Figure("peak memory", ours.peak_mb, 150, "MB"))
    return report


def memory(runs: int) -> Report:
    """The peak memory of a full sync."""
    report = Report("memory")
    with served("large") as running:
        commands: Commands = {
            OURS: lambda folder: peers.pypim_sync(running.direct, folder),
            "bandersnatch": lambda folder: peers.bandersnatch(running.direct, folder),
        }
        race(report, commands, runs, expected=dict.fromkeys(commands, len(running.upstream.files)))
        if OURS in report.series:
            report.figures.append(Figure("peak memory", report.series[OURS].peak_mb, 150, "MB"))
    return report


def spread(runs: int) -> Report:
    """One project of 2,064 files beside 2,064 projects of one, with 25 ms of round trip."""
    report = Report("spread")
    for _ in range(runs):
        for name, label in (("one", OURS), ("many", "pypim, many projects")):
            with served(name, is_delayed=True) as running:
                folder = fresh(report.row, name)
                attempt(report, label, peers.pypim_sync(running.delayed, folder), folder)
    report.ratio("pypim, many projects", 1.2)
    return report


def noop(runs: int) -> Report:
    """A second sync when nothing has changed."""
    report = Report("noop")
    with served("large", counts_requests=True) as running:
        folders = _synced(report, running, ["bandersnatch", OURS])
        counted: list[int] = []
        for _ in range(runs):
            for name, (folder, command) in folders.items():
                running.forget_requests()
                if attempt(report, name, command, folder) and name == OURS:
                    counted.append(len(running.requests()))
        report.ratio("bandersnatch", 1.0)
        if counted:
            report.figures.append(Figure("requests", max(counted), 3, "requests"))
    return report


def changed(runs: int) -> Report:
    """A sync after 1 % has changed: three projects, 22 new files."""
    report = Report("change")
    with served("large", counts_requests=True) as running:
        folders = _synced(report, running, ["bandersnatch", OURS])
        counted: list[int] = []
        files = len(running.upstream.files)
        for number in range(1, runs + 1):
            before = running.upstream.world
            running.upstream.follow(recipes.change(before, number))
            running.write_pages(
                only=[name for name in running.upstream.names if running.upstream.spec(name) != before.spec(name)]
            )
            running.reload()
            for name, (folder, command) in folders.items():
                running.forget_requests()
                if attempt(report, name, command, folder) and name == OURS:
                    counted.append(len(running.requests()))
                if peers.held(folder) != files + 22 * number:
                    report.failures.append(f"{name} has {peers.held(folder)} files, not {files + 22 * number}")
        report.ratio("bandersnatch", 1.0)
        if counted:
            report.figures.append(Figure("requests: list, 3 pages, 22 files", max(counted), 26, "requests"))
    return report


def _synced(report: Report, running: Served[Upstream], names: Iterable[str]) -> dict[str, tuple[Path, list[str]]]:
    """Bring each contestant's mirror up to date, unmeasured; return those that managed."""
    makers = {"bandersnatch": peers.bandersnatch, OURS: peers.pypim_sync}
    ready: dict[str, tuple[Path, list[str]]] = {}
    for name in names:
        folder = fresh(report.row, name)
        command = makers[name](running.direct, folder)
        aside = Report(report.row)
        if attempt(aside, name, command, folder):
            ready[name] = (folder, command)
        report.failures += aside.failures
    return ready


def verify(runs: int) -> Report:
    """Hash again all that is held, beside sha256sum over the same files."""
    report = Report("verify")
    with served("large") as running:
        ready = _synced(report, running, [OURS, "bandersnatch"])
        if OURS in ready:
            folder = ready[OURS][0]
            for _ in range(runs):
                attempt(report, "sha256sum", peers.sha256sum(folder), folder)
                attempt(report, OURS, peers.pypim_verify(folder), folder)
                if "bandersnatch" in ready:
                    (ready["bandersnatch"][0] / "mirror" / "status").unlink(missing_ok=True)
                    attempt(report, "bandersnatch", ready["bandersnatch"][1], ready["bandersnatch"][0])
    report.ratio("sha256sum", 2.0)
    report.ratio("bandersnatch", 0.2, "cpu_s")
    return report


def adopt(runs: int) -> Report:
    """A bandersnatch tree is taken over, beside sha256sum over the same files; the sync after it fetches none."""
    report = Report("adopt")
    with served("large", counts_requests=True) as running:
        ready = _synced(report, running, ["bandersnatch"])
        if "bandersnatch" not in ready:
            return report
        tree = ready["bandersnatch"][0] / "mirror" / "web"
        report.notes.append(running.upstream.summary())
        fetched: list[int] = []
        for _ in range(runs):
            attempt(report, "sha256sum", peers.sha256sum(tree.parent.parent, "mirror/web/packages"), tree)
            folder = fresh(report.row, OURS)
            running.forget_requests()
            if attempt(report, OURS, peers.pypim_adopt(running.direct, folder, tree), folder):
                attempt(report, "pypim sync, after it", peers.pypim_sync(running.direct, folder), folder)
                fetched.append(sum("/packages/" in line for line in running.requests()))
            if peers.held(folder / "public") != len(running.upstream.files):
                report.failures.append(f"{peers.held(folder / 'public')} files, not {len(running.upstream.files)}")
    # Two digests, a link, and the core metadata of each file, instead of one digest.
    report.ratio("sha256sum", 5.0)
    report.ratio("sha256sum", 5.0, "cpu_s")
    if fetched:
        report.figures.append(Figure("files fetched", max(fetched), 0, "files"))
    return report


def dependencies(runs: int) -> Report:
    """30 roots and what they need, with 25 ms of round trip."""
    report = Report("dependencies")
    with served("dependencies", is_delayed=True) as running:
        root = running.delayed
        roots = [name for name in running.upstream.names if name.startswith("root-")]
        commands: Commands = {
            OURS: lambda folder: peers.pypim_dependencies(root, folder, roots),
            "morgan": lambda folder: peers.morgan(root, folder, roots),
            "pip download": lambda folder: peers.pip_download(root, folder, roots),
            "uv pip compile": lambda folder: peers.uv_compile(root, folder, roots),
        }
        race(report, commands, runs)
        for name in commands:
            report.notes.append(f"{name}: {peers.held(peers.OUT / 'runs' / report.row / name)} files")
    report.ratio("morgan", 0.15)
    report.ratio("pip download", 0.25)
    return report


def startup(runs: int) -> Report:
    """The CPU time of `pypim --help`."""
    report = Report("startup")
    folder = fresh(report.row, OURS)
    for _ in range(max(runs, 10)):
        if not attempt(report, OURS, peers.pypim_help(), folder):
            break
    if OURS in report.series:
        report.figures.append(Figure("CPU", report.series[OURS].cpu_s, 0.15, "s"))
    return report


ROWS: dict[str, Callable[[int], Report]] = {
    "sync": sync,
    "sync-latency": sync_latency,
    "spread": spread,
    "noop": noop,
    "change": changed,
    "verify": verify,
    "adopt": adopt,
    "dependencies": dependencies,
    **plan_rows.ROWS,
    **serving.ROWS,
    **serving_cold.ROWS,
    **following_rows.ROWS,
    **catalog_rows.ROWS,
    "sync-changed": many.sync_changed,
    "memory": memory,
    "startup": startup,
}
