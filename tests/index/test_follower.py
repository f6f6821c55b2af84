"""Following an upstream on real sockets: the cheapest way is found, and nothing is believed too soon."""

from __future__ import annotations

import asyncio
import gzip
import json
import xmlrpc.client
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from bench.listed import Listing
from bench.listed import Server as Upstream
from pypim.core.errors import UpstreamMalformed, UpstreamUnavailable
from pypim.core.followed import FollowRules, Patience, Way
from pypim.core.freshness import Trust
from pypim.core.names import parse_name
from pypim.core.records import FetchOptions
from pypim.core.upstream_errors import MassRemoval
from pypim.index.conditional import Belief
from pypim.index.follower import Follower
from pypim.net.fetchers import open_fetcher
from pypim.store.catalog import Catalog
from pypim.store.memory import MemoryCapabilities
from tests.index.conftest import StoppedClock, no_sleep
from tests.net.server import Server, answer, cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from pypim.core.followed import Updated
    from pypim.ports import Following

JSON = "application/vnd.pypi.simple.v1+json"
DAY = 86_400.0


class Mirror:
    """What stays from run to run; every `update` is one."""

    def __init__(self, following: Following) -> None:
        self.following = following
        self.capabilities = MemoryCapabilities()
        self.clock = StoppedClock()
        self.way: Way | None = None
        self.patience = Patience()
        self.trust = Trust.NOTHING

    @asynccontextmanager
    async def follower(self, url: str) -> AsyncIterator[Follower]:
        rules = FollowRules(way=self.way, patience=self.patience, pause_seconds=0.0)
        options = FetchOptions(proxy="", retries=0, read_timeout=2)
        async with open_fetcher(url, options, sleep=no_sleep) as fetcher:
            belief = Belief(self.clock, self.trust)
            yield Follower(url, fetcher, self.following, self.capabilities, belief, rules)

    async def update(self, url: str, *, accepts_removals: bool = False) -> Updated:
        async with self.follower(url) as follower:
            return await follower.update(accepts_removals=accepts_removals)

    def names(self, url: str) -> list[str]:
        return [one.name for one in self.following.listed(url, "", 10_000)]

    def later(self, seconds: float) -> None:
        self.clock.moment = self.clock.moment.fromtimestamp(
            self.clock.moment.timestamp() + seconds, self.clock.moment.tzinfo
        )


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        yield Mirror(catalog.following)


@asynccontextmanager
async def upstream(projects: int = 300, *, is_sorted: bool = False) -> AsyncIterator[Upstream]:
    server = Upstream(Listing(projects, is_sorted=is_sorted))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def listed(server: Upstream) -> list[tuple[str, int]]:
    return sorted((name, project.serial) for name, project in server.listing.projects.items())


def in_list(projects: dict[str, int | None], serial: int | None = 100) -> bytes:
    meta = {"api-version": "1.4"} | ({} if serial is None else {"_last-serial": serial})
    entries = [{"name": name} | ({} if own is None else {"_last-serial": own}) for name, own in projects.items()]
    return answer(200, json.dumps({"meta": meta, "projects": entries}).encode(), Content_Type=JSON)


# --- the ways ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_sorted", [True, False])
@pytest.mark.parametrize("way", [None, Way.XML_RPC, Way.JSON])
async def test_what_is_known_is_what_is_listed_on_every_way_with_serials(
    mirror: Mirror, way: Way | None, *, is_sorted: bool
) -> None:
    mirror.way = way
    async with upstream(is_sorted=is_sorted) as server:
        url = server.url + "/simple/"
        first = await mirror.update(url)
        assert (first.outcome, first.projects, first.serial) == ("first", 300, server.listing.serial)
        assert mirror.following.pairs(url, "", None) == listed(server)
        assert (await mirror.update(url)).outcome == "unchanged"
        server.listing.change(20)
        server.listing.add(3)
        server.listing.remove(2)
        mirror.patience = Patience(confirmations=1)
        found = await mirror.update(url)
        assert (found.new, found.removed, found.outcome) == (3, 2, "changed")
        assert found.projects == 301
        assert mirror.following.pairs(url, "", None) == listed(server)
        assert len(mirror.following.changes(url, 0)) == found.new + found.changed + found.removed
        assert found.way is (Way.JSON if way is Way.JSON else Way.XML_RPC)


