"""What is wrong in a catalog is found where all of it is read, also what SQLite does not look for."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pypim.store.catalog import Catalog
from tests.store import values

if TYPE_CHECKING:
    from pathlib import Path

FLASK = values.page().name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalog with something in it."""
    made = tmp_path / "store" / "catalog.sqlite"
    with Catalog.open(made) as catalog:
        catalog.holdings.record(
            (f"flask-{number}#", FLASK, values.holding(b"wheel", f"flask-{number}.0-py3-none-any.whl"))
            for number in range(200)
        )
        catalog.pages.keep_response("main", values.response(body=b"x" * 5000), values.page())
    return made


def faults(path: Path) -> list[str]:
    with Catalog.open(path, writable=False) as catalog:
        return catalog.faults()


def damage(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        for statement in statements:
            connection.execute(statement)


DAMAGE = {
    "a text": ("UPDATE holdings SET filename = CAST(x'66ff' AS TEXT) WHERE identity = 'flask-7#'", "holdings: "),
    "the end of what is packed": ("UPDATE responses SET body = substr(body, 1, length(body) - 3)", "responses: "),
    "what is packed": (
        "UPDATE responses SET body = CAST(substr(body, 1, 12) || x'ffff' || substr(body, 15) AS BLOB)",
        "responses: ",
    ),
    "what a page was decoded to": ("UPDATE responses SET page = x'1f8b00'", "responses: "),
    "the name of a column": (
        "UPDATE sqlite_master SET sql = replace(sql, 'version', 'ver3ion') WHERE name = 'holding_kept'",
        "no such column",
    ),
    "the letters of a column": (
        "UPDATE sqlite_master SET sql = CAST(replace(sql, '(one', x'286f6ed4') AS TEXT) WHERE name = 'knowledge'",
        "Could not decode",
    ),
}


def test_a_whole_catalog_has_no_faults(path: Path, tmp_path: Path) -> None:
    assert faults(path) == []
    assert faults(tmp_path / "none.sqlite") == []


@pytest.mark.parametrize("name", DAMAGE)
def test_what_was_not_written_so_is_found(path: Path, name: str) -> None:
    statement, beginning = DAMAGE[name]
    damage(path, statement)
    (fault,) = faults(path)
    assert fault.startswith(beginning)


def test_an_index_that_hides_a_row_is_found(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'holdings_by_project'"
        (root,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    (leaf,) = struct.unpack_from(
        ">I", content, (root - 1) * size + struct.unpack_from(">H", content, (root - 1) * size + 12)[0]
    )
    at = content.rindex(b"flask", (leaf - 1) * size, leaf * size)
    content[at : at + 5] = b"aflas"
    path.write_bytes(content)
    assert any("index holdings_by_project" in fault for fault in faults(path))
