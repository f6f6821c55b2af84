"""The pages of a proxy: how long they count, and what is answered while the upstream is slow, wrong or gone."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import ProjectNotFound, UpstreamFault
from pypim.core.followed import Patience
from pypim.core.freshness import Limits
from pypim.core.names import parse_name
from pypim.core.policy import Filters, Policy
from tests.index.proxies import APP, Home, eventually, everything, named
from tests.worlds import faults
from tests.worlds.world import World, project, release, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.model import Page
    from tests.conftest import ServeWorld
    from tests.worlds.faults import Fault

WORLD = World.of(project("app", "1.0", "2.0"), project("lib", "1.0"))
NEWER = WORLD.having(project("app", "1.0", "2.0", "3.0"))
LIMITS = Limits(max_age=600, stale_while_revalidate=300, stale_if_error=86_400, negative_max_age=60)
NEW = parse_name("new")
DAY = 86_400.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "store")


def versions(page: Page) -> set[str]:
    return {file.filename.split("-")[1].removesuffix(".tar.gz") for file in page.files}


# --- fresh and stale ------------------------------------------------------------------------------------------------
async def test_a_fresh_page_is_not_asked_for_again_and_survives_a_restart(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    for _ in range(2):
        async with home.open(server.url) as proxy:
            for _ in range(3):
                assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
                home.clock.pass_by(99)
    assert len(server.asked("/simple/app/")) == 1
    assert not server.asked("/simple/"), "the list of all projects is only asked for when somebody asks for it"


async def test_a_page_is_asked_for_with_its_validators_once_its_max_age_is_over(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        page = await proxy.project(APP)
        home.clock.pass_by(901)
        assert await proxy.project(APP) == page
        assert [request.status for request in server.asked("/simple/app/")] == [200, 304]
        home.clock.pass_by(599)
        await proxy.project(APP)
        assert len(server.asked("/simple/app/")) == 2


async def test_stale_while_revalidate_answers_the_old_page_at_once_and_asks_once(serve: ServeWorld, home: Home) -> None:
    """RFC 5861, 3."""
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
        old = proxy.mark(APP)
        assert proxy.mark(APP) == old
        home.clock.pass_by(601)
        assert proxy.mark(APP) != proxy.mark(APP), "it must be asked for"
        gate = threading.Event()
        server.world = NEWER
        server.misbehave("/simple/app/", faults.hold(gate))
        for _ in range(20):
            assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
        gate.set()
        await eventually(lambda: proxy.mark(APP) == proxy.mark(APP) != old)
        assert versions(await proxy.project(APP)) == {"1.0", "2.0", "3.0"}
        assert len(server.asked("/simple/app/")) == 2


@pytest.mark.parametrize(
    "fault",
    [
        faults.status(503),
        faults.status(500),
        faults.status(401),
        faults.status(403),
        faults.no_answer(),
        faults.cut_after(5),
        faults.instead(b"<html>please log in</html>", "text/html; charset=nonsense"),
        faults.instead(b"{", "application/vnd.pypi.simple.v1+json"),
        faults.endless_redirect(),
        faults.redirect("file:///etc/passwd"),
    ],
    ids=["503", "500", "401", "403", "no answer", "cut", "a portal", "broken", "a loop", "to file:"],
)
async def test_stale_if_error(serve: ServeWorld, home: Home, fault: Fault) -> None:
    """RFC 5861, 4.

    Case 36: upstream 503 → a stale page or 503, never 404, for pip would look elsewhere in silence.
    Case 76: a redirect loop, or one to `file:`, is refused.
    """
    server = serve(WORLD, etags=False)
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
        server.misbehave("/simple/*", fault)
        home.clock.pass_by(600 + 86_399)
        assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
        home.clock.pass_by(3)
        with pytest.raises(UpstreamFault):
            await proxy.project(APP)
        with pytest.raises(UpstreamFault):
            await proxy.project(NEW)
        server.behave()
        server.world = NEWER
        assert versions(await proxy.project(APP)) == {"1.0", "2.0", "3.0"}, "it heals without a restart"


async def test_a_failing_upstream_is_not_asked_for_every_client(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
        server.misbehave("/simple/*", faults.status(503))
        home.clock.pass_by(5000)
        for _ in range(50):
            await proxy.project(APP)
            assert proxy.mark(APP) == proxy.mark(APP), "meanwhile the rendered page counts"
        assert len(server.asked("/simple/app/")) == 1 + 2, "one question and its retry"


async def test_a_dead_upstream_and_a_restart(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        await proxy.project(APP)
    home.clock.pass_by(5000)
    server.misbehave("*", faults.no_answer())
    async with home.open(server.url) as proxy:
        assert versions(await proxy.project(APP)) == {"1.0", "2.0"}


async def test_many_clients_make_one_question(serve: ServeWorld, home: Home) -> None:
    """Case 75: 50 parallel requests to a cold proxy for one project → a single upstream fetch."""
    server = serve(WORLD)
    async with home.open(server.url) as one, home.open(server.url) as other:
        asked = [proxy.project(APP) for _ in range(25) for proxy in (one, other)]
        pages = await asyncio.gather(*asked)
        assert all(page == pages[0] for page in pages)
    assert len(server.asked("/simple/app/")) == 1


async def test_who_goes_away_does_not_disturb_the_others(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    gate = threading.Event()
    server.misbehave("/simple/app/", faults.hold(gate))
    async with home.open(server.url) as proxy:
        tasks = [asyncio.create_task(proxy.project(APP)) for _ in range(5)]
        await eventually(lambda: bool(server.asked("/simple/app/")))
        tasks[0].cancel()
        await asyncio.sleep(0)
        gate.set()
        for task in tasks[1:]:
            assert versions(await task) == {"1.0", "2.0"}
    assert len(server.asked("/simple/app/")) == 1


# --- what is not there ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [404, 410])
async def test_that_there_is_no_such_project_is_kept_for_its_own_time(
    serve: ServeWorld, home: Home, status: int
) -> None:
    server = serve(WORLD)
    server.misbehave("/simple/new/", faults.status(status))
    for _ in range(2):
        async with home.open(server.url, layout="simple") as proxy:
            for _ in range(3):
                with pytest.raises(ProjectNotFound):
                    await proxy.project(NEW)
            assert len(server.asked("/simple/new/")) == 1
    server.behave()
    server.world = WORLD.having(project("new", "1.0"))
    home.clock.pass_by(61)
    async with home.open(server.url, layout="simple") as proxy:
        assert versions(await proxy.project(NEW)) == {"1.0"}


async def test_absence_is_never_answered_from_what_is_stale(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url, layout="simple") as proxy:
        with pytest.raises(ProjectNotFound):
            await proxy.project(NEW)
        server.misbehave("*", faults.status(503))
        home.clock.pass_by(61)
        with pytest.raises(UpstreamFault):
            await proxy.project(NEW)


async def test_a_project_that_was_there_is_gone_only_where_the_upstream_answers_properly(
    serve: ServeWorld, home: Home
) -> None:
    """A server whose disk is not mounted answers 404 for everything."""
    server = serve(WORLD)
    async with home.open(server.url, patience=Patience(confirmations=1)) as proxy:
        await proxy.project(APP)
        server.misbehave("/simple/*", faults.status(404))
        home.clock.pass_by(5000)
        assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
        server.behave()
        server.world = WORLD.without("app")
        home.clock.pass_by(5000)
        with pytest.raises(ProjectNotFound):
            await proxy.project(APP)


async def test_a_project_that_nobody_knows_is_missing_only_where_the_upstream_is_there(
    serve: ServeWorld, home: Home
) -> None:
    """A server whose disk is not mounted, and a store that is empty: a 404 would send clients elsewhere."""
    server = serve(WORLD)
    server.misbehave("*", faults.status(404))
    for layout in ("simple", "auto"):
        async with home.open(server.url, layout=layout) as proxy:
            with pytest.raises(UpstreamFault):
                await proxy.project(APP)
    server.behave()
    async with home.open(server.url) as proxy:
        assert versions(await proxy.project(APP)) == {"1.0", "2.0"}


async def test_the_root_is_asked_once_in_a_while_and_only_its_head_is_read(serve: ServeWorld, home: Home) -> None:
    """Who asks for what is not there does not make the list be transferred each time, or be read at all."""
    server = serve(WORLD)
    server.misbehave("/simple/", faults.announce(1 << 40))  # longer than anybody would read
    async with home.open(server.url, layout="simple") as proxy:
        for wait in (0.0, 0.0, 61.0):
            home.clock.pass_by(wait)
            names = [parse_name(f"nope-{wait}-{number}") for number in range(5)]
            found = await asyncio.gather(*map(proxy.project, names), return_exceptions=True)
            assert all(isinstance(error, ProjectNotFound) for error in found)
        assert len(server.asked("/simple/")) == 2
        home.clock.pass_by(61)
        await proxy.project(APP)
        with pytest.raises(ProjectNotFound):
            await proxy.project(NEW)
        assert len(server.asked("/simple/")) == 2, "a page that is there shows as much"


async def test_an_upstream_without_a_list_is_believed_once_a_page_was_seen(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    server.misbehave("/simple/", faults.status(404))
    async with home.open(server.url, layout="simple") as proxy:
        with pytest.raises(UpstreamFault):
            await proxy.project(NEW)
        await proxy.project(APP)
    home.clock.pass_by(61)
    async with home.open(server.url, layout="simple") as proxy:
        await proxy.project(APP)
        with pytest.raises(ProjectNotFound):
            await proxy.project(NEW)
        home.clock.pass_by(120)
        server.misbehave("*", faults.status(404))
        with pytest.raises(UpstreamFault):
            await proxy.project(NEW)


async def test_one_404_sends_nobody_elsewhere(serve: ServeWorld, home: Home) -> None:
    """Case 42: a project is missing once; what is held stays, until that was confirmed N times over some days."""
    server = serve(WORLD)
    patience = Patience(confirmations=3, confirmed_over_seconds=2 * DAY)
    async with home.open(server.url, patience=patience) as proxy:
        content = await everything(await proxy.content(APP, (await proxy.project(APP)).files[0]))
        await proxy.settle()
    server.world = WORLD.without("app")
    asked = len(server.asked("/simple/app/"))
    for _ in range(2):  # restarts change nothing
        async with home.open(server.url, patience=patience) as proxy:
            for _ in range(4):
                home.clock.pass_by(6 * 3600.0 - 1)
                page = await proxy.project(APP)
                assert versions(page) == {"1.0", "2.0"}
                assert proxy.mark(APP) == proxy.mark(APP), "and it counts for a while, as any page"
                assert await everything(await proxy.content(APP, page.files[0])) == content
            await proxy.settle()
    assert len(server.asked("/simple/app/")) == asked + 8
    with home.catalog() as catalog:
        (item,) = catalog.backlog.todo("proxy").values()
        assert (item.project, item.code, item.attempts) == (APP, "unconfirmed-absence", 2)
    home.clock.pass_by(DAY)
    async with home.open(server.url, patience=patience) as proxy:
        with pytest.raises(ProjectNotFound):
            await proxy.project(APP)
        await proxy.settle()
    with home.catalog() as catalog:
        assert catalog.backlog.todo("proxy") == {}


async def test_a_project_that_is_back_was_never_gone(serve: ServeWorld, home: Home) -> None:
    """Case 42: what was confirmed of its absence is forgotten once its page is seen again."""
    server = serve(WORLD)
    async with home.open(server.url, patience=Patience(confirmations=2, confirmed_over_seconds=DAY)) as proxy:
        await proxy.project(APP)
        for _ in range(3):
            server.world = WORLD.without("app")
            home.clock.pass_by(DAY - 1)
            assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
            server.world = WORLD
            home.clock.pass_by(DAY - 1)
            assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
            await proxy.settle()


async def test_that_names_are_missing_is_kept_in_bounded_room(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url, layout="simple") as proxy:
        for number in range(20):
            with pytest.raises(ProjectNotFound):
                await proxy.project(parse_name(f"nope-{number}"))
        await proxy.project(APP)
        home.clock.pass_by(8 * DAY)
        with pytest.raises(ProjectNotFound):
            await proxy.project(NEW)
        await proxy.settle()
    with home.catalog() as catalog:
        rows = catalog.database.connection.execute("SELECT url, status FROM responses ORDER BY url").fetchall()
        assert [(url.rsplit("/", 2)[1], status) for url, status in rows] == [("app", 200), ("new", 404)]
        catalog.pages.forget_absences(home.clock.now().timestamp() + 1)
        assert catalog.database.connection.execute("SELECT count(*) FROM responses").fetchone() == (1,)


# --- lists ----------------------------------------------------------------------------------------------------------
async def test_the_list_is_kept_like_a_page(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    async with home.open(server.url) as proxy:
        assert proxy.mark(None) != proxy.mark(None)
        for _ in range(3):
            assert set((await proxy.project_list()).projects) == {"app", "lib"}
        assert proxy.mark(None) == proxy.mark(None)
        assert len(server.asked("/simple/")) == 1
        server.misbehave("/simple/", faults.status(503))
        home.clock.pass_by(5000)
        assert set((await proxy.project_list()).projects) == {"app", "lib"}


# --- layouts --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("layout", ["flat", "auto"])
async def test_a_page_of_links_is_an_index_like_any_other(serve: ServeWorld, home: Home, layout: str) -> None:
    server = serve(WORLD, json_api=False)
    url = f"{server.root}/flat"
    for _ in range(2):
        async with home.open(url, layout=layout) as proxy:
            assert versions(await proxy.project(APP)) == {"1.0", "2.0"}
            assert versions(await proxy.project(parse_name("lib"))) == {"1.0"}
            with pytest.raises(ProjectNotFound):
                await proxy.project(NEW)
            assert set((await proxy.project_list()).projects) == {"app", "lib"}
    assert len(server.asked("/flat")) == (1 if layout == "flat" else 2)


async def test_an_upstream_that_speaks_html_only_is_completed_from_its_json_api(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD, format="html_only")
    async with home.open(server.url) as proxy:
        page = await proxy.project(APP)
        assert all(file.size for file in page.files)
        listed = {built.filename: built.upload_time for built in WORLD.files_of("app")}
        assert {file.filename: file.upload_time for file in page.files} == listed, "exactly as the upstream says it"


# --- filters --------------------------------------------------------------------------------------------------------
def filtered(**rules: object) -> Policy:
    return Policy.compile(Filters(**rules), "filters")  # type: ignore[arg-type] # any filter may be given


async def test_a_project_that_is_excluded_is_an_empty_page_that_nobody_asks_for(serve: ServeWorld, home: Home) -> None:
    """200 with `files: []` stops uv's search; 404 would send it to the next index."""
    server = serve(WORLD)
    async with home.open(server.url, policy=filtered(exclude=("app",))) as proxy:
        assert (await proxy.project(APP)).files == ()
        assert proxy.mark(APP) == proxy.mark(APP)
        assert not server.requests
        assert set((await proxy.project_list()).projects) == {"lib"}


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        ({"exclude": ("app>=2",)}, {"1.0"}),
        ({"allow": ("app==2.0",)}, {"2.0"}),
        ({"keep_latest": 1}, {"2.0"}),
        ({"formats": ("wheel",)}, {"1.0", "2.0"}),
        ({"formats": ("sdist",)}, set()),
        ({"max_file_size": 10}, set()),
    ],
)
async def test_filters_take_files_from_the_page(
    serve: ServeWorld, home: Home, rules: dict[str, object], shown: set[str]
) -> None:
    server = serve(WORLD)
    async with home.open(server.url, policy=filtered(**rules)) as proxy:
        page = await proxy.project(APP)
        assert versions(page) == shown
        assert set(page.versions) <= shown | {"1.0", "2.0"}
        assert not (set(page.versions) - shown), "no version without a file"


