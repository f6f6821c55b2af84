"""A file on its way from an upstream, fetched once for any number of readers, who read while it is written.

Readers read from the staged file itself, so that memory does not grow with their number or with its size. The last
bytes are held back until the whole has the size and the digest that the page lists: a wrong body is never given out
as complete, and never kept.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

from pypim.core.errors import (
    IntegrityFault,
    PypimError,
    Refused,
    SizeMismatch,
    UpstreamFault,
    UpstreamMalformed,
    UpstreamUnavailable,
)
from pypim.index.download import check_bytes, expected_size, is_complete, judge
from pypim.index.receiving import write_arriving
from pypim.index.sharing import end
from pypim.index.trailing import Copy, begins_with, wait_for_turn

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.index.file_hosts import FileRoute
    from pypim.ports import Blobs, Fetcher, Reporter, StagedBlob, Turns

HELD_BACK_BYTES = 1 << 16
"""Of the end of a file, until its digest is right."""
WHOLE_BYTES = 1 << 18
"""A file up to this size is given out only when it is right: then a bad one is an error, and no broken connection."""
_LEAST_READ_BYTES = 1 << 14
_MOST_READ_BYTES = 1 << 18
_ALL_READ_BYTES = 1 << 20
"""At once by one reader, and by all of a file together: the server keeps some twenty chunks for each of them."""
_ATTEMPTS = 4


class Arrival:
    """The fetching of one file, as its readers see it."""

    def __init__(self, file: DistFile) -> None:
        self.file = file
        self.size: int | None = file.size
        self.path: Path | None = None
        """Where the bytes are, once they are held."""
        self.readers = 0
        self._staged: StagedBlob | None = None
        self._whole: BinaryIO | None = None
        self._written = 0
        self._is_begun = self._is_right = False
        self._fault: PypimError | None = None
        self._changed = asyncio.Event()

    # --- what the fetching says -------------------------------------------------------------------------------------
    def begin(self, staged: StagedBlob, size: int | None) -> None:
        """The head of the answer has come; what is staged already belongs to it."""
        self._staged = staged
        self.size = size if self.size is None else self.size
        self._is_begun = True
        self.wrote(staged.size)

    def wrote(self, size: int) -> None:
        """So many bytes are staged now."""
        self._written = size
        self._wake()

    def found(self, path: Path) -> None:
        """Another process has all of it, right and held there, and what was given out is how it begins."""
        if self._is_begun:
            self._whole = path.open("rb")
            self.size = self._written = path.stat().st_size
            self._is_right = True
        self.settle(path)

    def succeed(self, staged: StagedBlob) -> None:
        """All bytes are staged, and right; they can be read until all readers have gone."""
        self._whole = staged.open()
        self.size = self._written = staged.size
        self._is_right = self._is_begun = True
        self._wake()

    def settle(self, path: Path) -> None:
        """The file is held there."""
        self.path = path
        self._is_begun = True
        self._wake()
        self._let_go()

    def fail(self, error: PypimError) -> None:
        """It will not arrive, or not be kept; who has all of it already is not disturbed."""
        self._fault = error
        self._wake()
        self._let_go()

    @property
    def given_out(self) -> int:
        """How many bytes readers may have read."""
        if self._is_right:
            return self._written
        # Without a size nothing would show a client of HTTP/1.0 that an answer broke off.
        size = self.size or 0
        return 0 if size <= WHOLE_BYTES else min(self._written, size - HELD_BACK_BYTES)

    # --- what readers ask -------------------------------------------------------------------------------------------
    async def begun(self) -> None:
        """Wait until the answer has begun; where a file is small, or nobody says how large, until it is right.

        Raises what keeps it from coming.
        """
        while not (self._is_begun and (self._is_right or self.path or (self.size or 0) > WHOLE_BYTES)):
            await self._wait()

    async def read(self, start: int, most: int) -> bytes:
        """As `Arriving.read`."""
        while True:
            available = self.given_out
            if start < available:
                fair = max(_LEAST_READ_BYTES, min(_MOST_READ_BYTES, _ALL_READ_BYTES // max(1, self.readers)))
                chunk = self._read(start, min(most, available - start, fair))
                if chunk:
                    return chunk
                await asyncio.sleep(0)  # between two states of the staged file
            elif self._is_right:
                return b""
            else:
                await self._wait()

    def leave(self) -> None:
        """A reader has gone."""
        self.readers -= 1
        self._let_go()

    async def kept(self) -> None:
        """Wait until it is held. Raises what keeps it from coming, or from being kept."""
        while self.path is None:
            await self._wait()

    async def _wait(self) -> None:
        if self._fault is not None:
            raise self._fault
        await self._changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _read(self, start: int, size: int) -> bytes:
        if self._whole is not None:
            self._whole.seek(start)
            return self._whole.read(size)
        if self._fault is not None:
            raise self._fault
        assert self._staged is not None, "only what is staged is given out"
        with self._staged.open() as content:
            content.seek(start)
            return content.read(size)

    def _let_go(self) -> None:
        if self._whole is not None and not self.readers and (self.path or self._is_over):
            self._whole.close()

    _is_over = False

    def end(self) -> None:
        """The fetching has ended, in whatever way."""
        self._is_over = True
        self._let_go()


class Reader:
    """The Arriving of one client."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self._is_closed = False
        arrival.readers += 1

    @property
    def size(self) -> int:
        """Of the whole file, in bytes."""
        assert self._arrival.size is not None, "it has begun"
        return self._arrival.size

    async def read(self, start: int, most: int) -> bytes:
        """At most so many bytes from there; empty only at the end of the file."""
        return await self._arrival.read(start, most)

    async def kept(self) -> None:
        """Wait until the file is held. Raises UpstreamFault, IntegrityFault or StoreFault."""
        await self._arrival.kept()

    def close(self) -> None:
        """This reader has gone; again is not an error."""
        if not self._is_closed:
            self._is_closed = True
            self._arrival.leave()


