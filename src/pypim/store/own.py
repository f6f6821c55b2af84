"""A folder of one's own: of several processes on one store, each has one that no other uses while it lives.

A later process takes over the folder of one that has ended, with what is left in it.
"""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pypim.store import atomic
from pypim.store.turns import lock_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def own_folder(above: Path) -> Iterator[Path]:
    """The first folder below `above` that no process has: 0, 1, 2 … Raises StoreUnwritable or OutOfSpace."""
    atomic.make_folder(above)
    for number in itertools.count():
        descriptor = atomic.open_for_writing(above / f"{number}.lock", keeps_content=True)
        try:
            if lock_at_once(descriptor):
                folder = above / str(number)
                atomic.make_folder(folder)
                yield folder
                return
        finally:
            os.close(descriptor)
