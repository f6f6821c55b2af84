"""The contracts of Following and Backlog, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.followed import Followed, Listed, ToDo, Way, failed
from pypim.core.names import parse_name
from pypim.store.catalog import Catalog
from pypim.store.memory_following import MemoryBacklog, MemoryFollowing, OverlayBacklog, OverlayFollowing
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Backlog, Following

URL = "https://index.example/simple/"
OTHER = "https://other.example/simple/"
STATE = Followed(
    way=Way.JSON,
    serial=7,
    revision=3,
    projects=2,
    asked_at=5.5,
    listed_at=4.5,
    fresh_until=9.5,
    etag='"abc"',
    last_modified="yesterday",
    digest="f" * 64,
    behind_since=1.5,
)
A, B, C = (parse_name(name) for name in ("a", "b-b", "c"))


def one(name: str, **fields: object) -> Listed:
    known: dict[str, object] = {"name": parse_name(name), "serial": 3, "revision": 1, **fields}
    return Listed(**known)  # type: ignore[arg-type] # any field may be given


@pytest.fixture(params=["catalog", "memory", "overlay"])
def following(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Following]:
    match request.param:
        case "catalog":
            with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
                yield catalog.of(values.owner(credentials="c0ffee")).following
        case "memory":
            yield MemoryFollowing()
        case _:
            yield OverlayFollowing(MemoryFollowing())


@pytest.fixture(params=["catalog", "memory", "overlay"])
def backlog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backlog]:
    if request.param != "catalog":
        yield MemoryBacklog() if request.param == "memory" else OverlayBacklog(MemoryBacklog())
        return
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        yield catalog.backlog


def test_an_upstream_that_was_never_asked(following: Following) -> None:
    assert following.state(URL) is None
    assert following.pairs(URL, "", None) == []
    assert following.listed(URL, "", 5) == []
    assert following.listed_of(URL, [A]) == {}
    assert following.missing(URL) == []
    assert following.changes(URL, 0) == []


def test_a_state_comes_back_as_it_was_kept_and_the_newest_counts(following: Following) -> None:
    following.keep_state(URL, STATE)
    assert following.state(URL) == STATE
    newer = Followed(way=Way.HTML, asked_at=6.0)
    following.keep_state(URL, newer)
    assert following.state(URL) == newer
    assert following.state(OTHER) is None


def test_the_first_list_is_no_change(following: Following) -> None:
    following.keep_state(URL, STATE)
    following.keep_first(URL, [[(C, None), (A, 3)], [(B, 7), (A, 9)]])
    assert following.pairs(URL, "", None) == [(A, 3), (B, 7), (C, None)]
    assert following.pairs(URL, "a", "b-b") == [(B, 7)]
    assert [listed.name for listed in following.listed(URL, "", 2)] == [A, B]
    assert [listed.name for listed in following.listed(URL, "b-b", 2)] == [C]
    assert following.changes(URL, -1) == []
    following.keep_state(OTHER, STATE)
    assert following.pairs(OTHER, "", None) == []


def test_changes_are_those_above_a_revision_in_their_order(following: Following) -> None:
    following.keep_state(URL, STATE)
    following.keep_first(URL, [[(A, 3), (B, 7), (C, None)]])
    removed = one("b-b", serial=9, revision=2, is_gone=True)
    following.keep_listed(URL, [removed, one("a", serial=8, revision=1), one("d", revision=2)])
    assert [(c.name, c.revision) for c in following.changes(URL, 0)] == [("a", 1), ("b-b", 2), ("d", 2)]
    assert following.changes(URL, 1)[0] == removed
    assert following.changes(URL, 2) == []
    assert following.pairs(URL, "", None) == [(A, 8), (C, None), (parse_name("d"), 3)]
    assert [listed.name for listed in following.listed(URL, "", 9)] == ["a", "c", "d"]
    assert following.listed_of(URL, [parse_name("x"), B]) == {B: removed}


def test_what_is_missing_is_listed_until_it_is_gone(following: Following) -> None:
    following.keep_state(URL, STATE)
    following.keep_first(URL, [[(A, 3), (B, 7)]])
    missing = one("a", missing_since=5.0, misses=1, seen_at=4.5)
    following.keep_listed(URL, [missing])
    assert following.missing(URL) == [missing]
    assert [listed.name for listed in following.listed(URL, "", 9)] == ["a", "b-b"]
    assert following.pairs(URL, "", None) == [(B, 7)]
    following.keep_listed(URL, [msgspec.structs.replace(missing, is_gone=True, revision=4)])
    assert following.missing(URL) == []
    assert [listed.name for listed in following.listed(URL, "", 9)] == ["b-b"]


def test_a_change_that_fails_leaves_nothing(following: Following) -> None:
    following.keep_state(URL, STATE)
    following.keep_first(URL, [[(A, 3)]])

    def broken() -> Iterator[Listed]:
        yield one("b-b")
        raise KeyError

    def change() -> None:
        with following.changing():
            following.keep_state(URL, msgspec.structs.replace(STATE, serial=99))
            following.keep_listed(URL, broken())

    with pytest.raises(KeyError):
        change()
    assert following.state(URL) == STATE
    assert following.pairs(URL, "", None) == [(A, 3)]
    with following.changing():
        following.keep_listed(URL, [one("b-b")])
    assert len(following.pairs(URL, "", None)) == 2


def test_an_overlay_reads_the_other_and_never_writes_to_it() -> None:
    under = MemoryFollowing()
    under.keep_state(URL, STATE)
    under.keep_first(URL, [[(A, 3), (B, 7), (C, 8)]])
    under.keep_listed(URL, [one("c", missing_since=2.0, misses=1, revision=2)])
    overlay = OverlayFollowing(under)
    before = overlay.has_learned
    overlay.keep_state(URL, msgspec.structs.replace(STATE, serial=10, revision=4))
    overlay.keep_listed(URL, [one("b-b", is_gone=True, revision=4), one("c", serial=10, revision=4), one("d")])
    assert (before, overlay.has_learned) == (False, True)
    assert overlay.pairs(URL, "", None) == [(A, 3), (C, 10), (parse_name("d"), 3)]
    assert [listed.name for listed in overlay.listed(URL, "", 2)] == ["a", "c"]
    assert [listed.name for listed in overlay.listed(URL, "a", 1)] == ["c"]
    assert overlay.missing(URL) == []
    assert [c.name for c in overlay.changes(URL, 2)] == ["b-b", "c"]
    assert overlay.listed_of(URL, [A, B])[B].is_gone
    assert under.state(URL) == STATE
    assert under.pairs(URL, "", None) == [(A, 3), (B, 7)]


def test_what_is_to_be_done_stays_until_it_is_settled(backlog: Backlog) -> None:
    first = failed(None, B, ("upstream-timeout", "too slow"), 100.0, 5)
    other = ToDo(project=A, code="x", error="y", attempts=2, first_at=1.0, tried_at=2.0, next_at=3.0, is_accepted=True)
    backlog.keep_todo("main", [first, other])
    assert backlog.todo("main") == {A: other, B: first}
    assert list(backlog.todo("main")) == [A, B]
    again = failed(first, B, ("upstream-timeout", "too slow still"), 200.0)
    backlog.keep_todo("main", [again])
    assert backlog.todo("main")[B] == again
    assert backlog.todo("other") == {}
    backlog.settle("main", [A, C])
    assert list(backlog.todo("main")) == [B]


def test_an_overlay_of_a_backlog_takes_over_what_was_to_be_done() -> None:
    under = MemoryBacklog()
    item = failed(None, A, ("code", "error"), 1.0)
    under.keep_todo("main", [item])
    overlay = OverlayBacklog(under)
    overlay.keep_todo("main", [failed(None, B, ("code", "error"), 1.0)])
    assert list(overlay.todo("main")) == [A, B]
    overlay.settle("main", [A])
    assert list(overlay.todo("main")) == [B]
    assert under.todo("main") == {A: item}


def test_the_next_try_comes_later_each_time_and_within_a_day() -> None:
    item, waits = None, []
    for _ in range(10):
        item = failed(item, A, ("code", "error"), 1000.0)
        waits.append(item.next_at - item.tried_at)
        assert not item.is_due(item.next_at - 1)
        assert item.is_due(item.next_at)
    assert waits[:3] == [900, 1800, 3600]
    assert max(waits) == 24 * 3600
    assert item is not None
    assert (item.attempts, item.first_at) == (10, 1000.0)
