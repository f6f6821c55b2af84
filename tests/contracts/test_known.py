"""The contract of Known: what need not be asked for, and how far what was kept is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pypim.core.followed import Followed, Way
from pypim.core.freshness import Trust
from pypim.core.names import parse_name
from pypim.index.conditional import Belief
from pypim.index.known import KeptFacts
from pypim.store.memory import MemoryMetadataCache, MemoryPages
from pypim.store.memory_following import MemoryFollowing
from tests.store import values

if TYPE_CHECKING:
    from pypim.ports import Known

ROOT = "https://index.example/simple/"
FLASK, CLICK, GONE = parse_name("flask"), parse_name("click"), parse_name("gone")
COMPLETE = values.dist_file(size=3, upload_time="2024-01-01T00:00:00Z", sha256="a" * 64)


class AtTwoHundred:
    """A Clock that stands still."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(200.0, UTC)


@pytest.fixture
def pages() -> MemoryPages:
    found = MemoryPages()
    fresh = values.response(f"{ROOT}flask/", fetched_at=100.0, fresh_until=300.0)
    stale = values.response(f"{ROOT}click/", fetched_at=100.0, fresh_until=150.0)
    found.keep_response("up", fresh, values.page("flask", COMPLETE))
    found.keep_response("up", stale, values.page("click", COMPLETE))
    found.keep_response("up", values.response(f"{ROOT}gone/", status=404, fetched_at=100.0, fresh_until=300.0), None)
    return found


def known(pages: MemoryPages, trust: Trust, following: MemoryFollowing | None = None) -> Known:
    cache = MemoryMetadataCache()
    cache.keep_metadata("a" * 64, values.core_metadata(), None)
    url = f"https://someone:secret@{ROOT.removeprefix('https://')}"
    return KeptFacts(url, pages, cache, following or MemoryFollowing(), Belief(AtTwoHundred(), trust))


@pytest.mark.parametrize(
    ("trust", "names"), [(Trust.NOTHING, set()), (Trust.FRESH, {FLASK}), (Trust.KEPT, {FLASK, CLICK})]
)
def test_a_page_counts_as_far_as_what_was_kept_is_believed(pages: MemoryPages, trust: Trust, names: set[str]) -> None:
    assert known(pages, trust).pages([FLASK, CLICK, GONE]).keys() == names


def test_a_page_that_lacks_sizes_is_left_to_whoever_can_ask_for_them(pages: MemoryPages) -> None:
    pages.keep_response("up", values.response(f"{ROOT}flask/", fresh_until=1e9), values.page("flask"))
    assert known(pages, Trust.KEPT).pages([FLASK]) == {}


def test_metadata_never_changes_and_always_counts(pages: MemoryPages) -> None:
    other = values.dist_file("flask-2.0.0-py3-none-any.whl", sha256="b" * 64)
    found = known(pages, Trust.NOTHING).metadata([COMPLETE, other])
    assert found == {COMPLETE.identity: values.core_metadata()}


def test_the_first_page_that_ends_decides_how_long_all_are_fresh(pages: MemoryPages) -> None:
    facts = known(pages, Trust.FRESH)
    assert facts.fresh_until([FLASK, GONE], with_list=False) == 300.0
    assert facts.fresh_until([FLASK, CLICK], with_list=False) == 150.0
    assert facts.fresh_until([FLASK, parse_name("never-seen")], with_list=False) == 0.0
    assert facts.fresh_until([FLASK], with_list=True) == 0.0
    following = MemoryFollowing()
    following.keep_state(ROOT, Followed(way=Way.JSON, asked_at=100.0, fresh_until=250.0))
    assert known(pages, Trust.FRESH, following).fresh_until([FLASK], with_list=True) == 250.0
