"""`prune` goes through the records of a large store some at a time."""

from __future__ import annotations

import errno
import hashlib
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import StoreUnwritable
from pypim.core.model import Blob, Holding
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.plan import planned_files
from pypim.store import atomic
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.sync.remove import delete_files, prune
from tests.store import values

if TYPE_CHECKING:
    from pathlib import Path

FILES = 40_000
MOST_BYTES = 15_000_000


def test_memory_is_that_of_some_records_and_a_number_for_each_file(tmp_path: Path) -> None:
    """All of it at once would take 40 MB here. What nothing lists is found among them."""
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        listed, unlisted = fill(catalog)
        tracemalloc.start()
        report = prune(
            catalog.generations,
            catalog.holdings,
            LocalBlobs(tmp_path / "files", tmp_path / "staging"),
            catalog.published,
            {},
            is_dry_run=True,
        )
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert report.files == (unlisted.filename,)
        assert len(list(catalog.holdings.holdings())) == listed + 1
    assert peak_bytes < MOST_BYTES


def test_what_is_deleted_first_makes_room_for_the_rest(tmp_path: Path) -> None:
    """On a full disk the records of many files could not be forgotten at once: a few are, and their bytes go first."""
    stopping = 100

    def stop(operation: str, path: str) -> None:
        nonlocal stopping
        stopping -= operation == "unlink" and path.endswith(".whl")
        if stopping == 0:
            raise OSError(errno.EIO, "the 100th")

    with Catalog.open(tmp_path / "catalog.sqlite") as catalog:
        catalog.holdings.record((f"{number}#1", parse_name("app"), held(number)) for number in range(1000))
        held_before = dict(catalog.holdings.holdings())
        (tmp_path / "files").mkdir()
        blobs = LocalBlobs(tmp_path / "files", tmp_path / "staging")
        with atomic.observed(stop), pytest.raises(StoreUnwritable):
            delete_files(held_before, held_before, catalog.holdings, blobs)
        assert 800 <= len(catalog.holdings.holdings()) < 900
        delete_files(held_before, held_before, catalog.holdings, blobs)
        assert catalog.holdings.holdings() == []


def fill(catalog: Catalog) -> tuple[int, Holding]:
    """How many records a proxy lists, and one that nobody does."""
    project = parse_name("app")
    rows = [(f"{one.filename}#{one.blob.sha256}", project, one) for one in map(held, range(FILES))]
    catalog.cached.record("proxy", rows, 1.0)
    selection = values.selection()
    catalog.generations.finish(catalog.generations.begin("main", selection, 1.0), 2.0)
    planned = [(one.file.identity, one.project, held(FILES + 1)) for one in planned_files(selection)]
    catalog.holdings.record(planned)
    unlisted = held(FILES)
    catalog.holdings.record([("unlisted#1", project, unlisted)])
    return len(rows) + len({identity for identity, _, _ in planned}), unlisted


def held(number: int) -> Holding:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    filename = parse_safe_filename(f"app-{number}.0-py3-none-any.whl")
    return Holding(filename=filename, blob=Blob(sha256=digest, blake2b_256=digest, size=1), metadata_sha256=None)