async def test_nothing_new_takes_one_request_and_next_to_no_bytes(mirror: Mirror) -> None:
    """Under 2 KB where the upstream answers 304 or has a changelog."""
    async with upstream() as server:
        url = server.url + "/simple/"
        for way in (None, Way.JSON, Way.HTML):
            mirror.way = way
            for _ in range(2):
                server.requests, server.sent_bytes = {}, 0
                found = await mirror.update(url)
            assert found.outcome == "unchanged"
            assert list(server.requests.values()) == [1]
            assert server.sent_bytes < 2000


async def test_without_validators_the_same_bytes_end_it(mirror: Mirror) -> None:
    async with upstream() as server:
        server.has_validators = server.has_changelog = False
        url = server.url + "/simple/"
        await mirror.update(url)
        revision = mirror.following.state(url)
        found = await mirror.update(url)
        assert (found.outcome, found.way) == ("unchanged", Way.JSON)
        state = mirror.following.state(url)
        assert state is not None
        assert revision is not None
        assert (state.digest, state.revision) == (revision.digest, 0)


async def test_that_there_is_no_changelog_is_remembered(mirror: Mirror) -> None:
    async with upstream() as server:
        server.has_changelog = False
        url = server.url + "/simple/"
        for _ in range(4):
            assert (await mirror.update(url)).way is Way.JSON
        assert server.requests["/pypi"] == 1


async def test_the_html_list_has_no_serials_and_its_names_are_compared(mirror: Mirror) -> None:
    async with upstream() as server:
        server.has_json = server.has_changelog = False
        url = server.url + "/simple/"
        first = await mirror.update(url)
        assert (first.way, first.projects) == (Way.HTML, 300)
        server.listing.change(5)
        server.listing.add(2)
        found = await mirror.update(url)
        assert (found.new, found.changed, found.way) == (2, 0, Way.HTML)
        async with mirror.follower(url) as follower:
            assert set(follower.projects().values()) == {None}, "only pages tell what changed"
            assert follower.serial(parse_name(listed(server)[0][0])) is None


async def test_a_list_that_loses_its_serials_for_once_changes_nothing(mirror: Mirror) -> None:
    """Fallback pages come without serials: that is no change of any project."""
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [in_list({"a": 1, "b": 2}), in_list({"a": None, "b": None}, None)]
        await mirror.update(url)
        found = await mirror.update(url)
        assert (found.outcome, found.changed) == ("unchanged", 0)
        assert mirror.following.pairs(url, "", None) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("way", [Way.XML_RPC, Way.JSON])
async def test_a_way_that_was_set_is_not_left(mirror: Mirror, way: Way) -> None:
    mirror.way = way
    async with upstream() as server:
        server.has_changelog = server.has_json = False
        with pytest.raises((UpstreamUnavailable, UpstreamMalformed)) as caught:
            await mirror.update(server.url + "/simple/")
        assert 'follow = "auto"' in caught.value.hint
        assert mirror.following.state(server.url + "/simple/") is None


async def test_nobody_is_asked_where_what_was_kept_counts(mirror: Mirror) -> None:
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        mirror.trust, server.requests = Trust.KEPT, {}
        found = await mirror.update(url)
        assert (found.outcome, found.projects, server.requests) == ("kept", 300, {})


# --- removals ---------------------------------------------------------------------------------------------------------
async def test_a_project_is_gone_after_confirmations_that_are_spread_over_time(mirror: Mirror) -> None:
    mirror.way = Way.JSON
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        name = listed(server)[7][0]
        server.listing.remove_one(name)
        for _ in range(5):
            found = await mirror.update(url)
            assert (found.missing, found.removed, found.projects) == (1, 0, 300), "asking often confirms nothing"
            assert name in mirror.names(url)
        mirror.later(DAY)
        assert (await mirror.update(url)).missing == 1
        mirror.later(DAY)
        found = await mirror.update(url)
        assert (found.missing, found.removed, found.projects) == (0, 1, 299)
        assert name not in mirror.names(url)
        assert [(one.name, one.is_gone) for one in mirror.following.changes(url, 0)] == [(name, True)]


