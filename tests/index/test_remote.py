"""The Simple API as an Index: one request a project and run, conditional ones from run to run, details where needed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from pypim.core.errors import (
    NotAuthenticated,
    ProjectNotFound,
    UpstreamMalformed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tests.worlds import faults
from tests.worlds.specs import project, release
from tests.worlds.tree import write_tree
from tests.worlds.world import World

if TYPE_CHECKING:
    from tests.conftest import ServeWorld
    from tests.index.conftest import Kept

APP = canonicalize_name("app")
LIB = canonicalize_name("lib")
HTML_WITHOUT_FACTS = {"format": "html_only"}


def world() -> World:
    return World.of(project("app", "1.0", release("2.0", yanked="broken")), project("lib", "1.0"))


async def test_a_page_has_what_the_index_says(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, _):
        page = await index.project(APP)
    assert [file.filename for file in page.files] == [built.filename for built in server.world.files_of("app")]
    assert [file.yanked for file in page.files] == [False, "broken"]
    assert page.last_serial == server.world.spec("app").serial
    assert not server.asked("*/json"), "what the page says itself is not asked for elsewhere"


async def test_a_project_is_asked_for_once_in_a_run(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, _):
        pages = await asyncio.gather(*(index.project(APP) for _ in range(20)))
        assert await index.project(APP) is pages[0]
        for _ in range(2):
            with pytest.raises(ProjectNotFound):
                await index.project(canonicalize_name("nothing"))
        await asyncio.gather(index.project_list(), index.project_list())
        await index.project_list()
    assert all(count == 1 for count in server.counts().values())


async def test_a_cancelled_caller_does_not_take_the_others_answer_away(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), latency_s=0.05)
    async with kept.run(server.url) as (index, _):
        first = asyncio.create_task(index.project(APP))
        second = asyncio.create_task(index.project(APP))
        await asyncio.sleep(0)
        first.cancel()
        assert len((await second).files) == 2


@pytest.mark.parametrize("dialect", [{}, {"format": "html_only"}, {"etags": False, "last_modified": True}])
async def test_a_second_run_asks_with_the_validators_and_keeps_the_page(
    serve: ServeWorld, kept: Kept, dialect: dict[str, object]
) -> None:
    server = serve(world(), **dialect)
    async with kept.run(server.url) as (index, _):
        before = await index.project(APP), await index.project_list()
    server.forget_requests()
    kept.clock.moment += timedelta(days=1)
    async with kept.run(server.url) as (index, _):
        assert (await index.project(APP), await index.project_list()) == before
    assert {request.status for request in server.requests} == {304}, "whether there is a changelog is known"
    response = kept.pages.response(server.url + "app/")
    assert response is not None
    assert response.fetched_at == kept.clock.moment.timestamp()


async def test_a_changed_page_replaces_the_kept_one(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, _):
        await index.project(APP)
    server.world = server.world.releasing("app", release("3.0"))
    async with kept.run(server.url) as (index, _):
        page = await index.project(APP)
    assert len(page.files) == 3
    assert kept.pages.decoded[server.url + "app/"] == ("up", page)


async def test_one_404_is_not_a_deletion_and_three_over_two_days_are(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, _):
        before = await index.project(APP)
    server.misbehave("*/simple/app/", faults.status(404))
    for _ in range(4):
        async with kept.run(server.url) as (index, _):
            page = await index.project(APP)
        assert page.files == before.files
        assert page.dropped[-1].startswith("app: it was there, now it is not (404)")
        kept.clock.moment += timedelta(hours=11)
    assert [(item.code, item.attempts) for item in kept.backlog.todo("main").values()] == [("unconfirmed-absence", 4)]
    async with kept.run(server.url) as (index, _):
        await index.project(APP)
    kept.clock.moment += timedelta(hours=5)
    async with kept.run(server.url) as (index, _):
        with pytest.raises(ProjectNotFound):
            await index.project(APP)
    assert kept.backlog.todo("main") == {}


async def test_a_project_that_comes_back_is_missing_no_more(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    async with kept.run(server.url) as (index, _):
        before = await index.project(APP)
    server.misbehave("*/simple/app/", faults.status(404), times=1)
    async with kept.run(server.url) as (index, _):
        await index.project(APP)
    assert len(kept.following.missing(server.url)) == 1
    async with kept.run(server.url) as (index, _):
        assert await index.project(APP) == before
    assert kept.following.missing(server.url) == []
    assert kept.backlog.todo("main") == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.status(503), UpstreamUnavailable),
        (faults.status(401), NotAuthenticated),
        (faults.status(406), UpstreamMalformed),
        (faults.instead(b"hello", "image/png"), UpstreamMalformed),
        (faults.redirect("file:///etc/passwd"), UpstreamMalformed),
        (faults.endless_redirect(), UpstreamMalformed),
        (faults.cut_after(30), UpstreamUnavailable),
        (faults.no_answer(), UpstreamTimeout),
    ],
)
async def test_a_fault_is_never_read_as_deleted_and_may_pass(
    serve: ServeWorld, kept: Kept, fault: faults.Fault, expected: type[Exception]
) -> None:
    server = serve(world())
    server.misbehave("/simple/app/", fault)
    async with kept.run(server.url) as (index, _):
        with pytest.raises((expected, UpstreamUnavailable)):
            await index.project(APP)
        server.behave()
        assert len((await index.project(APP)).files) == 2, "a fault is not remembered"


async def test_a_kept_page_that_cannot_be_read_is_asked_for_anew(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world())
    server.misbehave("/simple/app/", faults.instead(b'{"meta": {"api-version": "2.0"}, "files": []}'), times=1)
    async with kept.run(server.url) as (index, _):
        with pytest.raises(UpstreamMalformed):
            await index.project(APP)
        assert kept.pages.response(server.url + "app/") is None, "what cannot be read is not kept"


async def test_credentials_in_the_url_are_sent_and_never_kept(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), basic_auth=("me", "secret"))
    async with kept.run(server.url.replace("://", "://me:secret@")) as (index, _):
        page = await index.project(APP)
    assert kept.pages.response(server.url + "app/") is not None
    assert "secret" not in str(page)


# --- the JSON API ---------------------------------------------------------------------------------------------------
async def test_sizes_times_and_yanks_that_html_lacks_come_from_the_json_api(serve: ServeWorld, kept: Kept) -> None:
    full = serve(world())
    bare = serve(world(), **HTML_WITHOUT_FACTS)
    async with kept.run(full.url) as (index, _):
        expected = await index.project(APP)
    async with kept.run(bare.url) as (index, _):
        found = await index.project(APP)
    facts = [
        [(f.filename, f.size, f.upload_time, f.sha256, f.yanked) for f in page.files] for page in (expected, found)
    ]
    assert facts[0] == facts[1]
    assert kept.capabilities.capability(bare.url, "json-api") is True
    assert kept.pages.decoded[bare.url + "app/"][1] == found


async def test_the_json_api_is_asked_conditionally_in_a_second_run(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **HTML_WITHOUT_FACTS)
    for _ in range(2):
        async with kept.run(server.url) as (index, _metadata):
            page = await index.project(APP)
    assert all(file.size for file in page.files)
    assert [request.status for request in server.asked("/pypi/app/json")] == [200, 304]


async def test_an_upstream_without_the_json_api_is_asked_for_it_once(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), json_api=False, **HTML_WITHOUT_FACTS)
    for _ in range(2):
        async with kept.run(server.url) as (index, _metadata):
            page = await index.project(APP)
            await index.project(LIB)
    assert all(file.size is None for file in page.files), "unknown is not false"
    assert page.dropped == ()
    assert len(server.asked("*/json")) == 1
    assert kept.capabilities.capability(server.url, "json-api") is False


async def test_a_fault_of_the_json_api_never_fails_the_page_and_is_told(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **HTML_WITHOUT_FACTS)
    server.misbehave("/pypi/*", faults.status(503))
    async with kept.run(server.url) as (index, _):
        page = await index.project(APP)
    assert len(page.files) == 2
    assert "could not be learned" in page.dropped[0]
    assert kept.capabilities.capability(server.url, "json-api") is None, "a fault is not an answer"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"info": {}}', b'{"releases": {"1.0": [null, {"size": "x"}]}}'])
async def test_what_is_no_document_of_the_json_api_is_left_alone(serve: ServeWorld, kept: Kept, body: bytes) -> None:
    server = serve(world(), **HTML_WITHOUT_FACTS)
    server.misbehave("/pypi/*", faults.instead(body))
    async with kept.run(server.url) as (index, _):
        assert [file.size for file in (await index.project(APP)).files] == [None, None]


async def test_details_of_other_bytes_under_the_same_name_are_ignored(serve: ServeWorld, kept: Kept) -> None:
    server = serve(world(), **HTML_WITHOUT_FACTS)
    async with kept.run(server.url) as (index, _):
        original = (await index.project(APP)).files[0].sha256
    assert original is not None
    server.forget_requests()
    document = kept.pages.response(f"{server.root}/pypi/app/json")
    assert document is not None
    server.misbehave("/pypi/*", faults.instead(document.body.replace(original.encode(), b"0" * 64)))
    async with kept.run(server.url) as (index, _):
        page = await index.project(APP)
    assert page.files[0].sha256 == original
    assert (page.files[0].size, page.files[1].size is None) == (None, False)


# --- file: ----------------------------------------------------------------------------------------------------------
async def test_a_published_tree_is_read_from_disk(tmp_path: Path, kept: Kept) -> None:
    url = write_tree(world(), tmp_path / "tree")
    async with kept.run(url) as (index, metadata):
        assert set((await index.project_list()).projects) == {APP, LIB}
        page = await index.project(APP)
        assert [file.yanked for file in page.files] == [False, "broken"]
        assert (await metadata.metadata(APP, page.files[0])).name == "app"
        with pytest.raises(ProjectNotFound):
            await index.project(canonicalize_name("nothing"))
