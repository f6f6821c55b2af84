"""The contract of MetadataCache, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryMetadataCache, OverlayMetadataCache
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import MetadataCache

KEY = "a" * 64


@pytest.fixture(params=["catalog", "memory", "overlay"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MetadataCache]:
    match request.param:
        case "catalog":
            with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
                yield catalog.of(values.owner(credentials="c0ffee")).metadata
        case "memory":
            yield MemoryMetadataCache()
        case _:
            yield OverlayMetadataCache(MemoryMetadataCache())


def test_an_unknown_file_is_none(cache: MetadataCache) -> None:
    assert cache.metadata(KEY) is None


@pytest.mark.parametrize("body", [None, b"", b"Metadata-Version: 2.1\nName: flask\n"])
def test_metadata_comes_back_equal(cache: MetadataCache, body: bytes | None) -> None:
    kept = values.core_metadata("flask", "click>=8", 'x; extra == "async"')
    cache.keep_metadata(KEY, kept, body)
    assert cache.metadata(KEY) == kept


def test_keeping_again_replaces(cache: MetadataCache) -> None:
    cache.keep_metadata(KEY, values.core_metadata("flask", "click"), b"one")
    newer = values.core_metadata("flask")
    cache.keep_metadata(KEY, newer, None)
    assert cache.metadata(KEY) == newer


def test_the_key_may_be_a_url(cache: MetadataCache) -> None:
    kept = values.core_metadata()
    cache.keep_metadata("https://files.example/flask-3.0.0.zip", kept, None)
    assert cache.metadata("https://files.example/flask-3.0.0.zip") == kept
    assert cache.metadata(KEY) is None


def test_an_overlay_reads_the_other_and_never_writes_to_it() -> None:
    under = MemoryMetadataCache()
    kept = values.core_metadata()
    under.keep_metadata(KEY, kept, None)
    overlay = OverlayMetadataCache(under)
    assert overlay.metadata(KEY) == kept
    overlay.keep_metadata(KEY, values.core_metadata("flask", "new"), None)
    assert overlay.metadata(KEY) == values.core_metadata("flask", "new")
    assert under.metadata(KEY) == kept


def test_what_checked_bytes_say_stays_whatever_an_upstream_says_later(cache: MetadataCache) -> None:
    """Anybody can list any hash; bytes that have it say for certain what is in them."""
    cache.keep_metadata(KEY, values.core_metadata("flask", "said"), b"said")
    true = values.core_metadata("flask", "true")
    cache.keep_metadata(KEY, true, b"true", is_checked=True)
    cache.keep_metadata(KEY, values.core_metadata("flask", "said-again"), b"said again")
    assert cache.metadata(KEY) == true
    assert cache.metadata_of([KEY, "unknown"]) == {KEY: true}


def test_what_many_checked_files_say_is_kept_at_once(cache: MetadataCache) -> None:
    other = "b" * 64
    cache.keep_metadata(KEY, values.core_metadata("flask", "said"), b"said")
    learned = {key: values.core_metadata("flask", key[:1]) for key in (KEY, other)}
    cache.keep_checked([(key, metadata, b"true") for key, metadata in learned.items()])
    cache.keep_metadata(other, values.core_metadata("flask", "said-again"), b"said again")
    assert cache.metadata_of([KEY, other]) == learned


def test_what_an_upstream_says_counts_for_that_upstream_only(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        good = catalog.of(values.owner("good", "https://good.example/simple/")).metadata
        same = catalog.of(values.owner("same", "https://good.example/simple/")).metadata
        evil = catalog.of(values.owner("evil", "https://evil.example/simple/")).metadata
        told = catalog.of(values.owner("good", "https://good.example/simple/", "c0ffee")).metadata
        evil.keep_metadata(KEY, values.core_metadata("flask", "evil"), b"evil")
        assert (good.metadata(KEY), good.metadata_of([KEY])) == (None, {})
        good.keep_metadata(KEY, values.core_metadata("flask", "good"), b"good")
        assert good.metadata(KEY) == same.metadata(KEY) == values.core_metadata("flask", "good")
        assert evil.metadata(KEY) == values.core_metadata("flask", "evil")
        assert told.metadata(KEY) is None
        true = values.core_metadata("flask", "true")
        same.keep_metadata(KEY, true, b"true", is_checked=True)
        assert {cache.metadata(KEY) == true for cache in (good, same, evil, told)} == {True}


def test_what_an_upstream_says_of_requirements_is_asked_for_as_that_upstreams(tmp_path: Path) -> None:
    """`exclude-dependents` asks who requires a project: an upstream must not take projects out of another's mirror."""
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        good = catalog.of(values.owner("good", "https://good.example/simple/"))
        evil = catalog.of(values.owner("evil", "https://evil.example/simple/"))
        evil.metadata.keep_metadata(KEY, values.core_metadata("flask", "banned"), b"evil")
        banned = parse_name("banned")
        assert [one.project for one in evil.facts.requiring(banned)] == ["flask"]
        assert [one.project for one in catalog.facts.requiring(banned)] == ["flask"]
        assert good.facts.requiring(banned) == []
        assert good.facts.required_by(parse_name("flask")) == []
        good.metadata.keep_metadata(KEY, values.core_metadata("flask", "click"), b"true", is_checked=True)
        assert catalog.facts.requiring(banned) == [], "the bytes themselves say something else"
        evil.metadata.keep_metadata(KEY, values.core_metadata("flask", "banned"), b"evil again")
        assert catalog.facts.requiring(banned) == []
        assert [one.project for one in evil.facts.requiring(parse_name("click"))] == ["flask"]
