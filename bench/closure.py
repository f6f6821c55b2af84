"""Times the closure alone: generated projects in memory, one environment and twelve, no network and no store.

`python -m bench.closure [PROJECTS]` prints the seconds that choosing takes, and the seconds that the round trips of the
wants would take with 25 ms each, sixteen at once.
"""

from __future__ import annotations

import hashlib
import heapq
import random
import sys
import time
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pypim.core.candidates import Chooser
from pypim.core.closure import Closure, FollowOptions, Root, WantPage
from pypim.core.model import CoreMetadata, DistFile, MetadataSource, Page
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.rules import parse_rule
from pypim.core.target import TargetSpec, environments

if TYPE_CHECKING:
    from pypim.core.closure import Want
    from pypim.core.selection import Selection

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = {"linux": "manylinux_2_17_x86_64", "windows": "win_amd64", "macos": "macosx_11_0_arm64"}
ROUND_TRIP_SECONDS = 0.025
CONNECTIONS = 16
POPULAR = 40
"""So many projects get a third of all requirements, as a few do everywhere."""


class World:
    """Projects that require only earlier ones; every fifth has a wheel for each Python and platform."""

    def __init__(self, projects: int) -> None:
        self._random = random.Random(20261120)  # the same world every time
        self.pages: dict[str, Page] = {}
        self.metadata: dict[str, CoreMetadata] = {}
        for number in range(projects):
            self._project(number)

    def _project(self, number: int) -> None:
        name = parse_name(f"p{number}")
        files: list[DistFile] = []
        for release in range(self._random.choice((1, 3, 5, 10, 40))):
            version = f"{release // 5 + 1}.{release % 5}"
            tags = ["py3-none-any"]
            if number % 5 == 0:
                tags = [f"cp3{p[2:]}-cp3{p[2:]}-{tag}" for p in PYTHONS for tag in PLATFORMS.values()]
            requires = tuple(self._requirement(number) for _ in range(self._random.randrange(9))) if number else ()
            for filename in (f"p{number}-{version}.tar.gz", *(f"p{number}-{version}-{tag}.whl" for tag in tags)):
                file = DistFile(
                    filename=parse_safe_filename(filename),
                    url=f"https://files.example/{filename}",
                    sha256=hashlib.sha256(filename.encode()).hexdigest(),
                    size=1000,
                    requires_python=">=3.8",
                )
                files.append(file)
                self.metadata[file.identity] = CoreMetadata(
                    name=name,
                    version=version,
                    requires_dist=requires,
                    requires_python=">=3.8",
                    source=MetadataSource.ADVERTISED,
                )
        self.pages[name] = Page(name=name, files=tuple(files))

    def _requirement(self, number: int) -> str:
        required = self._random.randrange(min(number, POPULAR) if self._random.random() < 1 / 3 else number)
        specifier = self._random.choice(("", "", ">=1.0", ">=1.1,<9", "!=1.0"))
        marker = self._random.choice(("", "", "", '; python_version < "3.12"', '; sys_platform == "win32"'))
        return f"p{required}{specifier}{marker}"

    def answer(self, want: Want) -> Page | CoreMetadata | None:
        """What an upstream would say."""
        return self.pages.get(want.project) if isinstance(want, WantPage) else self.metadata[want.file.identity]


def choose(world: World, targets: dict[str, TargetSpec], roots: int) -> tuple[Selection, float, float]:
    """The selection, the seconds it took, and the seconds that the round trips would have taken."""
    policy = Policy.compile(Filters(), "filters")
    closure = Closure(Chooser(environments(targets), policy, datetime.now(UTC)), FollowOptions())
    rule = parse_rule("latest", "packages")
    asked = [Root(project=parse_name(name), rule=rule, origin="packages", text="latest") for name in world.pages]
    started = time.perf_counter()
    waiting = deque(closure.start(asked[-roots:]))
    running: list[tuple[float, int, Want]] = []
    now = 0.0
    count = 0
    while waiting or running:
        while waiting and len(running) < CONNECTIONS:
            heapq.heappush(running, (now + ROUND_TRIP_SECONDS, count, waiting.popleft()))
            count += 1
        now, _, want = heapq.heappop(running)
        waiting.extend(closure.answer(want, world.answer(want)))
    selection = closure.selection()
    return selection, time.perf_counter() - started, now


def main() -> None:
    """Print a line for each set of environments and number of roots."""
    projects = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    world = World(projects)
    one = {"one": TargetSpec(python=("3.12",), platforms=("linux",))}
    twelve = {"twelve": TargetSpec(python=PYTHONS, platforms=tuple(PLATFORMS))}
    for targets in (one, twelve):
        for roots in (30, projects):
            selection, seconds, trips = choose(world, targets, roots)
            files = sum(len(release.files) for release in selection.releases)
            print(
                f"{len(environments(targets)):>2} environments, {roots:>6} roots: {seconds:6.2f} s for "
                f"{len(selection.releases):,} releases, {files:,} files; round trips {trips:.2f} s"
            )


if __name__ == "__main__":
    main()
