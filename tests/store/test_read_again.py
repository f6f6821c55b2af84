"""What an older pypim made of core metadata: it is made again of the same bytes, and judged by the rules of today."""

from __future__ import annotations

import gzip
import json
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.filenames import parse_filename
from pypim.core.model import CoreMetadata
from pypim.core.names import parse_name
from pypim.core.readings import Reading, refuses
from pypim.store.catalog import Catalog
from pypim.store.functions import offer_functions
from pypim.store.sql import load_migrations

if TYPE_CHECKING:
    from pathlib import Path

UPSTREAM = "https://index.example/simple/"
LIB = parse_name("lib")
HEAD = "Metadata-Version: 2.2\nName: lib\nVersion: 1.0\n"
REPAIRED = f"{HEAD}Requires-Dist: dep (>=1.0.*)\n"
ENDED = f"{HEAD}Requires-Dist: dep\nno field\nRequires-Dist: never\nRequires-Python: >=9\n"
WHEEL, PKG_INFO, SAID, BOTH, DAMAGED, WITHOUT = (letter * 64 for letter in "abcdef")


def keep(older: sqlite3.Connection, row: tuple[str, str, str], body: str | None, *requires: str) -> None:
    """As it was kept before anybody told apart who reads what, and where the headers end."""
    key, upstream, source = row
    build = ("flit",) if source == "pkg-info" else ()
    decoded = {"name": "lib", "version": "1.0", "requires_dist": requires, "source": source, "faults": ["told"]}
    packed = None if body is None else gzip.compress(body.encode())[: 9 if key == DAMAGED else None]
    told = json.dumps({**decoded, "build_requires": build})
    older.execute(
        "INSERT INTO metadata VALUES (?, ?, 'lib', '1.0', '>=9', ?, 0, ?, ?)", (key, upstream, source, told, packed)
    )
    if row[:2] == (BOTH, UPSTREAM):
        return  # what the bytes themselves say stands in its place
    for position, text in enumerate((*requires, *build)):
        owner = key if upstream == "*" else f"{key} {upstream}"
        required = (text.partition(" ")[0], owner, position, text, text in build)
        older.execute("INSERT INTO requirements VALUES (?, 'lib', '1.0', ?, ?, ?, '', '', NULL, ?, 0)", required)


def older_catalog(path: Path) -> None:
    older = sqlite3.connect(path)
    offer_functions(older)
    for version in range(1, 16):
        older.executescript(load_migrations()[version])
    keep(older, (WHEEL, "*", "wheel"), ENDED, "dep", "never")
    keep(older, (PKG_INFO, "*", "pkg-info"), REPAIRED, "dep >=1.0")
    keep(older, (SAID, UPSTREAM, "ranges"), REPAIRED, "dep >=1.0")
    keep(older, (BOTH, "*", "wheel"), HEAD)
    keep(older, (BOTH, UPSTREAM, "advertised"), ENDED, "dep", "never")
    keep(older, (DAMAGED, "*", "wheel"), ENDED, "never")
    keep(older, (WITHOUT, "*", "egg-info"), None, "never")
    older.commit()
    older.close()


@pytest.mark.parametrize("writable", [True, False])
def test_an_old_catalog_is_judged_by_the_rules_of_today(tmp_path: Path, *, writable: bool) -> None:
    """From the bytes that it has; what came of other parts of an sdist stays, and so does what has no such bytes."""
    older_catalog(tmp_path / "catalog.sqlite")
    with Catalog.open(tmp_path / "catalog.sqlite", writable=writable) as catalog:
        rows = catalog.database.connection.execute("SELECT key, upstream, decoded, requires_python FROM metadata")
        found = {(key, upstream): (text, bound) for key, upstream, text, bound in rows}
        known = {key: msgspec.json.decode(text, type=CoreMetadata) for key, (text, _) in found.items()}
        assert known[WHEEL, "*"].requires_dist == known[BOTH, UPSTREAM].requires_dist == ("dep",)
        assert found[WHEEL, "*"][1] is None
        for key, filename in (((PKG_INFO, "*"), "lib-1.0.tar.gz"), ((SAID, UPSTREAM), "lib-1.0-py3-none-any.whl")):
            assert refuses(known[key], parse_filename(filename, LIB), LIB, Reading.PIP)
            assert not refuses(known[key], parse_filename(filename, LIB), LIB, Reading.UV)
            assert known[key].faults == ("told",)
        assert known[PKG_INFO, "*"].build_requires == ("flit",)
        assert known[DAMAGED, "*"].requires_dist == known[WITHOUT, "*"].requires_dist == ("never",)
        assert found[BOTH, "*"][1] == ">=9", "of what is alike nothing is written"
        said = catalog.database.connection.execute("SELECT required, key, position, is_build FROM requirements")
        assert sorted(said) == sorted(
            [
                ("dep", WHEEL, 0, 0),
                ("dep", PKG_INFO, 0, 0),
                ("flit", PKG_INFO, 1, 1),
                ("dep", f"{SAID} {UPSTREAM}", 0, 0),
                ("never", DAMAGED, 0, 0),
                ("never", WITHOUT, 0, 0),
            ]
        )
