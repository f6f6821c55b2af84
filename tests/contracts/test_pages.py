"""The contract of Pages, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.records import outline_of
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryPages, OverlayPages
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Pages


@pytest.fixture(params=["catalog", "memory", "overlay"])
def pages(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pages]:
    match request.param:
        case "catalog":
            with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
                yield catalog.of(values.owner(credentials="c0ffee")).pages
        case "memory":
            yield MemoryPages()
        case _:
            yield OverlayPages(MemoryPages())


def test_what_was_never_kept_is_none(pages: Pages) -> None:
    assert pages.response("https://index.example/simple/flask/") is None


@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)) * 5000])
def test_an_answer_comes_back_as_it_was_kept(pages: Pages, body: bytes) -> None:
    kept = values.response(body=body, etag=None, serial=None, last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    pages.keep_response("main", kept, None)
    assert pages.response(kept.url) == kept


@pytest.mark.parametrize("body", [b"", b"{}", bytes(range(256)) * 5000])
def test_the_outline_tells_an_answer_from_others_without_its_body(pages: Pages, body: bytes) -> None:
    kept = values.response(body=body, etag=None, last_modified="Mon, 01 Jan 2024 00:00:00 GMT")
    assert pages.outline(kept.url) is None
    pages.keep_response("main", kept, None)
    outline = pages.outline(kept.url)
    assert outline == outline_of(kept)
    assert (outline.length, outline.last_modified) == (len(body), kept.last_modified)
    pages.touch_response(kept.url, 5000.5)
    touched = pages.outline(kept.url)
    assert touched is not None
    assert (touched.fetched_at, touched.checksum) == (5000.5, outline.checksum)


def test_the_newest_answer_replaces_the_older_one(pages: Pages) -> None:
    pages.keep_response("main", values.response(), values.page())
    newer = values.response(status=404, body=b"gone", etag=None, fetched_at=2000.0)
    pages.keep_response("main", newer, None)
    assert pages.response(newer.url) == newer


def test_answers_of_other_urls_stay(pages: Pages) -> None:
    one, other = values.response(), values.response("https://index.example/simple/click/")
    pages.keep_response("main", one, values.page())
    pages.keep_response("main", other, values.page("click"))
    assert pages.response(one.url) == one
    assert pages.response(other.url) == other


def test_the_last_serial_is_the_highest_that_was_told_below_a_url(pages: Pages) -> None:
    root = "https://index.example/simple/"
    assert pages.last_serial(root) is None
    pages.keep_response("main", values.response(serial=None), None)
    assert pages.last_serial(root) is None
    pages.keep_response("main", values.response(serial=7), None)
    page = msgspec.structs.replace(values.page("click"), last_serial=12)
    pages.keep_response("main", values.response(f"{root}click/", serial=None), page)
    pages.keep_response("main", values.response("https://other.example/simple/", serial=99), None)
    assert pages.last_serial(root) == 12
    pages.keep_response("main", values.response(f"{root}click/", serial=8), None)
    assert pages.last_serial(root) == 8
    assert pages.last_serial("https://other.example/simple/") == 99


def test_touching_changes_the_time_and_nothing_else(pages: Pages) -> None:
    kept = values.response()
    pages.keep_response("main", kept, values.page())
    pages.touch_response(kept.url, 5000.5)
    assert pages.response(kept.url) == msgspec.structs.replace(kept, fetched_at=5000.5)


def test_touching_what_was_never_kept_keeps_nothing(pages: Pages) -> None:
    pages.touch_response("https://index.example/simple/none/", 1.0)
    assert pages.response("https://index.example/simple/none/") is None


def test_an_overlay_reads_the_other_and_never_writes_to_it() -> None:
    under = MemoryPages()
    kept = values.response()
    under.keep_response("main", kept, None)
    overlay = OverlayPages(under)
    assert overlay.response(kept.url) == kept
    overlay.touch_response(kept.url, 9.0)
    overlay.keep_response("main", values.response("https://index.example/simple/new/"), None)
    found = overlay.response(kept.url)
    assert found is not None
    assert found.fetched_at == 9.0
    assert under.response(kept.url) == kept
    assert under.response("https://index.example/simple/new/") is None
