"""What is no longer wanted leaves the pages with the next sync, and its bytes when `on-removal` says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pypim.config.load import load
from pypim.sync.model import Report
from pypim.sync.run import sync as sync_index
from pypim.sync.silent import SilentReporter
from pypim.wiring import open_stack, open_store, request_of, run
from tests.conftest import ServeWorld
from tests.sync.mirror import Mirror, files_below, pypim, removed, wheels
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project("app", release("1.0", requires=["lib", "gone"]), release("2.0", requires=["lib"])),
    project("lib", "1.0"),
    project("gone", "1.0"),
)
DROPPED = wheels("app 1.0", "gone 1.0")


class MovableClock:
    """A Clock that the test moves."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment


def sync_at(mirror: Mirror, clock: MovableClock) -> Report:
    """What `pypim sync` does, at the time of that clock."""

    async def work() -> Report:
        with open_store(config, writable=True) as store:
            async with open_stack(store, index, SilentReporter()) as stack:
                return await sync_index(msgspec.structs.replace(stack, clock=clock), request_of(config, index))

    config = load(mirror.config)
    (index,) = config.chosen("main")
    return run(work())


def names_below(folder: Path) -> list[str]:
    """The wheels and sdists that are on disk."""
    return sorted(path.name for path in folder.rglob("*") if path.suffix in {".whl", ".gz"})


def shrink(mirror: Mirror, serve: ServeWorld, on_removal: str) -> None:
    """A mirror of two releases whose rules then ask for one."""
    url = serve(WORLD).url
    mirror.configure(url, packages={"app": ["1.0", "2.0"]}, on_removal=on_removal)
    mirror.sync()
    mirror.configure(url, packages={"app": "latest"}, on_removal=on_removal)


def test_rules_that_shrink_unlist_at_once_and_prune_deletes(serve: ServeWorld, mirror: Mirror) -> None:
    """`prune-after 30 days`, the default: the bytes wait, unless `pypim prune` is asked for it."""
    shrink(mirror, serve, "prune-after 30 days")
    assert removed(mirror.plan()) == DROPPED
    report = mirror.sync()
    assert report["deleted_files"] == 0
    assert mirror.published() == {"app": wheels("app 2.0"), "lib": wheels("lib 1.0")}
    assert not (mirror.tree / "simple" / "gone").exists()
    assert set(DROPPED) <= set(names_below(mirror.store)) & set(names_below(mirror.tree))
    assert mirror.run("status", "--json").expect().document["indexes"][0]["waiting_removals"] == 2
    assert "wait to be deleted" in mirror.run("status").expect().stdout

    before = files_below(mirror.folder)
    document = mirror.run("prune", "--dry-run", "--json").expect().document
    assert document["command"] == "prune"
    assert document["report"]["files"] == DROPPED
    assert document["report"]["is_dry_run"]
    assert "would delete 2 files" in mirror.run("prune", "--dry-run").expect().stdout
    assert files_below(mirror.folder) == before

    assert mirror.run("prune", "--json").expect().document["report"]["files"] == DROPPED
    assert names_below(mirror.store) == names_below(mirror.tree) == wheels("app 2.0", "lib 1.0")
    assert not list(mirror.tree.rglob("*gone*"))
    empty = [path.name for path in mirror.tree.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert empty in ([], [".pypim-staging"])
    assert mirror.run("status", "--json").expect().document["indexes"][0]["waiting_removals"] == 0
    assert mirror.sync()["outcome"] == "unchanged"
    mirror.run("verify").expect()


def test_prune_deletes_nothing_that_pypim_did_not_make(serve: ServeWorld, tmp_path: Path) -> None:
    """A folder may have held something before it became a mirror; what an interrupted run left is another matter."""
    folder = tmp_path / "d"
    theirs = [folder / "packages" / "README", folder / "packages" / "mine" / "setup.py", folder / "simple" / "x" / "y"]
    for path in theirs:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    pypim("sync", "lib", "--to", folder, "--upstream", serve(WORLD).url).expect()
    left = folder / "packages" / "00" / "11" / ("2" * 60) / "left-1.0-py3-none-any.whl"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"by a run that was killed")
    report = pypim("prune", "--to", folder, "--json").expect().document["report"]
    assert report["stray"] == [left.relative_to(folder).as_posix()]
    assert not left.exists()
    assert not left.parent.parent.parent.exists()
    assert all(path.read_text() == "mine" for path in theirs)


