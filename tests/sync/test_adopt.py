"""`adopt`: what another tool has downloaded is taken over by name and hash, and nothing of it is fetched again."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pypim.core.filenames import project_of
from pypim.store import atomic
from pypim.sync.foreign import ForeignFolder
from tests.clients.clients import Environment, pip_install, run, uv_install
from tests.sync import layouts
from tests.sync.mirror import Document, Mirror, Outcome, files_below, pypim, stamps_below
from tests.web.asking import ask
from tests.web.serving import RunningServer
from tests.worlds import faults
from tests.worlds.specs import project, release, sdist, wheel
from tests.worlds.world import World
from tools.clients import is_installed, python_of

if TYPE_CHECKING:
    from tests.conftest import ServeWorld
    from tests.worlds.server import WorldServer

WORLD = World.of(
    project(
        "my.app",
        release("1.0", wheel(), sdist(), requires=["my-lib>=1.0"]),
        release("2.0", wheel(), sdist(), requires=["my-lib>=1.0"]),
    ),
    project("my-lib", release("1.0", wheel(), sdist()), release("1.1", wheel())),
)
EVERYTHING: Document = {"packages": {"my-app": ">=0", "my-lib": ">=0"}, "filters": {"formats": ["wheel", "sdist"]}}


def adopted(outcome: Outcome) -> Document:
    report = outcome.document["report"]
    assert isinstance(report, dict)
    return report


def left(report: Document) -> dict[str, str]:
    """Path → why it was not taken."""
    return {one["path"]: one["reason"] for one in report["unmatched"]}


def mirror_of(server: WorldServer, folder: Path) -> Mirror:
    return Mirror(folder).configure(server.url, **EVERYTHING)


def asked_for_files(server: WorldServer) -> list[str]:
    return [request.path for request in server.requests if request.path.endswith((".whl", ".tar.gz"))]


def assert_nothing_is_fetched(mirror: Mirror, server: WorldServer, world: World = WORLD) -> None:
    """A sync after the adoption, with all that it must leave right."""
    server.forget_requests()
    report = mirror.sync()
    assert report["fetched_files"] == 0
    assert asked_for_files(server) == []
    assert sorted(name for names in mirror.published().values() for name in names) == sorted(
        file.filename for file in world.files
    )
    mirror.run("verify").expect()


# --- what each tool leaves ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", layouts.ALL)
def test_every_layout_is_found_by_name_and_hash(name: str, serve: ServeWorld, tmp_path: Path) -> None:
    """Found by name, checked by hash, linked instead of downloaded; nothing in the folder changes."""
    server, old = serve(WORLD, ranges=False, serve_metadata=False), tmp_path / "old"
    layouts.ALL[name](WORLD, old)
    mirror, before = mirror_of(server, tmp_path / "new"), stamps_below(old)
    report = adopted(mirror.run("adopt", old, "--json").expect())
    wheels_only = [file for file in WORLD.files if name != "pip_wheels" or file.filename.endswith(".whl")]
    assert report["adopted_files"] == report["linked_files"] == report["found_files"] == len(wheels_only)
    assert report["adopted_bytes"] == sum(file.size for file in wheels_only)
    assert report["unmatched"] == []
    assert stamps_below(old) == before
    assert asked_for_files(server) == []
    if name != "pip_wheels":
        assert_nothing_is_fetched(mirror, server)
    assert {path.stat().st_ino for path in (mirror.store / "packages").rglob("*.whl")} == {
        path.stat().st_ino for path in old.rglob("*.whl")
    }


@pytest.mark.parametrize("name", layouts.TELLING)
def test_without_the_upstream_the_folders_own_pages_count(name: str, serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.ALL[name](WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")
    report = adopted(mirror.run("adopt", old, "--offline", "--json").expect())
    assert report["adopted_files"] == len(list(WORLD.files))
    assert report["faults"] == []
    assert server.requests == []
    assert_nothing_is_fetched(mirror, server)


def test_without_anybody_who_says_a_hash_nothing_is_taken(serve: ServeWorld, tmp_path: Path) -> None:
    """Unknown is not false: the files are named, and the exit status is 1."""
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--offline", "--json").expect(1))
    assert report["adopted_files"] == 0
    assert set(left(report).values()) == {"unknown"}


def test_an_upstream_out_of_reach_is_given_up_after_three_faults(serve: ServeWorld, tmp_path: Path) -> None:
    world = World.of(*(project(f"p{number}", release("1.0", wheel())) for number in range(40)))
    server, old = serve(world), tmp_path / "old"
    layouts.bandersnatch(world, old)
    server.misbehave("/simple/*", faults.status(503))
    mirror = Mirror(tmp_path / "new").configure(server.url, packages={"p1": ">=0"})
    outcome = mirror.run("adopt", old, "--json").expect()
    assert adopted(outcome)["adopted_files"] == 40, "the folder's own pages count instead"
    assert len(server.requests) < 25, "those that were on their way, and no more"
    assert "503" in outcome.stderr


# --- what does not match --------------------------------------------------------------------------------------------
def test_what_does_not_match_is_named_with_its_reason(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    whole = (old / "my_lib-1.0.tar.gz").read_bytes()
    (old / "my_lib-1.0.tar.gz").write_bytes(whole[:-1])
    (old / "my_app-1.0-py3-none-any.whl").write_bytes(b"")
    lib = old / "my_lib-1.1-py3-none-any.whl"
    lib.write_bytes(b"X" + lib.read_bytes()[1:])
    (old / "my_app-2.0.tar.gz").write_bytes((old / "my_app-2.0.tar.gz").read_bytes() + b"more")
    (old / "private-1.0-py3-none-any.whl").write_bytes(b"of our own")
    (old / "my_lib-9.0.tar.gz").write_bytes(b"never released")
    (old / "nonsense.whl").write_bytes(b"")
    (old / "notes.txt").write_bytes(b"")
    outcome = mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect()
    assert left(adopted(outcome)) == {
        "my_lib-1.0.tar.gz": "truncated",
        "my_app-1.0-py3-none-any.whl": "truncated",
        "my_lib-1.1-py3-none-any.whl": "other-hash",
        "my_app-2.0.tar.gz": "other-hash",
        "private-1.0-py3-none-any.whl": "not-listed",
        "my_lib-9.0.tar.gz": "not-listed",
        "nonsense.whl": "no-name",
    }
    assert adopted(outcome)["adopted_files"] == 3
    assert adopted(outcome)["companion_files"] == 1
    prose = mirror_of(server, tmp_path / "other").run("adopt", old).expect().stdout
    assert "left out 2 files not listed by the upstream:" in prose
    assert "my_lib-1.0.tar.gz: it has " in prose


def test_a_wheel_that_was_built_here_is_never_taken_for_the_upstreams(serve: ServeWorld, tmp_path: Path) -> None:
    """pip's cache holds what pip built from sdists, under the names that the upstream's wheels have."""
    built = World.of(project("my-lib", release("1.0", wheel(payload=200)), release("1.1", wheel())))
    server, old = serve(WORLD), tmp_path / "cache"
    layouts.pip_wheels(built, old)
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect())
    assert report["adopted_files"] == 1, "pip keeps what it downloaded whole as it is"
    assert [reason for path, reason in left(report).items() if "my_lib-1.0" in path] == ["other-hash"]


def test_of_one_name_with_other_bytes_the_right_one_is_taken(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    file = WORLD.file("my_lib-1.0-py3-none-any.whl")
    for folder, content in (("a", b"X" + file.content[1:]), ("b", file.content), ("c", file.content), ("d", b"")):
        (old / folder).mkdir(parents=True)
        (old / folder / file.filename).write_bytes(content)
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect())
    assert (report["found_files"], report["adopted_files"]) == (4, 1)
    assert report["held_files"] + len(report["unmatched"]) == 3


def test_where_a_name_leaves_room_for_doubt_every_project_is_asked(serve: ServeWorld, tmp_path: Path) -> None:
    """`foo-2-1.0.zip` may be 1.0 of foo-2 or 2-1.0 of foo: the one of the two that lists it."""
    world = World.of(project("foo", release("2-1", sdist())), project("foo-2", release("0.5", sdist())))
    server, old = serve(world), tmp_path / "old"
    layouts.flat(world, old)
    (file,) = world.files_of("foo")
    assert project_of(file.filename) != "foo"
    mirror = Mirror(tmp_path / "new").configure(server.url, packages={"foo": ">=0"})
    report = adopted(mirror.run("adopt", old, "--json").expect())
    assert report["unmatched"] == []


def test_an_index_that_lists_no_hash_cannot_vouch_for_a_file(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD, hashes="none", pypi_shaped=False, json_api=False), tmp_path / "old"
    layouts.flat(WORLD, old)
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect())
    assert set(left(report).values()) == {"no-hash"}


@pytest.mark.parametrize("most", [1, 2, 3, 6, 7, 100])
def test_a_large_folder_comes_in_portions_of_whole_projects(most: int, tmp_path: Path) -> None:
    """Memory does not grow with the folder: it is looked through once more for each portion."""
    layouts.simple_pypi_mirror(WORLD, tmp_path)
    (tmp_path / "nonsense.whl").write_bytes(b"")
    folder = ForeignFolder(tmp_path)
    found = [
        {(projects, one.filename) for projects, files in portion.items() for one in files}
        for portion in folder.portions(most)
    ]
    assert sorted(name for portion in found for _, name in portion) == sorted(file.filename for file in WORLD.files)
    assert len([portion for portion in found if portion]) <= 2, "there are two projects"
    assert (len(found) == 1) == (most >= 7)
    assert (folder.files, folder.size) == (7, sum(file.size for file in WORLD.files))
    assert [one.path for one in folder.unmatched] == ["nonsense.whl"]


@pytest.mark.parametrize("algorithm", ["md5", "blake2b_256"])
def test_another_hash_than_sha256_does_where_the_upstream_has_no_better(
    algorithm: str, serve: ServeWorld, tmp_path: Path
) -> None:
    """As for a download: an md5 in the page, or the digest that is in the URL's path."""
    server = serve(
        WORLD, json_api=False, hashes="md5" if algorithm == "md5" else "none", pypi_shaped=algorithm != "md5"
    )
    old = tmp_path / "old"
    layouts.flat(WORLD, old)
    (old / "my_lib-1.1-py3-none-any.whl").write_bytes(WORLD.file("my_lib-1.1-py3-none-any.whl").content[::-1])
    mirror = mirror_of(server, tmp_path / "new")
    report = adopted(mirror.run("adopt", old, "--json").expect())
    assert (report["adopted_files"], left(report)) == (6, {"my_lib-1.1-py3-none-any.whl": "other-hash"})
    server.forget_requests()
    assert mirror.sync()["fetched_files"] == 1


