"""Reads again what is held and published and compares it with its digests; what is damaged can be made good."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from pypim.core.plan import PlannedFile, planned_files
from pypim.sync.publish import HTML_NAME, JSON_NAME, Publisher, pages_of
from pypim.sync.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding, Page
    from pypim.sync.model import Request, Stack

_THREADS = 2  # hashing lets go of the interpreter's lock, and two readers keep a disk busy
_UNLISTED = "no index lists it any more; `pypim prune` deletes it"
_AT_ONCE = 64  # files handed to a thread together, so that a small file costs no hand-over of its own


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is not as it was stored or published."""

    identity: str
    """Of a held file; of a published one its path in the tree."""
    filename: str
    reason: str
    is_repaired: bool = False


class VerifyReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` read and found; sizes in bytes."""

    files: int
    file_bytes: int
    damages: tuple[Damage, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged, or all of it was repaired."""
        return all(damage.is_repaired for damage in self.damages)


async def verify(stack: Stack, request: Request, *, repairs: bool) -> VerifyReport:
    """Re-read every file that this index lists, or that none does, and what is published of it.

    With `repairs`, damaged files are fetched again and what is published is written again. A damaged file that no
    index lists any more cannot be fetched again and stays named. Raises StoreFault.
    """
    generation = stack.generations.current(request.index)
    selection = stack.generations.selection(generation.number) if generation else None
    listed = {planned.file.identity: planned for planned in planned_files(selection)} if selection else {}
    elsewhere = stack.generations.listed() - listed.keys()
    held = {identity: holding for identity, holding in stack.holdings.holdings() if identity not in elsewhere}
    total_bytes = sum(holding.blob.size for holding in held.values())
    stack.reporter.stage("verify", total=len(held), total_bytes=total_bytes)
    damages = await _read_again(stack, held)
    if repairs and damages:
        damages = await _repair(stack, request, damages, held, listed)
    if selection is not None and stack.tree is not None:
        lost = {damage.identity for damage in damages if not damage.is_repaired}
        holdings = dict(stack.holdings.holdings())
        there = {identity: holdings[identity] for identity in holdings.keys() & (listed.keys() - lost)}
        spoilt = _published_damages(stack, request.index, there, repairs=repairs)
        if repairs and spoilt:
            _publish_again(stack, request.index, pages_of(selection, holdings), there)
        damages += spoilt
    return VerifyReport(files=len(held), file_bytes=total_bytes, damages=tuple(damages))


async def _read_again(stack: Stack, held: Mapping[str, Holding]) -> list[Damage]:
    damages: list[Damage] = []
    items = sorted(held.items(), key=lambda item: item[1].path)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="verify") as pool:
        loop = asyncio.get_running_loop()
        batches = [items[i : i + _AT_ONCE] for i in range(0, len(items), _AT_ONCE)]
        tasks = [
            loop.run_in_executor(pool, _check_batch, [(k, h, stack.blobs.path(h)) for k, h in batch])
            for batch in batches
        ]
        for task, batch in zip(tasks, batches, strict=True):
            damages += await task
            stack.reporter.advance(len(batch), size_bytes=sum(holding.blob.size for _, holding in batch))
    return damages


def _check_batch(items: Iterable[tuple[str, Holding, Path]]) -> list[Damage]:
    found = []
    for identity, holding, path in items:
        reason = damage_of(holding, path)
        if reason:
            found.append(Damage(identity=identity, filename=holding.filename, reason=reason))
    return found


def damage_of(holding: Holding, path: Path) -> str:
    """What is wrong with a held file and its `.metadata`; empty where nothing is."""
    try:
        with path.open("rb", buffering=0) as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != holding.blob.sha256:
            return f"its sha256 is {digest}, not {holding.blob.sha256}"
        if holding.metadata_sha256 is not None:
            body = path.with_name(path.name + ".metadata").read_bytes()
            if hashlib.sha256(body).hexdigest() != holding.metadata_sha256:
                return "its .metadata is not the one that was stored"
    except FileNotFoundError as error:
        return f"{error.filename} is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""


async def _repair(
    stack: Stack,
    request: Request,
    damages: list[Damage],
    held: Mapping[str, Holding],
    listed: Mapping[str, PlannedFile],
) -> list[Damage]:
    """Fetch damaged files from where the current generation says they come from."""
    wanted = [listed[damage.identity] for damage in damages if damage.identity in listed]
    transfer = Transfer(stack, request)
    stack.reporter.stage("transfer", total=len(wanted))
    await transfer.run(wanted)
    if stack.tree is not None:
        # The tree may have the damaged bytes under a name of its own, with the right size.
        stack.tree.place(transfer.held.values(), replaces=True)
    causes = {fault.planned.file.identity: fault.message for fault in transfer.faults}
    causes |= {damage.identity: _UNLISTED for damage in damages if damage.identity not in listed}
    return [
        msgspec.structs.replace(
            damage,
            is_repaired=_is_same(transfer.held.get(damage.identity), held[damage.identity]),
            reason=damage.reason + (f"; not repaired: {causes[damage.identity]}" if damage.identity in causes else ""),
        )
        for damage in damages
    ]


def _is_same(repaired: Holding | None, before: Holding) -> bool:
    return repaired is not None and repaired.blob.sha256 == before.blob.sha256


# --- what is published ----------------------------------------------------------------------------------------------
def _published_damages(stack: Stack, index: str, held: Mapping[str, Holding], *, repairs: bool) -> list[Damage]:
    """The pages of the tree that are not as they were written, and the files that it lacks."""
    assert stack.tree is not None
    found = []
    for name, digest in stack.published.page_digests(index).items():
        parts = [stack.tree.read(f"simple/{name}/{part}") for part in (HTML_NAME, JSON_NAME)]
        if None in parts or hashlib.sha256(b"".join(part or b"" for part in parts)).hexdigest() != digest:
            found.append((f"simple/{name}/", "the page is not as it was published"))
    if any(stack.tree.read(f"simple/{part}") is None for part in (HTML_NAME, JSON_NAME)):
        found.append(("simple/", "the list of projects is missing"))
    found += [(holding.path, "it is missing where it is published") for holding in stack.tree.lacking(held.values())]
    return [Damage(identity=path, filename=path, reason=reason, is_repaired=repairs) for path, reason in found]


def _publish_again(
    stack: Stack, index: str, pages: Mapping[NormalizedName, Page], there: Mapping[str, Holding]
) -> None:
    """Place the files that are there and write every page that differs, whatever the records say."""
    assert stack.tree is not None
    stack.tree.place(there.values())
    Publisher(index, stack.tree, stack.published, stack.reporter).publish(pages, {}, trusts_record=False)
