"""Rebuilds a catalog: from what the damaged one still tells, from the files on disk, and from the audit log.

The new catalog is made beside the old one and takes its place at once, when it is whole; the old one is kept in a
folder of its own and never deleted. Whoever is stopped on the way finds everything as it was, and begins again.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import Locked, PypimError, StoreUnreadable
from pypim.core.filenames import project_of
from pypim.core.rebuilt import Rebuilt, RebuiltIndex
from pypim.core.replay import Told, read_audit, replay
from pypim.core.selection import Selection
from pypim.store import atomic, linking
from pypim.store.catalog import Catalog
from pypim.store.found import find_files
from pypim.store.lock import StoreLock
from pypim.store.restore import Restoration
from pypim.store.salvage import Salvaged, salvage, with_first_page
from pypim.store.turns import lock_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pypim.core.model import Holding
    from pypim.ports import Reporter
    from pypim.store.blobs import LocalBlobs

_LOG, _INDEX = "-wal", "-shm"
_NEW = ".new"
_UNFINISHED = ".unfinished"
_HEADER = b"SQLite format 3\0"


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """What is rebuilt."""

    path: Path
    """The store's folder."""
    catalog: str
    """The catalog's name in it."""
    serving: str
    """The folder in it where servers have theirs."""
    blobs: LocalBlobs
    audit_log: Path
    kinds: Mapping[str, str]
    """The configured indexes: name → mirror, proxy or hosted."""


def rebuild(store: Store, stamp: str, now: float, reporter: Reporter) -> Rebuilt:
    """Make the catalog anew; `stamp` names the folder of the old one, `now` is in seconds since the epoch.

    Raises Locked while anybody works on the store, StoreUnwritable, OutOfSpace or StoreUnreadable.
    """
    with StoreLock(store.path), _no_server(store.path / store.serving):
        aside = _set_aside(store, stamp)
        with tempfile.TemporaryDirectory(prefix="pypim-") as scratch:
            new = store.path / f"{store.catalog}{_NEW}"
            for suffix in ("", _LOG, _INDEX):
                atomic.remove(new.with_name(new.name + suffix))
            with Catalog.open(new, now=lambda: now) as catalog:
                report = _fill(store, catalog, aside, Path(scratch), now, reporter)
        _take_the_place(store, new)
        finished = _finish(aside, report)
    return msgspec.structs.replace(report, source=finished, aside=report.aside.replace(_UNFINISHED, ""))


@contextmanager
def _no_server(folder: Path) -> Iterator[None]:
    """Nobody serves meanwhile: what a server has taken must not be lost with the old catalog. Raises Locked."""
    with ExitStack() as stack:
        for path in sorted(folder.glob("*.lock")) if folder.is_dir() else ():
            descriptor = atomic.open_for_writing(path, keeps_content=True)
            stack.callback(os.close, descriptor)
            if not lock_at_once(descriptor):
                raise Locked(str(folder), "a server, which must be stopped first")
        yield


def _set_aside(store: Store, stamp: str) -> Path | None:
    """A folder with the damaged catalog and its log; None where there is none.

    One that a stopped rebuild has left is used again: the catalog in place may have lost its log since.
    """
    old = store.path / store.catalog
    left = sorted(store.path.glob(f"damaged-*{_UNFINISHED}"))
    if left and (left[-1] / store.catalog).exists():
        return left[-1]
    if not old.exists():
        return None
    names = itertools.chain([f"damaged-{stamp}"], (f"damaged-{stamp}-{number}" for number in itertools.count(2)))
    name = next(name for name in names if not (store.path / name).exists())
    folder = store.path / f"{name}{_UNFINISHED}"
    atomic.make_folder(folder)
    kept = [folder / f"{store.catalog}{_LOG}", folder / store.catalog]
    for target in kept:
        if (store.path / target.name).exists():
            linking.link_or_copy(store.path / target.name, target)
    atomic.sync_file_system(store.path, [path for path in kept if path.exists()])
    return folder


def _fill(store: Store, catalog: Catalog, aside: Path | None, scratch: Path, now: float, reporter: Reporter) -> Rebuilt:
    salvaged, old = _salvaged(store, aside, scratch)
    found = find_files(store.blobs, reporter)
    told, unread = _told(store.audit_log)
    restoration = Restoration(catalog, store.blobs, found.holdings, salvaged)
    restoration.restore_holdings(told)
    if "mirror" in store.kinds.values():
        restoration.learn_metadata()
    users, tokens = restoration.restore_plain()
    hosted = [name for name, kind in store.kinds.items() if kind == "hosted"]
    indexes = [
        *_restore_mirrors(store, catalog, old, now),
        *_proxies(store, catalog),
        *restoration.restore_hosted(hosted, told),
    ]
    unexplained = _unexplained(catalog, store)
    folder = _name_twice(store, aside, unexplained) if hosted and unexplained else ""
    faults = salvaged.sentences
    if unread:
        faults = (*faults, f"{store.audit_log}: {unread} lines cannot be read")
    return Rebuilt(
        source="",
        faults=faults,
        files=len(found.holdings),
        file_bytes=sum(holding.blob.size for holding in found.holdings),
        damaged=found.damaged,
        metadata_written=found.metadata_written,
        tables=restoration.tables,
        indexes=tuple(indexes),
        users=users,
        tokens=tokens,
        unexplained=tuple(sorted(holding.filename for holding in unexplained)),
        aside=folder,
    )