def test_a_plan_that_was_made_before_is_made_anew(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD, page_headers={"Cache-Control": "max-age=600"}), tmp_path / "old"
    layouts.flat(WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")
    assert len(mirror.plan()["plan"]["fetch"]) == 7
    mirror.run("adopt", old).expect()
    assert mirror.plan()["plan"]["fetch"] == []


# --- folders that nobody should trust -------------------------------------------------------------------------------
def test_links_loops_and_devices_lead_nowhere(serve: ServeWorld, tmp_path: Path) -> None:
    """No symbolic link is followed, neither out of the folder nor around in it; nothing that is no file is opened."""
    server, old, outside = serve(WORLD), tmp_path / "old", tmp_path / "outside"
    layouts.flat(WORLD, outside)
    old.mkdir()
    (old / "my_lib-1.0-py3-none-any.whl").symlink_to(outside / "my_lib-1.0-py3-none-any.whl")
    (old / "around").symlink_to(old)
    (old / "away").symlink_to(outside)
    (old / "my_lib-1.0.tar.gz").symlink_to("my_lib-1.0.tar.gz")
    os.mkfifo(old / "my_lib-1.1-py3-none-any.whl")
    (old / "my_app-1.0.tar.gz").mkdir()
    deep = old
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    shutil.copy(outside / "my_app-2.0.tar.gz", deep)
    unspeakable = old / os.fsdecode(b"\xff\xfe")
    unspeakable.mkdir()
    shutil.copy(outside / "my_app-1.0.tar.gz", unspeakable)
    (old / "..my_app-2.0.tar.gz").write_bytes(b"")
    (old / "my_app-2.0\n.tar.gz").write_bytes(b"")
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect())
    assert report["adopted_files"] == 2
    assert left(report) == {
        "my_lib-1.0-py3-none-any.whl": "no-file",
        "my_lib-1.0.tar.gz": "no-file",
        "my_lib-1.1-py3-none-any.whl": "no-file",
        "..my_app-2.0.tar.gz": "no-name",
        "my_app-2.0\n.tar.gz": "no-name",
    }


