"""A folder in which pypim is let loose on a hostile upstream, with everything around it watched."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.faults.invariants import Mirror, violations
from tests.faults.runs import complaints
from tests.worlds.server import WorldServer
from tests.worlds.world import World

if TYPE_CHECKING:
    from types import TracebackType

    from tests.faults.runs import Driver, Outcome
    from tests.worlds.site import Options
    from tests.worlds.world import BuiltFile, ProjectSpec

PEAK_MIB = 200
SECONDS = 60
_CONFIG = """
[store]
path = "mirror/.pypim"
files = "mirror"
[upstreams.main]
url = "{url}"
retries = 0
read-timeout = 5.0
[targets.here]
python = ["3.12"]
platforms = ["linux"]
[indexes.main]
kind = "mirror"
upstream = "main"
targets = ["here"]
publish = "mirror"
[indexes.main.packages]
{packages}
[indexes.main.patterns]
{patterns}
[indexes.main.filters]
{filters}
"""
_ALLOWED = re.compile(
    r"simple/([a-z0-9]+(-[a-z0-9]+)*/)?index\.(html|v1_json)"
    r"|packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[A-Za-z0-9][^/\\\x00-\x1f\x7f]*"
    r"|\.pypim/(catalog\.sqlite|epochs|keeping|lock|spare|staging/[0-9a-f]{40}(-\d+)?\.part)"
)
"""The shapes of everything that a mirror may consist of."""
_ELSEWHERE = [Path("/tmp/evil-9.0-py3-none-any.whl"), Path("/etc/evil-9.0-py3-none-any.whl")]


@dataclass(frozen=True)
class StuffedWorld(World):
    """A world of which some files have other bytes than any builder would make; the pages say the truth of them."""

    contents: tuple[tuple[str, bytes], ...] = ()

    def files_of(self, name: str) -> tuple[BuiltFile, ...]:
        """Those bytes, and no `.metadata` beside them."""
        stuffed = dict(self.contents)
        return tuple(
            replace(built, content=stuffed[built.filename], metadata=None) if built.filename in stuffed else built
            for built in super().files_of(name)
        )


def stuffed(spec: ProjectSpec, **contents: bytes) -> StuffedWorld:
    """One project with the bytes of its wheel or sdist given: `stuffed(project("evil", "1.0"), wheel=b"…")`."""
    world = World.of(spec)
    named = [(built.filename, contents[built.kind]) for built in world.files if built.kind in contents]
    return StuffedWorld(world.projects, tuple(named))


@dataclass
class Sandbox:
    """A context manager with an upstream, a mirror to be made, and something to steal beside it."""

    top: Path
    driver: Driver
    world: World
    options: Options | None = None
    server: WorldServer = field(init=False)

    def __enter__(self) -> Self:
        for name in ("home", "outside", "mirror"):
            (self.top / name).mkdir()
        self.secret.write_bytes(b"this is no file of any index")
        self.server = WorldServer(self.world, self.options)
        self.server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.__exit__(kind, error, trace)

    @property
    def mirror(self) -> Path:
        """The only folder that may change."""
        return self.top / "mirror"

    @property
    def secret(self) -> Path:
        """A file that no upstream may make pypim read."""
        return self.top / "outside" / "secret-1.0-py3-none-any.whl"

    def sync(
        self, packages: str, *options: str, patterns: str = "", filters: str = "", peak_mib: int = PEAK_MIB
    ) -> Outcome:
        """Sync; whatever comes of it, nothing around the mirror changed, and it ended in bounds and in good manners."""
        config = self.top / "pypim.toml"
        config.write_text(
            _CONFIG.format(url=self.server.url, packages=packages, patterns=patterns, filters=filters), "utf-8"
        )
        before = self._around()
        outcome = self.driver.run("-c", str(config), "sync", *options, home=self.top / "home", seconds=SECONDS)
        assert outcome.status >= 0, f"it had not ended after {SECONDS} seconds: {outcome}"
        assert complaints(outcome) == [], complaints(outcome)
        assert outcome.peak_mib < peak_mib, f"{outcome.peak_mib:.0f} MiB: {outcome.stderr}"
        after = self._around()
        assert after == before, f"outside the mirror: {after.items() ^ before.items()}"
        assert not [path for path in _ELSEWHERE if path.exists()]
        self._check_mirror()
        return outcome

    def held(self) -> set[str]:
        """The names of the files that the mirror has, `.metadata` included."""
        return {path.name for path in (self.mirror / "packages").rglob("*") if path.is_file()}

    def _around(self) -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            for path in sorted(self.top.rglob("*"))
            if not path.is_relative_to(self.mirror)
        }

    def _check_mirror(self) -> None:
        for path in self.mirror.rglob("*"):
            relative = path.relative_to(self.mirror).as_posix()
            assert path.is_dir() or _ALLOWED.fullmatch(relative), f"{relative} is no file of a mirror"
            assert not path.is_symlink()
            if path.is_file() and path.stat().st_size == self.secret.stat().st_size:
                assert path.read_bytes() != self.secret.read_bytes(), "the upstream made it read a local file"
        mirror = Mirror(self.mirror, self.mirror, self.mirror / ".pypim" / "catalog.sqlite")
        assert violations(mirror) == [], violations(mirror)
