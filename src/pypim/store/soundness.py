"""Whether a catalog is what was written: all is read, row by row, so that a large one takes time and no memory."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from pypim.core.errors import CorruptCatalog
from pypim.store.database import as_store_fault
from pypim.store.packing import UNDECODABLE, unpack
from pypim.store.sql import load_queries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypim.store.database import Database

_PARAMETER = re.compile(r"\?(\d*)")
_DONE_WITH_ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def faults_of(database: Database) -> Iterator[str]:
    """What is wrong, in sentences: what SQLite finds, else what it does not look for. Raises StoreFault.

    SQLite looks at pages, keys and indexes. The names in its list of tables, views and triggers are only read where
    they are used, and so are the texts and what is packed.
    """
    yield from [sentence for (sentence,) in database.rows("integrity_check") if sentence != "ok"] or [
        *_schema_faults(database),
        *_value_faults(database),
    ]


def _schema_faults(database: Database) -> Iterator[str]:
    """What keeps the same tables, views and triggers from being made elsewhere, or our statements from fitting them.

    A connection that only reads passes over much of what is wrong with them.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as empty:
        try:
            for (statement,) in database.rows("statements_of_schema"):
                empty.execute(statement)
            for statement in load_queries().values():
                if statement.startswith(_DONE_WITH_ROWS):
                    empty.execute(f"EXPLAIN {statement}", _nothing_for(statement))
        except CorruptCatalog as error:
            yield error.reason
        except (sqlite3.Error, *UNDECODABLE) as error:  # the driver stumbles over what SQLite quotes, too
            yield str(error)


def _nothing_for(statement: str) -> Sequence[None]:
    """A parameter for each of its places; "?2" stands for the second one."""
    numbers = _PARAMETER.findall(statement)
    return [None] * max((int(number) if number else len(numbers) for number in numbers), default=0)


def _value_faults(database: Database) -> Iterator[str]:
    """The first text of each table that is no UTF-8, or the first blob that is not whole: all of them are gzip."""
    for table, statement in database.rows("statements_of_values"):
        try:
            for row in database.connection.execute(statement):
                for value in row:
                    if isinstance(value, bytes):
                        unpack(value)
        except sqlite3.Error as error:
            fault = as_store_fault(error, database.path)
            if not isinstance(fault, CorruptCatalog):
                raise fault from error
            yield f"{table}: {error}"
        except UNDECODABLE as error:
            yield f"{table}: {error}"