async def test_a_project_that_was_missed_and_is_back_has_not_changed(mirror: Mirror) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        both, one = in_list({"a": 1, "b": 2}), in_list({"a": 1})
        server.scripts["/simple/"] = [both, one, both]
        await mirror.update(url)
        assert (await mirror.update(url)).missing == 1
        found = await mirror.update(url)
        assert (found.outcome, found.missing) == ("unchanged", 0)
        assert [(one.name, one.revision) for one in mirror.following.changes(url, 0)] == [("b", 1)]


async def test_the_changelog_removes_at_once(mirror: Mirror) -> None:
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        server.listing.remove(1)
        found = await mirror.update(url)
        assert (found.removed, found.missing, found.way) == (1, 0, Way.XML_RPC)


@pytest.mark.parametrize("way", [None, Way.JSON, Way.HTML])
async def test_a_mass_deletion_stops_and_asks(mirror: Mirror, way: Way | None) -> None:
    mirror.way = way
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        before = mirror.following.state(url), mirror.names(url)
        server.listing.remove(200)
        server.listing.add(1)
        for _ in range(2):
            with pytest.raises(MassRemoval, match=r"200 of 300 projects are not there any more; nothing"):
                await mirror.update(url)
            assert (mirror.following.state(url), mirror.names(url)) == before
        found = await mirror.update(url, accepts_removals=True)
        assert (found.removed, found.new, found.projects) == (200, 1, 101)
        assert mirror.names(url) == [name for name, _ in listed(server)]


async def test_a_list_without_anything_is_a_mass_deletion_of_however_few(mirror: Mirror) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [in_list({"a": 1, "b": 2}), in_list({})]
        await mirror.update(url)
        with pytest.raises(MassRemoval, match="2 of 2"):
            await mirror.update(url)


# --- serials that lag behind ------------------------------------------------------------------------------------------
async def test_an_older_list_is_asked_for_again_and_then_not_taken(mirror: Mirror) -> None:
    mirror.way = Way.JSON
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [in_list({"a": 90, "b": 100}), in_list({"a": 80}, 95)]
        await mirror.update(url)
        found = await mirror.update(url)
        assert (found.outcome, found.serial) == ("behind", 100)
        assert len(server.asked("/simple/")) == 4
        assert mirror.following.pairs(url, "", None) == [("a", 90), ("b", 100)]
        mirror.later(DAY - 1)
        assert (await mirror.update(url)).outcome == "behind"
        mirror.later(2)
        found = await mirror.update(url)
        assert (found.outcome, found.serial, found.changed, found.missing) == ("changed", 95, 1, 1)
        assert mirror.following.pairs(url, "", None) == [("a", 80)]


async def test_an_older_list_that_catches_up_within_the_run_counts(mirror: Mirror) -> None:
    mirror.way = Way.JSON
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [in_list({"a": 1}, 100), in_list({"a": 1}, 99), in_list({"a": 101}, 101)]
        await mirror.update(url)
        found = await mirror.update(url)
        assert (found.outcome, found.changed, found.serial) == ("changed", 1, 101)


async def test_a_project_whose_serial_goes_back_in_a_newer_list_keeps_the_higher_one(mirror: Mirror) -> None:
    mirror.way = Way.JSON
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [in_list({"a": 50, "b": 60}), in_list({"a": 40, "b": 101}, 101)]
        await mirror.update(url)
        assert (await mirror.update(url)).changed == 1
        assert mirror.following.pairs(url, "", None) == [("a", 50), ("b", 101)]


