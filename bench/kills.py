"""Runs that are killed: `python -m bench.kills [--kills N] [--seed S] [--keep]`; the exit status is 1 on a violation.

Mirrors of a generated upstream are made and changed by syncs that get SIGKILL after a random time, one to five times
each, and are then finished. After every kill and at every end the mirror is read with other eyes than pypim's: no
missing, short or wrong file, no page that names a file that is not there, no work lost that had been recorded.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from tests.faults.invariants import Mirror, content_of, held, violations
from tests.faults.runs import Driver, Outcome, complaints
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.site import Options
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.worlds.specs import ProjectSpec, ReleaseSpec

PROJECTS = 30
_RELEASES = 4
_MOST_KILLS_OF_ONE = 5
_LARGE = 400_000
_LATENCY_SECONDS = 0.002
_DRIP_BYTES, _DRIP_SECONDS = 1 << 16, 0.003
_KILLED = -9
_STAGE = re.compile(r"^(list|metadata|transfer|publish)(: done)?", re.MULTILINE)
_CONFIG = """
[store]
path = "data"
[upstreams.main]
url = "{url}"
[targets.here]
python = ["3.12"]
platforms = ["linux"]
[indexes.main]
kind = "mirror"
upstream = "main"
targets = ["here"]
publish = "{publish}"
on-removal = "prune"
[indexes.main.packages]
{packages}
"""


def upstream(seed: int, projects: int = PROJECTS) -> tuple[World, World]:
    """That many projects, with six or seven files each, that need each other; and the same a while later."""
    chance = random.Random(seed)
    before = [_project(number, projects, chance) for number in range(projects)]
    world = World.of(*before)
    later = [
        project(spec.name, *spec.releases, _release(number, projects, _RELEASES + 1, chance))
        for number, spec in enumerate(before)
        if chance.random() < 0.3
    ]
    return world, world.having(*later)


def _project(number: int, projects: int, chance: random.Random) -> ProjectSpec:
    versions = range(1, _RELEASES + 1)
    return project(_name(number), *(_release(number, projects, version, chance) for version in versions))


def _release(number: int, projects: int, version: int, chance: random.Random) -> ReleaseSpec:
    needed = [_name(other) for other in range(number + 1, projects) if chance.random() < 0.08]
    payload = _LARGE if chance.random() < 0.05 else chance.randrange(8000)
    files = [wheel(payload=payload), *([sdist()] if chance.random() < 0.7 else [])]
    return release(f"{version}.0", *files, requires=needed)


def _name(number: int) -> str:
    return f"project{number:02}"


@dataclass(frozen=True)
class Chapter:
    """One state that a mirror is led to."""

    world: World
    packages: tuple[str, ...]
    clean: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the kind of tree: what stands there when nothing disturbs."""
    wanted: set[str] = field(default_factory=set)
    seconds: list[float] = field(default_factory=list)
    """How long an undisturbed run takes."""


@dataclass
class Tally:
    """What came of it all."""

    kills: Counter[str] = field(default_factory=Counter)
    mirrors: int = 0
    finished: int = 0
    survived: int = 0
    """Runs that were over before their kill came."""
    violations: list[str] = field(default_factory=list)