def test_what_an_index_lists_stays_when_the_configuration_has_it_no_more(serve: ServeWorld, mirror: Mirror) -> None:
    """Another configuration may have the same store; and what `prune` says to do deletes it."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"lib": "latest"})
    alone = mirror.config.read_text()
    other = alone[alone.index("[indexes.main]") :].replace("indexes.main", "indexes.other").replace("public", "beside")
    mirror.write(alone + other.replace("lib", "app"))
    mirror.run("sync").expect()
    mirror.write(alone)
    told = mirror.run("prune").expect()
    assert "deleted 0 files" in told.stdout
    assert "index other is not in" in told.stderr
    assert "app-2.0-py3-none-any.whl" in names_below(mirror.store)
    bare = other.partition("[indexes.other.packages]")[0]
    mirror.write(alone + bare + 'on-removal = "prune"\n')
    mirror.run("sync").expect()
    mirror.write(alone)
    assert mirror.run("prune").expect().stderr == ""
    assert names_below(mirror.store) == wheels("lib 1.0")
    assert not list((mirror.folder / "beside").rglob("*.whl"))


def test_prune_deletes_at_once(serve: ServeWorld, mirror: Mirror) -> None:
    """`on-removal = "prune"`: with the very sync that unlists them."""
    shrink(mirror, serve, "prune")
    report = mirror.sync()
    assert report["deleted_files"] == 2
    assert names_below(mirror.store) == names_below(mirror.tree) == wheels("app 2.0", "lib 1.0")


def test_prune_after_deletes_later(serve: ServeWorld, mirror: Mirror) -> None:
    """Counted from the sync that unlisted them; what is listed again meanwhile stays."""
    shrink(mirror, serve, "prune-after 10 days")
    clock = MovableClock()
    assert sync_at(mirror, clock).deleted_files == 0
    clock.moment += timedelta(days=9, hours=23)
    assert sync_at(mirror, clock).deleted_files == 0
    assert set(DROPPED) <= set(names_below(mirror.store))
    mirror.configure(_url(mirror), packages={"app": ["1.0", "latest"]}, on_removal="prune-after 10 days")
    assert sync_at(mirror, clock).fetched_files == 0
    clock.moment += timedelta(days=1)
    mirror.configure(_url(mirror), packages={"app": "latest"}, on_removal="prune-after 10 days")
    assert sync_at(mirror, clock).deleted_files == 0, "the time begins anew"
    clock.moment += timedelta(days=10, seconds=1)
    assert sync_at(mirror, clock).deleted_files == 2
    assert names_below(mirror.store) == names_below(mirror.tree) == wheels("app 2.0", "lib 1.0")


def _url(mirror: Mirror) -> str:
    return load(mirror.config).upstreams["world"].url


def test_keep_goes_on_listing(serve: ServeWorld, mirror: Mirror) -> None:
    """`on-removal = "keep"`: what was listed stays listed, though the rules shrink or the upstream deletes it."""
    shrink(mirror, serve, "keep")
    before = mirror.published()
    report = mirror.sync()
    assert removed(report) == []
    assert mirror.published() == before == {
        "app": wheels("app 1.0", "app 2.0"), "gone": wheels("gone 1.0"), "lib": wheels("lib 1.0"),
    }  # fmt: skip
    mirror.run("prune").expect()
    assert set(DROPPED) <= set(names_below(mirror.store))


def test_keep_does_not_keep_what_a_filter_now_denies(serve: ServeWorld, mirror: Mirror) -> None:
    """Who excludes a bad release, or a kind of file, wants it gone from the pages now."""
    world = World.of(
        project("app", "1.0", "2.0"),
        project("native", release("1.0", wheel(), wheel("cp312-cp312-manylinux_2_17_x86_64"), sdist())),
    )
    url, rules = serve(world).url, {"app": "*", "native": "latest"}
    mirror.configure(url, packages=rules, on_removal="keep", filters={"formats": ["wheel", "sdist"]})
    mirror.sync()
    denied = {"exclude": ["app<2"], "exclude_tags": ["*manylinux*"], "formats": ["wheel"]}
    mirror.configure(url, packages=rules, on_removal="keep", filters=denied)
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 2.0"), "native": wheels("native 1.0")}


def test_pages_follow_what_the_upstream_yanks(serve: ServeWorld, mirror: Mirror) -> None:
    """Yanked, the next release is chosen; a pinned one stays and says that it is yanked; and back."""
    server = serve(WORLD)
    one, two = server.world.spec("app").releases
    mirror.configure(server.url, packages={"app": "latest", "lib": "1.0"})
    mirror.sync()
    fine = files_below(mirror.tree)
    server.world = server.world.releasing("app", one, replace(two, yanked=True))
    server.world = server.world.releasing("lib", release("1.0", yanked="too hot"))
    assert "it is yanked now" in mirror.refuses("--keep-going", status=9)["message"]
    report = mirror.sync("--keep-going", "--force", status=1)
    assert removed(report) == wheels("app 2.0")
    assert mirror.published() == {"app": wheels("app 1.0"), "gone": wheels("gone 1.0"), "lib": wheels("lib 1.0")}
    assert [file["yanked"] for file in mirror.page("lib")["files"]] == ["too hot"]
    assert [problem["project"] for problem in report["problems"]] == ["lib"], "no requirement pins it"
    server.world = server.world.releasing("lib", release("1.0"))
    server.world = server.world.releasing("app", one, two)
    mirror.sync()
    assert {path: content for path, content in files_below(mirror.tree).items() if path in fine} == fine
    assert list(mirror.published()) == ["app", "lib"]


def test_what_is_kept_is_yanked_with_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    """`on-removal = "keep"` keeps a yanked file listed, and the page says that it is yanked."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"}, on_removal="keep")
    mirror.sync()
    one, two = server.world.spec("app").releases
    server.world = server.world.releasing("app", one, replace(two, yanked="too hot"))
    mirror.sync()
    assert {file["filename"]: file.get("yanked", False) for file in mirror.page("app")["files"]} == {
        "app-1.0-py3-none-any.whl": False,
        "app-2.0-py3-none-any.whl": "too hot",
    }


