"""The decoded tables say what pages say, questions from the other end have the right answers, older tables move."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from pypim.core.description import Description
from pypim.core.filenames import parse_filename, release_and_kind
from pypim.core.model import CoreMetadata, DistFile, MetadataSource, Page, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.records import Gathered
from pypim.core.required import admits, release_of
from pypim.store.catalog import Catalog
from pypim.store.sql import load_migrations
from tests.store import values

if TYPE_CHECKING:
    from pathlib import Path

ROOT = "https://index.example/simple/"
NAMES = [parse_name(name) for name in ("alpha", "beta-two", "c")]
FLASK = parse_name("flask")

FILENAMES = st.builds(
    "{}-{}{}".format,
    st.sampled_from(["alpha", "Alpha", "beta_two", "beta-two", "Beta.Two", "c", "other", ""]),
    st.sampled_from(["1.0", "1.0.0", "2.0rc1", "1.0-1", "1!2.0", "2004d", "v1.0", "1.0.linux-x86_64", "x", ""]),
    st.sampled_from(
        [
            ".tar.gz",
            ".zip",
            "-py3-none-any.whl",
            "-1build-cp311-abi3-win_amd64.whl",
            "-build-py3-none-any.whl",
            "-py3-none.whl",
            "-py3-none-any-label.whl",
            ".whl",
            "-py2.7.egg",
            ".win32.exe",
            ".exe.tar.gz",
            ".txt",
        ]
    ),
)


def listed(filename: str, **fields: object) -> DistFile:
    """Without annotations of fields, which st.builds would look into."""
    return values.dist_file(filename, **fields)


FILES = st.builds(
    listed,
    FILENAMES.filter(lambda text: text[:1] not in {"-", "."}).map(parse_safe_filename),
    size=st.none() | st.integers(0, 1 << 50),
    upload_time=st.none() | st.sampled_from(["2024-01-01T00:00:00Z", "2023-06-01T10:00:00.5Z"]),
    yanked=st.sampled_from([False, True, "broken"]),
    core_metadata=st.sampled_from([None, True, False, "a" * 64]),
    requires_python=st.sampled_from([None, ">=3.9"]),
)
PAGES = st.builds(
    lambda name, files, versions, serial: Page(
        name=name,
        files=tuple({file.filename: file for file in files}.values()),
        versions=tuple(versions),
        last_serial=serial,
        status=ProjectStatus.ACTIVE,
    ),
    st.sampled_from(NAMES),
    st.lists(FILES, max_size=8),
    st.lists(st.sampled_from(["1.0", "1.00", "3.0", "2004d"]), max_size=3),
    st.none() | st.integers(0, 1 << 40),
)


@settings(max_examples=300, deadline=None)
@given(filename=FILENAMES, project=st.sampled_from(NAMES))
def test_release_and_kind_are_those_of_the_whole_filename(filename: str, project: str) -> None:
    """The short way and the long one agree on every name."""
    name = parse_name(project)
    parsed = parse_filename(filename, name)
    version = parsed.version_text if parsed.version is None else str(parsed.version)
    assert release_and_kind(filename, name) == (version, parsed.kind)


def gathered(page: Page, upstream: str = "main") -> Gathered:
    response = values.response(f"{ROOT}{upstream}/{page.name}/", serial=None)
    return Gathered(project=page.name, response=response, page=page)


def row_of(page: Page, position: int, file: DistFile) -> tuple[object, ...]:
    version, kind = release_and_kind(file.filename, page.name)
    claim = file.core_metadata
    if isinstance(claim, bool):
        claim = "yes" if claim else "no"
    reason = file.yanked if isinstance(file.yanked, str) else None
    told = (file.sha256, file.blake2b_256, file.size, file.upload_time, file.requires_python)
    return (
        *("main", page.name, file.filename, position, version, kind.value, file.url),
        *(*told, int(file.is_yanked), reason, claim, file.provenance),
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(PAGES, max_size=4), min_size=1, max_size=3))
def test_the_decoded_tables_say_what_the_newest_pages_say(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Page]]
) -> None:
    """However they came: in one batch or several, each in place of the one before it."""
    path = tmp_path_factory.mktemp("store") / "catalog.sqlite"
    newest: dict[str, Page] = {}
    with Catalog.open(path) as catalog:
        for batch in batches:
            catalog.facts.keep("main", [gathered(page) for page in batch])
            newest |= {page.name: page for page in batch}
        run = catalog.database.connection.execute
        files = {row_of(page, *one) for page in newest.values() for one in enumerate(page.files)}
        assert set(run("SELECT * FROM files").fetchall()) == files
        for page in newest.values():
            counted = Counter(release_and_kind(file.filename, page.name)[0] or "" for file in page.files)
            releases = {**dict.fromkeys(map(release_of, page.versions), 0), **counted}
            query = (
                "SELECT version, one.files FROM listed_releases AS one JOIN projects ON project_id = id WHERE name = ?"
            )
            assert dict(run(query, (page.name,)).fetchall()) == releases
            query = "SELECT releases, files, file_bytes, last_serial FROM projects WHERE name = ?"
            total = sum(file.size or 0 for file in page.files)
            assert run(query, (page.name,)).fetchone() == (len(releases), len(page.files), total, page.last_serial)
        known = catalog.counts.upstream("main")
        assert known.files == len(files)
        assert catalog.pages.kept_pages([gathered(page).response.url for page in newest.values()]) == {}
        assert catalog.database.rows("integrity_check") == [("ok",)]


def test_a_page_that_one_sync_kept_is_replaced_by_the_bulk_and_the_other_way_round(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:

        def filenames() -> list[str]:
            return [name for (name,) in catalog.database.connection.execute("SELECT filename FROM files ORDER BY 1")]

        one = gathered(values.page("flask", values.dist_file("flask-1.0.tar.gz")))
        catalog.facts.keep("main", [one])
        catalog.pages.keep_response("main", one.response, values.page("flask", values.dist_file("flask-2.0.tar.gz")))
        assert filenames() == ["flask-2.0.tar.gz"]
        catalog.facts.keep("main", [one])
        assert filenames() == ["flask-1.0.tar.gz"]
        catalog.pages.forget_elsewhere("main", "https://elsewhere.example/simple/")
        assert filenames() == []


def test_sizes_that_nobody_can_have_do_not_stop_a_page(tmp_path: Path) -> None:
    """An upstream may claim anything; the sum is as much as the column takes."""
    files = [values.dist_file(f"flask-{number}.tar.gz", size=1 << 62) for number in range(4)]
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.facts.keep("main", [gathered(values.page("flask", *files))])
        assert catalog.counts.upstream("main").file_bytes == 1 << 62


SPECIFIERS = st.sampled_from(["", ">=1.0", "<2", "==1.*", "!=1.5", "~=1.4", ">=1,<3"])
REQUIRED = st.builds("{}{}".format, st.sampled_from(["alpha", "Beta.Two", "C", "d"]), SPECIFIERS)
METADATA = st.lists(
    st.tuples(
        st.sampled_from(["alpha", "beta_two", "c"]), st.sampled_from(["1.0", "2.0"]), st.lists(REQUIRED, max_size=3)
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    known=METADATA, name=st.sampled_from(["alpha", "beta-two", "c", "d"]), text=st.sampled_from(["1.0", "1.5", "2.0"])
)
def test_reverse_questions_are_answered_as_by_reading_everything(
    tmp_path_factory: pytest.TempPathFactory, known: list[tuple[str, str, list[str]]], name: str, text: str
) -> None:
    """Who requires it, and who allows that release of it."""
    with Catalog.open(tmp_path_factory.mktemp("store") / "catalog.sqlite") as catalog:
        for number, (project, version, requires) in enumerate(known):
            metadata = CoreMetadata(
                name=project, version=version, requires_dist=tuple(requires), source=MetadataSource.WHEEL
            )
            catalog.metadata.keep_metadata(str(number), metadata, None)
        all_of_it = {
            (canonicalize_name(project), version, requirement)
            for project, version, requires in known
            for requirement in requires
        }
        on_it = {one for one in all_of_it if canonicalize_name(Requirement(one[2]).name) == name}
        found = catalog.facts.requiring(parse_name(name))
        assert sorted((one.project, one.version, one.requirement) for one in found) == sorted(on_it)
        allowing = {one for one in on_it if Requirement(one[2]).specifier.contains(text)}
        admitted = [one for one in found if admits(one.specifier, Version(text))]
        assert {(one.project, one.version, one.requirement) for one in admitted} == allowing
        by_it = {one for one in all_of_it if one[0] == name}
        found = catalog.facts.required_by(parse_name(name))
        assert {(one.project, one.version, one.requirement) for one in found} == by_it


@pytest.mark.parametrize("writable", [True, False])
def test_what_schema_9_knew_moves(tmp_path: Path, *, writable: bool) -> None:
    """Pages with their files keep their rows under the same names, and requirements become rows of their own."""
    path = tmp_path / "catalog.sqlite"
    older = sqlite3.connect(path)
    for number in range(1, 10):
        older.executescript(load_migrations()[number])
    projects = [
        ("main", "flask", "active", None, 7, "[]", f"{ROOT}flask/"),
        ("main", "a", "archived", None, None, "[]", f"{ROOT}a/"),
    ]
    older.executemany("INSERT INTO projects VALUES (?, ?, ?, ?, ?, ?, ?)", projects)
    facts = ("wheel", "https://files.example/x", "a" * 64, None)
    rest = (">=3.9", 1, "broken", "yes", None)
    files = [
        ("main", "flask", "flask-1.0-py3-none-any.whl", 0, "1.0", *facts, 5, "2024-01-01T00:00:00Z", *rest),
        ("main", "flask", "flask-2.0.tar.gz", 1, "2.0", *facts, 6, None, None, 1, None, None, None),
        ("main", "flask", "README.txt", 2, None, None, *facts[1:], None, None, None, 0, None, "no", None),
        ("other", "gone", "gone-1.0.tar.gz", 0, "1.0", *facts, 6, None, None, 0, None, None, None),
    ]
    older.executemany(f"INSERT INTO files VALUES ({', '.join('?' * 16)})", files)
    decoded = {"requires_dist": ["Click>=8; extra == 'x'", "!!"], "build_requires": ["Flit_Core"]}
    row = (
        "INSERT INTO metadata (key, project, version, source, is_lower_bound, decoded) VALUES (?, ?, ?, 'wheel', 0, ?)"
    )
    older.execute(row, ("a" * 64, "Flask", "1.00", json.dumps(decoded)))
    older.execute(row, ("b" * 64, None, None, json.dumps({"requires_dist": ["click"]})))
    older.commit()
    older.close()
    with Catalog.open(path, writable=writable) as catalog:
        run = catalog.database.connection.execute
        assert run("SELECT * FROM files WHERE project = 'flask' ORDER BY position").fetchall() == files[:3]
        assert run("SELECT count(*) FROM files").fetchone() == (3,)
        totals = run("SELECT name, releases, files, file_bytes, first_upload FROM projects ORDER BY name").fetchall()
        assert totals == [("a", 0, 0, 0, None), ("flask", 3, 3, 11, "2024-01-01T00:00:00Z")]
        releases = run("SELECT version, files, yanked_files, file_bytes FROM listed_releases ORDER BY 1").fetchall()
        assert releases == [("", 1, 0, 0), ("1.0", 1, 1, 5), ("2.0", 1, 1, 6)]
        (one,) = catalog.facts.requiring(parse_name("click"))
        assert (one.project, one.version, one.specifier, one.marker) == ("flask", "1.0", ">=8", 'extra == "x"')
        (one,) = catalog.facts.requiring(parse_name("flit-core"))
        assert one.is_build
        if writable:
            catalog.pages.keep_response("main", values.response(f"{ROOT}flask/"), values.page())
            assert run("SELECT count(*) FROM files").fetchone() == (1,)
            described = Gathered(
                project=FLASK, response=values.response(f"{ROOT}d"), description=Description(requires_dist=("click",))
            )
            catalog.facts.keep("main", [described])
            assert len(catalog.facts.requiring(parse_name("click"))) == 2
