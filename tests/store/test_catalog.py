"""The catalog's file: its schema, its faults, and reading it without touching it."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pypim.core.errors import CorruptCatalog, Locked, OutOfSpace, SchemaTooNew, StoreUnwritable
from pypim.core.model import DistFile, MetadataSource, Page, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.selection import ChosenRelease, Problem, ProblemKind, Reason, Selection
from pypim.store.catalog import Catalog
from pypim.store.catalog_generations import CatalogGenerations
from pypim.store.database import Database
from pypim.store.functions import offer_functions
from pypim.store.sql import load_migrations
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")
FLASK = parse_name("flask")
HELD = ("flask#1", FLASK, values.holding(b"wheel"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "catalog.sqlite"


@pytest.fixture
def person(path: Path) -> Iterator[sqlite3.Connection]:
    """A person with sqlite3 in hand; the catalog must be there."""
    with Catalog.open(path):
        pass
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


def state_of(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(entry): (entry.stat().st_mtime_ns, entry.stat().st_ino, entry.read_bytes() if entry.is_file() else b"")
        for entry in sorted(folder.rglob("*"))
    }


def test_what_was_kept_is_there_in_the_next_run(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.pages.keep_response("main", values.response(), values.page())
        catalog.metadata.keep_metadata("key", values.core_metadata(), b"Name: flask")
        catalog.capabilities.keep_capability("main", "ranges", is_offered=True)
        catalog.holdings.record([HELD])
        catalog.generations.finish(catalog.generations.begin("main", values.selection(), 1.0), 2.0)
    with Catalog.open(path) as catalog:
        assert catalog.pages.response(values.response().url) == values.response()
        assert catalog.metadata.metadata("key") == values.core_metadata()
        assert catalog.capabilities.capability("main", "ranges") is True
        assert list(catalog.holdings.holdings()) == [(HELD[0], HELD[2])]
        current = catalog.generations.current("main")
        assert current is not None
        assert catalog.generations.selection(current.number) == values.selection()
    assert list(path.parent.iterdir()) == [path]


def test_the_decoded_tables_show_the_page(path: Path, person: sqlite3.Connection) -> None:
    page = Page(
        name=FLASK,
        files=(
            values.dist_file(sha256="a" * 64, size=5, core_metadata="b" * 64, yanked="broken"),
            values.dist_file("Flask-2.0.tar.gz", yanked=True, core_metadata=True),
            values.dist_file("flask-1.0.tar.gz", core_metadata=False),
            values.dist_file("README.txt"),
        ),
        status=ProjectStatus.ARCHIVED,
        status_reason="moved",
        last_serial=12,
        dropped=("one entry had no name",),
    )
    with Catalog.open(path) as catalog:
        catalog.pages.keep_response("main", values.response(), page)
    columns = "filename, version, kind, is_yanked, yanked_reason, core_metadata"
    assert person.execute(f"SELECT {columns} FROM files ORDER BY position").fetchall() == [
        ("flask-3.0.0-py3-none-any.whl", "3.0.0", "wheel", 1, "broken", "b" * 64),
        ("Flask-2.0.tar.gz", "2.0", "sdist", 1, None, "yes"),
        ("flask-1.0.tar.gz", "1.0", "sdist", 0, None, "no"),
        ("README.txt", None, "unknown", 0, None, None),
    ]
    assert person.execute("SELECT name, status, status_reason, last_serial, dropped FROM projects").fetchall() == [
        ("flask", "archived", "moved", 12, '["one entry had no name"]')
    ]
    (body,) = person.execute("SELECT body FROM responses").fetchone()
    assert gzip.decompress(body) == values.response().body


def test_a_page_kept_again_replaces_its_files(path: Path, person: sqlite3.Connection) -> None:
    def filenames() -> list[str]:
        return [name for (name,) in person.execute("SELECT filename FROM files ORDER BY filename")]

    both = values.page("flask", values.dist_file(), values.dist_file("flask-1.0.tar.gz"))
    twice = values.page("flask", values.dist_file(), values.dist_file())
    with Catalog.open(path) as catalog:
        catalog.pages.keep_response("main", values.response(), both)
        catalog.pages.keep_response("main", values.response(), twice)
        assert filenames() == ["flask-3.0.0-py3-none-any.whl"] * 2
        elsewhere = values.response("https://index.example/other/flask/")
        catalog.pages.keep_response("main", elsewhere, values.page("flask", values.dist_file("flask-1.0.tar.gz")))
        assert filenames() == ["flask-1.0.tar.gz"]
        catalog.pages.keep_response("main", values.response(elsewhere.url, status=404, body=b""), None)
        assert filenames() == []
        assert person.execute("SELECT count(*) FROM projects").fetchone() == (0,)


def test_requirements_are_rows(path: Path, person: sqlite3.Connection) -> None:
    with Catalog.open(path) as catalog:
        catalog.metadata.keep_metadata("key", values.core_metadata("flask", "click>=8", "jinja2"), b"Name: flask")
        catalog.metadata.keep_metadata("other", values.core_metadata("click"), None)
    found = person.execute("SELECT * FROM requirements WHERE project = 'flask' ORDER BY position").fetchall()
    assert found == [
        ("click", "flask", "3.0.0", "key", 0, "click>=8", "", ">=8", None, 0, 0),
        ("jinja2", "flask", "3.0.0", "key", 1, "jinja2", "", "", None, 0, 0),
        ("flit-core", "flask", "3.0.0", "key", 2, "flit_core >=3", "", ">=3", None, 1, 0),
    ]
    (body,) = person.execute("SELECT body FROM metadata WHERE key = 'key'").fetchone()
    assert gzip.decompress(body) == b"Name: flask"


def test_reasons_can_be_asked_for(path: Path, person: sqlite3.Connection) -> None:
    with Catalog.open(path) as catalog:
        catalog.generations.begin("main", values.selection(), 1.0)
    found = person.execute("SELECT parent_project, environments FROM reasons WHERE project = 'click'").fetchall()
    assert [(parent, json.loads(environments)) for parent, environments in found] == [("flask", ["cp311-linux"])]
    assert person.execute("SELECT filename, size FROM selected WHERE size > 0").fetchall() == [
        ("flask-3.0.0-py3-none-any.whl", 10)
    ]


def test_a_dropped_generation_leaves_no_rows(path: Path, person: sqlite3.Connection) -> None:
    with Catalog.open(path) as catalog:
        catalog.generations.finish(catalog.generations.begin("main", values.selection(), 1.0), 2.0)
        catalog.generations.finish(catalog.generations.begin("main", Selection(), 3.0), 4.0)
    for table in ("states", "releases", "selected", "reasons", "problems", "warnings"):
        assert person.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def built(kind: type[T], /, **fields: st.SearchStrategy[object]) -> st.SearchStrategy[T]:
    """What st.builds does, without looking up annotations that only type checkers can resolve."""
    return st.fixed_dictionaries(fields).map(lambda values: kind(**values))


TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
FILES = built(
    DistFile,
    filename=st.just(parse_safe_filename("a-1.tar.gz")),
    url=TEXT,
    sha256=st.none() | TEXT,
    blake2b_256=st.none() | TEXT,
    other_hash=st.none() | st.tuples(TEXT, TEXT),
    size=st.none() | st.integers(0, 2**53),
    upload_time=st.none() | TEXT,
    requires_python=st.none() | TEXT,
    yanked=st.booleans() | TEXT,
    core_metadata=st.none() | st.booleans() | TEXT,
    gpg_sig=st.none() | st.booleans(),
    provenance=st.none() | TEXT,
)
REASONS = built(Reason, origin=TEXT, parent_project=TEXT, parent_version=TEXT, requirement=TEXT, environments=TEXTS)
RELEASES = built(
    ChosenRelease,
    project=st.just(FLASK),
    version=TEXT,
    files=st.lists(FILES, max_size=3).map(tuple),
    reasons=st.lists(REASONS, max_size=3).map(tuple),
)
PROBLEMS = built(
    Problem,
    project=TEXT,
    requirement=TEXT,
    reason=TEXT,
    chain=TEXTS,
    environments=TEXTS,
    is_root=st.booleans(),
    kind=st.sampled_from(ProblemKind),
    is_certain=st.booleans(),
)
SELECTIONS = built(
    Selection,
    releases=st.lists(RELEASES, max_size=3).map(tuple),
    problems=st.lists(PROBLEMS, max_size=2).map(tuple),
    warnings=TEXTS,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(selection=SELECTIONS)
def test_any_selection_comes_back_exactly(path: Path, selection: Selection) -> None:
    with Catalog.open(path) as catalog:
        begun = catalog.generations.begin("main", selection, 1.0)
        assert catalog.generations.selection(begun.number) == selection


def test_reading_a_missing_catalog_makes_no_file(path: Path) -> None:
    with Catalog.open(path, writable=False) as catalog:
        assert list(catalog.holdings.holdings()) == []
        assert catalog.generations.current("main") is None
        with pytest.raises(StoreUnwritable):
            catalog.holdings.record([HELD])
    assert not path.parent.exists()


def test_only_its_owner_reads_the_catalog(path: Path) -> None:
    """It has what passwords and tokens are checked against; also where an older pypim made it for everybody."""

    def modes() -> set[int]:
        return {one.stat().st_mode & 0o777 for one in path.parent.glob("catalog.sqlite*")}

    with Catalog.open(path) as catalog:
        catalog.holdings.record([HELD])
        assert len(list(path.parent.glob("catalog.sqlite*"))) == 3
        assert modes() == {0o600}
        for one in path.parent.glob("catalog.sqlite*"):
            one.chmod(0o644)
        with Catalog.open(path, writable=False):
            assert modes() == {0o644}
        with Catalog.open(path):
            assert modes() == {0o600}


def test_reading_changes_nothing_on_disk(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.holdings.record([HELD])
    before = state_of(path.parent)
    with Catalog.open(path, writable=False) as catalog:
        assert len(catalog.holdings.holdings()) == 1
        with pytest.raises(StoreUnwritable):
            catalog.capabilities.keep_capability("main", "ranges", is_offered=True)
        assert state_of(path.parent) == before
    assert state_of(path.parent) == before


KILLED = """
import os, sys
from pathlib import Path
from pypim.store.catalog import Catalog
from tests.store.test_catalog import HELD
Catalog.open(Path(sys.argv[1])).holdings.record([HELD])
os._exit(9)
"""


def test_a_killed_run_loses_nothing_that_it_recorded(path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    log = path.with_name("catalog.sqlite-wal")
    assert log.stat().st_size > 0
    before = path.read_bytes(), log.read_bytes()
    with Catalog.open(path, writable=False) as catalog:
        assert len(catalog.holdings.holdings()) == 1
    assert (path.read_bytes(), log.read_bytes()) == before
    with Catalog.open(path) as catalog:
        assert len(catalog.holdings.holdings()) == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_sees_what_a_writer_has_committed(path: Path) -> None:
    with Catalog.open(path) as writer:
        writer.holdings.record([HELD])
        with Catalog.open(path, writable=False) as reader:
            assert len(reader.holdings.holdings()) == 1
            writer.holdings.forget([HELD[0]])
            assert list(reader.holdings.holdings()) == []


class DatabaseWithAWriter(Database):
    """Calls `beside` before its first reading of chosen files, as a sync would that flips at that moment."""

    beside: Callable[[], None] | None = None

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        if query == "chosen_files" and self.beside is not None:
            beside, self.beside = self.beside, None
            beside()
        return super().rows(query, parameters)


def test_the_current_selection_is_whole_though_a_sync_flips_while_it_is_read(path: Path) -> None:
    with Catalog.open(path) as writer:
        writer.generations.finish(writer.generations.begin("main", values.selection(), 1.0), 2.0)
        next_one = Selection(warnings=("the next one",))
        begun = writer.generations.begin("main", next_one, 3.0)
        reader = DatabaseWithAWriter.open(path, writable=False)
        reader.beside = partial(writer.generations.finish, begun, 4.0)
        try:
            assert CatalogGenerations(reader).current_selection("main") == next_one
        finally:
            reader.close()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("writable", [True, False])
def test_what_schema_1_lacks_is_learned_again(path: Path, *, writable: bool) -> None:
    """It knew nothing of builds: wheels and reasons stay, what was learned of sdists is forgotten."""
    path.parent.mkdir()
    older = sqlite3.connect(path)
    older.executescript(load_migrations()[1])
    row = "INSERT INTO metadata (key, source, is_lower_bound, decoded) VALUES (?, ?, 0, ?)"
    for source in MetadataSource:
        decoded = {"name": "flask", "version": None, "source": source}
        older.execute(row, (digest(source), source, json.dumps(decoded)))
    older.execute("INSERT INTO generations VALUES (1, 'main', 1.0, 2.0)")
    older.execute("INSERT INTO releases VALUES (1, 0, 'flask', '1.0')")
    older.execute(
        "INSERT INTO reasons VALUES (1, 0, 0, 'flask', '1.0', 'packages.flask', '', '', 'latest', '[\"any\"]')"
    )
    older.commit()
    older.close()
    with Catalog.open(path, writable=writable) as catalog:
        known = {source for source in MetadataSource if catalog.metadata.metadata(digest(source)) is not None}
        assert known == {MetadataSource.WHEEL}, "and what upstreams said may have been said by another one"
        (release,) = catalog.generations.selection(1).releases
        assert release.reasons == (Reason(origin="packages.flask", requirement="latest", environments=("any",)),)
        assert release.shares == ()


@pytest.mark.parametrize("writable", [True, False])
def test_what_schema_15_held_was_whole_when_it_was_stored(path: Path, *, writable: bool) -> None:
    path.parent.mkdir()
    older = sqlite3.connect(path)
    offer_functions(older)
    for version in range(1, 16):
        older.executescript(load_migrations()[version])
    row = "INSERT INTO holdings VALUES (?, 'a', 'a-1.tar.gz', '', '', 7, NULL, ?)"
    older.executemany(row, [("a#1", 10.0), ("a#2", 20.0), ("a#3", 30.0)])
    older.executemany("INSERT INTO readings VALUES (?, ?)", [("a#1", 15.0), ("a#3", 12.0)])
    older.commit()
    older.close()
    with Catalog.open(path, writable=writable) as catalog:
        assert catalog.readings.last_read() == {"a#1": 15.0, "a#2": 20.0, "a#3": 30.0}
        assert catalog.readings.oldest() == 15.0


@pytest.mark.parametrize("number", [0, 1, 63, 64, 65, 128, 300])
def test_many_rows_are_inserted_as_one_by_one_and_taken_as_they_are_needed(path: Path, number: int) -> None:
    waiting: list[int] = []

    def rows() -> Iterator[tuple[object, ...]]:
        for at in range(number):
            (inserted,) = database.connection.execute("SELECT count(*) FROM listed_releases").fetchone()
            waiting.append(at - inserted)
            yield at, str(at), 1, 0, at, None

    with Catalog.open(path) as catalog:
        database = catalog.database
        with database.transaction(is_durable=False):
            database.insert_many("keep_release", rows())
        found = database.connection.execute("SELECT project_id, version, file_bytes FROM listed_releases").fetchall()
    assert sorted(found) == [(at, str(at), at) for at in range(number)]
    assert max(waiting, default=0) < 64


@pytest.mark.parametrize("writable", [True, False])
def test_generations_of_schema_11_are_carried_over_project_by_project(path: Path, *, writable: bool) -> None:
    """The current one and one that was not finished, with their order and their reasons."""
    path.parent.mkdir()
    older = sqlite3.connect(path)
    offer_functions(older)
    for version in range(1, 12):
        older.executescript(load_migrations()[version])
    older.execute("INSERT INTO holdings VALUES ('a#1', 'a', 'a-1.tar.gz', '', '', 7, NULL, 0)")
    older.executemany("INSERT INTO generations VALUES (?, 'main', 1.0, ?)", [(1, 2.0), (2, None)])
    for number, releases in ((1, [("a", "1"), ("a", "2"), ("b", "1")]), (2, [("b", "1"), ("b", "2")])):
        for at, (project, release) in enumerate(releases):
            older.execute("INSERT INTO releases VALUES (?, ?, ?, ?)", (number, at, project, release))
            name = f"{project}-{release}.tar.gz"
            file = json.dumps({"filename": name, "url": ""})
            row = (number, at, 0, project, release, name, f"{project}#{release}", "", None, 9, file)
            older.execute("INSERT INTO selected VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            reason = (number, at, 0, project, release, "packages.x", "", "", f"=={release}", '["any"]', 0, None)
            older.execute("INSERT INTO reasons VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", reason)
        older.executemany(
            "INSERT INTO selected_projects VALUES (?, ?, ?, 'active', NULL)",
            [(number, at, name) for at, name in enumerate(sorted({name for name, _ in releases}))],
        )
        older.execute("INSERT INTO warnings VALUES (?, 0, 'a warning')", (number,))
    older.commit()
    older.close()
    with Catalog.open(path, writable=writable) as catalog:
        generations = catalog.generations
        for number, expected in ((1, ["a 1", "a 2", "b 1"]), (2, ["b 1", "b 2"])):
            selection = generations.selection(number)
            assert [f"{one.project} {one.version}" for one in selection.releases] == expected
            for one in selection.releases:
                assert one.reasons[0].requirement == f"=={one.version}"
                assert [file.filename for file in one.files] == [f"{one.project}-{one.version}.tar.gz"]
            assert selection.warnings == ("a warning",)
        assert generations.is_interrupted("main")
        assert generations.unfinished("main") == ["a", "b"]
        tally = generations.tally("main")
        assert (tally.projects, tally.releases, tally.files, tally.file_bytes) == (2, 3, 3, 27)
        assert (tally.held_files, tally.held_bytes, tally.complete_projects) == (1, 7, 0)
        if writable:  # what an older pypim wrote is written again where it is the same, for nobody knows
            again = generations.begin("main", generations.selection(1), 3.0)
            generations.finish(again, 4.0)
            assert [one.project for one in generations.selection(again.number).releases] == ["a", "a", "b"]


@pytest.mark.parametrize("writable", [True, False])
def test_a_newer_schema_is_refused(path: Path, person: sqlite3.Connection, *, writable: bool) -> None:
    person.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew) as caught:
        Catalog.open(path, writable=writable)
    assert (caught.value.path, caught.value.found) == (str(path), 99)


@pytest.mark.parametrize("writable", [True, False])
def test_a_file_that_is_no_database_is_named(path: Path, *, writable: bool) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(CorruptCatalog) as caught:
        Catalog.open(path, writable=writable)
    assert caught.value.path == str(path)


def test_a_damaged_table_is_named(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.holdings.record((f"flask#{number}", FLASK, values.holding(b"wheel")) for number in range(2000))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = os.urandom(len(content) - len(content) // 2)
    path.write_bytes(content)
    with Catalog.open(path) as catalog, pytest.raises(CorruptCatalog):
        catalog.holdings.holdings()


@pytest.mark.parametrize("writable", [True, False])
def test_an_empty_file_is_an_empty_catalog(path: Path, *, writable: bool) -> None:
    path.parent.mkdir()
    path.write_bytes(b"")
    with Catalog.open(path, writable=writable) as catalog:
        assert list(catalog.holdings.holdings()) == []
    assert (path.stat().st_size > 0) is writable


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnwritable):
        Catalog.open(tmp_path / "file" / "catalog.sqlite")


def test_a_catalog_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreUnwritable):
        Catalog.open(tmp_path)


def test_a_full_disk_undoes_the_whole_transaction(path: Path) -> None:
    with Catalog.open(path) as catalog:
        catalog.holdings.record([HELD])
        (pages,) = catalog.database.connection.execute("PRAGMA page_count").fetchone()
        catalog.database.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        many = [(f"flask#{number}", FLASK, values.holding(b"wheel")) for number in range(5000)]
        with pytest.raises(OutOfSpace):
            catalog.holdings.record(many)
        assert len(catalog.holdings.holdings()) == 1
        catalog.database.connection.execute("PRAGMA max_page_count = 1000000")
        catalog.holdings.record(many)
        assert len(catalog.holdings.holdings()) == 5000


def test_what_a_statement_may_have_to_undo_makes_no_file(path: Path) -> None:
    """The triggers of each row that is recorded would else have SQLite write a file that nobody reads."""
    with Catalog.open(path) as catalog:
        (kept_in,) = catalog.database.connection.execute("PRAGMA temp_store").fetchone()
    in_memory = 2
    assert kept_in == in_memory


def test_another_writer_in_the_way_is_told(path: Path, person: sqlite3.Connection) -> None:
    person.isolation_level = None
    person.execute("BEGIN IMMEDIATE")
    with Catalog.open(path) as catalog:
        catalog.database.connection.execute("PRAGMA busy_timeout = 20")
        with pytest.raises(Locked):
            catalog.holdings.record([HELD])
        person.execute("ROLLBACK")
        catalog.holdings.record([HELD])
