"""`verify` finds every way in which the disk no longer holds what was stored and published, and `--repair` mends it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from pypim.config.load import load
from pypim.store import atomic
from pypim.sync.reading import Pace, Reading
from pypim.sync.silent import SilentReporter
from pypim.sync.verify import VerifyReport, verify
from pypim.wiring import OpenStore, open_stack, open_store, request_of, run
from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, Mirror, files_below, pypim, pypim_process
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist

WORLD = World.of(
    project("app", "1.0", requires=["lib", "src"]), project("lib", "1.0"), project("src", release("1.0", sdist()))
)
LIB = "lib-1.0-py3-none-any.whl"


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def metadata_of(change: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda path: change(path.with_name(path.name + ".metadata"))


def sync_to(folder: Path, url: str) -> None:
    pypim("sync", "app", "--to", folder, "--upstream", url, *LINUX_OPTIONS).expect()


def damages_of(document: Document) -> list[Document]:
    (entry,) = document["indexes"]
    damages: list[Document] = entry["report"]["damages"]
    return damages


def test_a_sound_mirror_is_said_to_be_sound(serve: ServeWorld, tmp_path: Path) -> None:
    sync_to(tmp_path / "m", serve(WORLD).url)
    document = pypim("verify", "--to", tmp_path / "m", "--json").expect().document
    assert document["command"] == "verify"
    report = document["indexes"][0]["report"]
    assert report == {"files": 3, "file_bytes": sum(file.size for file in WORLD.files), "damages": [], "passed_over": 0}
    assert "as they were stored" in pypim("verify", "--to", tmp_path / "m").expect().stdout


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (flip_a_bit, "sha256"),
        (truncate, "sha256"),
        (Path.unlink, "missing"),
        (metadata_of(Path.unlink), "missing"),
        (metadata_of(flip_a_bit), ".metadata"),
    ],
    ids=["bit-flip", "truncated", "gone", "metadata-gone", "metadata-bit-flip"],
)
@pytest.mark.parametrize("place", ["store", "tree"])
def test_each_damage_is_named_and_repaired(
    serve: ServeWorld, tmp_path: Path, spoil: Callable[[Path], None], reason: str, place: str
) -> None:
    """Exit 7 as long as any remains; afterwards the bytes are again what they were, in the store and in the tree."""
    server = serve(WORLD)
    if place == "store":
        folder, options = tmp_path / "m", ("--to", tmp_path / "m")
        sync_to(folder, server.url)
    else:
        mirror = Mirror(tmp_path / "m").configure(server.url, packages={"app": "latest"})
        mirror.sync()
        folder, options = mirror.tree, ("-c", mirror.config)
    before = files_below(folder)
    stored = tmp_path / "m" / ("" if place == "store" else "data") / WORLD.file(LIB).path
    spoil(stored)
    document = pypim("verify", "--json", *options).expect(7).document
    (damage,) = damages_of(document)
    assert (damage["filename"], damage["is_repaired"]) == (LIB, False)
    assert reason in damage["reason"]
    text = pypim("verify", *options).expect(7).stdout
    assert f"damaged: {LIB}" in text
    assert "--repair" in text
    (repaired,) = damages_of(pypim("verify", "--repair", "--json", *options).expect().document)
    assert repaired["is_repaired"]
    assert files_below(folder) == before
    assert damages_of(pypim("verify", "--json", *options).expect().document) == []


def test_pages_and_files_that_vanish_from_the_published_tree_come_back(serve: ServeWorld, mirror: Mirror) -> None:
    """What is published is looked at as well as what is stored, and made again without asking the upstream."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    (mirror.tree / "simple" / "app" / "index.html").unlink()
    flip_a_bit(mirror.tree / "simple" / "lib" / "index.v1_json")
    (mirror.tree / "simple" / "index.html").unlink()
    (mirror.tree / WORLD.file("src-1.0.tar.gz").path).unlink()
    server.forget_requests()
    damages = damages_of(mirror.run("verify", "--json").expect(7).document)
    assert {damage["filename"] for damage in damages} == {
        "simple/", "simple/app/", "simple/lib/", WORLD.file("src-1.0.tar.gz").path,
    }  # fmt: skip
    mirror.run("verify", "--repair").expect()
    assert files_below(mirror.tree) == before
    assert not server.requests


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(flip_a_bit, "sha256"), (metadata_of(flip_a_bit), ".metadata")],
    ids=["bit-flip", "metadata-bit-flip"],
)
def test_a_copy_in_the_published_tree_is_read_as_well(
    serve: ServeWorld, mirror: Mirror, spoil: Callable[[Path], None], reason: str
) -> None:
    """Where the file system cannot link, the tree has bytes of its own; they come back from the store."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    before = files_below(mirror.tree)
    for path in (mirror.tree / "packages").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    mirror.run("verify").expect()
    spoil(mirror.tree / WORLD.file(LIB).path)
    server.forget_requests()
    (damage,) = damages_of(mirror.run("verify", "--json").expect(7).document)
    assert damage["filename"] == WORLD.file(LIB).path
    assert "where it is published" in damage["reason"]
    assert reason in damage["reason"]
    (repaired,) = damages_of(mirror.run("verify", "--repair", "--json").expect().document)
    assert repaired["is_repaired"]
    assert files_below(mirror.tree) == before
    mirror.run("verify").expect()
    assert not server.requests


def stop_at_pages(operation: str, path: str) -> None:
    if operation == "rename" and "/simple/" in path:
        raise OSError(errno.EIO, "it was unplugged")


def test_a_stored_file_that_vanished_before_it_was_published_is_fetched_again(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """The sync that stumbles over it says what to do, also when only that unfinished sync lists the file."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"lib": "latest"})
    mirror.sync()
    mirror.configure(server.url, packages={"lib": "latest", "src": "latest"})
    with atomic.observed(stop_at_pages):
        mirror.refuses(status=8)
    sdist_path = WORLD.file("src-1.0.tar.gz").path
    (mirror.tree / sdist_path).unlink()
    (mirror.store / sdist_path).unlink()
    error = mirror.refuses(status=7)
    assert str(mirror.store / sdist_path) in error["message"]
    assert "missing" in error["message"]
    assert "pypim verify --repair" in error["hint"]
    (damage,) = damages_of(mirror.run("verify", "--repair", "--json").expect().document)
    assert "pypim sync" in damage["reason"]
    mirror.sync()
    assert mirror.published() == {"lib": [LIB], "src": ["src-1.0.tar.gz"]}
    mirror.run("verify").expect()