# --- what the old catalog tells ---------------------------------------------------------------------------------------
def _salvaged(store: Store, aside: Path | None, scratch: Path) -> tuple[Salvaged, Path | None]:
    """(the rows that can be read, a copy that the next step may open); nothing of either where there is no catalog."""
    if aside is None:
        return Salvaged(), None
    copy = scratch / store.catalog
    try:
        for suffix in ("", _LOG):
            if (source := aside / f"{store.catalog}{suffix}").exists():
                linking.copy(source, copy.with_name(copy.name + suffix))
        with copy.open("rb") as stream:
            has_beginning = stream.read(len(_HEADER)) == _HEADER
    except OSError as error:
        raise StoreUnreadable(str(error.filename or aside), error.strerror or str(error)) from error
    if not has_beginning:
        _mend_beginning(copy, scratch)
    return salvage(copy, list(store.kinds)), copy


def _mend_beginning(copy: Path, scratch: Path) -> None:
    with Catalog.open(scratch / "sound.sqlite"):
        pass
    mended = with_first_page(copy.read_bytes(), (scratch / "sound.sqlite").read_bytes())
    atomic.write_atomically(copy, mended, is_durable=False)


def _told(audit_log: Path) -> tuple[Told, int]:
    """(what the audit log and those that were rotated tell, how many lines cannot be read)."""
    lines: list[bytes] = []
    for path in sorted(audit_log.parent.glob(f"{audit_log.name}*")) if audit_log.parent.is_dir() else ():
        with suppress(OSError):
            lines += path.read_bytes().splitlines()
    entries, unread = read_audit(lines)
    return replay(entries), unread


# --- what the new one has ---------------------------------------------------------------------------------------------
def _restore_mirrors(store: Store, catalog: Catalog, old: Path | None, now: float) -> Iterator[RebuiltIndex]:
    """Each goes on showing what it showed, where the old catalog can still tell that; a sync makes it whole again."""
    held = dict(catalog.holdings.holdings())
    for name in (name for name, kind in store.kinds.items() if kind == "mirror"):
        selection = _selection(old, name)
        lost: tuple[str, ...] = ()
        files = 0
        if selection is not None:
            listed = [file for release in selection.releases for file in release.files]
            files = sum(file.identity in held for file in listed)
            lost = tuple(sorted(file.filename for file in listed if file.identity not in held))
            catalog.generations.finish(catalog.generations.begin(name, selection, now), now)
        # Unfinished: until the next sync nothing is pruned, and what stands published is not believed.
        catalog.generations.begin(name, selection or Selection(), now)
        note = "run `pypim sync`" + (": until then it shows nothing" if selection is None else "")
        yield RebuiltIndex(name=name, kind="mirror", files=files, lost=lost, note=note)


def _selection(old: Path | None, index: str) -> Selection | None:
    """What the index showed; None where that cannot be read as a whole."""
    if old is None:
        return None
    try:
        with Catalog.open(old) as catalog:
            return catalog.generations.current_selection(index)
    except PypimError:
        return None


def _proxies(store: Store, catalog: Catalog) -> Iterator[RebuiltIndex]:
    for name in (name for name, kind in store.kinds.items() if kind == "proxy"):
        files = catalog.counts.proxy(name).files
        yield RebuiltIndex(name=name, kind="proxy", files=files, note="what it lacks is fetched when it is asked for")


def _unexplained(catalog: Catalog, store: Store) -> list[Holding]:
    """Files that nothing lists. Where a mirror shows nothing yet they may be its own, which its next sync finds out."""
    listed = catalog.generations.listed()
    has_silent = any(
        kind == "mirror" and catalog.generations.current(name) is None for name, kind in store.kinds.items()
    )
    if has_silent and "hosted" not in store.kinds.values():
        return []
    return [
        holding
        for identity, holding in catalog.holdings.holdings()
        if identity not in listed and not _is_deleted(catalog, store, holding.filename)
    ]


def _is_deleted(catalog: Catalog, store: Store, filename: str) -> bool:
    """Whether somebody deleted it from a hosted index, so that it only waits for a prune."""
    project = project_of(filename)
    return project is not None and any(
        catalog.hosted.standing(name, project, filename).is_deleted
        for name, kind in store.kinds.items()
        if kind == "hosted"
    )


def _name_twice(store: Store, aside: Path | None, unexplained: Sequence[Holding]) -> str:
    """A prune deletes what nothing lists; these may be somebody's only copies, so they get a second name."""
    folder = (aside or store.path / f"damaged{_UNFINISHED}") / "files"
    for holding in unexplained:
        target = folder / holding.blob.sha256[:16] / holding.filename
        atomic.make_folder(target.parent)
        linking.link_or_copy(store.blobs.path(holding), target)
    return str(folder)


# --- the change -------------------------------------------------------------------------------------------------------
def _take_the_place(store: Store, new: Path) -> None:
    """The log of the old catalog goes first: with the new one it would be taken for its own."""
    old = store.path / store.catalog
    for suffix in (_LOG, _INDEX):
        atomic.remove(old.with_name(old.name + suffix))
    atomic.sync_file_system(store.path, [new])
    atomic.rename(new, old)
    atomic.sync_file_system(store.path, [old])


def _finish(aside: Path | None, report: Rebuilt) -> str:
    """The folder of the old catalog gets its last name."""
    folder = aside or (Path(report.aside).parent if report.aside else None)
    if folder is None:
        return ""
    final = folder.with_name(folder.name.removesuffix(_UNFINISHED))
    atomic.rename(folder, final)
    return str(final)
