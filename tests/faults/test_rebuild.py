"""A catalog that is damaged or lost: named, never believed, never a traceback; and made anew by `doctor --rebuild`."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pypim.core.tokens import User
from pypim.store.catalog import Catalog
from tests.faults.invariants import Mirror as Parts
from tests.faults.invariants import violations
from tests.faults.runs import DIED, Driver, Outcome, complaints
from tests.faults.scenes import FIRST
from tests.sync.mirror import Mirror, pypim
from tests.web.serving import RunningServer
from tests.web.uploading import CONFIG, page, request, sdist, send, wheel
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import ServeWorld

PAGE = 4096
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$" + "x" * 43


def destroy_nothing(catalog: Path) -> None:
    """The catalog is lost."""
    catalog.unlink()


def destroy_content(catalog: Path) -> None:
    catalog.write_bytes(b"")


def destroy_header(catalog: Path) -> None:
    catalog.write_bytes(bytes(100) + catalog.read_bytes()[100:])


def destroy_first_page(catalog: Path) -> None:
    catalog.write_bytes(b"\xff" * PAGE + catalog.read_bytes()[PAGE:])


def destroy_half(catalog: Path) -> None:
    content = catalog.read_bytes()
    catalog.write_bytes(content[: len(content) // 2])


def destroy_middle(catalog: Path) -> None:
    content = catalog.read_bytes()
    catalog.write_bytes(content[: 8 * PAGE] + random.Random(1).randbytes(12 * PAGE) + content[20 * PAGE :])


def destroy_all(catalog: Path) -> None:
    catalog.write_bytes(b"this is no database, and it is long enough to be looked at as one" * 100)


DESTROYERS = [
    destroy_nothing,
    destroy_content,
    destroy_header,
    destroy_first_page,
    destroy_half,
    destroy_middle,
    destroy_all,
]
LOST = [destroy_nothing, destroy_content]


# --- a mirror ---------------------------------------------------------------------------------------------------------
def mirrored(serve: ServeWorld, tmp_path: Path) -> tuple[WorldServer, Path, list[Path]]:
    """An upstream, a mirror of it, and the files that it holds."""
    server = serve(FIRST)
    folder = tmp_path / "m"
    pypim("sync", "app", "gone", "--upstream", server.url, "--to", folder).expect()
    return server, folder, sorted(folder.glob("packages/**/*.*"))


@pytest.mark.parametrize("destroy", DESTROYERS)
def test_a_mirror_is_had_back_without_a_download(
    serve: ServeWorld, tmp_path: Path, destroy: Callable[[Path], None]
) -> None:
    server, folder, before = mirrored(serve, tmp_path)
    destroy(folder / ".pypim/catalog.sqlite")
    outcome = pypim("doctor", "--rebuild", "--json", "--to", folder)
    assert outcome.status in {0, 1}, "1 where a table could not be read to its end"
    rebuilt = outcome.document["rebuilt"]
    assert rebuilt["files"] == len([path for path in before if path.suffix != ".metadata"])
    refused = pypim("prune", "--to", folder).expect(8)
    assert "pypim sync" in refused.stderr, "nothing is pruned before a sync has said what is needed"
    server.forget_requests()
    pypim("sync", "--to", folder).expect()
    assert not server.asked("/packages/*.whl")
    assert not server.asked("/packages/*.tar.gz")
    pypim("verify", "--to", folder).expect()
    pypim("prune", "--to", folder).expect()
    assert sorted(folder.glob("packages/**/*.*")) == before
    assert violations(Parts.inline(folder), is_finished=True) == []
    assert pypim("doctor", "--offline", "--to", folder).expect().stdout


@pytest.mark.parametrize("destroy", LOST)
def test_a_prune_deletes_nothing_where_the_catalog_is_lost(
    serve: ServeWorld, tmp_path: Path, destroy: Callable[[Path], None]
) -> None:
    """To a new catalog every file is a stray."""
    server, folder, before = mirrored(serve, tmp_path)
    destroy(folder / ".pypim/catalog.sqlite")
    assert "lost" in pypim("doctor", "--offline", "--to", folder).expect(8).stdout
    for arguments in (["--dry-run"], []):
        assert "run `pypim sync" in pypim("prune", "--to", folder, *arguments).expect(8).stderr
    assert sorted(folder.glob("packages/**/*.*")) == before
    server.forget_requests()
    pypim("sync", "--to", folder).expect()
    assert not server.asked("/packages/*.whl")
    pypim("prune", "--to", folder).expect()
    assert sorted(folder.glob("packages/**/*.*")) == before


def test_the_damaged_catalog_is_kept_and_a_whole_one_is_left_alone(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(FIRST)
    pypim("sync", "app", "--upstream", server.url, "--to", tmp_path / "m").expect()
    catalog = tmp_path / "m/.pypim/catalog.sqlite"
    whole = catalog.read_bytes()
    assert "is whole" in pypim("doctor", "--rebuild", "--to", tmp_path / "m").expect(2).stderr
    assert catalog.read_bytes() == whole
    for number in (1, 2):
        destroy_header(catalog)
        damaged = catalog.read_bytes()
        rebuilt = pypim("doctor", "--rebuild", "--json", "--to", tmp_path / "m").expect().document["rebuilt"]
        assert (tmp_path / rebuilt["source"] / "catalog.sqlite").read_bytes() == damaged
        assert len(list((tmp_path / "m/.pypim").glob("damaged-*"))) == number


def test_a_mirror_goes_on_showing_what_it_showed(serve: ServeWorld, tmp_path: Path) -> None:
    """Also where nobody can sync: what of the old catalog can be read as a whole counts until the next sync."""
    server = serve(FIRST)
    pypim("sync", "app", "--upstream", server.url, "--to", tmp_path / "m").expect()
    before = pypim("list", "--json", "--to", tmp_path / "m").document
    destroy_header(tmp_path / "m/.pypim/catalog.sqlite")
    pypim("list", "--to", tmp_path / "m").expect(8)
    pypim("doctor", "--rebuild", "--to", tmp_path / "m").expect()
    assert pypim("list", "--json", "--to", tmp_path / "m").document == before


def test_files_that_are_damaged_are_named_and_metadata_is_made_again(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(FIRST)
    folder = tmp_path / "m"
    pypim("sync", "app", "--upstream", server.url, "--to", folder).expect()
    (spoilt,) = folder.glob("packages/**/lib-1.1-py3-none-any.whl")
    spoilt.write_bytes(b"X" + spoilt.read_bytes()[1:])
    (beside,) = folder.glob("packages/**/app-2.0-py3-none-any.whl.metadata")
    right = beside.read_bytes()
    beside.unlink()
    destroy_nothing(folder / ".pypim/catalog.sqlite")
    rebuilt = pypim("doctor", "--rebuild", "--json", "--to", folder).expect(1).document["rebuilt"]
    assert rebuilt["damaged"] == [spoilt.relative_to(folder).as_posix()]
    assert rebuilt["metadata_written"] == 1
    assert beside.read_bytes() == right
    pypim("sync", "--to", folder).expect()
    pypim("verify", "--to", folder).expect()


def test_nobody_may_work_on_the_store_meanwhile(serve: ServeWorld, tmp_path: Path) -> None:
    """A server would go on with the old catalog, and what it takes then would be lost."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "pypim.toml").write_text(CONFIG)
    with RunningServer(folder / "pypim.toml") as server:
        assert send(server, wheel()).status == 200
        (folder / "data/catalog.sqlite-wal").unlink()
        destroy_header(folder / "data/catalog.sqlite")
        refused = pypim("-c", folder / "pypim.toml", "doctor", "--rebuild").expect(8)
        assert "a server, which must be stopped first" in refused.stderr