async def test_a_serial_that_was_told_too_high_counts_until_the_list_has_contradicted_it_for_long(
    mirror: Mirror,
) -> None:
    """One lie must not freeze a project for ever, and one glitch must not change all of them."""
    mirror.way = Way.JSON
    lie, truth = in_list({"a": 900_000, "b": 60}, 100), in_list({"a": 50, "b": 60}, 100)
    async with Server() as server:
        url = server.url + "/simple/"
        truth = truth.replace(b"\r\n", b'\r\nETag: "one"\r\n', 1)
        server.scripts["/simple/"] = [lie, truth, truth, in_list({"a": 70, "b": 60}, 101)]
        await mirror.update(url)
        assert (await mirror.update(url)).changed == 0
        mirror.later(DAY + 1)
        assert (await mirror.update(url)).changed == 1
        assert mirror.following.pairs(url, "", None) == [("a", 50), ("b", 60)]
        assert (await mirror.update(url)).changed == 1
        assert mirror.following.pairs(url, "", None) == [("a", 70), ("b", 60)]
        assert all("If-None-Match" not in one.headers for one in server.asked("/simple/")[:3])


async def test_the_changelog_counts_where_a_list_had_told_a_serial_too_high(mirror: Mirror) -> None:
    """What it tells beyond all that is known has happened, and is told once."""
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        name = parse_name(listed(server)[7][0])
        row = mirror.following.listed_of(url, [name])[name]
        mirror.following.keep_listed(url, [msgspec.structs.replace(row, serial=server.listing.serial + 900_000)])
        server.listing.projects[name].serial = server.listing._event(name, "9.0", "new release")
        assert (await mirror.update(url)).changed == 1
        assert mirror.following.listed_of(url, [name])[name].serial == server.listing.serial


async def test_a_changelog_that_goes_back_is_no_news(mirror: Mirror) -> None:
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        known = server.listing.serial
        server.listing.serial, server.listing.events = 5, []
        found = await mirror.update(url)
        assert (found.outcome, found.serial) == ("behind", known)


async def test_the_newest_event_told_once_more_is_no_news(mirror: Mirror) -> None:
    """A project whose page answers 404 stays missing, and one that is gone stays gone, until it changes again."""
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        name = parse_name(server.listing.change(1)[0])
        await mirror.update(url)
        known = mirror.following.listed_of(url, [name])[name]
        for is_gone in (False, True):
            row = msgspec.structs.replace(known, missing_since=1.0, misses=2, is_gone=is_gone)
            mirror.following.keep_listed(url, [row])
            before = mirror.following.state(url)
            found = await mirror.update(url)
            after = mirror.following.state(url)
            assert before is not None
            assert after is not None
            assert (found.outcome, found.new, found.changed, after.revision) == ("unchanged", 0, 0, before.revision)
            assert mirror.following.listed_of(url, [name])[name] == row
        server.listing.projects[name].serial = server.listing._event(name, "9.0", "new release")
        assert (await mirror.update(url)).new == 1
        assert mirror.following.listed_of(url, [name])[name].missing_since is None


async def test_the_validators_of_an_older_list_are_not_used_after_the_changelog(mirror: Mirror) -> None:
    """A 304 to them would say that the older list is the newest there is."""
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        await mirror.update(url)
        state = mirror.following.state(url)
        assert state is not None
        assert state.etag is not None, "nothing new has been told: the list is the one that is known"
        server.listing.change(1)
        await mirror.update(url)
        state = mirror.following.state(url)
        assert state is not None
        assert (state.way, state.etag, state.last_modified, state.digest) == (Way.XML_RPC, None, None, None)


async def test_that_an_older_list_has_not_changed_is_no_news(mirror: Mirror) -> None:
    """Neither is what is missing confirmed by it, nor is the upstream up to date again."""
    mirror.way = Way.JSON
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = [
            in_list({"a": 90, "b": 100}).replace(b"\r\n", b'\r\nETag: "one"\r\n', 1),
            answer(304, X_PyPI_Last_Serial="95"),
        ]
        await mirror.update(url)
        gone = parse_name("a")
        row = msgspec.structs.replace(mirror.following.listed_of(url, [gone])[gone], missing_since=1.0, misses=2)
        mirror.following.keep_listed(url, [row])
        mirror.later(3600)
        assert (await mirror.update(url)).outcome == "behind"
        state = mirror.following.state(url)
        assert state is not None
        assert state.behind_since is not None
        assert mirror.following.listed_of(url, [gone])[gone] == row


