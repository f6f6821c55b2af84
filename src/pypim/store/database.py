"""The catalog's file: opened at the right schema, its statements run by name, its faults told in our words.

There is no library between the statements and the driver: aiosql makes its methods at run time, which no type checker
sees, and wants an operator in each name for one row or many, where text by name is all that we need.
"""

from __future__ import annotations

import functools
import inspect
import sqlite3
import threading
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from pypim.core.errors import CorruptCatalog, Locked, OutOfSpace, SchemaTooNew, StoreFault, StoreUnwritable
from pypim.store import atomic
from pypim.store.packing import UNDECODABLE
from pypim.store.private import make_private
from pypim.store.spare import Spare
from pypim.store.sql import load_migrations, load_queries, split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_Part = TypeVar("_Part")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_BUSY_SECONDS = 10.0
_ROWS_AT_ONCE = 64
_NO_ROOM_BYTES = 1 << 20  # SQLite says "I/O error" in places where the disk is full
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_MOST_SCHEMA = 9_999  # a higher number was never given by anybody
_DAMAGE = (
    "no such table",
    "no such column",
    "has no column named",
    "Could not decode to UTF-8",
    "malformed database",
)
"""How SQLite puts it where the list of its tables, or a text, is not what was written."""
_UNWRITABLE = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR})


class Database:
    """One connection. Statements may come from any thread; a transaction belongs to the thread that began it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """`open` makes it; the connection commits each statement by itself outside of `transaction`."""
        self.connection = connection
        self.path = path
        self._queries = load_queries()
        self._lock = threading.RLock()
        self._syncs_every_commit: bool | None = None
        self._stamp: tuple[object, ...] | None = None

    @classmethod
    def open(cls, path: Path, *, writable: bool) -> Self:
        """Open the file at the schema this program knows.

        Not writable: nothing on disk changes, a missing file is an empty catalog, and what an older pypim wrote is
        read from a copy in memory. Raises StoreUnwritable, CorruptCatalog, SchemaTooNew, Locked or OutOfSpace.
        """
        stamp = _stamp_of(path) if path.exists() else None
        try:
            database = cls(_connect(path) if writable else _connect_to_read(path), path)
        except sqlite3.Error as error:
            raise as_store_fault(error, path) from error
        try:
            if writable:
                database.run("use_wal")
            elif database.schema_version() < max(load_migrations()):
                database._copy_to_memory()
            database.run("enforce_references")
            database._migrate()
            if writable:
                database.run("undo_in_memory")
            else:
                database.run("refuse_writes")
                database._stamp = stamp if _is_quiet(path) else None
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close the file; the last writer leaves no other file beside it."""
        self.connection.close()

    def schema_version(self) -> int:
        """The schema of the file; 0 when it is empty."""
        return int(self.rows("schema_version")[0][0])

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a named query."""
        self._follow_writer()
        with self._translated():
            return self.connection.execute(self._queries[query], parameters).fetchall()

    def row(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row of a named query."""
        self._follow_writer()
        with self._translated():
            row: tuple[Any, ...] | None = self.connection.execute(self._queries[query], parameters).fetchone()
        return row

    def run(self, query: str, parameters: Sequence[object] = ()) -> int:
        """Run a named statement; the number of the row it inserted last."""
        with self._translated():
            return self.connection.execute(self._queries[query], parameters).lastrowid or 0

    def run_many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a named statement once for each row of parameters."""
        with self._translated():
            self.connection.executemany(self._queries[query], rows)

    def insert_many(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """As `run_many`, for millions of rows: a named INSERT that ends in one row of parameters gets many at a time.

        A step of the driver costs as much as a row of it. The rows are taken as they are needed.
        """
        one = self._queries[query]
        more = one[one.rindex("(") :]
        many = one + f", {more}" * (_ROWS_AT_ONCE - 1)
        remaining = iter(rows)
        with self._translated():
            while len(batch := tuple(islice(remaining, _ROWS_AT_ONCE))) == _ROWS_AT_ONCE:
                self.connection.execute(many, tuple(chain.from_iterable(batch)))
            self.connection.executemany(one, batch)

    def _follow_writer(self) -> None:
        """Open the file again where it was taken for one that nobody writes, and somebody has begun to."""
        if self._stamp is not None and self._stamp != _stamp_of(self.path):
            self.connection.close()
            with self._translated():
                self.connection = _connect_to(self.path.absolute().as_uri() + "?mode=ro")
            self._stamp = None
            self.run("refuse_writes")

    @contextmanager
    def transaction(self, *, is_durable: bool) -> Iterator[None]:
        """All or nothing. Durable: it survives a power cut; otherwise it survives at least this process."""
        with self._lock:
            if self._syncs_every_commit is not is_durable:
                self.run("sync_every_commit" if is_durable else "sync_at_checkpoints")
                self._syncs_every_commit = is_durable
            self.run("begin")
            try:
                yield
                self.run("commit")
            except BaseException:
                if self.connection.in_transaction:  # SQLite itself rolls back when the disk is full
                    self.connection.rollback()
                raise

    def freeing(self, work: Callable[[], _Result]) -> _Result:
        """What a transaction that frees room returns, which may have that of the store's spare file."""
        return Spare(self.path.parent).freeing(work)

    def try_to_write(self) -> None:
        """Write a row and take it back. Raises StoreFault where that cannot be done."""
        with self._lock:
            self.run("begin")
            try:
                self.run("keep_capability", ("", "writable", True, 0.0))
            finally:
                if self.connection.in_transaction:
                    self.connection.rollback()

    def _migrate(self) -> None:
        migrations = load_migrations()
        newest = max(migrations)
        found = self.schema_version()
        if not 0 <= found <= _MOST_SCHEMA:
            raise CorruptCatalog(str(self.path), f"its schema is said to be {found}")
        if found > newest:
            raise SchemaTooNew(str(self.path), found, newest)
        if found == newest:
            return
        from pypim.store.functions import offer_functions  # only now: it needs much of the core

        offer_functions(self.connection)
        with self.transaction(is_durable=True):
            found = self.schema_version()  # another process may have been faster
            for script in (script for version, script in migrations.items() if version > found):
                for statement in split_statements(script):
                    self._migrate_by(statement)

    def _migrate_by(self, statement: str) -> None:
        """What does not fit to a schema that the file says to have shows that this is not its schema."""
        try:
            self.connection.execute(statement)
        except sqlite3.Error as error:
            raise _known_fault(error, self.path) or CorruptCatalog(str(self.path), str(error)) from error

    def _copy_to_memory(self) -> None:
        copy = _connect_to_memory()
        with self._translated():
            self.connection.backup(copy)
        self.connection.close()
        self.connection = copy

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise as_store_fault(error, self.path) from error
        except UnicodeDecodeError as error:  # the driver stumbles over what SQLite quotes of a damaged schema
            raise CorruptCatalog(str(self.path), str(error)) from error


