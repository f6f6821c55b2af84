"""Twins in memory of what proxies use: Cached and Turns, verified by the same contract suites."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from pypim.core.records import CachedFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.store.memory import MemoryHoldings


class MemoryCached:
    """A Cached in dictionaries, over the holdings of the same store."""

    def __init__(self, holdings: MemoryHoldings, listed: Callable[[], set[str]] = set) -> None:
        """`listed` says which files other indexes list."""
        self._holdings = holdings
        self._listed = listed
        self._projects: dict[str, NormalizedName] = {}
        self._files: dict[str, dict[str, CachedFile]] = {}
        self._sidecars: dict[str, str | None] = {}
        self.bodies: dict[str, bytes] = {}

    def held(self, project: NormalizedName) -> dict[str, Holding]:
        """Every file of a project whose bytes are in the store; only files that came through `record` are known."""
        return {identity: one for identity, one in self._holdings.holdings() if self._projects.get(identity) == project}

    def record(self, index: str, files: Iterable[tuple[str, NormalizedName, Holding]], used_at: float) -> None:
        """All of them are held, and the index keeps them."""
        rows = list(files)
        self._holdings.record(rows)
        kept = self._files.setdefault(index, {})
        for identity, project, one in rows:
            self._projects[identity] = project
            kept[identity] = CachedFile(identity, project, one.filename, one.blob.size, used_at)

    def use(self, index: str, uses: Mapping[str, float]) -> None:
        """When files were last asked for."""
        kept = self._files.get(index, {})
        for identity, used_at in uses.items():
            if identity in kept and kept[identity].used_at < used_at:
                kept[identity] = msgspec.structs.replace(kept[identity], used_at=used_at)

    def size(self, index: str) -> int:
        """Bytes of all files that the index keeps."""
        return sum(file.size for file in self._files.get(index, {}).values())

    def oldest(self, index: str, used_before: float) -> list[CachedFile]:
        """The files that were last asked for before that time, the oldest use first."""
        kept = (file for file in self._files.get(index, {}).values() if file.used_at < used_before)
        return sorted(kept, key=lambda file: (file.used_at, file.identity))

    def projects(self, index: str) -> list[NormalizedName]:
        """The projects of which it keeps any file, sorted."""
        return sorted({file.project for file in self._files.get(index, {}).values()})

    def drop(self, index: str, identities: Sequence[str]) -> list[Holding]:
        """The index no longer keeps these; those that nothing else lists are no longer held."""
        for identity in identities:
            self._files.get(index, {}).pop(identity, None)
        listed = self._listed().union(*self._files.values())
        held = dict(self._holdings.holdings())
        gone = [identity for identity in identities if identity not in listed]
        self._holdings.forget(gone)
        return [held[identity] for identity in gone if identity in held]

    def sidecars(self, keys: Sequence[str]) -> dict[str, str | None]:
        """The sha256 of the core metadata that can be given out, by key; None where none can."""
        return {key: self._sidecars[key] for key in keys if key in self._sidecars}

    def sidecar(self, key: str) -> bytes | None:
        """Those bytes, where `bodies` has them."""
        return None if self._sidecars.get(key) is None else self.bodies.get(key)

    def keep_sidecar(self, key: str, sha256: str | None) -> None:
        """Remember what can be given out."""
        self._sidecars[key] = sha256


class MemoryTurns:
    """Turns among the tasks of one process."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._words: dict[str, str] = {}

    @asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn and have it while the context is entered."""
        lock, others = self._locks.get(key) or (asyncio.Lock(), 0)
        self._locks[key] = (lock, others + 1)
        try:
            async with lock:
                try:
                    yield
                finally:
                    self._words.pop(key, None)
        finally:
            lock, others = self._locks[key]
            if others == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, others - 1)

    def tell(self, key: str, word: str) -> None:
        """Leave word for those that wait."""
        self._words[key] = word

    def told(self, key: str) -> str:
        """The newest word of who has the turn."""
        return self._words.get(key, "")
