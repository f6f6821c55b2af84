"""The contract of MetadataCache, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
                yield catalog.metadata
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
