"""What looks after a store: its catalog made anew (`pypim doctor --rebuild`), and what was read of it remembered."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pypim.config.model import GroupIndex
from pypim.core.errors import StoreFault
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.wiring import AUDIT_NAME, CATALOG_NAME, STAGING_NAME, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pypim.config.model import Config
    from pypim.core.rebuilt import Rebuilt
    from pypim.ports import Readings, Reporter
    from pypim.wiring import OpenStore


def rebuild_catalog(config: Config, reporter: Reporter) -> Rebuilt:
    """Make the catalog of a store anew. Raises Locked, StoreUnwritable, OutOfSpace or StoreUnreadable."""
    from pypim.store.rebuild import Store, rebuild
    from pypim.wiring_server import STAGING_NAME as SERVING_NAME

    path, now = config.store.path, SystemClock().now()
    store = Store(
        path=path,
        catalog=CATALOG_NAME,
        serving=SERVING_NAME,
        blobs=LocalBlobs(config.store.files, path / STAGING_NAME),
        audit_log=config.server.audit_log or path / AUDIT_NAME,
        kinds={index.name: index.kind for index in config.indexes.values() if not isinstance(index, GroupIndex)},
    )
    return rebuild(store, now.strftime("%Y%m%dT%H%M%SZ"), now.timestamp(), reporter)


@contextmanager
def noting_reads(store: OpenStore, reporter: Reporter) -> Iterator[Callable[[Sequence[str]], None]]:
    """What notes files, by identity, as read and whole; where that cannot be noted it is said once, and no fault."""
    with ExitStack() as stack:
        readings: list[Readings] = [store.catalog.readings] if store.is_writable else []
        has_failed = False

        def note(identities: Sequence[str]) -> None:
            nonlocal has_failed
            if has_failed:
                return
            try:
                if not readings:
                    path = store.config.store.path / CATALOG_NAME
                    readings.append(stack.enter_context(Catalog.open(path)).readings)
                readings[0].note_read(identities, SystemClock().now().timestamp())
            except StoreFault as fault:
                has_failed = True
                reporter.note(f"what was read is not remembered: {fault.message}")

        yield note
