"""Whether a store can be read and written just now: found out by writing a little, for nothing else tells."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pypim.store.catalog import Catalog

_NAME = ".ready"
_BYTES = 1 << 16
"""More than what is left of a block, and little enough to be written every second."""


def try_store(catalog: Catalog, folders: Iterable[Path]) -> None:
    """Write a file in each folder, and a row that is taken back. Raises StoreFault where that cannot be done."""
    for folder in folders:
        path = folder / f"{_NAME}-{os.getpid()}"
        try:
            atomic.write_atomically(path, bytes(_BYTES), is_durable=False)
        finally:
            atomic.remove(path)
    catalog.database.try_to_write()