def test_a_file_that_was_uploaded_anew_takes_the_place_of_the_older(serve: ServeWorld, mirror: Mirror) -> None:
    """Some indexes let a file be replaced: the page lists one file of that name, the one that the upstream lists."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"lib": "latest"})
    mirror.sync()
    server.world = server.world.releasing("lib", release("1.0", wheel(payload=10)))
    report = mirror.sync()
    assert report["fetched_files"] == 1
    assert removed(report) == wheels("lib 1.0")
    (file,) = mirror.page("lib")["files"]
    assert file["hashes"]["sha256"] == server.world.file("lib-1.0-py3-none-any.whl").sha256
    mirror.run("prune").expect()
    mirror.run("verify").expect()
    assert mirror.sync()["outcome"] == "unchanged"


def test_pages_follow_the_status_of_a_project(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 792: a project that is quarantined upstream offers nothing here either, at once; and comes back."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    fine = files_below(mirror.tree)
    server.world = server.world.having(project("lib", "1.0", status="quarantined"))
    mirror.sync("--keep-going", status=1)
    assert mirror.published() == {"app": wheels("app 2.0"), "lib": []}
    server.world = server.world.having(project("lib", "1.0", status="archived"))
    mirror.sync()
    assert mirror.page("lib")["project-status"] == {"status": "archived"}
    server.world = server.world.having(project("lib", "1.0"))
    mirror.sync()
    assert files_below(mirror.tree) == fine


def test_what_the_upstream_deletes_is_unlisted_and_not_forgotten(serve: ServeWorld, mirror: Mirror) -> None:
    """A release that is gone upstream for certain leaves the page; its bytes wait as long as on-removal says."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "*"})
    mirror.sync()
    server.world = server.world.having(project("app", release("2.0", requires=["lib"])))
    assert removed(mirror.sync()) == DROPPED
    assert mirror.published() == {"app": wheels("app 2.0"), "lib": wheels("lib 1.0")}
    assert set(DROPPED) <= set(names_below(mirror.store))
    server.world = WORLD
    server.forget_requests()
    assert mirror.sync()["fetched_files"] == 0
    assert mirror.published()["app"] == wheels("app 1.0", "app 2.0")


