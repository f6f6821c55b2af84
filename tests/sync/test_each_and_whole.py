"""Choosing project by project gives what choosing everything at once gives: the same tree, the same catalog."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pypim.core.selection import Selection
from pypim.store.catalog import Catalog
from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, files_below
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

NAMES = ("app", "lib", "zope-a", "zope-b", "tool", "old")
STEPS = 5
FILTERS: tuple[Document, ...] = ({}, {"keep_latest": 2}, {"exclude": ["lib>=3"]}, {"max_releases": 3})


def changed(world: World, chance: random.Random) -> World:
    """Something happens upstream: a release, a yank, a new project, one that is quarantined."""
    name = chance.choice(NAMES)
    if name not in world.names:
        return world.having(project(name, "1.0"))
    number = len({file.version for file in world.files_of(name)}) + 1
    files = chance.choice(((wheel(),), (wheel(), sdist()), (sdist(),), (wheel("cp312-cp312-win_amd64"),)))
    match chance.randrange(6):
        case 0:
            return world.having(project(name, *(f"{n}.0" for n in range(1, number)), status="quarantined"))
        case 1:
            return world.releasing(name, release(f"{number}.0", *files, yanked="broken"))
        case _:
            return world.releasing(name, release(f"{number}.0", *files))


def selected(mirror: Mirror) -> Selection:
    """What the catalog names, less where it stands in the configuration."""
    with Catalog.open(mirror.store / "catalog.sqlite", writable=False) as catalog:
        selection = catalog.generations.current_selection("main")
    assert selection is not None
    return selection


def chosen(mirror: Mirror) -> list[tuple[str, str, list[str]]]:
    return [(one.project, one.version, [file.identity for file in one.files]) for one in selected(mirror).releases]


@pytest.mark.parametrize("removal", ["prune", "keep"])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_tree_and_the_same_catalog(serve: ServeWorld, tmp_path: Path, seed: int, removal: str) -> None:
    chance = random.Random(seed)
    server = serve(World.of(*(project(name, "1.0") for name in NAMES[:4])))
    filters, rule = FILTERS[seed % len(FILTERS)], chance.choice(("latest", "2 latest", "*"))
    common: Document = {"dependencies": {"follow": False}, "filters": filters, "on_removal": removal}
    each = Mirror(tmp_path / "each").configure(server.url, patterns={".*": rule}, **common)
    whole = Mirror(tmp_path / "whole")
    listed: set[str] = set()
    for _ in range(STEPS):
        for _ in range(chance.randrange(1, 4)):
            server.world = changed(server.world, chance)
        each.sync()
        # A project in quarantine is in no list: a pattern never finds one that has always been there.
        listed |= {name for name in server.world.names if server.world.spec(name).status == "active"}
        whole.configure(server.url, packages=dict.fromkeys(sorted(listed), rule), **common)
        whole.run(
            "sync", "--keep-going", "--force"
        )  # it guards what could be installed; of the other nobody expects it
        assert chosen(each) == chosen(whole)
        assert files_below(each.tree) == files_below(whole.tree)


def test_faults_between_leave_no_trace(serve: ServeWorld, tmp_path: Path) -> None:
    """Whatever failed on the way, in the end it is as one clean sync makes it."""
    chance = random.Random(7)
    server = serve(World.of(*(project(name, "1.0") for name in NAMES[:4])))
    common: Document = {"dependencies": {"follow": False}, "patterns": {".*": "2 latest"}, "on_removal": "prune"}
    mirror = Mirror(tmp_path / "mirror").configure(server.url, **common)
    for fault in (faults.status(503), faults.no_answer(), faults.cut_after(20), faults.wrong_bytes()):
        server.world = changed(changed(server.world, chance), chance)
        server.misbehave(f"/{chance.choice(('simple', 'packages'))}/*", fault, times=2)
        mirror.run("sync", *(["--max-bytes", "900 B"] if chance.random() < 0.5 else []))
        server.behave()
    with Catalog.open(mirror.store / "catalog.sqlite") as catalog:
        items = catalog.backlog.todo("main")
        catalog.backlog.keep_todo("main", [type(item)(**{**_fields(item), "next_at": 0.0}) for item in items.values()])
    mirror.sync()
    clean = Mirror(tmp_path / "clean").configure(server.url, **common)
    clean.sync()
    assert files_below(mirror.tree) == files_below(clean.tree)
    assert chosen(mirror) == chosen(clean)


def _fields(item: object) -> Document:
    return {name: getattr(item, name) for name in item.__struct_fields__}  # type: ignore[attr-defined] # a msgspec value