async def test_a_cool_down_ends_by_time_alone(serve: ServeWorld, home: Home) -> None:
    server = serve(World.of(project("app", release("1.0", wheel(), upload_time="2025-12-30T00:00:00Z"))))
    async with home.open(server.url, policy=filtered(min_age="3 days"), limits=Limits(max_age=1e7)) as proxy:
        assert (await proxy.project(APP)).files == ()
        mark = proxy.mark(APP)
        home.clock.pass_by(86_400 + 60)
        assert proxy.mark(APP) != mark
        assert versions(await proxy.project(APP)) == {"1.0"}


# --- offline --------------------------------------------------------------------------------------------------------
async def test_offline_lists_and_serves_what_is_held_and_asks_nobody(serve: ServeWorld, home: Home) -> None:
    server = serve(WORLD)
    wanted = "app-1.0-py3-none-any.whl"
    async with home.open(server.url) as proxy:
        page = await proxy.project(APP)
        await proxy.project(parse_name("lib"))
        await everything(await proxy.content(APP, named(page, wanted)))
        missing = named(page, "app-2.0-py3-none-any.whl")
        await proxy.settle()
    server.forget_requests()
    home.clock.pass_by(1e9)
    async with home.open(server.url, is_offline=True) as proxy:
        page = await proxy.project(APP)
        assert [file.filename for file in page.files] == [wanted]
        assert await everything(await proxy.content(APP, page.files[0])) == WORLD.file(wanted).content
        assert await proxy.metadata_bytes(APP, page.files[0]) == WORLD.file(wanted).metadata
        assert set((await proxy.project_list()).projects) == {"app"}
        assert (await proxy.project(parse_name("lib"))).files == ()
        with pytest.raises(ProjectNotFound):
            await proxy.project(NEW)
        with pytest.raises(UpstreamFault):
            await proxy.content(APP, missing)
    assert not server.requests


async def test_a_quarantined_project_offers_nothing(serve: ServeWorld, home: Home) -> None:
    """PEP 792."""
    server = serve(World.of(project("app", "1.0", status="quarantined")))
    async with home.open(server.url) as proxy:
        page = await proxy.project(APP)
        assert (page.files, page.versions, page.status.value) == ((), (), "quarantined")
