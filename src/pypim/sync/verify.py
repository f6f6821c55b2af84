"""Reads again what is held and published and compares it with its digests; what is damaged can be made good."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pypim.core.plan import PlannedFile, planned_files
from pypim.sync.publish import HTML_NAME, JSON_NAME, Publisher, lists_of, pages_of
from pypim.sync.reading import Damage, Reading
from pypim.sync.remove import delete_files, held_some_at_a_time
from pypim.sync.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding, Page
    from pypim.core.records import Generation
    from pypim.ports import Generations, Published, Tree
    from pypim.sync.model import Request, Stack

_MOST_LOOKS = 5
"""At what a sync is changing; then it is left to that sync."""
_UNLISTED = "no index lists it any more; `pypim prune` deletes it"
_DROPPED = "only an unfinished sync lists it: dropped, and `pypim sync` fetches it again"


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` read and found; sizes in bytes."""

    files: int
    file_bytes: int
    damages: tuple[Damage, ...]
    passed_over: int = 0
    """Held files that were read recently enough, as --since says."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged, or all of it was repaired."""
        return all(damage.is_repaired for damage in self.damages)


async def verify(stack: Stack, request: Request, *, repairs: bool, reading: Reading | None = None) -> VerifyReport:
    """Re-read every file that this index lists, or that none does, and what is published of it.

    `reading` says which of the files, and how fast. With `repairs`, damaged files are fetched again and what is
    published is written again. A damaged file that no index lists any more cannot be fetched again and stays named.
    Raises StoreFault.
    """
    reading = reading or Reading(stack.reporter)
    before = _state(stack, request.index)
    own, listed = _own_and_listed(stack, request.index)
    held = reading.due(own)
    damages = await reading.read(held, stack.blobs.path)
    damages = _still_held(stack, damages, held)
    # What is listed is read as a whole only where something must be mended.
    selection = stack.generations.current_selection(request.index) if repairs and damages else None
    if repairs and damages:
        files = {planned.file.identity: planned for planned in planned_files(selection)} if selection else {}
        damages = await _repair(stack, request, damages, held, files)
    if stack.tree is not None and stack.generations.current(request.index) is not None:
        lost = {damage.identity for damage in damages if not damage.is_repaired}
        there = stack.holdings.own_of(listed - lost)
        if repairs:
            spoilt = await _published_damages(stack, stack.tree, request.index, there, reading)
        else:
            spoilt = await _lasting_damages(stack, stack.tree, request.index, there, reading, before)
        if repairs and spoilt:
            selection = selection or stack.generations.current_selection(request.index)
            assert selection is not None
            _publish_again(stack, request.index, pages_of(selection, dict(stack.holdings.own())), there, spoilt)
            spoilt = [msgspec.structs.replace(damage, is_repaired=True) for damage in spoilt]
        damages += spoilt
    total_bytes = sum(holding.blob.size for holding in held.values())
    return VerifyReport(
        files=len(held), file_bytes=total_bytes, damages=tuple(damages), passed_over=len(own) - len(held)
    )


def _own_and_listed(stack: Stack, index: str) -> tuple[dict[str, Holding], set[str]]:
    """What is held and not listed by other indexes alone; and the identities of what this index lists of it."""
    own: dict[str, Holding] = {}
    listed: set[str] = set()
    for some in held_some_at_a_time(stack.holdings):
        identities = [identity for identity, _ in some]
        named = stack.generations.named_among(index, identities)
        elsewhere = stack.generations.listed_among(identities, besides=index) - named
        own |= {identity: holding for identity, holding in some if identity not in elsewhere}
        listed |= named
    return own, listed


def _still_held(stack: Stack, damages: list[Damage], held: Mapping[str, Holding]) -> list[Damage]:
    """Without the files that a sync has deleted or got anew while we were reading; it forgets their records first."""
    now = stack.holdings.holdings_of(damage.identity for damage in damages)
    return [damage for damage in damages if now.get(damage.identity) == held[damage.identity]]