class Kills:
    """The mirrors, their upstream and the process that runs pypim on them."""

    def __init__(
        self, folder: Path, seed: int, driver: Driver, server: WorldServer, *, projects: int = PROJECTS
    ) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._driver = driver
        self._server = server
        first, later = upstream(seed, projects)
        rules = [f'{_name(number)} = "*"' for number in range(projects)]
        latest = [f'{_name(number)} = "2 latest"' for number in range(projects - 5)]
        self._chapters = [Chapter(first, tuple(rules)), Chapter(later, tuple(latest)), Chapter(later, tuple(rules))]
        self.tally = Tally()
        server.misbehave("*.whl", lambda answer: _dripping(answer) if len(answer.body) > _DRIP_BYTES else answer)

    def measure(self, runs: int = 2) -> None:
        """Run every chapter undisturbed, for what it leads to and how long it takes."""
        for publish in ("data", "public"):
            for number in range(runs):
                mirror = self._begin(f"clean-{publish}-{number}")
                for chapter in self._chapters:
                    self._open(mirror, chapter, publish)
                    outcome = self._sync(mirror)
                    if outcome.status != 0:
                        raise RuntimeError(f"an undisturbed run failed: {outcome}")
                    chapter.seconds.append(outcome.seconds)
                    chapter.clean[publish] = content_of(_mirror(mirror, publish))
                    chapter.wanted.update(held(_mirror(mirror, publish)))
                shutil.rmtree(mirror)

    def run(self, kills: int, *, progress: Callable[[Tally], None] = lambda _: None) -> None:
        """Go on until that many kills have hit."""
        while self.tally.kills.total() < kills:
            publish = ("data", "public")[self.tally.mirrors % 2]
            folder = self._begin(f"mirror-{self.tally.mirrors}")
            known: set[str] = set()
            before = len(self.tally.violations)
            for chapter in self._chapters:
                self._open(folder, chapter, publish)
                for number in range(self._chance.randint(1, _MOST_KILLS_OF_ONE)):
                    self._note(f"{folder.name}, kill {number}", self._kill(folder, chapter, publish, known))
                self._note(f"{folder.name}, finished", self._finish(folder, chapter, publish, known))
            self.tally.mirrors += 1
            if len(self.tally.violations) == before:
                shutil.rmtree(folder)
            progress(self.tally)

    def _begin(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def _open(self, folder: Path, chapter: Chapter, publish: str) -> None:
        self._server.world = chapter.world
        text = _CONFIG.format(url=self._server.url, publish=publish, packages="\n".join(chapter.packages))
        (folder / "pypim.toml").write_text(text)

    def _sync(self, folder: Path, kill_after: float | None = None) -> Outcome:
        return self._driver.run("-c", str(folder / "pypim.toml"), "sync", kill_after=kill_after)

    def _kill(self, folder: Path, chapter: Chapter, publish: str, known: set[str]) -> Iterator[str]:
        """One run that is killed, or that is over before; what is then wrong."""
        outcome = self._sync(folder, self._chance.uniform(0, statistics.median(chapter.seconds)))
        if outcome.status == _KILLED:
            self.tally.kills[stage_of(outcome.stderr)] += 1
        else:
            self.tally.survived += 1
            yield from complaints(outcome)
        mirror = _mirror(folder, publish)
        yield from violations(mirror)
        now = set(held(mirror))
        yield from (f"{identity} was recorded and is lost" for identity in known & chapter.wanted - now)
        known |= now

    def _finish(self, folder: Path, chapter: Chapter, publish: str, known: set[str]) -> Iterator[str]:
        """A run that nobody disturbs; what is then wrong."""
        self._server.forget_requests()
        outcome = self._sync(folder)
        self.tally.finished += 1
        yield from complaints(outcome)
        if outcome.status != 0:
            yield f"the run that nobody disturbed ended with {outcome.status}: {outcome.stderr}"
        mirror = _mirror(folder, publish)
        yield from violations(mirror, is_finished=True)
        asked = {request.path.rpartition("/")[2] for request in self._server.asked("/packages/*")}
        for identity in known & chapter.wanted:
            if identity.partition("#")[0] in asked:
                yield f"{identity} was recorded and fetched again"
        known.clear()
        known |= set(held(mirror))
        yield from (f"{identity} is not held" for identity in chapter.wanted - known)
        content, clean = content_of(mirror), chapter.clean[publish]
        yield from (
            f"{path} differs" for path in sorted(content.keys() | clean) if content.get(path) != clean.get(path)
        )

    def _note(self, where: str, sentences: Iterator[str]) -> None:
        self.tally.violations += [f"{where}: {sentence}" for sentence in sentences]


def _dripping(answer: faults.Response) -> faults.Response:
    return faults.drip(_DRIP_BYTES, _DRIP_SECONDS)(answer)


def _mirror(folder: Path, publish: str) -> Mirror:
    data = folder / "data"
    return Mirror(tree=folder / publish, files=data, catalog=data / "catalog.sqlite")


def stage_of(progress: str) -> str:
    """The stage that a run was in, as its lines of progress say."""
    begun = _STAGE.findall(progress)
    if not begun:
        return "start"
    name, is_done = begun[-1]
    return f"after {name}" if is_done else name


def main() -> int:
    """Kill, count, report."""
    parser = argparse.ArgumentParser(prog="python -m bench.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="how many must hit (default: 1000)")
    parser.add_argument("--seed", type=int, default=None, metavar="S", help="repeat a run's upstream and times")
    parser.add_argument("--keep", action="store_true", help="keep the mirrors that a violation was found in")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    folder = Path(mkdtemp(prefix="pypim-kills-"))
    begun = time.monotonic()
    try:
        with (
            WorldServer(World(), Options(latency_s=_LATENCY_SECONDS)) as server,
            Driver(folder / "home") as driver,
        ):
            kills = Kills(folder, seed, driver, server)
            kills.measure()
            kills.run(arguments.kills, progress=lambda tally: print(f"{tally.kills.total()} kills", flush=True))
    finally:
        if not arguments.keep:
            shutil.rmtree(folder, ignore_errors=True)
    _report(kills.tally, time.monotonic() - begun)
    return 1 if kills.tally.violations else 0


def _report(tally: Tally, seconds: float) -> None:
    total = tally.kills.total()
    print(f"{total} kills in {seconds:.0f} s ({seconds / max(total, 1):.2f} s each), {tally.mirrors} mirrors:")
    for stage, number in tally.kills.most_common():
        print(f"  {number:5} in {stage}")
    print(f"  {tally.survived} runs were over before their kill; {tally.finished} were finished undisturbed")
    print(f"{len(tally.violations)} violations")
    for sentence in tally.violations[:50]:
        print(f"  {sentence}")


if __name__ == "__main__":
    sys.exit(main())
