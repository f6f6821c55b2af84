"""Moves planned files into the store: many at once, hashed while written, resumed where interrupted.

A file is held only when its size and digests are right, its bytes are durable and its row is committed, in that order.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pypim.core.archive import wheel_metadata
from pypim.core.errors import (
    CorruptBlob,
    DigestMismatch,
    IntegrityFault,
    PypimError,
    Refused,
    SizeMismatch,
    UpstreamFault,
    first_error,
)
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Blob, Holding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.core.plan import PlannedFile
    from pypim.ports import Incoming, StagedBlob
    from pypim.sync.model import Request, Stack

_ATTEMPTS = 3
_MOST_UNSETTLED = 256  # files that wait to be made durable together; each is an open descriptor at most
_THREAD_BYTES = 1 << 17  # from so many bytes on, handing work to a thread costs less than it gains
_PARTIAL_CONTENT = 206
_OK = 200
_RANGE_NOT_SATISFIABLE = 416


class TransferFault(msgspec.Struct, frozen=True):
    """One file that could not be had, and the error that says why."""

    planned: PlannedFile
    cause: PypimError

    @property
    def message(self) -> str:
        """One line that names the release and the cause."""
        return f"{self.planned.project} {self.planned.version}: {self.cause.message}"


class Transfer:
    """One batch of downloads with `jobs` of them at once."""

    def __init__(self, stack: Stack, request: Request) -> None:
        self._stack = stack
        self._reporter = stack.reporter
        self._jobs = request.jobs
        self._limit_bytes = request.limit_bytes
        self._unsettled = asyncio.Semaphore(_MOST_UNSETTLED)
        self._durable: list[tuple[str, NormalizedName, Holding]] = []
        self._is_committing = False
        self._is_ending = False
        self.held: dict[str, Holding] = {}
        self.faults: list[TransferFault] = []
        self.corrected: list[PlannedFile] = []
        """Wheels that say something else than was believed of them; what they require was not followed yet."""

    async def run(self, files: Iterable[PlannedFile]) -> None:
        """Fetch them all. A file that cannot be had is in `faults`, the others go on; a StoreFault ends the run.

        What is in `held` (identity → holding) is durable and recorded. Safe to cancel: what was received stays for
        the next run.
        """
        waiting = iter(files)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(self._work(waiting, group))
        except* PypimError as failures:
            raise first_error(failures) from None

    async def _work(self, waiting: Iterable[PlannedFile], group: asyncio.TaskGroup) -> None:
        for planned in waiting:
            await self._unsettled.acquire()
            try:
                staged = await self._fetch(planned.file)
                holding, metadata = self._check(planned, staged)
            except (UpstreamFault, IntegrityFault, Refused) as error:  # some hosts answer 403 for what is missing
                self._unsettled.release()
                self._fail(planned, error)
            except BaseException:
                self._is_ending = True
                self._unsettled.release()
                raise
            else:
                if self._is_ending:  # the group takes no more tasks; the bytes stay for the next run
                    staged.close()
                    return
                group.create_task(self._keep(planned, staged, holding, metadata))

    def _fail(self, planned: PlannedFile, error: PypimError) -> None:
        fault = TransferFault(planned, error)
        self.faults.append(fault)
        self._reporter.note(fault.message)
        self._reporter.advance()

    # --- bytes in ---------------------------------------------------------------------------------------------------
    async def _fetch(self, file: DistFile) -> StagedBlob:
        """The whole file, staged and checked; a broken or wrong body is asked for again."""
        staged = self._stage(file)
        try:
            for _ in range(_ATTEMPTS - 1):
                before = staged.size
                try:
                    await self._receive_checked(staged, file)
                except IntegrityFault:
                    staged.restart()
                except UpstreamFault as error:
                    # An answer that never began was retried by the fetcher; one that was cut goes on from there.
                    if not error.is_transient or staged.size == before:
                        raise
                else:
                    return staged
            await self._receive_checked(staged, file)
        except IntegrityFault:
            staged.discard()
            raise
        except BaseException:
            staged.close()
            raise
        return staged

    def _stage(self, file: DistFile) -> StagedBlob:
        staged = self._stack.blobs.stage(file.identity)
        if file.sha256 is None and file.other_hash is None:
            staged.restart()  # nothing would tell whether the rest belongs to the same content
        return staged

    async def _receive_checked(self, staged: StagedBlob, file: DistFile) -> None:
        if not _is_complete(staged, file):
            await self._receive(staged, file)
        _check_bytes(staged, file)

    async def _receive(self, staged: StagedBlob, file: DistFile) -> None:
        headers = {"range": f"bytes={staged.size}-"} if staged.size else {}
        async with self._stack.fetcher.open(file.url, headers) as incoming:
            if incoming.status == _RANGE_NOT_SATISFIABLE:
                staged.restart()
                raise UpstreamFault(file.url, "the range is not satisfiable", is_transient=True)
            if incoming.status not in {_OK, _PARTIAL_CONTENT}:
                raise UpstreamFault(file.url, f"status {incoming.status} for a listed file")
            if staged.size and not _resumes(incoming, staged.size):
                staged.restart()
            expected = _expected_size(incoming, staged.size)
            limit = file.size if file.size is not None else self._limit_bytes
            if expected is not None and (expected > limit or (file.size is not None and expected != file.size)):
                raise SizeMismatch(file.filename, limit, expected)
            await self._write(staged, incoming, file, limit)

    async def _write(self, staged: StagedBlob, incoming: Incoming, file: DistFile, limit: int) -> None:
        """Write the body as it arrives; large ones in a thread, for hashing and writing let go of the interpreter."""
        received: list[bytes] = []
        waiting = 0
        try:
            async for chunk in incoming.chunks():
                if staged.size + waiting + len(chunk) > limit:
                    raise SizeMismatch(file.filename, limit, staged.size + waiting + len(chunk))
                received.append(chunk)
                waiting += len(chunk)
                if waiting >= _THREAD_BYTES:
                    piece, received, waiting = b"".join(received), [], 0
                    await _in_thread(staged.write, piece)
                    self._reporter.advance(0, size_bytes=len(piece))
        finally:
            if received:
                staged.write(b"".join(received))
                self._reporter.advance(0, size_bytes=waiting)

    # --- bytes checked ----------------------------------------------------------------------------------------------
    def _check(self, planned: PlannedFile, staged: StagedBlob) -> tuple[Holding, bytes | None]:
        file = planned.file
        metadata = None
        if parse_filename(file.filename, planned.project).kind is FileKind.WHEEL:
            metadata = self._metadata(planned, staged)
        blob = Blob(sha256=staged.digest("sha256"), blake2b_256=staged.digest("blake2b_256"), size=staged.size)
        digest = hashlib.sha256(metadata).hexdigest() if metadata is not None else None
        return Holding(filename=file.filename, blob=blob, metadata_sha256=digest), metadata

    def _metadata(self, planned: PlannedFile, staged: StagedBlob) -> bytes | None:
        file = planned.file
        try:
            with staged.open() as stream:
                metadata = wheel_metadata(stream, file.filename)
        except CorruptBlob as error:
            self._reporter.note(f"{error.message}; kept as it is, without core metadata")
            return None
        is_corrected = self._stack.metadata.correct(planned.project, file, metadata)
        if is_corrected:
            self.corrected.append(planned)
        listed = file.core_metadata if isinstance(file.core_metadata, str) else None
        if is_corrected or (listed is not None and hashlib.sha256(metadata).hexdigest() != listed):
            self._reporter.note(f"{file.filename}: the upstream's .metadata is not the wheel's; the wheel's is kept")
        return metadata

    # --- bytes kept -------------------------------------------------------------------------------------------------
    async def _keep(self, planned: PlannedFile, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        try:
            await self._stack.blobs.keep(staged, holding, metadata)
            self._durable.append((planned.file.identity, planned.project, holding))
            if not self._is_committing:
                await self._commit()
        except BaseException:
            self._is_ending = True
            raise
        finally:
            self._unsettled.release()

    async def _commit(self) -> None:
        """Record what is durable, one transaction after the other; who comes meanwhile joins the next one."""
        self._is_committing = True
        try:
            await asyncio.sleep(0)  # the other files of the same round of syncing join this transaction
            while self._durable:
                rows, self._durable = self._durable, []
                await asyncio.to_thread(self._stack.holdings.record, rows)
                self.held.update((identity, holding) for identity, _, holding in rows)
                self._reporter.advance(len(rows))
        finally:
            self._is_committing = False


def _is_complete(staged: StagedBlob, file: DistFile) -> bool:
    """Whether an earlier run, or the reading of metadata, left the whole file."""
    if not staged.size:
        return False
    return staged.size == file.size or (file.size is None and staged.digest("sha256") == file.sha256)


async def _in_thread(work: Callable[[bytes], None], piece: bytes) -> None:
    """Run in a thread, and wait for its end even when cancelled: nobody else may touch the file before."""
    task = asyncio.ensure_future(asyncio.to_thread(work, piece))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


def _resumes(incoming: Incoming, start: int) -> bool:
    return incoming.status == _PARTIAL_CONTENT and incoming.headers.get("content-range", "").startswith(
        f"bytes {start}-"
    )


def _expected_size(incoming: Incoming, received: int) -> int | None:
    length = incoming.headers.get("content-length", "")
    return received + int(length) if length.isdecimal() else None


def _check_bytes(staged: StagedBlob, file: DistFile) -> None:
    """Compare with the size and the best digest that the index lists. Raises SizeMismatch or DigestMismatch.

    A BLAKE2b digest may be guessed from the shape of the URL, so it counts only where nothing else is listed.
    """
    if file.size is not None and staged.size != file.size:
        raise SizeMismatch(file.filename, file.size, staged.size)
    if file.sha256 is not None:
        algorithm, expected = "sha256", file.sha256
    elif file.other_hash is not None:
        algorithm, expected = file.other_hash
    elif file.blake2b_256 is not None:
        algorithm, expected = "blake2b_256", file.blake2b_256
    else:
        return
    actual = staged.digest(algorithm)
    if actual != expected:
        raise DigestMismatch(file.filename, algorithm, expected, actual)