def test_what_cannot_be_fetched_again_stays_named(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit 7, with the reason; its page goes on listing it, for a failing upstream never unlists anything."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    published = mirror.published()
    (mirror.store / WORLD.file(LIB).path).unlink()
    server.misbehave(f"*/{LIB}", faults.status(503))
    (damage,) = damages_of(mirror.run("verify", "--repair", "--json").expect(7).document)
    assert not damage["is_repaired"]
    assert "503" in damage["reason"]
    assert mirror.published() == published
    server.behave()
    server.misbehave(f"*/{LIB}", faults.wrong_bytes())
    (damage,) = damages_of(mirror.run("verify", "--repair", "--json").expect(7).document)
    assert "sha256" in damage["reason"]
    server.behave()
    mirror.run("verify", "--repair").expect()
    mirror.run("verify").expect()


def test_a_damaged_file_that_nothing_lists_can_only_be_pruned(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    mirror.configure(server.url, packages={"src": "latest"})
    mirror.sync()
    flip_a_bit(mirror.store / WORLD.file(LIB).path)
    (damage,) = damages_of(mirror.run("verify", "--repair", "--json").expect(7).document)
    assert "prune" in damage["reason"]
    mirror.run("prune").expect()
    mirror.run("verify").expect()


def test_each_index_answers_for_its_own_files(serve: ServeWorld, mirror: Mirror) -> None:
    """Two indexes share one store; what is damaged is repaired by the index that lists it, and counted once."""
    server = serve(WORLD)
    mirror.write(
        f'[upstreams.world]\nurl = "{server.url}"\nretries = 0\n'
        '[targets.linux]\npython = ["3.12"]\nplatforms = ["linux"]\n'
        '[indexes.one]\ntargets = ["linux"]\npackages = { src = "latest" }\n'
        '[indexes.two]\ntargets = ["linux"]\npackages = { lib = "latest" }\n'
    )
    mirror.run("sync").expect()
    flip_a_bit(mirror.store / WORLD.file(LIB).path)
    mirror.run("verify", "--index", "one").expect()
    document = mirror.run("verify", "--repair", "--json").expect().document
    assert [len(entry["report"]["damages"]) for entry in document["indexes"]] == [0, 1]


def test_what_is_asked_for_need_not_be_there(serve: ServeWorld, tmp_path: Path) -> None:
    """A mirror that was carried elsewhere is verified there, and repaired, without the files that it was made from."""
    asked = tmp_path / "requirements.txt"
    asked.write_text("app\n")
    mirror = tmp_path / "m"
    url = serve(WORLD).url
    pypim("sync", "-r", asked, "--to", mirror, "--upstream", url, *LINUX_OPTIONS).expect()
    asked.unlink()
    pypim("verify", "--to", mirror).expect()
    flip_a_bit(mirror / WORLD.file(LIB).path)
    pypim("verify", "--to", mirror).expect(7)
    pypim("verify", "--repair", "--to", mirror).expect()
    pypim("verify", "--to", mirror).expect()


class Meanwhile(Pace):
    """Has something done after the first bytes were read."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(None)
        self._work = [work]

    def wait_for(self, size_bytes: int) -> None:
        del size_bytes
        while self._work:
            self._work.pop()()


@pytest.mark.parametrize("on_removal", ["prune", "prune-after 30 days"])
def test_what_a_sync_replaces_meanwhile_is_no_damage(serve: ServeWorld, mirror: Mirror, on_removal: str) -> None:
    """Verifying a large mirror takes hours, and the nightly sync does not wait for it."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"app": "latest"}, on_removal=on_removal)
    mirror.sync()
    config = load(mirror.config)
    (index,) = config.mirrors

    def sync_meanwhile() -> None:
        mirror.configure(server.url, packages={"src": "latest"}, on_removal=on_removal)
        pypim_process("-c", mirror.config, "sync", cwd=mirror.folder).expect()

    async def work(store: OpenStore) -> VerifyReport:
        reading = Reading(SilentReporter(), pace=Meanwhile(sync_meanwhile))
        async with open_stack(store, index, SilentReporter()) as stack:
            return await verify(stack, request_of(config, index), repairs=False, reading=reading)

    with open_store(config, writable=False) as store:
        report = run(work(store))
    assert report.damages == ()
    assert mirror.published() == {"src": ["src-1.0.tar.gz"]}


def test_what_a_sync_has_left_half_published_is_left_to_the_next_one(serve: ServeWorld, mirror: Mirror) -> None:
    """Its pages may be of either generation, which is no damage; and that they were not compared is said."""
    server = serve(WORLD)
    mirror.configure(server.url, packages={"lib": "latest"})
    mirror.sync()
    mirror.configure(server.url, packages={"app": "latest"})
    with atomic.observed(stop_at_pages):
        mirror.refuses(status=8)
    assert "was not compared" in mirror.run("verify").expect().stderr
    mirror.sync()
    assert "was not compared" not in mirror.run("verify").expect().stderr