async def test_an_older_list_that_names_the_same_is_taken_once_and_for_all(mirror: Mirror) -> None:
    """The serial of a list in HTML is in its head alone: the list is the same, and what is new comes at once again."""
    mirror.way = Way.HTML
    page = b'<meta name="pypi:repository-version" content="1.0"><a href="a/">a</a>'
    html = {"Content_Type": "text/html", "ETag": '"one"'}
    async with Server() as server:
        url = server.url + "/simple/"
        older = answer(304, X_PyPI_Last_Serial="95")
        more = answer(200, page + b'<a href="b/">b</a>', X_PyPI_Last_Serial="96", Content_Type="text/html")
        server.scripts["/simple/"] = [
            answer(200, page, X_PyPI_Last_Serial="100", **html),
            older,
            older,
            older,
            older,
            more,
        ]
        await mirror.update(url)
        assert (await mirror.update(url)).outcome == "behind"
        mirror.later(DAY + 1)
        found = await mirror.update(url)
        assert (found.outcome, found.serial) == ("unchanged", 95)
        found = await mirror.update(url)
        assert (found.outcome, found.new, found.serial) == ("changed", 1, 96)


@pytest.mark.parametrize("has_validators", [True, False])
async def test_a_mass_deletion_is_none_the_less_one_in_a_list_that_has_not_changed(
    mirror: Mirror, *, has_validators: bool
) -> None:
    mirror.way = Way.JSON
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        state = mirror.following.state(url)
        assert state is not None
        if not has_validators:
            mirror.following.keep_state(url, msgspec.structs.replace(state, etag=None, last_modified=None))
        listed = mirror.following.listed(url, "", 200)
        rows = [msgspec.structs.replace(one, missing_since=1.0, seen_at=1.0) for one in listed]
        mirror.following.keep_listed(url, rows)
        before = mirror.following.state(url), mirror.following.missing(url)
        with pytest.raises(MassRemoval, match="200 of 300"):
            await mirror.update(url)
        assert (mirror.following.state(url), mirror.following.missing(url)) == before
        found = await mirror.update(url, accepts_removals=True)
        assert (found.removed, found.projects) == (200, 100)


@pytest.mark.parametrize("has_validators", [True, False])
@pytest.mark.parametrize("accepts_removals", [True, False])
async def test_what_a_list_names_is_not_missing_whatever_its_page_answers(
    mirror: Mirror, *, has_validators: bool, accepts_removals: bool
) -> None:
    """Not even where all pages answered 404 meanwhile, as those of a broken upstream do."""
    mirror.way = Way.JSON
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        state = mirror.following.state(url)
        assert state is not None
        if not has_validators:
            mirror.following.keep_state(url, msgspec.structs.replace(state, etag=None, last_modified=None))
        before = mirror.following.listed(url, "", 1000)
        rows = [msgspec.structs.replace(one, missing_since=1.0, misses=2) for one in before]
        mirror.following.keep_listed(url, rows)
        found = await mirror.update(url, accepts_removals=accepts_removals)
        assert (found.outcome, found.removed, found.missing, found.projects) == ("unchanged", 0, 0, 300)
        assert mirror.following.listed(url, "", 1000) == before


async def test_what_a_page_lacked_first_and_the_list_then_is_confirmed_by_that_list(mirror: Mirror) -> None:
    mirror.way = Way.JSON
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        name = parse_name(listed(server)[7][0])
        row = mirror.following.listed_of(url, [name])[name]
        mirror.following.keep_listed(url, [msgspec.structs.replace(row, missing_since=1.0, misses=1)])
        server.listing.remove_one(name)
        assert (await mirror.update(url)).missing == 1
        mirror.later(DAY)
        found = await mirror.update(url)
        assert (found.outcome, found.removed) == ("changed", 1), "304, and it was not named before"


