"""A small program that stages, keeps, records and deletes files: run whole, broken, or killed at its n-th operation.

`python -m tests.faults.store_driver FOLDER` forks a child for n = 1, 2, … that does the work in FOLDER/n and is gone
at its n-th operation, until a child gets through; it prints how many died.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.names import parse_name
from pypim.store import atomic
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.model import Holding
    from pypim.core.selection import Selection

CONTENTS = {f"file{number}-1.0-py3-none-any.whl": bytes([65 + number]) * (1000 * number + 1) for number in range(4)}
METADATA = {filename: f"Metadata-Version: 2.1\nName: {filename}\n".encode() for filename in CONTENTS}
REMOVED = "old-1.0.tar.gz"
KILLED = 9
FINISHED = 10


def catalog_path(folder: Path) -> Path:
    return folder / ".pypim" / "catalog.sqlite"


def holding_of(filename: str) -> Holding:
    return values.holding(CONTENTS[filename], filename, METADATA[filename])


def prepare(folder: Path) -> None:
    """The state before: a file that is to be removed, and half of another left by an interrupted run."""
    blobs = LocalBlobs(folder, folder / ".pypim" / "staging", is_durable=False)

    async def keep_old() -> None:
        old = blobs.stage(REMOVED)
        old.write(b"old")
        await blobs.keep(old, values.holding(b"old", REMOVED), None)

    asyncio.run(keep_old())
    with Catalog.open(catalog_path(folder)) as catalog:
        catalog.holdings.record([(REMOVED, parse_name("old"), values.holding(b"old", REMOVED))])
    part = blobs.stage("file2-1.0-py3-none-any.whl")
    part.write(CONTENTS["file2-1.0-py3-none-any.whl"][:700])
    part.close()


async def work(folder: Path) -> None:
    """What a sync does with the store; may be run again and again."""
    blobs = LocalBlobs(folder, folder / ".pypim" / "staging")

    async def keep(filename: str) -> None:
        staged = blobs.stage(filename)
        try:
            content = CONTENTS[filename]
            if content[: staged.size] != content[: len(content)] and staged.size:
                staged.restart()
            for start in range(staged.size, len(content), 900):
                staged.write(content[start : start + 900])
            await blobs.keep(staged, holding_of(filename), METADATA[filename])
        finally:
            staged.close()
        catalog.holdings.record([(filename, parse_name("file"), holding_of(filename))])

    with Catalog.open(catalog_path(folder)) as catalog:
        generation = catalog.generations.begin("main", selection(), 1.0)
        held = dict(catalog.holdings.holdings())
        outcomes = await asyncio.gather(*(keep(name) for name in CONTENTS if name not in held), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        catalog.generations.finish(generation, 2.0)
        if REMOVED in held:
            catalog.holdings.forget([REMOVED])
        blobs.delete(values.holding(b"old", REMOVED))


def selection() -> Selection:
    return values.selection()


def wrong_in(folder: Path) -> Iterator[str]:
    """What must never be: a file under its name with other bytes, or a row without its file."""
    blobs = LocalBlobs(folder, folder / ".pypim" / "staging")
    for path, _ in blobs.iter_files():
        content = (folder / path).read_bytes()
        filename = path.rpartition("/")[2]
        if filename.endswith(".metadata"):
            if content != METADATA[filename.removesuffix(".metadata")]:
                yield f"{path} has other bytes"
        elif "".join(path.split("/")[1:4]) != hashlib.blake2b(content, digest_size=32).hexdigest():
            yield f"{path} has other bytes than its name says"
    with Catalog.open(catalog_path(folder), writable=False) as catalog:
        for identity, holding in catalog.holdings.holdings():
            if not blobs.found(holding):
                yield f"{identity} is recorded and not there"
        current = catalog.generations.current("main")
        if current is not None and catalog.generations.selection(current.number) != selection():
            yield "the current generation is not whole"


def is_complete(folder: Path) -> bool:
    """Whether the work is done and left nothing over."""
    blobs = LocalBlobs(folder, folder / ".pypim" / "staging")
    with Catalog.open(catalog_path(folder), writable=False) as catalog:
        held = dict(catalog.holdings.holdings())
        is_current = catalog.generations.current("main") is not None and not catalog.generations.is_interrupted("main")
    return (
        is_current
        and held == {filename: holding_of(filename) for filename in CONTENTS}
        and blobs.stray(held.values()) == {}
    )


def die_at(number: int, folder: Path) -> bool:
    """Do the work in a child that dies at its n-th operation; whether it did."""
    child = os.fork()
    if child == 0:
        passed = 0

        def observe(_operation: str, _path: str) -> None:
            nonlocal passed
            passed += 1
            if passed == number:
                os._exit(KILLED)

        status = 1
        try:
            with atomic.observed(observe):
                asyncio.run(work(folder))
            status = FINISHED
        finally:
            os._exit(status)
    _, state = os.waitpid(child, 0)
    status = os.waitstatus_to_exitcode(state)
    assert status in {KILLED, FINISHED}, f"the child failed with {status} at {number}"
    return status == KILLED


def main(top: Path) -> int:
    number = 0
    is_dead = True
    while is_dead:
        number += 1
        folder = top / str(number)
        folder.mkdir()
        prepare(folder)
        is_dead = die_at(number, folder)
    return number - 1


if __name__ == "__main__":
    print(main(Path(sys.argv[1])))
