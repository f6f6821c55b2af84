"""The contract of Plans, on every implementation."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.records import KeptPlan
from pypim.store.catalog import Catalog
from pypim.store.catalog_plans import LatePlans
from pypim.store.lock import StoreLock
from pypim.store.memory import MemoryPlans, OverlaySizes
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Plans
    from pypim.store.catalog_plans import CatalogPlans

KEPT = KeptPlan(request="a" * 64, inputs=(("roots.txt", "b" * 64),), version=0, fresh_until=5.5, answer=b"\x00 plan")


@contextmanager
def late(path: Path) -> Iterator[tuple[Plans, OverlaySizes]]:
    """Plans of a catalog that is open for reading only."""

    @contextmanager
    def for_writing() -> Iterator[CatalogPlans]:
        with Catalog.open(path) as catalog:
            yield catalog.plans

    with Catalog.open(path, writable=False) as catalog:
        overlay = OverlaySizes(catalog.sizes)
        yield LatePlans(catalog.plans, path, for_writing, [overlay]), overlay


@pytest.fixture(params=["catalog", "memory", "late"])
def plans(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plans]:
    path = tmp_path / "catalog.sqlite"
    match request.param:
        case "catalog":
            with Catalog.open(path) as catalog:
                yield catalog.plans
        case "memory":
            yield MemoryPlans()
        case _:
            Catalog.open(path).close()
            with late(path) as (found, _):
                yield found


def test_nothing_is_remembered_at_first(plans: Plans) -> None:
    assert plans.plan("main") is None


def test_a_plan_comes_back_as_it_was_kept(plans: Plans) -> None:
    kept = msgspec.structs.replace(KEPT, version=plans.version() or 0)
    plans.keep_plan("main", kept)
    assert plans.plan("main") == kept
    assert plans.plan("other") is None


def test_the_newest_plan_replaces_the_older_one(plans: Plans) -> None:
    for answer in (b"old", b"new"):
        plans.keep_plan("main", msgspec.structs.replace(KEPT, version=plans.version() or 0, answer=answer))
    found = plans.plan("main")
    assert found is not None
    assert found.answer == b"new"


def test_to_remember_a_plan_teaches_nothing(plans: Plans) -> None:
    before = plans.version()
    plans.keep_plan("main", msgspec.structs.replace(KEPT, version=before or 0))
    assert plans.version() == before


def test_whatever_is_learned_held_or_listed_makes_another_version(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        seen = [catalog.plans.version()]

        def note() -> None:
            seen.append(catalog.plans.version())

        for body in (b"{}", b'{"files": []}'):
            catalog.pages.keep_response("up", values.response(body=body), values.page())
            note()
            catalog.metadata.keep_metadata("a" * 64, values.core_metadata(), body)
            note()
            catalog.sizes.keep_size("a" * 64, len(body))
            note()
            catalog.capabilities.keep_capability("up", "ranges", is_offered=True)
            note()
        generation = catalog.generations.begin("main", values.selection(), 1.0)
        note()
        catalog.generations.finish(generation, 2.0)
        note()
        assert len(set(seen)) == len(seen)
        catalog.pages.touch_response(values.response().url, 9.0, 10.0)
        assert catalog.plans.version() == seen[-1]


def test_what_was_learned_and_is_not_kept_has_no_version(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.open(path).close()
    with late(path) as (plans, overlay):
        assert plans.version() is not None
        overlay.keep_size("a" * 64, 3)
        assert plans.version() is None


def test_no_store_is_made_and_nobody_is_waited_for(tmp_path: Path) -> None:
    """A plan is remembered by the way: not where there is no catalog, not while another run holds the lock."""
    folder = tmp_path / "store"
    with late(folder / "catalog.sqlite") as (plans, _):
        plans.keep_plan("main", KEPT)
    assert not folder.exists()
    folder.mkdir()
    Catalog.open(folder / "catalog.sqlite").close()
    with StoreLock(folder), late(folder / "catalog.sqlite") as (plans, _):
        plans.keep_plan("main", msgspec.structs.replace(KEPT, version=plans.version() or 0))
        assert plans.plan("main") is None


def test_a_plan_of_an_older_state_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog.open(path).close()
    with late(path) as (plans, _):
        version = plans.version()
        with Catalog.open(path) as catalog:
            catalog.sizes.keep_size("a" * 64, 3)
        plans.keep_plan("main", msgspec.structs.replace(KEPT, version=version or 0))
        assert plans.plan("main") is None
