"""The contract of Cached, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.records import CachedFile
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryHoldings, MemoryMetadataCache
from pypim.store.memory_cached import MemoryCached
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Cached, Holdings, MetadataCache

FLASK, CLICK = parse_name("flask"), parse_name("click")
WHEEL = values.holding(b"wheel", metadata=b"Name: flask")
SDIST = values.holding(b"a longer sdist", "flask-3.0.0.tar.gz")
OWNER = values.owner("up")
OTHER = values.holding(b"other", "click-8.0.tar.gz")


class Store:
    """A Cached with the ports beside it."""

    def __init__(self, cached: Cached, holdings: Holdings, metadata: MetadataCache) -> None:
        self.cached = cached
        self.holdings = holdings
        self.metadata = metadata
        self.bodies: dict[str, bytes] = {}

    def keep_body(self, key: str, body: bytes) -> None:
        self.metadata.keep_metadata(key, values.core_metadata(), body)
        self.bodies[key] = body


@pytest.fixture(params=["catalog", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "catalog":
        with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
            own = catalog.of(OWNER)
            yield Store(own.cached, own.holdings, own.metadata)
    else:
        holdings = MemoryHoldings()
        cached = MemoryCached(holdings)
        made = Store(cached, holdings, MemoryMetadataCache())
        made.bodies = cached.bodies
        yield made


def test_what_is_recorded_is_held_and_kept(store: Store) -> None:
    store.cached.record("up", [("one", FLASK, WHEEL), ("two", FLASK, SDIST)], 5.0)
    store.cached.record("up", [("three", CLICK, OTHER)], 7.0)
    assert dict(store.holdings.holdings()) == {"one": WHEEL, "two": SDIST, "three": OTHER}
    assert store.cached.held(FLASK) == {"one": WHEEL, "two": SDIST}
    assert store.cached.held(parse_name("none")) == {}
    assert store.cached.size("up") == WHEEL.blob.size + SDIST.blob.size + OTHER.blob.size
    assert store.cached.projects("up") == ["click", "flask"]
    assert store.cached.size("other") == 0
    assert store.cached.projects("other") == []


def test_recording_again_is_not_an_error(store: Store) -> None:
    for _ in range(2):
        store.cached.record("up", [("one", FLASK, WHEEL)], 5.0)
    assert store.cached.size("up") == WHEEL.blob.size


def test_the_oldest_use_comes_first(store: Store) -> None:
    store.cached.record("up", [("one", FLASK, WHEEL), ("two", FLASK, SDIST)], 5.0)
    store.cached.record("up", [("three", CLICK, OTHER)], 6.0)
    store.cached.use("up", {"one": 9.0, "three": 1.0, "unknown": 3.0})
    assert store.cached.oldest("up", 10.0) == [
        CachedFile("two", FLASK, SDIST.filename, SDIST.blob.size, 5.0),
        CachedFile("three", CLICK, OTHER.filename, OTHER.blob.size, 6.0),
        CachedFile("one", FLASK, WHEEL.filename, WHEEL.blob.size, 9.0),
    ]
    assert [file.identity for file in store.cached.oldest("up", 6.0)] == ["two"]
    assert store.cached.oldest("other", 10.0) == []


def test_what_is_dropped_is_no_longer_held_unless_another_index_keeps_it(store: Store) -> None:
    store.cached.record("up", [("one", FLASK, WHEEL), ("two", FLASK, SDIST)], 5.0)
    store.cached.record("other", [("one", FLASK, WHEEL)], 5.0)
    assert store.cached.drop("up", ["one", "two", "unknown"]) == [SDIST]
    assert dict(store.holdings.holdings()) == {"one": WHEEL}
    assert store.cached.size("up") == 0
    assert store.cached.drop("other", ["one"]) == [WHEEL]
    assert list(store.holdings.holdings()) == []


def test_what_metadata_can_be_given_out(store: Store) -> None:
    store.keep_body("a", b"Name: a")
    store.keep_body("b", b"Name: b")
    store.cached.keep_sidecar("a", "0" * 64)
    store.cached.keep_sidecar("b", None)
    assert store.cached.sidecars(["a", "b", "c"]) == {"a": "0" * 64, "b": None}
    assert [store.cached.sidecar(key) for key in "abc"] == [b"Name: a", None, None]
    store.cached.keep_sidecar("b", "1" * 64)
    assert store.cached.sidecar("b") == b"Name: b"


def test_what_a_generation_lists_stays_held_when_a_proxy_drops_it(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        cached = catalog.of(OWNER).cached
        cached.record("up", [("one", FLASK, WHEEL)], 5.0)
        assert catalog.generations.listed() == {"one"}, "prune must not take what a proxy keeps"
        assert catalog.generations.listed(besides="main") == {"one"}
        selection = values.selection()
        identity = selection.releases[0].files[0].identity
        catalog.generations.begin("main", selection, 1.0)
        cached.record("up", [(identity, FLASK, SDIST)], 5.0)
        assert cached.drop("up", ["one", identity]) == [WHEEL]
        assert cached.held(FLASK) == {identity: SDIST}
