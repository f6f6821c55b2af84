"""Reads a damaged catalog: every row that can still be reached, from the front, from the back, and from between.

What SQLite cannot read is one page, as a rule, and what stands before and behind it in the order of keys can be had.
"""

from __future__ import annotations

import sqlite3
import string
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pypim.store.sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = tuple[Any, ...]

_FIRST_TEXT, _LAST_TEXT = "", "\U0010ffff"
_FIRST_NUMBER, _LAST_NUMBER = 0, 1 << 62
_BEGINNINGS = sorted(string.digits + string.ascii_letters + "._-")
_MOST_SPLITS = 2
_SHARED: dict[str, tuple[str, int, bool]] = {
    # table: (query, place of the key in a row, whether it is a number)
    "holdings": ("salvage_holdings", 0, False),
    "hosted_changes": ("salvage_hosted_changes", 0, True),
    "users": ("salvage_users", 0, True),
    "tokens": ("salvage_tokens", 0, True),
}
_BY_INDEX = {
    # table: (query, place of the key in a row)
    "cached": ("salvage_cached", 1),
    "hosted_projects": ("salvage_hosted_projects", 1),
    "hosted_files": ("salvage_hosted_files", 2),
    "hosted_tombstones": ("salvage_hosted_tombstones", 1),
    "removals": ("salvage_removals", 1),
}
_PAGE_SIZE_AT, _PAGES_AT = 16, 28  # https://www.sqlite.org/fileformat2.html, 1.3


class Salvaged:
    """The rows of one table, by table, and what stood in the way of more."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {table: [] for table in (*_SHARED, *_BY_INDEX)}
        self.faults: dict[str, str] = {}
        self.sentences: tuple[str, ...] = ()


def salvage(path: Path, indexes: Sequence[str]) -> Salvaged:
    """Read a copy of a damaged catalog, with its log beside it; `indexes` are the names that may stand in it.

    The copy is changed. A table that is not there, as in an old catalog or where the damage took it, has a fault.
    """
    found = Salvaged()
    with closing(sqlite3.connect(path.absolute().as_uri(), isolation_level=None, uri=True)) as connection:
        connection.text_factory = _text
        queries = load_queries()
        found.sentences = _sentences(connection, queries["integrity_check"])
        for table, (query, place, is_number) in _SHARED.items():
            reader = _Reader(connection, queries[query], (), place, is_number=is_number)
            found.rows[table], fault = reader.read()
            found.faults |= {table: fault} if fault else {}
        for table, (query, place) in _BY_INDEX.items():
            for index in indexes:
                reader = _Reader(connection, queries[query], (index,), place, is_number=False)
                rows, fault = reader.read()
                found.rows[table] += rows
                found.faults |= {table: fault} if fault else {}
    return found


def _sentences(connection: sqlite3.Connection, query: str) -> tuple[str, ...]:
    try:
        return tuple(str(sentence) for (sentence,) in connection.execute(query) if sentence != "ok")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return (str(error),)


def _text(content: bytes) -> str:
    """Text whose bytes were damaged is no text of ours, and is refused later for what it says."""
    return content.decode("utf-8", "replace")


class _Reader:
    """Reads one table, or what it has of one index."""

    def __init__(
        self, connection: sqlite3.Connection, query: str, more: tuple[object, ...], place: int, *, is_number: bool
    ) -> None:
        self._connection = connection
        self._query = query
        self._more = more
        self._place = place
        self._is_number = is_number
        self._rows: dict[object, Row] = {}
        self._fault = ""

    def read(self) -> tuple[list[Row], str]:
        """(every row that can be had, what SQLite said of the others)."""
        if self._is_number:
            self._span(_FIRST_NUMBER, _LAST_NUMBER)
        else:
            self._span(_FIRST_TEXT, _LAST_TEXT)
        return [self._rows[key] for key in sorted(self._rows, key=str if not self._is_number else None)], self._fault  # type: ignore[type-var,arg-type] # keys of one kind

    def _span(self, first: object, last: object, splits: int = 0, beginning: str = "") -> None:
        """Those from one key up to another: forwards, then backwards, then piece by piece."""
        known = len(self._rows)
        if self._walk(first, last, "") or self._walk(first, last, " DESC"):
            return
        is_hopeful = splits == 0 or len(self._rows) > known  # else a table that is gone would take very long
        if not self._is_number and splits < _MOST_SPLITS and is_hopeful:
            for character in _BEGINNINGS:
                start = beginning + character
                self._span(start, start + _LAST_TEXT, splits + 1, start)

    def _walk(self, first: object, last: object, order: str) -> bool:
        """Whether the walk came to its end."""
        try:
            for row in self._connection.execute(self._query + order, (first, last, *self._more)):
                self._rows[row[self._place]] = row
        except (sqlite3.Error, OverflowError, UnicodeDecodeError) as error:
            self._fault = str(error)
            return False
        return True


def with_first_page(damaged: bytes, sound: bytes) -> bytes:
    """A catalog whose beginning is destroyed, with the first page of a new one: the header and the list of its tables.

    It fits where both were made by one version of pypim; where it does not, the tables are not what they are taken for,
    and their rows are refused.
    """
    size = int.from_bytes(sound[_PAGE_SIZE_AT : _PAGE_SIZE_AT + 2], "big")
    pages = max(1, -(-len(damaged) // size))
    first = sound[:_PAGES_AT] + pages.to_bytes(4, "big") + sound[_PAGES_AT + 4 : size]
    return first + damaged[size:]
