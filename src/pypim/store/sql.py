"""SQL by name: the statements of queries.sql, each under the name that stands above it."""

from __future__ import annotations

import re
import sqlite3
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n?", re.MULTILINE)
_MIGRATION = re.compile(r"(\d{4})\.sql")


@cache
def load_queries() -> Mapping[str, str]:
    """Name → statement. The text goes to the driver as it is, so that one statement serves one row or many."""
    text = resources.files(__package__).joinpath("queries.sql").read_text(encoding="utf-8")
    parts = _NAME.split(text)
    return {name: _COMMENT.sub("", body).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def load_migrations() -> Mapping[int, str]:
    """Schema version → the statements that lead to it from the one before, in order."""
    found = {}
    for file in resources.files(__package__).joinpath("migrations").iterdir():
        if match := _MIGRATION.fullmatch(file.name):
            found[int(match.group(1))] = file.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def split_statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one, for the driver's own way to run a script commits before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