def told_as_damage(kind: type[_Part]) -> type[_Part]:
    """Class decorator: where a stored value cannot be decoded, the catalog is damaged. Each method raises that instead.

    For parts of a catalog, which have their database as `_database`.
    """
    for name, function in list(vars(kind).items()):
        if not name.startswith("_") and inspect.isfunction(function):
            setattr(kind, name, _telling_damage(function))
    return kind


def _telling_damage(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    @functools.wraps(function)
    def call(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> _Result:
        try:
            return function(*arguments, **options)
        except UNDECODABLE as error:
            database = getattr(arguments[0], "_database", None)
            path = database.path if isinstance(database, Database) else "the catalog"
            raise CorruptCatalog(str(path), f"{function.__name__}: a value cannot be decoded: {error}") from error

    return call


def as_store_fault(error: sqlite3.Error, path: Path) -> StoreFault:
    """The StoreFault that an error of the driver stands for; a mistake of our own is raised as it is."""
    if (fault := _known_fault(error, path)) is not None:
        return fault
    if isinstance(error, sqlite3.OperationalError):
        return StoreFault(f"{path}: the catalog cannot be used: {error}", hint="Run `pypim doctor` on this store.")
    raise error


def _known_fault(error: sqlite3.Error, path: Path) -> StoreFault | None:
    """By its code; None where that tells nothing."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in _BUSY:
        return Locked(str(path), "another process, which is writing to it")
    if code in _CORRUPT or any(words in str(error) for words in _DAMAGE):
        return CorruptCatalog(str(path), str(error))
    if code == sqlite3.SQLITE_FULL:
        return OutOfSpace(str(path), free_bytes=atomic.free_bytes(path))
    if code in _UNWRITABLE:
        free = atomic.free_bytes(path)
        if code == sqlite3.SQLITE_IOERR and free is not None and free < _NO_ROOM_BYTES:
            return OutOfSpace(str(path), free_bytes=free)
        return StoreUnwritable(str(path), str(error))
    return None


def _connect(path: Path) -> sqlite3.Connection:
    """Nobody but the owner reads it, for it has hashes of passwords. What SQLite makes beside it gets the same mode."""
    atomic.make_folder(path.parent)
    make_private(path)
    for beside in (path.with_name(path.name + end) for end in ("-wal", "-shm")):
        if beside.exists():
            make_private(beside)
    return _connect_to(path.absolute().as_uri())


def _connect_to_read(path: Path) -> sqlite3.Connection:
    if not path.exists():
        return _connect_to_memory()
    return _connect_to(path.absolute().as_uri() + ("?mode=ro&immutable=1" if _is_quiet(path) else "?mode=ro"))


def _is_quiet(path: Path) -> bool:
    """Without a log beside it nobody is writing, and SQLite need not make the files by which it would find out."""
    log = path.with_name(path.name + "-wal")
    return not (log.exists() and log.stat().st_size > 0)


def _stamp_of(path: Path) -> tuple[object, ...]:
    """Changes when somebody writes the catalog."""
    facts = path.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, _is_quiet(path)


def _connect_to_memory() -> sqlite3.Connection:
    return _connect_to(":memory:")


def _connect_to(address: str) -> sqlite3.Connection:
    return sqlite3.connect(
        address, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True, cached_statements=256
    )