def test_a_project_that_is_gone_upstream_stops_a_run_and_unlists_nothing(serve: ServeWorld, mirror: Mirror) -> None:
    """Without --keep-going, a root that is not found any more ends the run with 3, and what is published stays."""
    server = serve(WORLD)
    upstream = {"removal-confirmations": 1}
    mirror.configure(server.url, upstream=upstream, packages={"app": "latest", "gone": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    server.world = server.world.without("gone")
    mirror.refuses(status=3)
    mirror.refuses("--keep-going", status=9)
    assert files_below(mirror.tree) == before
    mirror.sync("--keep-going", "--force", status=1)
    assert list(mirror.published()) == ["app", "lib"]


def test_one_404_is_not_a_deletion(serve: ServeWorld, mirror: Mirror) -> None:
    """A project that was there stays as it was until its absence is confirmed; `status` shows that as a to-do."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest", "gone": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    server.world = server.world.without("gone")
    assert mirror.sync()["outcome"] == "unchanged"
    assert files_below(mirror.tree) == before
    row = mirror.run("status", "--json").expect().document["indexes"][0]
    assert [(item["project"], item["code"], item["attempts"]) for item in row["todo"]] == [
        ("gone", "unconfirmed-absence", 1)
    ]
    said = mirror.run("status").expect().stdout
    assert "to do: 1 project" in said
    assert "gone: it was there, now it is not (404); confirmed 1 of 3 times (tried 1 time; next try 20" in said
    server.world = WORLD
    mirror.sync()
    assert mirror.run("status", "--json").expect().document["indexes"][0]["todo"] == []


def test_keep_and_yank_lists_what_the_upstream_removed_as_yanked(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 592: only whoever pins it still installs it; what is merely not chosen any more is not yanked."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": ["1.0", "2.0"]}, on_removal="keep-and-yank")
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"}, on_removal="keep-and-yank")
    mirror.sync()
    assert {file["filename"]: file.get("yanked", False) for file in mirror.page("app")["files"]} == {
        "app-1.0-py3-none-any.whl": False,
        "app-2.0-py3-none-any.whl": False,
    }
    server.world = server.world.having(project("app", release("2.0", requires=["lib"])))
    mirror.sync()
    assert {file["filename"]: file.get("yanked", False) for file in mirror.page("app")["files"]} == {
        "app-1.0-py3-none-any.whl": "removed from the upstream",
        "app-2.0-py3-none-any.whl": False,
    }
    server.world = WORLD
    mirror.sync()
    assert {file.get("yanked", False) for file in mirror.page("app")["files"]} == {False}


@pytest.mark.parametrize("on_removal", ["prune", "prune-after 30 days"])
def test_what_another_index_lists_is_not_deleted(serve: ServeWorld, mirror: Mirror, on_removal: str) -> None:
    """Two indexes share the bytes: each tree loses what its index no longer lists, the store what none does."""

    def write(one: str, two: str) -> None:
        mirror.write(
            f'[upstreams.world]\nurl = "{server.url}"\n'
            '[targets.linux]\npython = ["3.12"]\nplatforms = ["linux"]\n'
            f'[indexes.one]\ntargets = ["linux"]\npublish = "one"\non-removal = "{on_removal}"\n'
            f'packages = {{ {one} = "latest" }}\n'
            f'[indexes.two]\ntargets = ["linux"]\npublish = "two"\non-removal = "{on_removal}"\n'
            f'packages = {{ {two} = "latest" }}\n'
        )

    def places() -> list[bool]:
        path = WORLD.file("gone-1.0-py3-none-any.whl").path
        return [(mirror.folder / name / path).exists() for name in ("data", "one", "two")]

    server = serve(WORLD)
    write("gone", "gone")
    mirror.run("sync").expect()
    assert places() == [True, True, True]
    write("lib", "gone")
    mirror.run("sync").expect()
    mirror.run("prune").expect()
    assert places() == [True, False, True]
    mirror.run("verify").expect()
    write("lib", "lib")
    mirror.run("sync").expect()
    mirror.run("prune").expect()
    assert places() == [False, False, False]