async def test_somebodys_word_that_what_is_missing_is_gone_counts_with_a_changelog_too(mirror: Mirror) -> None:
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        rows = [msgspec.structs.replace(one, missing_since=1.0) for one in mirror.following.listed(url, "", 200)]
        mirror.following.keep_listed(url, rows)
        found = await mirror.update(url)
        assert (found.way, found.removed, found.projects) == (Way.XML_RPC, 0, 300)
        found = await mirror.update(url, accepts_removals=True)
        assert (found.way, found.removed, found.projects) == (Way.XML_RPC, 200, 100)


async def test_confirmations_of_one_run_count_once_also_after_a_long_pause(mirror: Mirror) -> None:
    """Each of them counts only when its part of the time has passed since the one before."""
    mirror.way = Way.JSON
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        server.listing.remove(1)
        await mirror.update(url)
        mirror.later(30 * DAY)
        for _ in range(3):
            assert (await mirror.update(url)).missing == 1
        mirror.later(DAY)
        assert (await mirror.update(url)).removed == 1


# --- XML-RPC that misbehaves ------------------------------------------------------------------------------------------
def xml_fault(sentence: str) -> bytes:
    return answer(200, xmlrpc.client.dumps(xmlrpc.client.Fault(-32500, sentence)).encode(), Content_Type="text/xml")


LIMIT = "HTTPTooManyRequests: The action could not be performed because there were too many requests by the client."


@pytest.mark.parametrize(
    ("reply", "is_remembered"),
    [
        (xml_fault("RuntimeError: this is not offered any more"), True),
        (answer(404), True),
        (answer(405), True),
        (answer(403), True),
        (answer(301, Location="/pypi/"), True),
        (answer(500), False),
        (answer(200, b"<html>hello</html>"), False),
        (answer(200, b"<!DOCTYPE x [<!ENTITY a 'a'>]><methodResponse/>"), False),
        (answer(200, xmlrpc.client.dumps((["x"],), methodresponse=True).encode()), False),
        (
            answer(
                200, xmlrpc.client.dumps(([["a", None, 1, "x", "9"]],), methodresponse=True, allow_none=True).encode()
            ),
            False,
        ),
        (xml_fault(LIMIT + " Limit may reset in 600 seconds."), False),
        (cut(b"<?xml", 5000), False),
    ],
)
async def test_the_list_helps_out_where_the_changelog_fails(
    mirror: Mirror, reply: bytes, *, is_remembered: bool
) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/pypi"] = reply
        server.scripts["/simple/"] = [in_list({"a": 1}), in_list({"a": 101}, 101)]
        await mirror.update(url)
        found = await mirror.update(url)
        assert (found.outcome, found.way, found.changed) == ("changed", Way.JSON, 1)
        await mirror.update(url)
        assert len(server.asked("/pypi")) == (1 if is_remembered else 3)


@pytest.mark.slow
async def test_a_limit_that_ends_soon_is_waited_for(mirror: Mirror) -> None:
    event = ["a", None, 1, "new release", 100]
    changes = xmlrpc.client.dumps(([event],), methodresponse=True, allow_none=True).encode()
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/pypi"] = [
            answer(200, xmlrpc.client.dumps((1,), methodresponse=True).encode(), Content_Type="text/xml"),
            xml_fault(LIMIT + " Limit may reset in 0 seconds."),
            answer(200, changes, Content_Type="text/xml"),
        ]
        server.scripts["/simple/"] = in_list({"a": 1})
        await mirror.update(url)
        assert (await mirror.update(url)).way is Way.XML_RPC
        assert len(server.asked("/pypi")) == 3


