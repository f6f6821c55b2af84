"""The `.metadata` of wheels that a proxy gives out: of held wheels, of the upstream, and read out of remote wheels.

What was learned is told to the catalog, so that pages offer it, and no longer offer what is not to be had.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.errors import MetadataNotFound, PypimError, UpstreamFault
from pypim.core.shown import metadata_key, newest_wheels
from pypim.index.sharing import end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.index.behind import Later
    from pypim.ports import Cached, Epochs, MetadataCache, MetadataReader

_MOST_BODIES = 256
_MOST_AHEAD = 24
_AT_ONCE = 6
_MOST_TRIED = 10_000
_AHEAD_SECONDS = 1.0
"""How long a page waits for what is learned of its newest wheels."""


class Bodies:
    """A MetadataCache that hands on what it is told, and has the bytes of the newest of it.

    It says that nothing is known of a file of which it has no bytes, so that they are read again.
    """

    def __init__(self, cache: MetadataCache) -> None:
        self._cache = cache
        self._bodies: OrderedDict[str, tuple[CoreMetadata, bytes]] = OrderedDict()

    def body(self, key: str) -> bytes | None:
        """The bytes."""
        known = self._bodies.get(key)
        return None if known is None else known[1]

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""
        known = self._bodies.get(key)
        return None if known is None else known[0]

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""
        return {key: self._bodies[key][0] for key in keys if key in self._bodies}

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None, *, is_checked: bool = False) -> None:
        """Remember it."""
        self._cache.keep_metadata(key, metadata, body, is_checked=is_checked)
        if body is not None:
            self._bodies[key] = (metadata, body)
            if len(self._bodies) > _MOST_BODIES:
                self._bodies.popitem(last=False)

    def keep_checked(self, learned: Sequence[tuple[str, CoreMetadata, bytes]]) -> None:
        """The same of many files whose bytes were checked."""
        for key, metadata, body in learned:
            self.keep_metadata(key, metadata, body, is_checked=True)


class Sidecars:
    """Learns what `.metadata` can be given out of files that are not held."""

    def __init__(
        self,
        index: str,
        reader: MetadataReader,
        bodies: Bodies,
        cached: tuple[Cached, Cached],
        later: Later,
        epochs: Epochs,
    ) -> None:
        """`cached`: where it is read, and where it is written in the background. `reader` keeps what it learns there.

        `reader` works on `bodies`.
        """
        self._index = index
        self._reader = reader
        self._bodies = bodies
        self._read, self._write = cached
        self._later = later
        self._epochs = epochs

    def known(self, key: str) -> bytes | None:
        """Bytes that were learned before."""
        return self._bodies.body(key) or self._read.sidecar(key)

    async def learn(
        self,
        project: NormalizedName,
        file: DistFile,
        out_of_wheel: Callable[[], Awaitable[bytes | None]] | None = None,
    ) -> bytes:
        """The core metadata of a wheel, from where it can be had. Raises MetadataNotFound or UpstreamFault.

        `out_of_wheel` fetches and keeps all of the wheel: where it is given, that is the last resort.
        """
        key = metadata_key(file)
        try:
            await self._reader.metadata(project, file)
        except (MetadataNotFound, UpstreamFault) as fault:
            body = None if out_of_wheel is None else await out_of_wheel()
            if body is not None:
                return body  # and pages offer what is held
            if isinstance(fault, MetadataNotFound):
                self._tell(key, None, is_news=bool(file.core_metadata))
            raise
        body = self._bodies.body(key)
        if body is None:
            raise MetadataNotFound(file.filename, ["there are no bytes of it"])
        digest = hashlib.sha256(body).hexdigest()
        self._tell(key, digest, is_news=file.core_metadata != digest)
        return body

    def _tell(self, key: str, digest: str | None, *, is_news: bool) -> None:
        advance = partial(self._epochs.advance, self._index) if is_news else None
        self._later.run(partial(self._write.keep_sidecar, key, digest), advance)


class Ahead:
    """Learns the core metadata of the newest wheels of a page before anybody asks.

    Without it, clients read the end of a wheel instead, for which all of it must have been fetched.
    """

    def __init__(self, sidecars: Sidecars) -> None:
        self._sidecars = sidecars
        self._tried: dict[str, None] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def learn(self, page: Page) -> bool:
        """Begin where that was not tried before, and wait a little; whether anything may have been learned."""
        begun: list[asyncio.Task[None]] = []
        for file in newest_wheels(page, _MOST_AHEAD):
            key = metadata_key(file)
            if key not in self._tried:
                self._tried[key] = None
                begun.append(asyncio.get_running_loop().create_task(self._learn(page.name, file)))
        while len(self._tried) > _MOST_TRIED:
            del self._tried[next(iter(self._tried))]
        for task in begun:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if begun:
            await asyncio.wait(begun, timeout=_AHEAD_SECONDS)
        return bool(begun)

    async def _learn(self, project: NormalizedName, file: DistFile) -> None:
        async with self._room:
            with suppress(PypimError):  # then it is not offered, and clients read the wheel
                await self._sidecars.learn(project, file)

    async def close(self) -> None:
        """Stop learning."""
        await end(self._tasks)
