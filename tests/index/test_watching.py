"""A page older than its project's serial is an old copy: asked for again, put on the to-do, taken in the end."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.errors import ProjectNotFound
from pypim.core.followed import Followed, FollowRules, Listed, Patience, Way
from pypim.core.names import parse_name
from tests.net.server import Server, answer

if TYPE_CHECKING:
    from pypim.core.model import Page
    from tests.index.conftest import Kept

APP = parse_name("app")
PATH = "/simple/app/"


def page(serial: int | None, *filenames: str) -> bytes:
    meta = {"api-version": "1.0"} | ({} if serial is None else {"_last-serial": serial})
    files = [{"filename": name, "url": name, "hashes": {"sha256": "a" * 64}} for name in filenames]
    body = json.dumps({"meta": meta, "name": "app", "files": files}).encode()
    return answer(200, body, Content_Type="application/vnd.pypi.simple.v1+json")


OLD, NEW = page(5, "app-1.0.tar.gz"), page(9, "app-1.0.tar.gz", "app-2.0.tar.gz")


def require(kept: Kept, url: str, serial: int) -> None:
    """What a changelog would have told."""
    kept.following.keep_state(url, Followed(way=Way.XML_RPC, serial=serial, asked_at=1.0, listed_at=1.0))
    kept.following.keep_listed(url, [Listed(name=APP, serial=serial, revision=1)])


async def read(kept: Kept, server: Server) -> Page:
    async with kept.run(server.url + "/simple/") as (index, _):
        return await index.project(APP)


async def test_an_old_copy_is_asked_for_again_until_the_new_one_comes(kept: Kept) -> None:
    async with Server() as server:
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = [OLD, OLD, NEW]
        found = await read(kept, server)
        assert (found.last_serial, len(found.files), found.dropped) == (9, 2, ())
        assert kept.backlog.todo("main") == {}


async def test_what_stays_old_is_on_the_to_do_and_taken_with_a_flag_after_a_day(kept: Kept) -> None:
    async with Server() as server:
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = OLD
        found = await read(kept, server)
        assert (found.last_serial, len(server.asked(PATH))) == (5, 3)
        assert found.dropped == ("app: the newest page to be had has serial 5, and its last change 9: an old copy",)
        item = kept.backlog.todo("main")[APP]
        assert (item.code, item.attempts, item.required_serial, item.is_accepted) == ("stale-page", 1, 9, False)
        await read(kept, server)
        assert len(server.asked(PATH)) == 4, "before its next try it is asked for once and not again"
        assert kept.backlog.todo("main")[APP] == item
        kept.clock.moment += timedelta(days=1)
        assert (await read(kept, server)).dropped == found.dropped
        item = kept.backlog.todo("main")[APP]
        assert (item.attempts, item.is_accepted) == (2, True)
        require(kept, server.url + "/simple/", 10)
        await read(kept, server)
        item = kept.backlog.todo("main")[APP]
        assert (item.required_serial, item.is_accepted, item.attempts) == (10, False, 1), "a new change, a new wait"
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = NEW
        assert (await read(kept, server)).last_serial == 9
        assert kept.backlog.todo("main") == {}


async def test_what_was_taken_with_a_flag_is_asked_for_again_once_a_day(kept: Kept) -> None:
    """The copy may be replaced at last without any change of the project, which nobody would tell."""
    async with Server() as server:
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = OLD
        await read(kept, server)
        kept.clock.moment += timedelta(days=1)
        await read(kept, server)
        kept.clock.moment += timedelta(days=1)
        item = kept.backlog.todo("main")[APP]
        assert (item.is_accepted, item.is_due(kept.clock.moment.timestamp())) == (True, True)
        asked = len(server.asked(PATH))
        await read(kept, server)
        assert len(server.asked(PATH)) == asked + 1, "nobody waits for it"
        again = kept.backlog.todo("main")[APP]
        assert (again.is_accepted, again.attempts, again.first_at) == (True, item.attempts + 1, item.first_at)
        assert not again.is_due((kept.clock.moment + timedelta(hours=23)).timestamp())
        assert again.is_due((kept.clock.moment + timedelta(days=1)).timestamp())
        server.scripts[PATH] = NEW
        assert len((await read(kept, server)).files) == 2
        assert kept.backlog.todo("main") == {}


async def test_the_newer_page_that_was_kept_is_not_replaced_by_an_old_copy(kept: Kept) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = NEW
        await read(kept, server)
        require(kept, url, 12)
        server.scripts[PATH] = OLD
        found = await read(kept, server)
        assert (found.last_serial, len(found.files)) == (9, 2)
        response = kept.pages.response(url + "app/")
        assert response is not None
        assert b"app-2.0" in response.body


async def test_a_page_is_kept_where_serials_went_back_for_good(kept: Kept) -> None:
    """An upstream that was set up anew: what it lists now is what counts, whatever was known of higher serials."""
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = OLD.replace(b'"_last-serial": 5', b'"_last-serial": 9')
        await read(kept, server)
        require(kept, url, 3)
        server.scripts[PATH] = NEW.replace(b'"_last-serial": 9', b'"_last-serial": 3')
        assert len((await read(kept, server)).files) == 2
        response = kept.pages.response(url + "app/")
        assert response is not None
        assert b"app-2.0" in response.body


async def test_a_page_without_a_serial_is_old_where_others_have_one(kept: Kept) -> None:
    """A missing header is treated as an old copy, not as a deletion, and not at upstreams that never have any."""
    async with Server() as server:
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = page(None, "app-1.0.tar.gz")
        assert (await read(kept, server)).dropped == ()
        assert kept.backlog.todo("main") == {}
        server.scripts[PATH] = NEW
        await read(kept, server)
        require(kept, server.url + "/simple/", 12)
        server.scripts[PATH] = page(None, "app-1.0.tar.gz")
        found = await read(kept, server)
        assert len(found.files) == 2
        assert "has serial 9, and its last change 12" in kept.backlog.todo("main")[APP].error


async def test_a_project_that_the_changelog_removed_is_gone_with_its_first_404(kept: Kept) -> None:
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = NEW
        await read(kept, server)
        gone = Listed(name=APP, serial=10, revision=2, missing_since=1.0, misses=1, seen_at=1.0, is_gone=True)
        kept.following.keep_listed(url, [gone])
        for script in (NEW, answer(404)):
            server.scripts[PATH] = script
            with pytest.raises(ProjectNotFound):
                await read(kept, server)
            assert kept.backlog.todo("main") == {}
            assert kept.following.listed_of(url, [APP])[APP].is_gone, "an old copy of its page brings nothing back"
        server.scripts[PATH] = page(11, "app-3.0.tar.gz")
        assert len((await read(kept, server)).files) == 1
        assert not kept.following.listed_of(url, [APP])[APP].is_gone


async def test_a_project_that_is_gone_by_its_page_alone_is_asked_for_again_once_a_day(kept: Kept) -> None:
    """The changelog did not tell that it is gone, so it will not tell that it is back."""
    kept.rules = FollowRules(patience=Patience(confirmations=1, confirmed_over_seconds=0.0))
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = NEW
        await read(kept, server)
        server.scripts[PATH] = answer(404)
        for attempts in (1, 2, 3):
            with pytest.raises(ProjectNotFound):
                await read(kept, server)
            item = kept.backlog.todo("main")[APP]
            assert (item.code, item.is_accepted, item.attempts) == ("unconfirmed-absence", True, attempts)
            with pytest.raises(ProjectNotFound):
                await read(kept, server)
            assert kept.backlog.todo("main")[APP] == item
            kept.clock.moment += timedelta(days=1)
            assert item.is_due(kept.clock.moment.timestamp())
        server.scripts[PATH] = NEW
        assert len((await read(kept, server)).files) == 2
        assert kept.backlog.todo("main") == {}


async def test_a_kept_page_that_is_as_new_as_the_list_says_settles_what_another_index_fetched(kept: Kept) -> None:
    """And what `metadata --all` did: nobody asks for that page again."""
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = OLD
        await read(kept, server)
        (item,) = kept.backlog.todo("main").values()
        file = {
            "filename": "app-2.0.tar.gz",
            "url": "x",
            "hashes": {},
            "size": 1,
            "upload-time": "2026-01-01T00:00:00Z",
        }
        body = json.dumps({"meta": {"api-version": "1.1", "_last-serial": 9}, "name": "app", "files": [file]}).encode()
        server.scripts[PATH] = answer(200, body, Content_Type="application/vnd.pypi.simple.v1+json")
        await read(kept, server)
        kept.backlog.keep_todo("main", [item])
        server.scripts["/simple/"] = answer(304)
        kept.rules = FollowRules(way=Way.JSON)
        asked = len(server.asked(PATH))
        async with kept.run(url) as (pages, _):
            await pages.update()
            await pages.project(APP)
        assert len(server.asked(PATH)) == asked
        assert kept.backlog.todo("main") == {}


async def test_a_file_that_fails_does_not_set_the_time_back_that_a_page_has_been_old(kept: Kept) -> None:
    async with Server() as server:
        require(kept, server.url + "/simple/", 9)
        server.scripts[PATH] = OLD
        await read(kept, server)
        item = kept.backlog.todo("main")[APP]
        kept.clock.moment += timedelta(days=1)
        kept.backlog.keep_todo("main", [msgspec.structs.replace(item, code="upstream-unavailable")])
        await read(kept, server)
        assert kept.backlog.todo("main")[APP].is_accepted
        kept.backlog.keep_todo("main", [msgspec.structs.replace(item, code="upstream-unavailable", required_serial=8)])
        await read(kept, server)
        assert not kept.backlog.todo("main")[APP].is_accepted, "that was before its newest change"


async def test_a_page_that_is_listed_and_never_there_is_taken_as_it_is_in_the_end(kept: Kept) -> None:
    """After as many tries, over as much time, as it takes to believe that one is gone; a change begins anew."""
    kept.rules = FollowRules(patience=Patience(confirmations=2, confirmed_over_seconds=3600.0))
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = answer(404)
        for hours, attempts, is_accepted in ((0, 1, False), (0, 1, False), (2, 2, True), (0, 2, True), (48, 3, True)):
            kept.clock.moment += timedelta(hours=hours)
            with pytest.raises(ProjectNotFound):
                await read(kept, server)
            item = kept.backlog.todo("main")[APP]
            assert (item.attempts, item.is_accepted) == (attempts, is_accepted)
        require(kept, url, 10)
        with pytest.raises(ProjectNotFound):
            await read(kept, server)
        assert not kept.backlog.todo("main")[APP].is_accepted
        server.scripts[PATH] = page(10, "app-1.0.tar.gz")
        assert len((await read(kept, server)).files) == 1
        assert kept.backlog.todo("main") == {}


@pytest.mark.parametrize(("missing", "is_gone"), [(30, False), (5, True)])
async def test_pages_alone_do_not_take_many_projects_at_once(kept: Kept, missing: int, *, is_gone: bool) -> None:
    """Where there is a changelog, which has not said so, as little as a list may."""
    kept.rules = FollowRules(patience=Patience(confirmations=1, confirmed_over_seconds=0.0))
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        server.scripts[PATH] = NEW
        await read(kept, server)
        state = kept.following.state(url)
        assert state is not None
        kept.following.keep_state(url, msgspec.structs.replace(state, projects=100))
        others = [Listed(name=parse_name(f"p{n}"), serial=1, missing_since=1.0, misses=1) for n in range(missing)]
        kept.following.keep_listed(url, others)
        server.scripts[PATH] = answer(404)
        with suppress(ProjectNotFound):
            await read(kept, server)
        assert kept.following.listed_of(url, [APP])[APP].is_gone is is_gone


async def test_a_project_that_was_gone_and_is_back_is_counted_again(kept: Kept) -> None:
    kept.rules = FollowRules(patience=Patience(confirmations=1, confirmed_over_seconds=0.0))
    async with Server() as server:
        url = server.url + "/simple/"
        require(kept, url, 9)
        kept.following.keep_state(
            url, Followed(way=Way.PROJECTS, serial=None, asked_at=1.0, listed_at=1.0, projects=4, revision=1)
        )
        for script, projects in ((NEW, 4), (answer(404), 3), (NEW, 4), (NEW, 4)):
            server.scripts[PATH] = script
            with suppress(ProjectNotFound):
                await read(kept, server)
            state = kept.following.state(url)
            assert state is not None
            assert state.projects == projects
