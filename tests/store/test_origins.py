"""What a catalog of before says of whom, once it is opened: nothing that another upstream may have said."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pypim.core.names import parse_name
from pypim.core.records import Owner
from pypim.store.catalog import Catalog
from pypim.store.functions import offer_functions
from pypim.store.sql import load_migrations
from tests.store import values

if TYPE_CHECKING:
    from pathlib import Path

UPSTREAM, ELSEWHERE = "https://index.example/simple/", "https://elsewhere.example/simple/"
FLASK = parse_name("flask")
HASHES = {name: digit * 64 for name, digit in (("kept", "a"), ("listed", "b"), ("private", "c"), ("both", "d"))}


def made(path: Path) -> None:
    older = sqlite3.connect(path)
    offer_functions(older)
    for version in range(1, 14):
        older.executescript(load_migrations()[version])
    for name, sha256 in HASHES.items():
        held = (f"{name}#{sha256}", "flask", name, sha256, sha256, 5, None, 1.0)
        older.execute("INSERT INTO holdings VALUES (?, ?, ?, ?, ?, ?, ?, ?)", held)
    for name in ("kept", "both"):
        cached = ("cache", f"{name}#{HASHES[name]}", "flask", name, 5, 1.0)
        older.execute("INSERT INTO cached VALUES (?, ?, ?, ?, ?, ?)", cached)
    for name in ("private", "both"):
        hosted = ("own", name, "flask", "1", f"{name}#{HASHES[name]}", HASHES[name], HASHES[name], 5, 1.0, "me")
        older.execute(f"INSERT INTO hosted_files VALUES ({', '.join('?' * 10)}, NULL, NULL, 0, NULL, NULL)", hosted)
    older.execute("INSERT INTO generations VALUES (1, 'main', 1.0, 2.0, 0)")
    older.execute("INSERT INTO states (number, index_name, project, generation) VALUES (1, 'main', 'flask', 1)")
    older.execute("INSERT INTO releases VALUES (1, 0, 'flask', '1')")
    for position, name in enumerate(("listed", "private")):
        chosen = (1, 0, position, "1", name, f"{name}#{HASHES[name]}", "", HASHES[name], 5, "{}")
        older.execute(f"INSERT INTO selected VALUES ({', '.join('?' * 10)})", chosen)
    metadata = "INSERT INTO metadata (key, source, is_lower_bound, decoded) VALUES (?, ?, 0, ?)"
    decoded = '{"name": "flask", "version": "1", "source": "wheel", "requires_dist": ["click"]}'
    for key, source in (("a" * 64, "wheel"), ("b" * 64, "advertised"), ("c" * 64, "ranges"), ("http://x", "wheel")):
        older.execute(metadata, (key, source, decoded))
        requirement = (key, "click", "flask", "1", 0, "click", "", "", None, 0, 0)
        older.execute(
            "INSERT INTO requirements (key, required, project, version, position, requirement, extras, specifier, "
            "marker, is_build, is_described) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            requirement,
        )
    older.execute("INSERT INTO sizes VALUES (?, 5)", ("a" * 64,))
    older.execute("INSERT INTO sidecars VALUES (?, ?)", ("a" * 64, "0" * 64))
    older.commit()
    older.close()


@pytest.mark.parametrize("writable", [True, False])
def test_what_schema_13_knew_counts_for_whom_it_came_to(tmp_path: Path, *, writable: bool) -> None:
    """Files stay held for the indexes that list them, but for what somebody uploaded; what upstreams said is gone."""
    path = tmp_path / "catalog.sqlite"
    made(path)
    with Catalog.open(path, writable=writable) as catalog:
        cache = catalog.of(values.owner("cache", UPSTREAM))
        mirror = catalog.of(values.owner("main", ELSEWHERE))
        assert [identity for identity, _ in cache.holdings.own()] == [f"kept#{HASHES['kept']}"]
        assert [identity for identity, _ in mirror.holdings.own()] == [f"listed#{HASHES['listed']}"]
        assert len(catalog.holdings.holdings()) == 4
        also = catalog.of(Owner(index="new", upstream=UPSTREAM, also=("cache",)))
        assert list(also.cached.held(FLASK)) == [f"kept#{HASHES['kept']}"]
        for own in (cache, mirror):
            known = own.metadata.metadata_of([*(digit * 64 for digit in "abc"), "http://x"])
            assert list(known) == ["a" * 64], "what was read out of a file that was checked"
            assert own.sizes.size("a" * 64) is None
            assert own.cached.sidecars(["a" * 64]) == {}
        (row,) = catalog.database.connection.execute("SELECT key FROM requirements").fetchall()
        assert row == ("a" * 64,)


def test_sizes_and_sidecars_are_those_of_one_upstream(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        good, evil = catalog.of(values.owner("good", UPSTREAM)), catalog.of(values.owner("evil", ELSEWHERE))
        evil.sizes.keep_size("a" * 64, 1)
        evil.metadata.keep_metadata("a" * 64, values.core_metadata(), b"evil")
        evil.cached.keep_sidecar("a" * 64, "0" * 64)
        assert evil.cached.sidecar("a" * 64) == b"evil"
        assert good.sizes.size("a" * 64) is None
        assert good.cached.sidecars(["a" * 64]) == {}
        assert good.cached.sidecar("a" * 64) is None


def test_what_is_no_longer_held_came_from_nowhere(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        holdings = catalog.of(values.owner()).holdings
        row = ("one", FLASK, values.holding(b"wheel"))
        holdings.record([row])
        holdings.forget(["one"])
        catalog.holdings.record([row])
        assert holdings.own() == [], "somebody uploaded it since"


def test_answers_are_kept_by_who_asked(tmp_path: Path) -> None:
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        with_credentials = catalog.of(values.owner(credentials="c0ffee"))
        without = catalog.of(values.owner())
        with_credentials.pages.keep_response("main", values.response(), values.page())
        url = values.response().url
        assert with_credentials.pages.response(url) == values.response()
        assert without.pages.response(url) is None
        assert without.pages.kept_pages([url]) == {}
        assert without.pages.last_serial(UPSTREAM) is None
        assert without.facts.heads([url]) == {}
        without.pages.keep_response("main", values.response(body=b"{}", status=404), None)
        assert with_credentials.pages.response(url) == values.response()
        with_credentials.pages.forget_unsaid(UPSTREAM)
        assert without.pages.response(url) is None, "an older pypim did not say with whose credentials it asked"
        assert with_credentials.pages.response(url) == values.response()
        without.pages.keep_response("main", values.response(), values.page())
        without.pages.forget_unsaid(UPSTREAM)
        assert without.pages.response(url) == values.response()
