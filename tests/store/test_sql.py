"""The statements: every one is used, every one fits the schema, every table says what it is for."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

from pypim.store.database import Database
from pypim.store.sql import load_migrations, load_queries, split_statements

if TYPE_CHECKING:
    from pathlib import Path


def test_every_statement_is_used_under_its_name() -> None:
    code = "".join(
        file.read_text(encoding="utf-8")
        for file in resources.files("pypim.store").iterdir()
        if file.name.endswith(".py")
    )
    unused = [name for name in load_queries() if f'"{name}"' not in code]
    assert unused == []


def test_every_statement_fits_the_schema(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "none.sqlite", writable=False)
    for name, statement in load_queries().items():
        if statement.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            numbered = [int(number) for number in re.findall(r"\?(\d+)", statement)]
            parameters = [None] * (max(numbered) if numbered else statement.count("?"))
            assert database.connection.execute(f"EXPLAIN {statement}", parameters).fetchall(), name
    database.close()


def test_every_table_and_view_begins_with_a_sentence() -> None:
    for script in load_migrations().values():
        for statement in split_statements(script):
            if "CREATE TABLE" in statement or "CREATE VIEW" in statement:
                assert re.match(r"\s*(--.*\n\s*)+CREATE", statement), statement


def test_splitting_keeps_every_statement_whole() -> None:
    script = "-- a; comment\nCREATE TABLE a (b TEXT); \nINSERT INTO a VALUES (';\n--x');\n\nPRAGMA user_version = 1;\n"
    connection = sqlite3.connect(":memory:")
    statements = list(split_statements(script))
    for statement in statements:
        connection.execute(statement)
    assert len(statements) == 3
    assert connection.execute("SELECT b FROM a").fetchall() == [(";\n--x",)]
    connection.close()


def test_migrations_are_numbered_without_gaps() -> None:
    assert list(load_migrations()) == list(range(1, len(load_migrations()) + 1))
