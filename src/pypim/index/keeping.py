"""The files that a proxy keeps: committed once they are durable, dropped by their last use."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.archive import wheel_metadata
from pypim.core.errors import CorruptBlob, PypimError
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Blob, Holding

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.core.patterns import ProjectPatterns
    from pypim.core.records import CachedFile
    from pypim.ports import Background, Blobs, Cached, Clock, Epochs, Reporter, StagedBlob

_FLUSHES = 6
"""So many times the last uses of files are written down while a file is young."""
_MOST_USES = 1000
_MOST_RECENT = 10_000
"""Files of which the place is known without asking the catalog; that they still are there is looked at each time."""
_ROOM = 0.9
"""What is dropped brings the size down to this part of the limit, so that not every file costs a round."""
_MOST_DROPPED = 500


class KeptFiles:
    """The Keeper of one proxy.

    `read` is asked in place, `write` only in the background: they are two connections to one catalog. `shared` and
    `alone` are the lock between bytes and their row, see `store.keeping`.
    """

    def __init__(
        self,
        index: str,
        read: Cached,
        write: Cached,
        blobs: Blobs,
        locks: tuple[Callable[[], AbstractContextManager[None]], Callable[[], AbstractContextManager[None]]],
        tools: Tools,
    ) -> None:
        """`locks`: (shared, alone)."""
        self._index = index
        self._read = read
        self._write = write
        self._blobs = blobs
        self._shared, self._alone = locks
        self._tools = tools
        self._uses: dict[str, float] = {}
        self._recent: dict[str, Path] = {}
        self._durable: list[tuple[str, NormalizedName, Holding]] = []
        self._next_commit: asyncio.Task[None] | None = None
        self._last_commit: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_dropping = False
        self._is_crowded = tools.max_size is not None
        """Whether more may be kept than has room: what was young then, and what earlier processes left."""
        self._next_round: asyncio.TimerHandle | None = None

    # --- what is held -----------------------------------------------------------------------------------------------
    def held(self, project: NormalizedName) -> Mapping[str, Holding]:
        """The files of a project that are held, by the identity that their entry has, before and after it was known."""
        held = self._read.held(project)
        return {**{f"{one.filename}#{one.blob.sha256}": one for one in held.values()}, **held}

    def held_path(self, project: NormalizedName, file: DistFile) -> Path | None:
        """Where the bytes of a listed file are; None where they are not held, or somebody has just deleted them."""
        key = file.identity
        path = self._recent.get(key)
        if path is None or not path.exists():
            path = self._found_path(project, key)
        if path is not None:
            self._use(key)
        return path

    def _found_path(self, project: NormalizedName, key: str) -> Path | None:
        self._recent.pop(key, None)
        holding = self.held(project).get(key)
        if holding is None or not self._blobs.found(holding):
            return None
        path = self._recent[key] = self._blobs.path(holding)
        if len(self._recent) > _MOST_RECENT:
            del self._recent[next(iter(self._recent))]
        return path

    def _use(self, identity: str) -> None:
        self._uses[identity] = self._tools.now()
        if len(self._uses) >= _MOST_USES:
            self._spawn(self._flush())
        self._plan_round(self._tools.young_seconds / _FLUSHES)

    def _plan_round(self, seconds: float) -> None:
        """Write down the uses by then, and make room, whether anybody asks for anything or not."""
        if self._next_round is None:
            self._next_round = asyncio.get_running_loop().call_later(seconds, self._begin_round)

    def _begin_round(self) -> None:
        self._next_round = None
        self._spawn(self._flush())
        if self._is_crowded:
            self._begin_to_make_room()

    async def _flush(self) -> None:
        uses, self._uses = self._uses, {}
        if uses:
            await self._tools.background.run(partial(self._write.use, self._index, uses))

    # --- what comes -------------------------------------------------------------------------------------------------
    async def keep(self, project: NormalizedName, file: DistFile, staged: StagedBlob) -> Path:
        """Make right bytes durable, commit that they are held, and make room for them. Raises StoreFault."""
        holding, metadata = await asyncio.to_thread(_described, project, file, staged)
        async with _entered(self._shared):
            await self._blobs.keep(staged, holding, metadata)
            await self._commit((file.identity, project, holding))
        if _says_more(file, holding):
            self._tools.epochs.advance(self._index)
        self._begin_to_make_room()
        return self._blobs.path(holding)

    async def _commit(self, row: tuple[str, NormalizedName, Holding]) -> None:
        """In one transaction with all that become durable meanwhile."""
        self._durable.append(row)
        if self._next_commit is None:
            self._next_commit = asyncio.get_running_loop().create_task(self._commit_all(self._last_commit))
            self._last_commit = self._next_commit
        await asyncio.shield(self._next_commit)

    async def _commit_all(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        await asyncio.sleep(0)  # the other files of the same round of syncing join
        self._next_commit = None
        rows, self._durable = self._durable, []
        work = partial(self._write.record, self._index, rows, self._tools.now())
        await self._tools.background.run(work)

    # --- what goes --------------------------------------------------------------------------------------------------
    def _begin_to_make_room(self) -> None:
        if self._tools.max_size is None:
            return
        if self._is_dropping:
            self._is_crowded = True
            self._plan_round(self._tools.young_seconds)
            return
        self._is_dropping = True
        self._spawn(self._make_room(self._tools.max_size))

    async def _make_room(self, max_size: int) -> None:
        self._is_crowded = False
        try:
            while await self._tools.background.run(partial(self._write.size, self._index)) > max_size:
                if not await self._drop_some(int(max_size * _ROOM)):
                    self._is_crowded = True
                    self._plan_round(self._tools.young_seconds)
                    return
        finally:
            self._is_dropping = False

    async def _drop_some(self, wanted_size: int) -> bool:
        """Drop the least recently used files; whether there were any.

        The lock is taken before the background is asked: who waits for it there would keep out those who have it.
        """
        await self._flush()
        if not await self._tools.background.run(partial(self._to_drop, wanted_size)):
            return False
        async with _entered(self._alone):
            gone = await self._tools.background.run(partial(self._forget_some, wanted_size))
            for holding in gone or ():
                await asyncio.to_thread(self._blobs.delete, holding)
        if gone is not None:
            self._tools.epochs.advance(self._index)
        return gone is not None

    def _forget_some(self, wanted_size: int) -> list[Holding] | None:
        chosen = self._to_drop(wanted_size)
        return self._write.drop(self._index, chosen) if chosen else None

    def _to_drop(self, wanted_size: int) -> list[str]:
        excess = self._write.size(self._index) - wanted_size
        chosen: list[str] = []
        for file in self._write.oldest(self._index, self._tools.now() - self._tools.young_seconds):
            if excess <= 0 or len(chosen) >= _MOST_DROPPED:
                break
            if not self._is_pinned(file):
                chosen.append(file.identity)
                excess -= file.size
        return chosen

    def _is_pinned(self, file: CachedFile) -> bool:
        about = self._tools.pinned.about(file.project)
        if not about:
            return False
        version = parse_filename(file.filename, file.project).version
        return any(pattern.accepts(version) for pattern in about)

    # --- the end ----------------------------------------------------------------------------------------------------
    async def finish(self) -> None:
        """Wait for what goes on in the background, and write down what is known."""
        await self._flush()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """The same, for good."""
        await self.finish()
        if self._next_round is not None:
            self._next_round.cancel()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._told(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _told(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except PypimError as error:
            self._tools.reporter.note(f"{self._index}: {error.message}")


class Tools:
    """What keeping needs besides the store; `max_size` in bytes, None for no limit.

    A file that was asked for less than `young_seconds` ago is not dropped: somebody may be about to open it.
    """

    def __init__(
        self,
        background: Background,
        epochs: Epochs,
        clock: Clock,
        reporter: Reporter,
        pinned: ProjectPatterns,
        room: tuple[int | None, float],
    ) -> None:
        """`room`: (max_size, young_seconds)."""
        self.background = background
        self.epochs = epochs
        self.reporter = reporter
        self.pinned = pinned
        self.max_size, self.young_seconds = room
        self._clock = clock

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._clock.now().timestamp()


@asynccontextmanager
async def _entered(lock: Callable[[], AbstractContextManager[None]]) -> AsyncIterator[None]:
    """Hold a lock of the file system; a thread waits for it."""
    held = lock()
    entering = asyncio.ensure_future(asyncio.to_thread(held.__enter__))
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        while not entering.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([entering])
        if entering.exception() is None:
            held.__exit__(None, None, None)
        raise
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def _described(project: NormalizedName, file: DistFile, staged: StagedBlob) -> tuple[Holding, bytes | None]:
    """What is held, and a wheel's core metadata; a wheel that cannot be read has none, and is kept as it is."""
    metadata: bytes | None = None
    if parse_filename(file.filename, project).kind is FileKind.WHEEL:
        try:
            with staged.open() as stream:
                metadata = wheel_metadata(stream, file.filename)
        except CorruptBlob:
            metadata = None
    blob = Blob(sha256=staged.digest("sha256"), blake2b_256=staged.digest("blake2b_256"), size=staged.size)
    digest = None if metadata is None else hashlib.sha256(metadata).hexdigest()
    return Holding(filename=file.filename, blob=blob, metadata_sha256=digest), metadata


def _says_more(file: DistFile, holding: Holding) -> bool:
    """Whether the page says more, or something else, of a file now that it is held."""
    return (
        file.sha256 is None
        or file.size is None
        or (holding.metadata_sha256 or False) not in {file.core_metadata, file.core_metadata or False}
    )