# --- hosted indexes, users and tokens ---------------------------------------------------------------------------------
class Shelf:
    """A hosted index with a life behind it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.config = folder / "pypim.toml"
        self.catalog = folder / "data/catalog.sqlite"
        self.config.write_text(CONFIG)
        self.kept = [*(make(version=f"1.{n}") for n in range(12) for make in (wheel, sdist)), wheel("other")]
        with RunningServer(self.config) as server:
            for upload in [*self.kept, wheel(version="9.9")]:
                assert send(server, upload).status == 200
            api = "/api/v1/indexes/private/projects/ours"
            assert request(server, "DELETE", f"{api}/files/{wheel(version='9.9').filename}").status == 200
            yank = request(
                server,
                "POST",
                f"{api}/1.3/yank",
                b'{"reason": "broken"}',
                {"content-type": "application/json"},
            )
            assert yank.status == 200, yank.body
        with Catalog.open(self.catalog) as catalog:
            catalog.accounts.keep_user(User(name="alice", password_hash=HASH, created_at=1.0, changed_at=2.0))
        self.before = self.shown()

    def shown(self) -> dict[str, Any]:
        """What clients see."""
        with RunningServer(self.config) as server:
            return {
                name: json.loads(page(server, name).body) if page(server, name).status == 200 else {}
                for name in ("ours", "other")
            }

    def rebuild(self, status: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = (
            pypim("-c", self.config, "--json", "doctor", "--rebuild").expect(status).document["rebuilt"]
        )
        return found

    def check_whole(self) -> None:
        """Pages, bytes, and the name that is not used again."""
        after = self.shown()
        for name, before in self.before.items():
            assert _facts(after[name]) == _facts(before)
        with Catalog.open(self.catalog) as catalog:
            catalog.accounts.remove_user("alice")  # else uploads need credentials
        with RunningServer(self.config) as server:
            for upload in self.kept:
                assert send(server, upload).status == 200, "what was there is still there"
            refused = send(server, wheel(version="9.9"))
            assert refused.status == 400
            assert "was deleted" in refused.body
        pypim("-c", self.config, "verify").expect()
        pypim("-c", self.config, "prune").expect()
        pypim("-c", self.config, "verify").expect()


def _facts(page: dict[str, Any]) -> list[tuple[object, ...]]:
    return sorted(
        (file["filename"], file["hashes"]["sha256"], file.get("yanked", False), file["size"]) for file in page["files"]
    )


@pytest.mark.parametrize("destroy", DESTROYERS)
def test_a_hosted_index_is_had_back(tmp_path: Path, destroy: Callable[[Path], None]) -> None:
    """Its rows exist nowhere else: from what can be read of the catalog, and from the audit log."""
    shelf = Shelf(tmp_path / "server")
    destroy(shelf.catalog)
    rebuilt = shelf.rebuild(status=0 if destroy in {destroy_nothing, destroy_header, destroy_first_page} else 1)
    (index,) = rebuilt["indexes"]
    assert index["files"] == len(shelf.kept)
    assert index["lost"] == []
    has_rows = destroy in {destroy_header, destroy_first_page}
    assert rebuilt["users"] == (["alice"] if has_rows else rebuilt["users"])
    if has_rows:
        assert index["from_audit"] == 0
    shelf.check_whole()


@pytest.mark.parametrize("destroy", LOST)
@pytest.mark.parametrize("command", ["serve --port 0", "token create --may read", "prune", "verify --repair"])
def test_no_new_catalog_takes_the_place_of_one_that_had_uploads_or_users(
    tmp_path: Path, destroy: Callable[[Path], None], command: str
) -> None:
    """A server without its users would be open to everybody; a prune would delete what nobody can fetch again."""
    shelf = Shelf(tmp_path / "server")
    destroy(shelf.catalog)
    refused = pypim("-c", shelf.config, *command.split()).expect(8)
    assert "pypim doctor --rebuild" in refused.stderr
    shelf.rebuild(status=0 if destroy is destroy_nothing else 1)
    shelf.check_whole()


def test_what_no_record_explains_has_a_second_name(tmp_path: Path) -> None:
    """Without catalog and audit log nobody knows whose a file is: it is named, and no prune takes the last of it."""
    shelf = Shelf(tmp_path / "server")
    shelf.catalog.unlink()
    (shelf.folder / "data/audit.jsonl").unlink()
    rebuilt = shelf.rebuild(status=1)
    assert len(rebuilt["unexplained"]) == len(shelf.kept) + 1
    pypim("-c", shelf.config, "prune").expect()
    kept = {path.name: path.read_bytes() for path in Path(rebuilt["aside"]).rglob("*") if path.is_file()}
    assert {upload.filename: upload.content for upload in shelf.kept}.items() <= kept.items()


def test_rows_that_can_be_read_are_believed_before_the_audit_log(tmp_path: Path) -> None:
    """A page in the middle of the files is destroyed: those before and behind it come from the catalog."""
    shelf = Shelf(tmp_path / "server")
    with closing(sqlite3.connect(shelf.catalog)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'hosted_files'").fetchone()
    content = bytearray(shelf.catalog.read_bytes())
    leaves = _children(content, root)
    assert len(leaves) > 2, "several pages"
    middle = leaves[len(leaves) // 2]
    content[(middle - 1) * PAGE : middle * PAGE] = bytes(PAGE)
    shelf.catalog.write_bytes(content)
    rebuilt = shelf.rebuild(status=1)
    (index,) = rebuilt["indexes"]
    assert 0 < index["from_audit"] < len(shelf.kept)
    assert index["files"] == len(shelf.kept)
    assert rebuilt["users"] == ["alice"]
    shelf.check_whole()


def _children(content: bytes | bytearray, root: int) -> list[int]:
    """The pages below an interior page of an index b-tree (https://www.sqlite.org/fileformat2.html, 1.6)."""
    start = (root - 1) * PAGE
    assert content[start] == 2
    cells = int.from_bytes(content[start + 3 : start + 5], "big")
    pointers = [int.from_bytes(content[start + 12 + 2 * n : start + 14 + 2 * n], "big") for n in range(cells)]
    found = [int.from_bytes(content[start + at : start + at + 4], "big") for at in pointers]
    return [*found, int.from_bytes(content[start + 8 : start + 12], "big")]


# --- what a command finds damaged -------------------------------------------------------------------------------------
@pytest.mark.parametrize("follow", [True, False])
def test_what_a_command_finds_damaged_is_told_in_one_message_and_rebuilt(
    serve: ServeWorld, mirror: Mirror, *, follow: bool
) -> None:
    """Also where many projects are under way at once, and where only what is packed in a row is damaged."""
    names = ("app", "lib", "other")
    server = serve(World.of(*(project(name, "1.0") for name in names)))
    mirror.configure(server.url, patterns={".*": "latest"}, dependencies={"follow": follow})
    mirror.sync()
    for name in names:
        server.world = server.world.releasing(name, release("2.0"))
    with closing(sqlite3.connect(mirror.store / "catalog.sqlite")) as catalog, catalog:
        catalog.execute("UPDATE responses SET page = NULL, body = ?", [gzip.compress(b"")[:10] + b"\x06" * 9])
    refused = mirror.run("sync").expect(8).stderr
    assert refused.count("error: ") == 1
    assert "the catalog is damaged" in refused
    assert "pypim doctor --rebuild" in refused
    mirror.run("doctor", "--offline").expect(8)
    mirror.run("doctor", "--rebuild").expect()
    assert mirror.sync()["outcome"] == "done"
    mirror.run("doctor", "--offline").expect()


# --- a rebuild that is stopped ----------------------------------------------------------------------------------------
def rebuild_stopped_at(shelf: Shelf, driver: Driver, folder: Path, number: int) -> Outcome:
    shutil.copytree(shelf.folder, folder)
    return driver.run("-c", str(folder / "pypim.toml"), "doctor", "--rebuild", stop_at=number)


def stop_rebuilds(tmp_path: Path, start: int, step: int) -> Iterator[str]:
    shelf = Shelf(tmp_path / "server")
    (shelf.folder / "data/audit.jsonl").unlink()
    destroy_header(shelf.catalog)
    with Driver(tmp_path / "home") as driver:
        number = start
        while True:
            folder = tmp_path / f"stopped-{number}"
            stopped = rebuild_stopped_at(shelf, driver, folder, number)
            if stopped.status != DIED:
                yield from complaints(stopped)
                return
            again = driver.run("-c", str(folder / "pypim.toml"), "doctor", "--rebuild")
            if again.status and "is whole" not in again.stderr:
                yield f"{stopped.stopped_at}: then {again.status}: {again.stderr}{again.stdout}"
            with Catalog.open(folder / "data/catalog.sqlite") as catalog:
                names = {file.filename for one in catalog.hosted.projects("private")
                         for file in catalog.hosted.standing("private", one.name).files}  # fmt: skip
                if names != {upload.filename for upload in shelf.kept} or not catalog.accounts.user("alice"):
                    yield f"{stopped.stopped_at}: then it has {names}"
            shutil.rmtree(folder)
            number += step


def test_a_rebuild_that_was_stopped_is_begun_again_and_loses_nothing(tmp_path: Path) -> None:
    assert list(stop_rebuilds(tmp_path, 3, 7)) == []


@pytest.mark.slow
def test_a_rebuild_stopped_at_every_operation(tmp_path: Path) -> None:
    assert list(stop_rebuilds(tmp_path, 1, 1)) == []


# --- bytes that flip --------------------------------------------------------------------------------------------------
COMMANDS = [
    ["status"], ["list"], ["plan", "--offline"], ["verify"], ["prune", "--dry-run"], ["why", "lib"],
    ["doctor", "--offline"], ["sync"], ["list"], ["token", "list"],
]  # fmt: skip


def flip(content: bytearray, chance: random.Random) -> None:
    """One to thirty bytes, a few of them beside each other, or the end is cut off."""
    if chance.random() < 0.15:
        del content[chance.randrange(len(content)) :]
        return
    for _ in range(chance.choice((1, 1, 3, 30))):
        content[chance.randrange(len(content))] = chance.randrange(256)


def flipped(serve: ServeWorld, tmp_path: Path, rounds: int, seed: int) -> Iterator[str]:
    """Every command on a catalog with a few wrong bytes: an answer or one message, and only right files served."""
    server = serve(FIRST)
    chance = random.Random(seed)
    with Driver(tmp_path / "home") as driver:
        template = tmp_path / "template"
        targets = ["--python", "3.12", "--platform", "linux"]
        made = driver.run("sync", "app", "gone", "--to", str(template), "--upstream", server.url, *targets)
        assert made.status == 0, made
        for number in range(rounds):
            folder = shutil.copytree(template, tmp_path / f"flipped-{number}")
            catalog = folder / ".pypim/catalog.sqlite"
            content = bytearray(catalog.read_bytes())
            flip(content, chance)
            catalog.write_bytes(content)
            is_seen = pypim("doctor", "--offline", "--to", folder).status == 8
            for command in chance.sample(COMMANDS, 4):
                outcome = driver.run(*command, "--to", str(folder))
                yield from (f"{number} {command}: {one}" for one in complaints(outcome, command[0]))
                if "the catalog is damaged" in outcome.stderr and not is_seen:
                    yield f"{number} {command}: `doctor` did not say that, and would not rebuild it: {outcome.stderr}"
            if pypim("doctor", "--offline", "--to", folder).status == 8:
                outcome = driver.run("doctor", "--rebuild", "--to", str(folder))
                yield from (f"{number} rebuild: {one}" for one in complaints(outcome))
                outcome = driver.run("sync", "--to", str(folder))
                if outcome.status:
                    yield f"{number}: the sync after the rebuild ends with {outcome.status}: {outcome.stderr}"
                yield from (f"{number}: {one}" for one in violations(Parts.inline(folder), is_finished=True))
            shutil.rmtree(folder)


def test_no_wrong_byte_in_the_catalog_makes_a_traceback_or_a_wrong_page(serve: ServeWorld, tmp_path: Path) -> None:
    assert list(flipped(serve, tmp_path, 4, 20260101)) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_five_hundred_catalogs_with_wrong_bytes(serve: ServeWorld, tmp_path: Path, seed: int) -> None:
    assert list(flipped(serve, tmp_path, 125, seed)) == []
