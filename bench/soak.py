"""Hundreds of syncs over an upstream that changes and misbehaves: `python -m bench.soak --syncs 300 --seed N`.

Between the syncs projects get releases, lose them, are yanked, quarantined, removed and brought back. The upstream
answers with errors, with half bodies, with wrong bytes, or as it was a while ago; runs are killed, and meet disks that
are full or broken. In the end, and now and then on the way, one undisturbed sync must lead to exactly what a new mirror
of the same upstream has: every page in both forms, every file, the list. The exit status is 1 where it does not.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from tests.faults.invariants import Mirror, content_of, end_waiting, violations
from tests.faults.runs import DIED, Driver, Outcome, complaints
from tests.faults.system_calls import READS, SOCKETS, WRITES, can_announce
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.specs import ProjectSpec, ReleaseSpec
from tests.worlds.world import World, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PROJECTS = 24
_MOST_RELEASES = 6
_LATENCY_SECONDS = 0.0005
_LONGEST_SECONDS = 0.8
"""Of an undisturbed sync, more or less: kills come within it."""
_MOST_OPERATIONS = 400
_MOST_CALLS = 900
_SPOILT = "0123456789abcdef"
_CONFIG = """
[store]
path = "data"
[upstreams.main]
url = "{url}"
retries = 1
removal-confirmations = 1
removal-time = "0 seconds"
most-removed-percent = 100
[targets.here]
python = ["3.12"]
platforms = ["linux"]
[indexes.main]
kind = "mirror"
upstream = "main"
targets = ["here"]
publish = "{publish}"
on-removal = "prune"
{more}
[indexes.main.patterns]
".*" = "3 latest"
"""
_ALONE = """
[indexes.main.dependencies]
follow = false
"""


class Upstream:
    """The projects of an index through the years; a serial never comes twice."""

    def __init__(self, chance: random.Random, projects: int) -> None:
        self._chance = chance
        self._serial = 0
        self._made = 0
        self._names = [f"project{number:02}" for number in range(projects)]
        self._there: dict[str, ProjectSpec] = {}
        self._gone: dict[str, ProjectSpec] = {}
        for name in self._names:
            self._there[name] = self._touched(
                ProjectSpec(name=name, releases=(self._release(name), self._release(name)))
            )

    @property
    def world(self) -> World:
        """As it is now."""
        return World(tuple(self._there[name] for name in sorted(self._there)))

    def change(self) -> None:
        """A day passes."""
        for _ in range(self._chance.randint(0, 5)):
            self._chance.choice((self._add, self._add, self._drop, self._yank, self._mark, self._remove, self._bring))()

    def _add(self) -> None:
        spec = self._any()
        self._keep(spec, (*spec.releases, self._release(spec.name))[-_MOST_RELEASES:])

    def _drop(self) -> None:
        """A release goes, or only one of its files."""
        spec = self._any()
        if len(spec.releases) > 1:
            gone = self._chance.choice(spec.releases)
            rest = tuple(one for one in spec.releases if one is not gone)
            if len(gone.files) > 1 and self._chance.random() < 0.5:
                rest = (*rest, replace(gone, files=gone.files[1:]))
            self._keep(spec, rest)

    def _yank(self) -> None:
        """Or take it back."""
        spec = self._any()
        chosen = self._chance.choice(spec.releases)
        yanked: bool | str = False if chosen.yanked else self._chance.choice((True, "broken & <b>wrong</b>"))
        self._keep(spec, tuple(replace(one, yanked=yanked) if one is chosen else one for one in spec.releases))

    def _mark(self) -> None:
        spec = self._any()
        status = self._chance.choice(("active", "active", "archived", "quarantined", "deprecated"))
        self._there[spec.name] = self._touched(replace(spec, status=status))

    def _remove(self) -> None:
        if len(self._there) > len(self._names) // 2:
            spec = self._any()
            self._gone[spec.name] = self._there.pop(spec.name)

    def _bring(self) -> None:
        """A project comes back, under another owner perhaps."""
        if self._gone:
            name = self._chance.choice(sorted(self._gone))
            self._there[name] = self._touched(self._gone.pop(name))

    def _any(self) -> ProjectSpec:
        return self._there[self._chance.choice(sorted(self._there))]

    def _keep(self, spec: ProjectSpec, releases: tuple[ReleaseSpec, ...]) -> None:
        self._there[spec.name] = self._touched(replace(spec, releases=releases))

    def _touched(self, spec: ProjectSpec) -> ProjectSpec:
        self._serial += 1
        return replace(spec, serial=self._serial)

    def _release(self, name: str) -> ReleaseSpec:
        """A project needs only those after it, so that the needs never lead in circles."""
        self._made += 1
        later = self._names[self._names.index(name) + 1 :]
        needed = self._chance.sample(later, min(len(later), self._chance.choice((0, 0, 1, 2))))
        files = [wheel(payload=self._chance.randrange(6000)), *([sdist()] if self._chance.random() < 0.6 else [])]
        day = f"{2020 + self._made // 336}-{self._made // 28 % 12 + 1:02}-{self._made % 28 + 1:02}"
        return release(f"1.{self._made}", *files, requires=needed, upload_time=f"{day}T12:00:00.000000Z")


@dataclass
class Tally:
    """What came of it all."""

    syncs: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    violations: list[str] = field(default_factory=list)


class Soak:
    """One mirror through it all."""

    def __init__(self, folder: Path, seed: int, driver: Driver, server: WorldServer, **options: str | int) -> None:
        """Options: `projects`, `publish` ("data" or "public"), `more` (lines of the index's table)."""
        self._folder = folder
        self._chance = random.Random(seed)
        self._driver = driver
        self._server = server
        self._publish = str(options.get("publish", "public"))
        self._more = str(options.get("more", ""))
        self._upstream = Upstream(self._chance, int(options.get("projects", PROJECTS)))
        self._worlds = [self._upstream.world]
        self._soaked = self._configured("soaked")
        self.tally = Tally()

    def run(self, syncs: int, *, every: int = 25, progress: Callable[[Tally], None] = lambda _: None) -> None:
        """So many syncs, compared with a clean mirror after each `every` and at the end."""
        for number in range(1, syncs + 1):
            self._upstream.change()
            self._worlds = [*self._worlds[-4:], self._upstream.world]
            self._disturbed(f"sync {number}")
            if number % every == 0 or number == syncs:
                self._compare(f"after {number} syncs")
                progress(self.tally)

    def _configured(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        text = _CONFIG.format(url=self._server.url, publish=self._publish, more=self._more)
        (folder / "pypim.toml").write_text(text)
        return folder

    def _mirror(self, folder: Path) -> Mirror:
        data = folder / "data"
        return Mirror(tree=folder / self._publish, files=data, catalog=data / "catalog.sqlite")

    def _pypim(self, folder: Path, *arguments: str, disturbance: Mapping[str, Any] = {}) -> Outcome:
        return self._driver.run("-c", str(folder / "pypim.toml"), *arguments, **disturbance)

    def _note(self, where: str, sentences: Iterable[str]) -> None:
        self.tally.violations += [f"{where}: {sentence}" for sentence in sentences]

    # --- what goes wrong --------------------------------------------------------------------------------------------
    def _disturbed(self, where: str) -> None:
        """One sync of a world that may be an old one, from a server that may misbehave, on a machine that may fail."""
        is_old = self._chance.random() < 0.1
        self._server.world = self._chance.choice(self._worlds) if is_old else self._worlds[-1]
        for _ in range(self._chance.choice((0, 0, 1, 2, 3))):
            self._misbehave()
        command = ["sync", "--keep-going", "--force"]
        if self._chance.random() < 0.15:
            command = self._chance.choice((["verify", "--repair"], ["prune"], ["sync"], ["plan"], ["update"]))
        outcome = self._pypim(self._soaked, *command, disturbance=self._disturbance())
        self._server.behave()
        self.tally.syncs += 1
        self.tally.ends[_end_of(outcome)] += 1
        where = f"{where} ({command[0]}, {_end_of(outcome)}, {outcome.stopped_at})"
        if outcome.status not in {-9, DIED}:
            self._note(where, complaints(outcome, command[0]))
        self._note(where, violations(self._mirror(self._soaked)))

    def _misbehave(self) -> None:
        fault = self._chance.choice(
            (
                faults.status(500),
                faults.status(404),
                faults.status(403),
                faults.status(429, retry_after="0"),
                faults.cut_after(self._chance.randrange(3000)),
                faults.no_answer(),
                faults.wrong_bytes(),
                faults.shorter(7),
                faults.longer(5),
                _portal,
                faults.changed_headers(x_pypi_last_serial=None),
                faults.changed_headers(x_pypi_last_serial="1"),
                faults.changed_headers(etag='"always-the-same"'),
            )
        )
        name = f"project{self._chance.randrange(PROJECTS):02}"
        pattern = self._chance.choice(
            (
                f"/simple/{name}/",
                "/simple/",
                f"/packages/*/{name}-*",
                f"/packages/{self._chance.choice(_SPOILT)}*",
                "*.metadata",
            )
        )
        self._server.misbehave(pattern, fault, times=self._chance.choice((1, 2, None)))

    def _disturbance(self) -> dict[str, Any]:
        error = self._chance.choice((errno.ENOSPC, errno.EIO))
        number = self._chance.randint(1, _MOST_OPERATIONS)
        found: list[dict[str, Any]] = [
            {},
            {"kill_after": self._chance.uniform(0, _LONGEST_SECONDS)},
            {"stop_at": number},
            {"stop_at": number, "raises": error},
        ]
        if can_announce():
            calls: dict[str, Any] = {
                "calls": [READS, WRITES, SOCKETS],
                "calls_below": str(self._soaked),
                "call_at": self._chance.randint(1, _MOST_CALLS),
            }
            found += [calls, {**calls, "call_error": error}]
        return self._chance.choice(found)

    # --- what must come of it ---------------------------------------------------------------------------------------
    def _compare(self, where: str) -> None:
        """Sync undisturbed, at a time when nothing on the to-do has to wait, and compare with a new mirror."""
        self._server.world = self._worlds[-1]
        end_waiting(self._mirror(self._soaked))  # a soak takes minutes
        clean = self._configured("clean")
        found = []
        for folder in (self._soaked, clean):
            outcome = self._pypim(folder, "sync", "--keep-going", "--force")
            self._note(where, complaints(outcome))
            if outcome.status not in {0, 1}:
                self._note(where, [f"{folder.name}: the sync ends with {outcome.status}: {outcome.stderr}"])
            self._note(f"{where}, {folder.name}", violations(self._mirror(folder), is_finished=True))
            if folder == self._soaked:
                self._pypim(folder, "prune")
            verified = self._pypim(folder, "verify")
            if verified.status:
                self._note(where, [f"{folder.name}: verify ends with {verified.status}: {verified.stdout}"])
            listed = json.loads(self._pypim(folder, "--json", "list").stdout)
            found.append((content_of(self._mirror(folder)), listed))
        self._note(where, _differences(*found))
        self.tally.compared += 1
        shutil.rmtree(clean)


def _portal(response: faults.Response) -> faults.Response:
    """Answer as the login page of a hotel does, which knows neither validators nor serials."""
    body = b"<html>please log in</html>"
    return replace(response, status=200, headers={"Content-Type": "text/html"}, body=body)


def _differences(soaked: tuple[dict[str, str], object], clean: tuple[dict[str, str], object]) -> Iterable[str]:
    for path in sorted(soaked[0].keys() | clean[0].keys()):
        one, other = (content.get(path, "missing")[:12] for content in (soaked[0], clean[0]))
        if one != other:
            yield f"{path} is {one}, in a new mirror {other}"
    if soaked[1] != clean[1]:
        yield "`pypim list` says something else than of a new mirror"


def _end_of(outcome: Outcome) -> str:
    return {0: "whole", 1: "partial", -9: "killed", DIED: "stopped"}.get(outcome.status, f"refused ({outcome.status})")


def main() -> int:
    """Soak, compare, report."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--syncs", type=int, default=300, metavar="N", help="how many (default: 300)")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="repeat a soak")
    parser.add_argument(
        "--publish", choices=("data", "public"), default="public", help="a tree of links, or the store's"
    )
    parser.add_argument("--alone", action="store_true", help="with dependencies.follow = false")
    parser.add_argument("--keep", action="store_true", help="keep the mirror where something was wrong")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    folder = Path(mkdtemp(prefix="pypim-soak-"))
    begun = time.monotonic()
    try:
        with (
            WorldServer(World(), Options(latency_s=_LATENCY_SECONDS)) as server,
            Driver(folder / "home") as driver,
        ):
            more = _ALONE if arguments.alone else ""
            soak = Soak(folder, seed, driver, server, publish=arguments.publish, more=more)
            soak.run(arguments.syncs, progress=_show)
    finally:
        if arguments.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    tally = soak.tally
    print(f"{tally.syncs} syncs in {time.monotonic() - begun:.0f} s, {tally.compared} comparisons with a new mirror:")
    for end, number in tally.ends.most_common():
        print(f"  {number:5} {end}")
    print(f"{len(tally.violations)} violations")
    for sentence in tally.violations[:50]:
        print(f"  {sentence}")
    return 1 if tally.violations else 0


def _show(tally: Tally) -> None:
    print(f"{tally.syncs} syncs, {len(tally.violations)} violations", flush=True)


if __name__ == "__main__":
    sys.exit(main())
