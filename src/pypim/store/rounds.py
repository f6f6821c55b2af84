"""Durability rounds: many files that arrive together get their names for the price of one sync.

A round makes the bytes of all waiting files durable with one sync and then gives them their names; the sync of the
next round makes those names durable. So a steady stream costs one sync a round, and a caller waits for two.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pypim.core.errors import StoreFault
from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Sequence


class Owner(Protocol):
    """Whose file it is: told once what became of it, also when the caller was cancelled meanwhile."""

    def take_name(self) -> None:
        """The file has its name, durably."""
        ...

    def take_back(self) -> None:
        """The file does not have its name."""
        ...


class _Placement:
    """One file, with what belongs beside it, on the way to its name."""

    __slots__ = ("_owner", "done", "made", "moves")

    def __init__(self, moves: Sequence[tuple[str, str]], owner: Owner) -> None:
        self.moves = moves
        self.made: list[str] = []  # names that were not there before
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._owner = owner

    def give_names(self, folders: atomic.Folders) -> StoreFault | None:
        """Rename in order; after a fault, which is the answer, no new name remains."""
        try:
            is_new_folder = folders.make_for(self.moves[0][1])
            for source, target in self.moves:
                is_new = is_new_folder or not os.path.exists(target)  # noqa: PTH110 - one of very many
                atomic.rename(source, target)
                if is_new:
                    self.made.append(target)
        except StoreFault as fault:
            _remove_all(self.made)
            return fault
        return None

    def distrust(self) -> None:
        """The sync failed: nobody knows which bytes are on the disk, and syncing again would not tell."""
        _remove_all([*self.made, *(source for source, _ in self.moves)])

    def settle(self, fault: StoreFault | None) -> None:
        """Tell the owner of the file, then whoever still waits."""
        if fault is None:
            self._owner.take_name()
        else:
            self._owner.take_back()
        if self.done.done():  # the caller was cancelled
            return
        if fault is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(fault)


def _remove_all(paths: Sequence[str]) -> None:
    """Delete as far as the system lets us; what stays has right bytes or no row that names it, and prune finds it."""
    for path in paths:
        try:
            atomic.remove(path)
        except StoreFault:
            continue


class Rounds:
    """Gives files their names in rounds. Used by many tasks of one event loop at a time."""

    def __init__(self, top: Path, *, gather_seconds: float) -> None:
        """`top` holds both the staged and the final names; a round waits `gather_seconds` for more files."""
        self._top = top
        self._folders = atomic.Folders(top)
        self._gather_seconds = gather_seconds
        self._waiting: list[_Placement] = []
        self._running: asyncio.Task[None] | None = None
        self.syncs = 0

    async def place(self, moves: Sequence[tuple[str, str]], owner: Owner) -> None:
        """Rename each (source, target), all into one folder, in order; returns when bytes and names are durable.

        When the caller is cancelled the placing goes on. Raises StoreFault; then no target is there that was not
        there before.
        """
        placement = _Placement(moves, owner)
        self._waiting.append(placement)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        await placement.done

    async def _run(self) -> None:
        named: list[_Placement] = []
        batch: list[_Placement] = []
        try:
            while self._waiting or named:
                if self._waiting:
                    await asyncio.sleep(self._gather_seconds)
                batch, self._waiting = self._waiting, []
                fault = await self._sync([*batch, *named])
                for placement in (*batch, *named) if fault else ():
                    placement.distrust()
                for placement in named:
                    placement.settle(fault)
                named = await self._name(batch, fault)
        finally:
            for placement in (*batch, *named, *self._waiting):  # only when the loop ends in the middle of a round
                placement.done.cancel()
            self._waiting = []

    async def _sync(self, placements: Sequence[_Placement]) -> StoreFault | None:
        self.syncs += 1
        paths = (Path(path) for placement in placements for move in placement.moves for path in move)
        try:
            await asyncio.to_thread(atomic.sync_file_system, self._top, (path for path in paths if path.exists()))
        except StoreFault as fault:
            return fault
        return None

    async def _name(self, batch: Sequence[_Placement], fault: StoreFault | None) -> list[_Placement]:
        """The placements that now have their names; the others are settled with their fault."""
        if fault is not None:
            outcomes: list[StoreFault | None] = [fault] * len(batch)
        else:
            outcomes = await asyncio.to_thread(self._give_names, batch)
        for placement, own in zip(batch, outcomes, strict=True):
            if own is not None:
                placement.settle(own)
        return [placement for placement, own in zip(batch, outcomes, strict=True) if own is None]

    def _give_names(self, batch: Sequence[_Placement]) -> list[StoreFault | None]:
        return [placement.give_names(self._folders) for placement in batch]
