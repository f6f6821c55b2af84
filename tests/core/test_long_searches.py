"""Searches that take long end, let others have their turn, and do not grow with the number of their beginnings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import NotFound
from pypim.core.policy import Filters
from pypim.core.resolve import Resolution
from pypim.sync.collect import Collector
from tests.core.offers import Following, Offer, World, answer_all, pythons, releases_of, resolve, small, wheel

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import CoreMetadata, DistFile, Page

RESOLVED = Following(versions="resolve")


def pigeons(count: int) -> World:
    """So many pigeons in one hole less, each alone in its own: every combination contradicts itself."""
    holes = range(1, count)
    projects = {f"pig{n}": {f"{k}.0": [f"hole{k}=={n}.0"] for k in holes} for n in range(1, count + 1)}
    projects |= {f"hole{k}": {f"{n}.0": [] for n in range(1, count + 1)} for k in holes}
    projects["r"] = {"1.0": [f"pig{n}" for n in range(1, count + 1)]}
    return small(projects, "r", dependencies=RESOLVED, targets=pythons("3.11", "3.12", platforms=("linux", "windows")))


def limited(world: World, most_steps: int) -> Resolution:
    """Of a world, with a budget of its own."""
    return Resolution(world.chooser(), world.dependencies.options(), most_steps=most_steps)


def test_what_takes_too_long_is_undecided_once_for_all_environments_and_readings() -> None:
    """The budget is that of a root: no reading and no environment has one of its own."""
    world = pigeons(7)
    resolution = limited(world, 20_000)
    answer_all(world, resolution)
    (pair,) = resolution.pairs
    assert pair.is_undecided
    assert pair.mask == (1 << len(resolution.environments)) - 1
    assert pair.failure == "undecided: no decision within 20,000 steps"
    (problem,) = resolution.selection().problems
    assert problem.is_root
    assert "undecided" in problem.reason


def test_the_budget_suffices_for_what_can_be_decided() -> None:
    world = pigeons(5)
    resolution = limited(world, 20_000)
    answer_all(world, resolution)
    assert not any(pair.is_undecided for pair in resolution.pairs)
    assert all(pair.failure for pair in resolution.pairs)


def test_a_long_search_pauses_while_nothing_is_known_yet_of_its_end() -> None:
    """A driver gets its turn in between, and what comes of it is the same as without."""
    world = pigeons(7)
    resolution = limited(world, 10_000_000)
    waiting = resolution.start(world.asked())
    pauses = 0
    while waiting or resolution.is_busy:
        if resolution.is_busy:
            pauses += 1
            waiting += resolution.go_on()
        else:
            want = waiting.pop()
            waiting += resolution.answer(want, world.answer(want))
    assert pauses > 3
    assert resolution.selection() == resolve(world)[1]


class Told:
    """An index and the metadata of a world, as a collector asks for them."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def project(self, name: NormalizedName) -> Page:
        """Its page."""
        page = self.world.page(name)
        if page is None:
            raise NotFound(f"no project {name}", hint="Name another.")
        return page

    async def metadata(self, project: NormalizedName, file: DistFile) -> CoreMetadata:
        """That of a file."""
        found = self.world.projects[project][file.filename].metadata(project, file.filename)
        assert found is not None
        return found

    async def size(self, file: DistFile, *, limit_bytes: int) -> int | None:
        """It is on the page."""
        return file.size


class Silent:
    """Tells nobody."""

    def stage(self, name: str, *, total: int | None = None, unit: str = "") -> None:
        """Nothing."""

    def advance(self, amount: int = 1, *, total: int | None = None) -> None:
        """Nothing."""


async def test_whoever_is_stopped_need_not_wait_for_a_long_search() -> None:
    """Collecting is cancelled in the middle of a search that would take hours (Ctrl-C, SIGTERM)."""
    world = pigeons(14)
    told = Told(world)
    resolution = limited(world, 1 << 60)
    collector = Collector(told, told, told, Silent(), keeps_going=False)  # type: ignore[arg-type]  # what is asked here
    collecting = asyncio.create_task(collector.collect(resolution, world.asked()))
    while not resolution.is_busy:
        await asyncio.sleep(0)
    collecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await collecting


def test_many_files_that_are_found_too_large_are_ruled_out_one_after_the_other() -> None:
    """However many: a search that begins again does not stand within the one before."""
    count = 1_200
    large = {wheel("lib", f"{n}.0"): Offer(size=None, real_size=5_000) for n in range(2, count)}
    world = small(
        {
            "r": {"1.0": ["old==1.0"]},
            "old": {"1.0": Offer(yanked=True, requires=("lib<5000",)), "2.0": []},
            "lib": {"0.5": [], "1.0": [], **large},
        },
        "r",
        dependencies=RESOLVED,
        filters=Filters(max_file_size="1 kB"),
        targets=pythons("3.12"),
    )
    assert releases_of(resolve(world)[1]) == ["lib 1.0", "old 1.0", "r 1.0"]