class Keeper(Protocol):
    """Knows what is held, and keeps what has come."""

    def held_path(self, project: NormalizedName, file: DistFile) -> Path | None:
        """Where the bytes of a listed file are; None where they are not held."""

    async def keep(self, project: NormalizedName, file: DistFile, staged: StagedBlob) -> Path:
        """Make right bytes durable and commit that they are held. Raises StoreFault."""


class Arrivals:
    """All files on their way to one proxy: each is fetched once at a time, on this machine."""

    def __init__(self, route: FileRoute, blobs: Blobs, turns: Turns, keeper: Keeper, reporter: Reporter) -> None:
        self._route = route
        self._blobs = blobs
        self._turns = turns
        self._keeper = keeper
        self._reporter = reporter
        self._arrivals: dict[str, tuple[Arrival, asyncio.Task[None]]] = {}

    async def content(self, project: NormalizedName, file: DistFile, limit_bytes: int) -> Path | Reader:
        """A file that is not held: it is being fetched already, or from now on. `limit_bytes`: where no size is listed.

        The fetching goes on when the reader goes. Raises UpstreamFault, IntegrityFault or StoreFault.
        """
        known = self._arrivals.get(file.identity)
        if known is None:
            arrival = Arrival(file)
            task = asyncio.get_running_loop().create_task(self._fetch(arrival, project, limit_bytes))
            self._arrivals[file.identity] = known = (arrival, task)
        arrival = known[0]
        reader = Reader(arrival)
        try:
            await arrival.begun()
        except BaseException:
            reader.close()
            raise
        if arrival.path is not None:
            reader.close()
            return arrival.path
        return reader

    def is_arriving(self, identity: str) -> bool:
        """Whether that file is on its way."""
        return identity in self._arrivals

    async def finish(self) -> None:
        """Wait until all files on their way have come, or failed."""
        while self._arrivals:
            await asyncio.wait([task for _, task in self._arrivals.values()])

    async def close(self) -> None:
        """Stop fetching; what was received stays for the next time."""
        await end([task for _, task in self._arrivals.values()])

    async def _fetch(self, arrival: Arrival, project: NormalizedName, limit_bytes: int) -> None:
        file = arrival.file
        staged = self._blobs.stage(file.identity)
        try:
            async with AsyncExitStack() as stack:
                stack.callback(staged.close)
                await self._take_turn(stack, arrival, staged)
                path = self._keeper.held_path(project, file)
                if path is None:
                    arrival.settle(await self._fetch_and_keep(arrival, staged, project, limit_bytes))
                else:  # another process was faster
                    await self._take_over(arrival, staged, path)
        except Refused as error:
            # It is the proxy that was refused, not the client.
            arrival.fail(UpstreamUnavailable(file.url, f"the upstream refuses: {error.message}", hint=error.hint))
        except PypimError as error:
            self._reporter.note(error.message)
            arrival.fail(error)
        except BaseException as error:
            arrival.fail(UpstreamUnavailable(file.url, f"it is no longer fetched{_why(error)}", is_transient=True))
            raise
        finally:
            self._arrivals.pop(file.identity, None)
            arrival.end()

    async def _take_turn(self, stack: AsyncExitStack, arrival: Arrival, staged: StagedBlob) -> None:
        """Wait for another process that fetches it, giving out what has come there so far."""
        file, turns = arrival.file, self._turns
        copy = None
        if _is_checked(file) and file.size is not None and file.size > WHOLE_BYTES:
            copy = Copy(staged, file.size, arrival)

        async def take() -> None:
            await stack.enter_async_context(turns.turn(file.identity))

        if await wait_for_turn(turns, file.identity, take, copy):
            turns.tell(file.identity, staged.file)

    async def _take_over(self, arrival: Arrival, staged: StagedBlob, path: Path) -> None:
        """What another process has fetched and kept."""
        if arrival.given_out and not await asyncio.to_thread(begins_with, path, staged):
            reason = "another process got other bytes than those that were given out here"
            raise UpstreamUnavailable(arrival.file.url, reason, is_transient=True)
        arrival.found(path)
        staged.discard()

    async def _fetch_and_keep(
        self, arrival: Arrival, staged: StagedBlob, project: NormalizedName, limit_bytes: int
    ) -> Path:
        file = arrival.file
        try:
            await self._receive_right(arrival, staged, limit_bytes)
            arrival.succeed(staged)
            return await self._keeper.keep(project, file, staged)
        except IntegrityFault:
            staged.discard()
            raise
        finally:
            staged.close()

    async def _receive_right(self, arrival: Arrival, staged: StagedBlob, limit_bytes: int) -> None:
        """All of it, checked; where nobody has read any of it yet, wrong bytes are asked for once more."""
        if await self._came_from_hosts(arrival, staged, limit_bytes):
            return
        try:
            await self._receive(arrival, staged, limit_bytes)
            await _check(staged, arrival.file)
        except IntegrityFault as fault:
            if arrival.given_out:
                raise
            self._reporter.note(f"{fault.message}; asked for once more")
            staged.restart()
            await self._receive(arrival, staged, limit_bytes)
            await _check(staged, arrival.file)

    async def _came_from_hosts(self, arrival: Arrival, staged: StagedBlob, limit_bytes: int) -> bool:
        """Whether a file host gave it. What it gave of it and clients have read can only be gone on with."""
        # Without a size the host would be believed in what the answer's head says of it.
        if self._route.hosts is None or arrival.file.size is None or is_complete(staged, arrival.file):
            return False

        async def receive(fetcher: Fetcher, file: DistFile) -> None:
            await self._receive_once(arrival, staged, limit_bytes, fetcher, file)
            await _check(staged, arrival.file)

        has_come = await self._route.hosts.receive(staged, arrival.file, receive)
        if not has_come and staged.size < arrival.given_out:
            reason = "a file host sent other bytes than are listed, and some of them were given out"
            raise UpstreamUnavailable(arrival.file.url, reason, is_transient=True)
        return has_come

    # --- the bytes --------------------------------------------------------------------------------------------------
    async def _receive(self, arrival: Arrival, staged: StagedBlob, limit_bytes: int) -> None:
        """All of it; an answer that breaks off is gone on with from there."""
        file = arrival.file
        is_checked = _is_checked(file)
        if not is_checked:
            staged.restart()  # nothing would tell whether the rest belongs to the same content
        for attempt in range(_ATTEMPTS):
            before = staged.size
            try:
                await self._receive_once(arrival, staged, limit_bytes, self._route.fetcher, file)
            except UpstreamFault as fault:
                may_help = fault.is_transient and staged.size != before and is_checked
                if not may_help or attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    async def _receive_once(
        self, arrival: Arrival, staged: StagedBlob, limit_bytes: int, fetcher: Fetcher, file: DistFile
    ) -> None:
        if is_complete(staged, file):
            return  # it was received before
        headers = {"range": f"bytes={staged.size}-"} if staged.size else {}
        given_out = arrival.given_out
        async with fetcher.open(file.url, headers) as incoming:
            judge(incoming, staged, file)
            if staged.size < given_out:
                raise UpstreamFault(file.url, "it broke off, and the upstream does not go on from there")
            size = expected_size(incoming, staged.size)
            limit = limit_bytes if file.size is None else file.size
            if size is not None and (size > limit or file.size not in {None, size}):
                raise SizeMismatch(file.filename, limit, size)
            if size is None and "transfer-encoding" not in incoming.headers and not _is_told(file):
                raise UpstreamMalformed(file.url, "neither page nor answer say what would show that it is whole")
            arrival.begin(staged, size)
            await write_arriving(staged, incoming, limit, arrival)


async def _check(staged: StagedBlob, file: DistFile) -> None:
    """As `check_bytes`; in a thread where all of the file must be read again for it."""
    if file.sha256 is None and file.other_hash is not None:
        await asyncio.to_thread(check_bytes, staged, file)
    else:
        check_bytes(staged, file)


def _is_checked(file: DistFile) -> bool:
    """Whether bytes of several answers can be found to belong together."""
    return file.sha256 is not None or file.other_hash is not None


def _why(error: BaseException) -> str:
    return "" if isinstance(error, asyncio.CancelledError) else ", for a reason that nobody foresaw"


def _is_told(file: DistFile) -> bool:
    """Whether the page says what shows that all of the file has come."""
    return file.size is not None or any((file.sha256, file.other_hash, file.blake2b_256))