async def _repair(
    stack: Stack,
    request: Request,
    damages: list[Damage],
    held: Mapping[str, Holding],
    listed: Mapping[str, PlannedFile],
) -> list[Damage]:
    """Fetch damaged files from where the current generation says they come from.

    What only an unfinished sync lists is dropped, for that sync fetches it again when it goes on.
    """
    wanted = [listed[damage.identity] for damage in damages if damage.identity in listed]
    transfer = Transfer(stack, request)
    stack.reporter.stage("transfer", total=len(wanted))
    await transfer.run(wanted)
    if stack.tree is not None:
        # The tree may have the damaged bytes under a name of its own, with the right size.
        stack.tree.place(transfer.held.values(), replaces=True)
    unlisted = {damage.identity for damage in damages} - listed.keys()
    dropped = unlisted & stack.generations.listed()
    if dropped:
        delete_files({one: held[one] for one in dropped}, held, stack.holdings, stack.blobs, stack.tree)
    remarks = {fault.planned.file.identity: f"; not repaired: {fault.message}" for fault in transfer.faults}
    remarks |= dict.fromkeys(unlisted, f"; not repaired: {_UNLISTED}") | dict.fromkeys(dropped, f"; {_DROPPED}")
    repaired = {one for one, holding in transfer.held.items() if holding.blob.sha256 == held[one].blob.sha256}
    return [
        msgspec.structs.replace(
            damage,
            is_repaired=damage.identity in repaired | dropped,
            reason=damage.reason + remarks.get(damage.identity, ""),
        )
        for damage in damages
    ]


# --- what is published ----------------------------------------------------------------------------------------------
def _state(stack: Stack, index: str) -> tuple[Generation | None, bool]:
    """Another one shows that a sync has published meanwhile, or is at it."""
    return stack.generations.current(index), stack.generations.is_interrupted(index)


async def _lasting_damages(
    stack: Stack,
    tree: Tree,
    index: str,
    there: Mapping[str, Holding],
    reading: Reading,
    before: tuple[Generation | None, bool],
) -> list[Damage]:
    """What is damaged and not just being replaced: syncs may publish meanwhile. `there` are the files of `before`."""
    for _ in range(_MOST_LOOKS):
        now = _state(stack, index)
        if now != before:
            there, before = stack.holdings.own_of(_own_and_listed(stack, index)[1]), now
        _, is_interrupted = now
        if is_interrupted:
            break
        found = await _published_damages(stack, tree, index, there, reading)
        if not found or _state(stack, index) == now:
            return found
    told = "what is published was not compared: a sync is publishing it, or was stopped as it did"
    stack.reporter.note(f"{index}: {told}; `pypim sync` makes it right")
    return []


async def _published_damages(
    stack: Stack, tree: Tree, index: str, held: Mapping[str, Holding], reading: Reading
) -> list[Damage]:
    """The pages of the tree that are not as they were written, the files that it lacks, and its damaged copies.

    What is a link to the store's own file was read there.
    """
    found = []
    for name, digest in stack.published.page_digests(index).items():
        parts = [tree.read(f"simple/{name}/{part}") for part in (HTML_NAME, JSON_NAME)]
        if None in parts or hashlib.sha256(b"".join(part or b"" for part in parts)).hexdigest() != digest:
            found.append((f"simple/{name}/", "the page is not as it was published"))
    if (reason := list_damage(stack.generations, stack.published, tree, index)) is not None:
        found.append(("simple/", reason))
    lacking = {holding.path for holding in tree.lacking(held.values())}
    found += [(path, "it is missing where it is published") for path in sorted(lacking)]
    placed = {holding.path: holding for holding in reading.due(held).values() if holding.path not in lacking}
    copies = {path: copy for path, holding in placed.items() if (copy := tree.copy_of(holding)) is not None}
    if copies:
        copied = {path: placed[path] for path in copies}
        spoilt = await reading.read(copied, lambda holding: copies[holding.path], remembers=False)
        found += [(damage.identity, f"where it is published, {damage.reason}") for damage in spoilt]
    return [Damage(identity=path, filename=path, reason=reason) for path, reason in found]


def list_damage(generations: Generations, published: Published, tree: Tree, index: str) -> str | None:
    """What is wrong with the list of projects in the tree of an index that was published; None where nothing is."""
    parts = [tree.read(f"simple/{part}") for part in (HTML_NAME, JSON_NAME)]
    if None in parts:
        return "the list of projects is missing"
    current = generations.current(index)
    if current is not None and current.is_amended:  # published project by project, and the list in the end
        digest = published.list_digest(index)
        is_right = digest in {None, hashlib.sha256(b"".join(part or b"" for part in parts)).hexdigest()}
    else:
        names = [name for name, digest in published.page_digests(index).items() if digest]
        is_right = parts == [*lists_of(names).values()]
    return None if is_right else "the list of projects is not as it was published"


def _publish_again(
    stack: Stack,
    index: str,
    pages: Mapping[NormalizedName, Page],
    there: Mapping[str, Holding],
    spoilt: Iterable[Damage],
) -> None:
    """Place the files that are damaged or lacking and write every page that differs, whatever the records say."""
    assert stack.tree is not None
    paths = {damage.identity for damage in spoilt}
    stack.tree.place((holding for holding in there.values() if holding.path in paths), replaces=True)
    Publisher(index, stack.tree, stack.published, stack.reporter).publish(pages, {}, trusts_record=False)
