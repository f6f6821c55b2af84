"""Removal, always last: files that no index lists any more are deleted when their time has come."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import StoreFault
from pypim.core.records import Removal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pypim.core.model import Holding
    from pypim.core.plan import PlannedFile
    from pypim.core.retention import OnRemoval
    from pypim.ports import Blobs, Generations, Holdings, Published, Tree
    from pypim.sync.model import Stack


_AT_ONCE = 5_000
"""So many records are looked at together."""
_PLACE = "packages/"
_UNKNOWN = "If it is a new one, for the old one is lost: run `pypim sync`, which finds its files again. Then prune."
_FIRST_PORTION = 64
"""So many files are deleted first; what their records cost of a full disk is less than what they give back."""


class PruneReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune deletes, or would; sizes in bytes."""

    files: tuple[str, ...]
    file_bytes: int
    stray: tuple[str, ...]
    """Left behind by interrupted runs: files without a record, parts of downloads."""
    stray_bytes: int
    is_dry_run: bool


def note_unlisted(stack: Stack, index: str, unlisted: Iterable[PlannedFile]) -> None:
    """Note what the index no longer lists, or soon will not.

    A note outlives the run, so that one that is stopped after the flip leaves no file that nobody remembers; a file
    that is listed after all loses its note with the next removal.
    """
    waiting = stack.published.removals(index)
    now = stack.clock.now().timestamp()
    fresh = [
        Removal(identity=planned.file.identity, project=planned.project, since=now)
        for planned in unlisted
        if planned.file.identity not in waiting
    ]
    # What was noted by a clock that was set back since would wait until that time comes again.
    fresh += [msgspec.structs.replace(removal, since=now) for removal in waiting.values() if removal.since > now]
    if fresh:
        stack.published.keep_removals(index, fresh, ())


def remove_unlisted(stack: Stack, index: str, unlisted: Iterable[PlannedFile], on_removal: OnRemoval) -> int:
    """Note what the index no longer lists, and delete what has waited long enough. The number of files deleted."""
    note_unlisted(stack, index, unlisted)
    waiting = stack.published.removals(index)
    if not waiting:
        return 0
    listed = stack.generations.listed_among(waiting)
    horizon = stack.clock.now().timestamp() - on_removal.delete_after.total_seconds()
    past = {
        identity for identity, removal in waiting.items() if removal.since <= horizon and not on_removal.keeps_listed
    }
    own = stack.generations.named_among(index, waiting) if past or listed else set()
    past -= own
    due = past - listed
    gone = stack.holdings.holdings_of(past)
    held = gone | stack.holdings.beside(gone.values())
    if stack.tree is not None:  # what another index lists leaves this tree and stays in the store
        stack.tree.displace(_solely(held, past, stack.generations.named_among(index, held)))
    deleted = {identity: held[identity] for identity in due if identity in held}
    delete_files(deleted, held, stack.holdings, stack.blobs, stack.tree)
    if len(deleted) < len(due):  # an earlier run was stopped between forgetting the records and deleting the bytes
        with stack.blobs.alone():
            stack.blobs.delete_stray(stack.blobs.stray(_every(stack.holdings)))
        stack.blobs.confirm_deletions()
    stack.published.keep_removals(index, (), [*past, *(waiting.keys() & own)])
    return len(deleted)


def held_some_at_a_time(holdings: Holdings) -> Iterator[Sequence[tuple[str, Holding]]]:
    """Every (identity, holding): a store may have millions."""
    after = ""
    while some := holdings.holdings_after(after, _AT_ONCE):
        yield some
        after = some[-1][0]


def _every(holdings: Holdings) -> Iterator[Holding]:
    for some in held_some_at_a_time(holdings):
        for _, holding in some:
            yield holding


def _solely(held: Mapping[str, Holding], gone: Iterable[str], staying: Iterable[str]) -> list[Holding]:
    """The holdings of `gone` whose file stands for none that stays."""
    needed = {held[identity].path for identity in staying if identity in held}
    return [held[identity] for identity in gone if identity in held and held[identity].path not in needed]