# --- lists that misbehave ---------------------------------------------------------------------------------------------
async def drip_forever(_: object, writer: asyncio.StreamWriter) -> None:
    """An endless gzip body: a bomb that unfolds to nothing but spaces."""
    head = f"HTTP/1.1 200 X\r\nContent-Type: {JSON}\r\nContent-Encoding: gzip\r\n\r\n"
    writer.write(head.encode())
    packer = gzip.compress(b" " * (1 << 24), 9)
    for _ in range(200):
        writer.write(packer)
        await writer.drain()


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer(404), UpstreamUnavailable),
        (answer(204), UpstreamMalformed),
        (answer(200, b"hello", Content_Type="image/png"), UpstreamMalformed),
        (answer(200, b"", Content_Type=JSON), UpstreamMalformed),
        (answer(200, b'{"meta": {"api-version": "2.0"}, "projects": []}', Content_Type=JSON), UpstreamMalformed),
        (answer(200, b'{"message": "try again"}', Content_Type=JSON), UpstreamMalformed),
        (answer(200, b"not gzip", Content_Type=JSON, Content_Encoding="gzip"), UpstreamMalformed),
        (answer(200, b"{}", Content_Type=JSON, Content_Encoding="br"), UpstreamMalformed),
        (cut(b"{", 2 << 30, Content_Type=JSON), UpstreamMalformed),
        (cut(b'{"meta": {}, "projects": [', 500, Content_Type=JSON), UpstreamUnavailable),
        (cut(gzip.compress(b"x" * 5000)[:20], 20, Content_Type=JSON, Content_Encoding="gzip"), UpstreamUnavailable),
        (drip_forever, UpstreamMalformed),
    ],
)
async def test_a_list_that_is_none_leaves_all_as_it_was(mirror: Mirror, reply: bytes, kind: type[Exception]) -> None:
    mirror.way = Way.JSON
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = in_list({"a": 1, "b": 2})
        await mirror.update(url)
        before = mirror.following.state(url)
        server.scripts["/simple/"] = reply
        with pytest.raises(kind):
            await mirror.update(url)
        assert mirror.following.state(url) == before
        assert mirror.names(url) == ["a", "b"]


async def test_an_empty_page_without_any_mark_is_no_list_not_even_a_first_one(mirror: Mirror) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = answer(200, b"<html><body>Please log in</body></html>", Content_Type="text/html")
        with pytest.raises(UpstreamMalformed, match="names no project and is no list"):
            await mirror.update(url)
        assert mirror.following.state(url) is None
        marked = b'<html><head><meta name="pypi:repository-version" content="1.0"></head></html>'
        server.scripts["/simple/"] = answer(200, marked, Content_Type="text/html")
        assert (await mirror.update(url)).projects == 0


async def test_a_list_that_breaks_off_is_asked_for_again(mirror: Mirror) -> None:
    whole = in_list({"a": 1, "b": 2})
    async with Server() as server:
        turns = iter([cut(whole[-20:], 500, Content_Type=JSON)])

        async def flaky(request: object, writer: asyncio.StreamWriter) -> None:
            if (script := next(turns, None)) is not None:
                await script(request, writer)  # type: ignore[arg-type] # what the server gave
            else:
                writer.write(whole)
                await writer.drain()

        server.scripts["/simple/"] = flaky
        assert (await mirror.update(server.url + "/simple/")).projects == 2


async def test_names_that_are_none_are_dropped_and_the_others_stay(mirror: Mirror) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        server.scripts["/simple/"] = in_list({"A.b": 1, "..": 2, "x y": 3, "Ä": 4, "a--B": 5, "c": 6})
        found = await mirror.update(url)
        assert (mirror.names(url), len(found.dropped)) == (["a-b", "c"], 3)


async def test_what_changed_counts_from_the_revision_that_was_seen(mirror: Mirror) -> None:
    async with upstream() as server:
        url = server.url + "/simple/"
        await mirror.update(url)
        seen = []
        for count in (3, 5):
            server.listing.change(count)
            await mirror.update(url)
            state = mirror.following.state(url)
            assert state is not None
            seen.append(state.revision)
        assert len(mirror.following.changes(url, seen[0])) == 5
        assert mirror.following.changes(url, seen[1]) == []
        assert msgspec.structs.asdict(mirror.following.changes(url, 0)[0])["is_gone"] is False