def test_what_cannot_be_read_is_named(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    (old / "my_lib-1.0.tar.gz").chmod(0)
    (old / "closed").mkdir(mode=0)
    if os.access(old / "closed", os.R_OK):
        pytest.skip("nothing is unreadable for root")
    report = adopted(mirror_of(server, tmp_path / "new").run("adopt", old, "--json").expect(1))
    assert left(report) == {"my_lib-1.0.tar.gz": "unreadable", "closed": "unreadable"}


def test_pages_that_lie_make_nothing_wrong_visible(serve: ServeWorld, tmp_path: Path) -> None:
    """A folder may say what it likes of its files: what the upstream lists has another identity, and is fetched."""
    server, old = serve(WORLD), tmp_path / "old"
    forged = World.of(project("my-lib", release("1.0", wheel(payload=300), sdist()), release("1.1", wheel())))
    layouts.simple_pypi_mirror(forged, old)
    mirror = mirror_of(server, tmp_path / "new")
    assert adopted(mirror.run("adopt", old, "--offline", "--json").expect())["adopted_files"] == 3
    mirror.sync()
    listed = {file["filename"]: file["hashes"]["sha256"] for file in mirror.page("my-lib")["files"]}
    assert listed == {file.filename: file.sha256 for file in WORLD.files_of("my-lib")}


@pytest.mark.parametrize(
    ("make", "status", "said"),
    [
        (lambda folder: folder / "none", 3, "there is no such folder"),
        (lambda folder: _made(folder / "file", b""), 2, "this is not a folder"),
        (lambda folder: _made(folder / "empty" / "README", b"").parent, 3, "no file in it has the name"),
        (lambda folder: _made(folder / "new/data/a-1.0.tar.gz", b"").parent, 2, "are not apart"),
        (lambda folder: folder, 2, "are not apart"),
    ],
)
def test_what_is_no_folder_of_anothers_is_refused(
    make: object, status: int, said: str, serve: ServeWorld, tmp_path: Path
) -> None:
    server = serve(WORLD)
    mirror = mirror_of(server, tmp_path / "new")
    folder = make(tmp_path)  # type: ignore[operator]
    error = mirror.run("adopt", folder, "--json").expect(status).error
    assert said in error["message"]
    assert error["hint"]
    assert not (mirror.store / "catalog.sqlite").exists(), "nothing is begun"


def _made(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# --- what a link is -------------------------------------------------------------------------------------------------
def test_copies_stand_by_themselves(serve: ServeWorld, tmp_path: Path) -> None:
    """With --copy the other tool may rewrite its files in place; without it `verify` finds that it did."""
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    linked, copied = mirror_of(server, tmp_path / "linked"), mirror_of(server, tmp_path / "copied")
    linked.run("adopt", old).expect()
    report = adopted(copied.run("adopt", old, "--copy", "--json").expect())
    assert (report["adopted_files"], report["linked_files"]) == (7, 0)
    for mirror in (linked, copied):
        mirror.sync()
    with (old / "my_lib-1.0.tar.gz").open("r+b") as stream:
        stream.write(b"rewritten in place")
    copied.run("verify").expect()
    assert "my_lib-1.0.tar.gz" in linked.run("verify").expect(7).stdout
    linked.run("verify", "--repair").expect()
    assert (old / "my_lib-1.0.tar.gz").read_bytes().startswith(b"rewritten"), "a repair writes no foreign file"


def test_what_the_other_tool_deletes_stays_held(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.bandersnatch(WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")
    mirror.run("adopt", old).expect()
    shutil.rmtree(old)
    assert_nothing_is_fetched(mirror, server)


def test_a_file_that_changes_while_it_is_taken_is_not_taken(serve: ServeWorld, tmp_path: Path) -> None:
    """Between reading and linking somebody writes: what got a name is what was hashed, or nothing did."""
    world = World.of(project("lib", release("1.0", wheel())))
    server, old = serve(world), tmp_path / "old"
    layouts.flat(world, old)
    mirror = Mirror(tmp_path / "new").configure(server.url, packages={"lib": ">=0"})

    def observer(operation: str, path: str) -> None:
        if operation in {"link", "copy"} and path.endswith(".second"):
            (old / "lib-1.0-py3-none-any.whl").write_bytes(b"rewritten")

    for option in ((), ("--copy",)):
        layouts.flat(world, old)
        with atomic.observed(observer):
            report = adopted(mirror.run("adopt", old, "--json", *option).expect(1))
        assert left(report) == {"lib-1.0-py3-none-any.whl": "changed"}
        assert not list(mirror.store.rglob("*.whl"))
    assert mirror.sync()["fetched_files"] == 1
    mirror.run("verify").expect()


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_the_system_cannot_link_files_are_copied(number: int, serve: ServeWorld, tmp_path: Path) -> None:
    """Another device, a file of somebody else's, too many links."""
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")

    def observer(operation: str, path: str) -> None:
        if operation == "link" and path.endswith(".second"):
            raise OSError(number, os.strerror(number))

    with atomic.observed(observer):
        report = adopted(mirror.run("adopt", old, "--json").expect())
    assert (report["adopted_files"], report["linked_files"]) == (7, 0)
    assert_nothing_is_fetched(mirror, server)


def test_another_device_is_copied_from(serve: ServeWorld, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    server, old = serve(WORLD), memory / f"pypim-{os.getpid()}"
    try:
        layouts.flat(WORLD, old)
        mirror = mirror_of(server, tmp_path / "new")
        report = adopted(mirror.run("adopt", old, "--json").expect())
        assert (report["adopted_files"], report["linked_files"]) == (7, 0)
        assert_nothing_is_fetched(mirror, server)
    finally:
        shutil.rmtree(old, ignore_errors=True)


# --- faults ---------------------------------------------------------------------------------------------------------
def test_what_is_adopted_is_durable_before_it_is_recorded(serve: ServeWorld, tmp_path: Path) -> None:
    """When any operation fails the run ends with a fault of the store, and the next one goes on from there."""
    world = World.of(WORLD.spec("my-lib"))
    server, old = serve(world), tmp_path / "old"
    layouts.flat(world, old)
    before = files_below(old)
    for number in range(1, 200):
        mirror = Mirror(tmp_path / f"new{number}").configure(
            server.url, **{**EVERYTHING, "packages": {"my-lib": ">=0"}}
        )
        count = 0

        def observer(operation: str, path: str) -> None:
            nonlocal count
            count += 1
            if count == number:  # noqa: B023 - called while it is so
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with atomic.observed(observer):
            outcome = mirror.run("adopt", old, "--json")
        assert files_below(old) == before
        if count < number:
            outcome.expect()
            break
        if outcome.status == 0:
            continue
        assert outcome.expect(8).error["code"] in {"out-of-space", "store-unwritable"}
        if number % 5 == 1:
            mirror.run("verify").expect()
            mirror.run("adopt", old).expect()
            assert_nothing_is_fetched(mirror, server, world)
            assert mirror.run("prune", "--dry-run", "--json").expect().document["report"]["stray"] == []
    else:
        pytest.fail("it never ends")


def test_again_takes_nothing_and_reads_nothing(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")
    mirror.run("adopt", old).expect()
    before = stamps_below(mirror.store / "packages")
    report = adopted(mirror.run("adopt", old, "--json").expect())
    assert (report["adopted_files"], report["held_files"]) == (0, 7)
    assert stamps_below(mirror.store / "packages") == before


def test_a_dry_run_changes_nothing(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.flat(WORLD, old)
    mirror = mirror_of(server, tmp_path / "new")
    before = files_below(tmp_path)
    report = adopted(mirror.run("adopt", old, "--dry-run", "--json").expect())
    assert report["adopted_files"] == 7
    assert report["is_dry_run"] is True
    assert files_below(tmp_path) == before
    assert server.asked("/simple/*")


# --- where it goes --------------------------------------------------------------------------------------------------
def test_what_no_sync_chooses_stays_until_it_is_pruned(serve: ServeWorld, tmp_path: Path) -> None:
    server, old = serve(WORLD), tmp_path / "old"
    layouts.bandersnatch(WORLD, old)
    mirror = Mirror(tmp_path / "new").configure(server.url, packages={"my-lib": "1.1"})
    mirror.run("adopt", old).expect()
    for _ in range(2):
        mirror.sync()
    assert len(list((mirror.store / "packages").rglob("*-*.*[lz]"))) == 7
    mirror.configure(server.url, packages={"my-lib": ">=0"})
    assert mirror.sync()["fetched_files"] == 0, "what is chosen later is still there"
    mirror.run("prune").expect()
    assert len(list((mirror.store / "packages").rglob("my_app*"))) == 0
    assert (old / "web").is_dir()


def test_a_mirror_without_a_configuration_begins_with_what_is_adopted(serve: ServeWorld, tmp_path: Path) -> None:
    server, old, new = serve(WORLD), tmp_path / "old", tmp_path / "new"
    layouts.flat(WORLD, old)
    pypim("adopt", old, "--to", new, "--upstream", server.url).expect()
    server.forget_requests()
    pypim("sync", "my-app", "--to", new).expect()
    assert asked_for_files(server) == []
    pypim("verify", "--to", new).expect()
    pypim("adopt", old, "--to", new).expect()


def test_each_upstream_is_offered_what_the_one_before_did_not_list(serve: ServeWorld, tmp_path: Path) -> None:
    first, second = serve(World.of(WORLD.spec("my-lib"))), serve(World.of(WORLD.spec("my-app")))
    old, folder = tmp_path / "old", tmp_path / "new"
    layouts.flat(WORLD, old)
    mirror = Mirror(folder)
    mirror.write(
        f'[upstreams.a]\nurl = "{first.url}"\n[upstreams.b]\nurl = "{second.url}"\n'
        '[indexes.one]\nupstream = "a"\npackages.my-lib = ">=0"\n'
        '[indexes.two]\nupstream = "b"\npackages.my-app = ">=0"\ndependencies.follow = false\n'
    )
    report = adopted(mirror.run("adopt", old, "--json").expect())
    assert report["indexes"] == ["one", "two"]
    assert report["adopted_files"] == 7
    one = adopted(mirror.run("adopt", old, "--index", "one", "--json").expect())
    assert (one["held_files"], len(one["unmatched"])) == (3, 4)
    mirror.run("sync").expect()
    assert asked_for_files(first) == asked_for_files(second) == []


def test_a_proxy_keeps_what_it_is_given(serve: ServeWorld, tmp_path: Path) -> None:
    """As if it had passed through: a client gets it, and the upstream is asked for its page only."""
    server, old = serve(WORLD), tmp_path / "old"
    layouts.pypicache(WORLD, old)
    config = tmp_path / "new" / "pypim.toml"
    config.parent.mkdir()
    config.write_text(f'[upstreams.up]\nurl = "{server.url}"\n[indexes.cache]\nkind = "proxy"\nupstream = "up"\n')
    assert "proxy" in pypim("-c", config, "adopt", old).expect(2).stderr
    report = adopted(pypim("-c", config, "adopt", old, "--index", "cache", "--json").expect())
    assert report["adopted_files"] == 7
    server.forget_requests()
    with RunningServer(config) as running:
        for file in WORLD.files:
            assert ask(f"{running.url}/cache/{file.path}").body == file.content
    assert asked_for_files(server) == []
    pypim("-c", config, "verify").expect()
    pypim("-c", config, "prune").expect()
    assert len(list((config.parent / "data/packages").rglob("my_*.tar.gz"))) == 3, "the proxy lists them"


# --- check 5 --------------------------------------------------------------------------------------------------------
BANDERSNATCH = """
[mirror]
directory = {folder}/mirror
master = {url}
allow-non-https = true
api-method = simple
json = true
timeout = 30
workers = 3
hash-index = false
stop-on-error = true
compare-method = hash
verifiers = 1
"""


@pytest.mark.skipif(not is_installed("bandersnatch"), reason="bandersnatch is not in .clients/: run `make clients`")
def test_a_mirror_that_bandersnatch_made_is_followed_by_us(serve: ServeWorld, tmp_path: Path) -> None:
    """A bandersnatch mirror, adopted: 0 files downloaded, `verify` finds nothing, pip and uv install from it."""
    server = serve(WORLD)
    config = tmp_path / "bandersnatch.conf"
    config.write_text(BANDERSNATCH.format(folder=tmp_path, url=server.url.removesuffix("/simple/")))
    run([str(python_of("bandersnatch").parent / "bandersnatch"), "-c", str(config), "mirror"]).expect_ok()
    mirror = mirror_of(server, tmp_path / "new")
    server.forget_requests()
    report = adopted(mirror.run("adopt", tmp_path / "mirror", "--json").expect())
    assert report["adopted_files"] == report["linked_files"] == 7
    assert report["unmatched"] == []
    assert asked_for_files(server) == []
    assert_nothing_is_fetched(mirror, server)
    for number, install in enumerate((pip_install, uv_install)):
        environment = Environment.create(tmp_path / f"env{number}")
        install(mirror.url, "my-app", environment).expect_ok()
        assert environment.installed() == {"my-app": "2.0", "my-lib": "1.1"}


def test_a_run_that_is_killed_is_gone_on_with(serve: ServeWorld, tmp_path: Path) -> None:
    """What it had recorded is held, what it had only placed is placed again; nothing is left over."""
    world = World.of(*(project(f"p{number}", release("1.0", wheel(), sdist())) for number in range(400)))
    server, old = serve(world), tmp_path / "old"
    layouts.bandersnatch(world, old)
    mirror = Mirror(tmp_path / "new").configure(
        server.url, patterns={".*": ">=0"}, filters={"formats": ["wheel", "sdist"]}
    )
    command = [sys.executable, "-m", "pypim", "-c", str(mirror.config), "-q", "adopt", str(old)]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        while process.poll() is None and not list((mirror.store / "packages").glob("*/*/*/p*.whl")):
            time.sleep(0.01)
        process.kill()
    report = adopted(mirror.run("adopt", old, "--json").expect())
    assert report["adopted_files"] + report["held_files"] == 800
    assert report["adopted_files"] > 0
    assert_nothing_is_fetched(mirror, server, world)
    assert mirror.run("prune", "--dry-run", "--json").expect().document["report"]["stray"] == []