def refuse_cut_off(generations: Generations, published: Published, indexes: Iterable[str]) -> None:
    """Raise StoreFault after a run that did not finish: its pages may name files that no finished generation names.

    So do pages that still have to go, after the generation that no longer has their projects is finished.
    """
    if cut_off := sorted(one for one in indexes if generations.is_interrupted(one) or published.leaving(one)):
        hint = "Run `pypim sync` first; it goes on from there. Then prune."
        raise StoreFault(f"index {', '.join(cut_off)}: the last sync did not finish", hint=hint)


def prune(
    generations: Generations,
    holdings: Holdings,
    blobs: Blobs,
    published: Published,
    trees: Mapping[str, Tree],
    *,
    is_dry_run: bool,
) -> PruneReport:
    """Delete every file that no generation of any index names, and what interrupted runs left behind.

    `trees` are the published trees by index. Raises StoreUnwritable. `refuse_cut_off` comes first.
    """
    with nullcontext() if is_dry_run else blobs.alone():
        return _prune(generations, holdings, blobs, published, trees, is_dry_run=is_dry_run)


def _prune(
    generations: Generations,
    holdings: Holdings,
    blobs: Blobs,
    published: Published,
    trees: Mapping[str, Tree],
    *,
    is_dry_run: bool,
) -> PruneReport:
    unwanted: dict[str, Holding] = {}
    is_any_known = False
    for some in held_some_at_a_time(holdings):
        is_any_known = True
        listed = generations.listed_among(identity for identity, _ in some)
        unwanted |= {identity: holding for identity, holding in some if identity not in listed}
    stray = blobs.stray(_every(holdings))
    if not is_any_known and (files := [path for path in stray if path.startswith(_PLACE)]):
        raise StoreFault(f"the catalog knows none of the {len(files):,} files that stand in the store", hint=_UNKNOWN)
    report = PruneReport(
        files=tuple(sorted(holding.filename for holding in unwanted.values())),
        file_bytes=sum(holding.blob.size for holding in unwanted.values()),
        stray=tuple(sorted(stray)),
        stray_bytes=sum(stray.values()),
        is_dry_run=is_dry_run,
    )
    if not is_dry_run:
        blobs.delete_stray(stray)  # first, for it needs no room: no record of them has to go
        for index, tree in trees.items():
            waiting = published.removals(index)
            gone = holdings.holdings_of(waiting.keys() - generations.named_among(index, waiting))
            held = gone | holdings.beside(gone.values())
            tree.displace(_solely(held, gone, generations.named_among(index, held)))
            published.keep_removals(index, (), waiting)
        held = unwanted | holdings.beside(unwanted.values())
        delete_files(unwanted, held, holdings, blobs, *trees.values())
    return report


def delete_files(
    unwanted: Mapping[str, Holding],
    held: Mapping[str, Holding],
    holdings: Holdings,
    blobs: Blobs,
    *trees: Tree | None,
) -> None:
    """Take the files out of the trees, forget the records, then delete the bytes.

    No record ever names what is not there, and no tree keeps what no record can find. Two records may stand for one
    file (listed with and without a hash): the bytes go with the last of them.
    """
    still_needed = {holding.path for identity, holding in held.items() if identity not in unwanted}
    for some in _portions(unwanted):
        gone = [holding for holding in some.values() if holding.path not in still_needed]
        for tree in trees:
            if tree is not None:
                tree.displace(gone)
        holdings.forget(some)
        for holding in gone:
            blobs.delete(holding)
        if gone:
            blobs.confirm_deletions()


def _portions(unwanted: Mapping[str, Holding]) -> Iterator[dict[str, Holding]]:
    """A few first, then ever more: on a full disk each has the room that those before it have made.

    Records of one file stay together.
    """
    rows = sorted(unwanted.items(), key=lambda row: row[1].path)
    start, size = 0, _FIRST_PORTION
    while start < len(rows):
        end = start + size
        while end < len(rows) and rows[end][1].path == rows[end - 1][1].path:
            end += 1
        yield dict(rows[start:end])
        start, size = end, 2 * size
