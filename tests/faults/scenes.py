"""Small mirrors in the middle of their life: what stands there, which command comes next, and what it must lead to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.faults.invariants import Mirror, content_of, held, violations
from tests.faults.runs import Driver, Outcome, complaints
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

_SEVERAL_CHUNKS = 700_000

FIRST = World.of(
    project("app", "1.0", "2.0", requires=["lib>=1", "util[x]"]),
    project("lib", release("1.0", wheel(), sdist()), release("1.1", wheel(payload=3000), sdist())),
    project("util", release("3.0", wheel(payload=_SEVERAL_CHUNKS), requires=["opt; extra == 'x'"])),
    project("opt", release("0.1", sdist())),
    project("gone", "1.0", requires=["lib"]),
)
SECOND = FIRST.releasing("app", release("3.0", wheel(payload=2000), requires=["lib>=1", "new"])).having(
    project("new", "1.0"),
    project("lib", release("1.0", wheel(), sdist()), release("1.1", wheel(payload=3000), sdist(), yanked="wrong")),
)
"""A release comes, with a project that it needs, and takes the place of another; one is yanked."""

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
{publish}on-removal = "{removal}"
[indexes.main.packages]
app = "latest"
util = "latest"
{more}
"""


@dataclass
class Scene:
    """One mirror that exists many times over; a context manager that serves its upstream and runs its driver."""

    name: str
    """`first`, `second`, `linked`: a sync, into a folder, with a configuration, and into a tree of links. `publish`: a
    sync of what is all held and nowhere published. `prune`: what a sync has left to it."""
    folder: Path
    """Empty; all that is made is under it."""
    server: WorldServer = field(init=False)
    driver: Driver = field(init=False)
    clean: dict[str, str] = field(init=False)
    """What stands in the mirror when nothing disturbs the run."""
    wanted: set[str] = field(init=False)
    """The identities that are then held."""

    def __enter__(self) -> Self:
        self.server = WorldServer(FIRST)
        self.server.__enter__()
        self.driver = Driver(self.folder / "home")
        self.driver.__enter__()
        self._begin()
        undisturbed = self.copy("undisturbed")
        assert self.run(undisturbed).status == 0
        mirror = self.mirror(undisturbed)
        assert violations(mirror, is_finished=True) == []
        self.clean, self.wanted = content_of(mirror), set(held(mirror))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.__exit__(kind, error, trace)
        self.server.__exit__(kind, error, trace)

    def _begin(self) -> None:
        """Make what the disturbed run finds."""
        template = self.folder / "template"
        template.mkdir()
        if self.name == "first":
            return
        self._configure(template, "gone = 'latest'", publish={"publish": ""}.get(self.name))
        outcome = self._sync(template)
        assert outcome.status == 0, outcome
        if self.name == "publish":
            self._configure(template, "gone = 'latest'")
            return
        self.server.world = SECOND
        self._configure(template, "")
        if self.name == "prune":
            assert self._sync(template).status == 0
            stray = template / "data" / "packages" / "00" / "11" / ("2" * 60)
            stray.mkdir(parents=True)
            (stray / "stray-1.0.tar.gz").write_bytes(b"left by a run that was killed")

    def _sync(self, folder: Path) -> Outcome:
        return self.driver.run("-c", str(folder / "pypim.toml"), "sync")

    def _configure(self, folder: Path, more: str, publish: str | None = None) -> None:
        """`prune` has something to delete, since the syncs leave it for a month."""
        if publish is None:
            publish = 'publish = "data"\n' if self.name == "second" else 'publish = "public"\n'
        removal = "prune-after 30 days" if self.name == "prune" else "prune"
        text = _CONFIG.format(url=self.server.url, publish=publish, more=more, removal=removal)
        (folder / "pypim.toml").write_text(text)

    def copy(self, name: str) -> Path:
        """A fresh copy of what the disturbed run finds."""
        return shutil.copytree(self.folder / "template", self.folder / name)

    def mirror(self, folder: Path) -> Mirror:
        """Where its parts are."""
        if self.name == "first":
            return Mirror.inline(folder)
        data = folder / "data"
        tree = data if self.name == "second" else folder / "public"
        return Mirror(tree=tree, files=data, catalog=data / "catalog.sqlite")

    def command(self, folder: Path) -> list[str]:
        """The command that is disturbed, and that is repeated until it gets through."""
        if self.name == "prune":
            return ["-c", str(folder / "pypim.toml"), "prune"]
        if self.name == "first":
            targets = ["--python", "3.12", "--platform", "linux"]
            return ["sync", "app", "gone", "--to", str(folder), "--upstream", self.server.url, *targets]
        return ["-c", str(folder / "pypim.toml"), "sync"]

    def run(self, folder: Path, **disturbance: Any) -> Outcome:
        """Do it, disturbed or not."""
        return self.driver.run(*self.command(folder), home=None, **disturbance)

    def finish(self, folder: Path) -> Iterable[str]:
        """Check what a disturbed run left, run again to the end, check again; what is wrong, in sentences."""
        mirror = self.mirror(folder)
        yield from (f"left behind: {sentence}" for sentence in violations(mirror))
        reported = held(mirror)
        self.server.forget_requests()
        outcome = self.run(folder)
        yield from complaints(outcome)
        if outcome.status != 0:
            yield f"the next run ended with {outcome.status}: {outcome.stderr}"
        yield from violations(mirror, is_finished=True)
        for identity in reported:
            filename = identity.partition("#")[0]
            if identity in self.wanted and self.server.asked(f"/packages/*/{filename}"):
                yield f"{filename} was held and was fetched again"
        now = set(held(mirror))
        yield from (f"{identity} is not held" for identity in self.wanted - now)
        yield from (f"{identity} is still held" for identity in now - self.wanted)
        yield from self._differences(content_of(mirror))

    def _differences(self, content: dict[str, str]) -> Iterable[str]:
        for path in sorted(self.clean.keys() | content.keys()):
            if self.clean.get(path) != content.get(path):
                yield f"{path}: {content.get(path, 'missing')}, undisturbed {self.clean.get(path, 'missing')}"
