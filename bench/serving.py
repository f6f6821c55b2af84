"""The rows about the server under load: pages and files, warm, with wrk, beside nginx, devpi-server and proxpi.

nginx serves the very bytes that pypim answers with. Only the ratios of one row mean anything.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

from bench import peers, servers, wrk
from bench.measure import RunError
from bench.nginx import Served
from bench.recipes import serving_upstream
from bench.report import OURS, Figure, Report, fresh
from bench.servers import HTML, JSON, Server
from bench.upstream import Upstream

SECONDS = 2.0
"""Of load for each figure and run."""
NGINX = "nginx"
TWO = "pypim cache, 2 workers"
_MIRROR, _PROXY = f"{OURS} mirror", f"{OURS} cache"


@contextmanager
def upstream(*, counts_requests: bool = False) -> Iterator[Served[Upstream]]:
    """The generated upstream of these rows, served."""
    made = Upstream(peers.OUT / "upstreams" / "serving", serving_upstream())
    with Served(made, peers.OUT / "nginx", counts_requests=counts_requests) as running:
        yield running


@dataclass
class Stand:
    """Everybody side by side, in front of the same upstream."""

    report: Report
    runs: int
    root: str
    contestants: dict[str, Server]
    processes: dict[str, int]
    """Name → the process that, with all that it has started, is the server."""
    cpu_us: dict[str, float] = field(default_factory=dict)
    """What an answer took of the CPU in the last load."""

    def race(self, label: str, urls: Mapping[str, str], accept: str, connections: int) -> dict[str, wrk.Load]:
        """Load everybody in turn, and return the medians by name."""
        found: dict[str, list[wrk.Load]] = {name: [] for name in urls}
        for _ in range(self.runs):
            for name, url in urls.items():
                self.load(found[name], name, url, connections, {"Accept": accept})
        return self.medians(f"{label}, c={connections}", found)

    def load(self, found: list[wrk.Load], name: str, url: str, connections: int, headers: Mapping[str, str]) -> None:
        print(f"{self.report.row}: {name}, c={connections}", file=sys.stderr)
        before = servers.cpu_s(self.processes[name])
        try:
            load = wrk.load(url, connections, SECONDS, headers)
        except RunError as error:
            self.report.failures.append(f"{name}: {error}")
        else:
            found.append(load)
            self.cpu_us[name] = (servers.cpu_s(self.processes[name]) - before) / max(load.rate * SECONDS, 1) * 1e6

    def medians(self, label: str, found: Mapping[str, list[wrk.Load]]) -> dict[str, wrk.Load]:
        """Of the runs of each; noted in the report."""
        medians = {name: _median(loads) for name, loads in found.items() if loads}
        best = medians[NGINX].rate if NGINX in medians else 1.0
        rates = (
            f"{name} {load.rate:,.0f}/s ({load.rate / best:.3f}), {load.mb_s:,.0f} MB/s, p99 {load.slowest_s:.3g} s, "
            f"{self.cpu_us[name]:,.0f} us CPU"
            for name, load in medians.items()
        )
        self.report.notes += [f"{label}:", *(f"  {rate}" for rate in rates)]
        return medians

    def compare(self, label: str, medians: Mapping[str, wrk.Load], goals: Mapping[str, float]) -> None:
        """Put the rate of each of ours beside the goals, each at least so many times that of a peer."""
        for ours in (name for name in medians if name.startswith(OURS)):
            for peer, goal in goals.items():
                if peer in medians:
                    ratio = medians[ours].rate / max(medians[peer].rate, 1e-9)
                    self.report.figures.append(Figure(f"{label}: {ours} / {peer}", ratio, goal, is_least=True))


@contextmanager
def stand(report: Report, runs: int) -> Iterator[Stand]:
    """Start everybody; who does not start is reported and left out."""
    with upstream() as running, ExitStack() as stack:
        root = running.direct
        made: dict[str, Server] = {}

        def start(name: str, context: AbstractContextManager[Server]) -> None:
            try:
                made[name] = stack.enter_context(context)
            except (RunError, OSError) as error:
                report.failures.append(f"{name}: {error}")

        start(_MIRROR, servers.pypim(root, fresh(report.row, "mirror"), "mirror"))
        start(_PROXY, servers.pypim(root, fresh(report.row, "cache")))
        start(TWO, servers.pypim(root, fresh(report.row, "two"), workers=2))
        start("devpi", servers.devpi(root, fresh(report.row, "devpi")))
        start("proxpi", servers.proxpi(root, fresh(report.row, "proxpi")))
        ours = next((server for name, server in made.items() if name.startswith(OURS)), None)
        if ours is not None:
            servers.write_static(running.pages, ours, {"small": "bench-small", "large": "bench-large"})
        report.notes.append(f"{SECONDS:g} s of wrk -t1 a figure, {runs} runs in turn; the machine may be shared")
        processes = {NGINX: running.process_id, **{name: server.process.pid for name, server in made.items()}}
        yield Stand(report, runs, root, made, processes)


def _median(loads: list[wrk.Load]) -> wrk.Load:
    return wrk.Load(
        statistics.median(load.rate for load in loads),
        statistics.median(load.mb_s for load in loads),
        statistics.median(load.slowest_s for load in loads),
    )


def _pages(row: str, label: str, goals: Mapping[str, float], runs: int) -> Report:
    report = Report(row)
    if skip(report):
        return report
    with stand(report, runs) as all_of_them:
        for suffix, accept in (("json", JSON), ("html", HTML)):
            for connections in (1, 16, 64):
                urls = {NGINX: f"{all_of_them.root}/same/{label}.{suffix}"}
                urls |= {name: server.page(f"bench-{label}") for name, server in all_of_them.contestants.items()}
                for url in urls.values():
                    servers.fetch(url, {"Accept": accept})
                medians = all_of_them.race(suffix, urls, accept, connections)
                if connections == 16:
                    all_of_them.compare(suffix, medians, goals)
    return report


def skip(report: Report) -> bool:
    """Whether there is nothing to load with, which is reported."""
    reason = wrk.missing()
    if reason is not None:
        report.notes.append(f"skipped: {reason}")
    return reason is not None


def small(runs: int) -> Report:
    """A page of ten files."""
    return _pages("serve-small", "small", {"devpi": 40, "proxpi": 20, NGINX: 0.3}, runs)


def large(runs: int) -> Report:
    """A page of 2,064 files."""
    return _pages("serve-large", "large", {"devpi": 100, "proxpi": 12, NGINX: 0.5}, runs)


def unchanged(runs: int) -> Report:
    """A page that the client has already, beside the same page sent whole."""
    report = Report("serve-304")
    if skip(report):
        return report
    with upstream() as running, servers.pypim(running.direct, fresh(report.row, "mirror"), "mirror") as server:
        here = Stand(report, runs, running.direct, {}, {"304": server.process.pid, "200": server.process.pid})
        url = server.page("bench-small")
        etag = servers.fetch(url, {"Accept": JSON})[0]["ETag"]
        ways = {"304": {"Accept": JSON, "If-None-Match": etag}, "200": {"Accept": JSON}}
        for connections in (1, 16, 64):
            found: dict[str, list[wrk.Load]] = {name: [] for name in ways}
            for _ in range(runs):
                for name, headers in ways.items():
                    here.load(found[name], name, url, connections, headers)
            medians = here.medians(f"c={connections}", found)
            if connections == 16:
                ratio = medians["304"].rate / medians["200"].rate
                report.figures.append(Figure("304 / small page", ratio, 1.0, is_least=True))
    return report


def files(runs: int) -> Report:
    """Wheels of 100 KB and of 20 MB."""
    report = Report("serve-files")
    if skip(report):
        return report
    with stand(report, runs) as all_of_them:
        goals = {"100k": {NGINX: 0.4, "devpi": 20.0, "proxpi": 10.0}, "20m-0": {NGINX: 0.8}}
        for label, goal in goals.items():
            project = f"bench-{label}"
            urls = {NGINX: servers.first_file(f"{all_of_them.root}/simple/{project}/")}
            urls |= {name: server.file_url(project) for name, server in all_of_them.contestants.items()}
            for url in urls.values():
                servers.fetch(url)
            for connections in (1, 16, 64):
                medians = all_of_them.race(label, urls, "*/*", connections)
                if connections == 16:
                    all_of_them.compare(label, medians, goal)
        for name, server in all_of_them.contestants.items():
            report.notes.append(f"{name}: peak {server.peak_mb():.0f} MB a process")
    return report


ROWS: dict[str, Callable[[int], Report]] = {
    "serve-small": small,
    "serve-large": large,
    "serve-304": unchanged,
    "serve-files": files,
}
