"""The projects of the generated upstreams: pure and seeded, so that every machine measures the same files."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from statistics import NormalDist

from tests.worlds.world import FileSpec, ProjectSpec, ReleaseSpec, World

PROJECTS = 300
FILES = 10_159
LARGE_FILES = 2_064
SMALL_FILES = 10
MEDIAN_BYTES = 19_000
SPREAD = 1.77
"""Standard deviation of the logarithm of the sizes: gives 0.93 GB in all and about a hundred files above 1 MB."""
CAP_BYTES = 20_000_000
_OVERHEAD_BYTES = 1_100
ROOTS = 30
LIBRARIES = 41
INSTALLED = 40
COLD_FILES = 5
_TAGS = [
    f"cp3{minor}-cp3{minor}-{platform}"
    for minor in (10, 11, 12, 13)
    for platform in ("manylinux_2_17_x86_64.manylinux2014_x86_64", "win_amd64", "macosx_11_0_arm64")
]


@dataclass
class _Sizes:
    """Hands out file sizes in bytes: the quantiles of a log-normal distribution, shuffled."""

    rng: random.Random

    def __post_init__(self) -> None:
        normal = NormalDist(math.log(MEDIAN_BYTES), SPREAD)
        drawn = [min(CAP_BYTES, math.exp(normal.inv_cdf((n + 0.5) / FILES))) for n in range(FILES)]
        self.left = [max(0, int(size) - _OVERHEAD_BYTES) for size in drawn]
        self.rng.shuffle(self.left)

    def give(self, spec: FileSpec) -> FileSpec:
        """Return the spec with the next size."""
        return replace(spec, payload=self.left.pop())


def large_upstream() -> World:
    """Return S: 300 projects, 10,159 files, 0.93 GB, one project of 2,064 files and one of ten."""
    rng = random.Random("upstream S")
    sizes = _Sizes(rng)
    weights = [rng.lognormvariate(0, 1.1) for _ in range(PROJECTS - 2)]
    counts = _shares(FILES - LARGE_FILES - SMALL_FILES, weights)
    projects = [
        _project(rng, sizes, "bench-large", LARGE_FILES, _wheels(12)),
        _project(rng, sizes, "bench-small", SMALL_FILES, _pure()),
    ]
    for number, count in enumerate(counts):
        files = _pure() if rng.random() < 0.3 else (FileSpec(kind="sdist"), *_wheels(rng.choice([3, 5, 7, 9])))
        projects.append(_project(rng, sizes, f"bench-{number:03}", count, files))
    return World.of(*projects)


def change(world: World, number: int) -> World:
    """Return the world after the n-th change of 1 %: three projects, 22 new files."""
    rng = random.Random(f"change {number}")
    names = [name for name in world.names if name not in {"bench-large", "bench-small"}]
    for name, count in zip(rng.sample(names, 3), (10, 8, 4), strict=True):
        files = tuple(replace(spec, payload=rng.randrange(5_000, 60_000)) for spec in _wheels(count))
        world = world.releasing(name, ReleaseSpec(version=f"{1000 + number}.0", files=files))
    return world


def dependency_upstream() -> World:
    """Return 71 projects of six releases with wheels of about 100 KB: 30 roots that need all the rest."""
    rng = random.Random("upstream of dependencies")
    projects = []
    for number in range(ROOTS):
        needs = {number, number + ROOTS if number + ROOTS < LIBRARIES else number, *rng.sample(range(LIBRARIES), 2)}
        projects.append(_linked(rng, f"root-{number:02}", sorted(needs), has_sdist=number % 4 != 0))
    for number in range(LIBRARIES):
        above = range(number + 1, LIBRARIES)
        needs = set(rng.sample(above, min(len(above), rng.choice([0, 1, 1, 2]))))
        projects.append(_linked(rng, f"lib-{number:02}", sorted(needs), has_sdist=number % 4 != 0))
    return World.of(*projects)


def serving_upstream() -> World:
    """Return pages of ten files and of 2,064, files of 100 KB and of 20 MB, and 40 projects that one install takes."""
    rng = random.Random("upstream of the server")
    small, large = replace(_pure()[0], payload=5_000), tuple(replace(spec, payload=200) for spec in _wheels(12))
    projects = [
        ProjectSpec(
            name="bench-small",
            releases=tuple(ReleaseSpec(version=f"{n}.0", files=(small,), requires_python=">=3.8") for n in range(10)),
        ),
        ProjectSpec(
            name="bench-large",
            releases=tuple(
                ReleaseSpec(version=f"{n}.0", files=large, requires_python=">=3.8") for n in range(LARGE_FILES // 12)
            ),
        ),
        _single("bench-100k", 98_900),
        *(_single(f"bench-20m-{n}", CAP_BYTES - _OVERHEAD_BYTES) for n in range(COLD_FILES)),
    ]
    for number in range(INSTALLED):
        needs = sorted({2 * number + 1, 2 * number + 2} & set(range(INSTALLED)))  # the first needs all the others
        requires = tuple(f"app-{other:02}>=1.0" for other in needs)
        files = (replace(_pure()[0], payload=rng.randrange(60_000, 140_000)),)
        releases = tuple(ReleaseSpec(version=f"{n}.0", files=files, requires=requires) for n in range(1, 7))
        projects.append(ProjectSpec(name=f"app-{number:02}", releases=releases))
    return World.of(*projects)


def _single(name: str, payload: int) -> ProjectSpec:
    return ProjectSpec(name=name, releases=(ReleaseSpec(version="1.0", files=(FileSpec(payload=payload),)),))


def one_large_project() -> World:
    """Return one project with 2,064 files of 10 KB."""
    wheels = tuple(replace(spec, payload=9_000) for spec in _wheels(12))
    releases = tuple(ReleaseSpec(version=f"{n + 1}.0", files=wheels) for n in range(LARGE_FILES // 12))
    return World.of(ProjectSpec(name="bench-one", releases=releases))


def many_small_projects() -> World:
    """Return 2,064 projects with one file of 10 KB each."""
    release = ReleaseSpec(version="1.0", files=(FileSpec(payload=9_000),))
    return World.of(*(ProjectSpec(name=f"bench-one-{n:04}", releases=(release,)) for n in range(LARGE_FILES)))


def _pure() -> tuple[FileSpec, ...]:
    return (FileSpec(), FileSpec(kind="sdist", metadata_version="2.2"))


def _wheels(count: int) -> tuple[FileSpec, ...]:
    return tuple(FileSpec(tags=tag) for tag in _TAGS[:count])


def _shares(total: int, weights: list[float]) -> list[int]:
    """Split a total into whole parts of at least one, in proportion to the weights."""
    spare = total - len(weights)
    scale = spare / sum(weights)
    parts = [1 + int(weight * scale) for weight in weights]
    for n in range(total - sum(parts)):
        parts[n] += 1
    return parts


def _project(rng: random.Random, sizes: _Sizes, name: str, count: int, pattern: tuple[FileSpec, ...]) -> ProjectSpec:
    releases = []
    year = rng.randrange(2015, 2023)
    for number, start in enumerate(range(0, count, len(pattern))):
        files = tuple(sizes.give(spec) for spec in pattern[: count - start])
        requires = tuple(f"bench-{rng.randrange(PROJECTS - 2):03}>=1" for _ in range(rng.randrange(4)))
        time = f"{year + number // 300}-{number % 12 + 1:02}-{number % 28 + 1:02}T{number % 24:02}:15:30.123456Z"
        version = f"{number // 10 + 1}.{number % 10}"
        releases.append(
            ReleaseSpec(version=version, files=files, requires=requires, requires_python=">=3.8", upload_time=time)
        )
    return ProjectSpec(name=name, releases=tuple(releases))


def _linked(rng: random.Random, name: str, needs: list[int], *, has_sdist: bool) -> ProjectSpec:
    requires = tuple(f"lib-{other:02}>={rng.randrange(1, 4)}.0,<99" for other in needs)
    files = tuple(replace(spec, payload=rng.randrange(60_000, 140_000)) for spec in _pure()[: 1 + has_sdist])
    releases = (ReleaseSpec(version=f"{n}.0", files=files, requires=requires) for n in range(1, 7))
    return ProjectSpec(name=name, releases=tuple(releases))
