"""The row about a mirror of a whole upstream: what a sync of 1,000 changed projects costs, among many and among few.

The mirror is as if everything had been synced before: its catalog is written directly, with a state, a file and a page
of every project, for to fetch 700,000 of them would take hours. What changed is then fetched and published for real.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.report import OURS, Figure, Report, attempt, fresh
from pypim.config.load import load
from pypim.core.model import Blob, DistFile, Holding, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.records import Owner, Walk
from pypim.core.selection import ChosenRelease, ProjectFacts, Reason, Selection
from pypim.store.catalog import Catalog
from pypim.sync.publish_each import EachPublisher
from pypim.wiring import CATALOG_NAME, published_tree, request_of

CHANGED = 1_000
FEW, MANY = 10_000, 700_000
_AT_ONCE = 5_000
_FEW = f"pypim, among {FEW:,}"
_CONFIG = """
[upstreams.many]
url = "{url}/simple/"
[indexes.main]
publish = "public"
dependencies = {{ follow = false }}
[indexes.main.patterns]
".*" = "latest"
"""


def sync_changed(runs: int) -> Report:
    """1,000 changed projects among 700,000, beside the same among 10,000."""
    report = Report("sync-changed")
    folders = {_FEW: fresh(report.row, "few"), OURS: fresh(report.row, "many")}
    with served(FEW) as few, served(MANY) as many:
        for name, url in ((_FEW, few), (OURS, many)):
            # In a process of its own: what it needs would count as that of the runs.
            subprocess.run([sys.executable, "-m", "bench.many", str(folders[name]), url], check=True)
        for number in range(runs + 1):
            for name, url in ((_FEW, few), (OURS, many)):
                _steer(f"{url}/-/change?count={CHANGED}")
                folder = folders[name]
                command = [sys.executable, "-m", "pypim", "-c", str(folder / "pypim.toml"), "--json", "sync"]
                attempt(report, name if number else f"{name}, for the first time", command, folder)
                _check(report, name, folder)
        for name, folder in folders.items():
            command = [sys.executable, "-m", "pypim", "-c", str(folder / "pypim.toml"), "--json", "sync"]
            attempt(report, f"{name}, nothing changed", command, folder)
    report.ratio(_FEW, 1.2)
    if OURS in report.series:
        report.figures.append(Figure("peak memory", report.series[OURS].peak_mb, 250, "MB"))
    return report


def _check(report: Report, name: str, folder: Path) -> None:
    lines = folder.with_suffix(".log").read_text()
    (index,) = json.loads(lines[lines.index("{") :])["indexes"]
    if index["outcome"] != "done" or index["fetched_files"] != CHANGED:
        report.failures.append(f"{name}: {index['outcome']}, {index['fetched_files']} files fetched")


@contextmanager
def served(projects: int) -> Iterator[str]:
    """Serve an upstream of so many projects; its address."""
    command = [sys.executable, "-m", "bench.listed", "--projects", str(projects)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _steer(url: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST")) as answer:
        answer.read()


def fill(folder: Path, url: str) -> None:
    """Make a mirror that has everything of an upstream, as far as its catalog tells."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config_file = folder / "pypim.toml"
    config_file.write_text(_CONFIG.format(url=url))
    subprocess.run([sys.executable, "-m", "pypim", "-c", str(config_file), "update"], check=True, capture_output=True)
    config = load(config_file)
    (index,) = config.mirrors
    with Catalog.open(config.store.path / CATALOG_NAME) as catalog:
        upstream = f"{url}/simple/"
        state = catalog.following.state(upstream)
        assert state is not None
        after = ""
        while listed := catalog.following.listed(upstream, after, _AT_ONCE):
            after = listed[-1].name
            _fill_some(catalog, [one.name for one in listed], url)
        walk = Walk(request_of(config, index).digest, upstream, None, state.revision, is_ended=True)
        catalog.walks.keep_walk(index.name, walk)
        tree = published_tree(config, index)
        assert tree is not None
        EachPublisher(index.name, tree, catalog.published).write_list()


def _fill_some(catalog: Catalog, names: list[str], url: str) -> None:
    portions, held = {}, []
    for text in names:
        name = parse_name(text)
        filename = parse_safe_filename(f"{text.replace('-', '_')}-1.0-py3-none-any.whl")
        sha256 = hashlib.sha256(filename.encode()).hexdigest()
        blake2b = hashlib.blake2b(filename.encode(), digest_size=32)
        file = DistFile(filename=filename, url=f"{url}/packages/{text}/{filename}", sha256=sha256, size=500)
        reason = Reason(origin="patterns..*", requirement="latest", environments=("any",))
        release = ChosenRelease(project=name, version="1.0", files=(file,), reasons=(reason,))
        facts = ProjectFacts(name=name, status=ProjectStatus.ACTIVE)
        portions[name] = Selection(releases=(release,), projects=(facts,))
        blob = Blob(sha256=sha256, blake2b_256=blake2b.hexdigest(), size=500)
        held.append((file.identity, name, Holding(filename=filename, blob=blob, metadata_sha256=None)))
    catalog.of(Owner(index="main", upstream=f"{url}/simple/")).holdings.record(held)
    catalog.generations.finish(catalog.generations.amend("main", portions, 1.0), 2.0)
    catalog.published.keep_page_digests("main", dict.fromkeys(portions, "0" * 64))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), sys.argv[2])
