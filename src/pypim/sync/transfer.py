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
    IntegrityFault,
    PypimError,
    Refused,
    StoreFault,
    StoreUnreadable,
    UpstreamFault,
    first_error,
)
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Blob, Holding
from pypim.index.download import download

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.core.plan import PlannedFile
    from pypim.ports import StagedBlob
    from pypim.sync.model import Request, Stack

_MOST_UNSETTLED = 256  # files that wait to be made durable together; each is an open descriptor at most
_COMMIT_FILES = 256
_COMMIT_SECONDS = 0.25
"""A transaction waits for so many files, or so long: many small ones write the same pages of the catalog again."""


class TransferFault(msgspec.Struct, frozen=True):
    """One file that could not be had, and the error that says why."""

    planned: PlannedFile
    cause: PypimError

    @property
    def message(self) -> str:
        """One line that names the release and the cause."""
        return f"{self.planned.project} {self.planned.version}: {self.cause.message}"


class _Kept(msgspec.Struct, frozen=True):
    """A file that is durable and not yet recorded, and the METADATA of a wheel."""

    planned: PlannedFile
    holding: Holding
    metadata: bytes | None


class Transfer:
    """One batch of downloads with `jobs` of them at once."""

    def __init__(self, stack: Stack, request: Request) -> None:
        self._stack = stack
        self._reporter = stack.reporter
        self._jobs = request.jobs
        self._limit_bytes = request.limit_bytes
        self._unsettled = asyncio.Semaphore(_MOST_UNSETTLED)
        self._under_way = 0
        self._is_enough = asyncio.Event()
        self._durable: list[_Kept] = []
        self._is_committing = False
        self._is_ending = False
        self.held: dict[str, Holding] = {}
        self.faults: list[TransferFault] = []
        self.corrected: list[PlannedFile] = []
        """Wheels that say something else than was believed of them; what they require was not followed yet."""

    async def run(self, files: Iterable[PlannedFile]) -> None:
        """Fetch them all. A file that cannot be had is in `faults`, the others go on; a StoreFault ends the run.

        What is in `held` (identity → holding) is durable and recorded. Safe to cancel: what was received stays for
        the next run, and what is durable is recorded at once.
        """
        waiting = iter(files)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(self._work(waiting, group))
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        finally:
            if self._durable:  # the run has failed or was cancelled; that is told, and nothing else
                with suppress(StoreFault):
                    self._count(self._durable, self._record(self._durable))

    async def _work(self, waiting: Iterable[PlannedFile], group: asyncio.TaskGroup) -> None:
        for planned in waiting:
            self._under_way += 1
            await self._unsettled.acquire()
            try:
                staged = await download(
                    self._stack.fetcher,
                    self._stack.blobs,
                    planned.file,
                    self._limit_bytes,
                    self._count_bytes,
                    self._stack.file_hosts,
                )
                holding, metadata = self._checked(planned, staged)
            except (UpstreamFault, IntegrityFault, Refused) as error:  # some hosts answer 403 for what is missing
                self._settle()
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

    def _settle(self) -> None:
        """One file less is on its way; with the last one nobody is left to wait for."""
        self._unsettled.release()
        self._under_way -= 1
        if not self._under_way or len(self._durable) >= _COMMIT_FILES:
            self._is_enough.set()

    def _count_bytes(self, size_bytes: int) -> None:
        self._reporter.advance(0, size_bytes=size_bytes)

    def _fail(self, planned: PlannedFile, error: PypimError) -> None:
        fault = TransferFault(planned, error)
        self.faults.append(fault)
        self._reporter.note(fault.message)
        self._reporter.advance()

    # --- bytes checked ----------------------------------------------------------------------------------------------
    def _checked(self, planned: PlannedFile, staged: StagedBlob) -> tuple[Holding, bytes | None]:
        """As `_check`. Raises StoreUnreadable where the disk does not give back what was just written."""
        try:
            return self._check(planned, staged)
        except OSError as error:
            raise StoreUnreadable(error.filename or staged.file, error.strerror or str(error)) from error

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
                return wheel_metadata(stream, file.filename)
        except CorruptBlob as error:
            self._reporter.note(f"{error.message}; kept as it is, without core metadata")
            return None

    # --- bytes kept -------------------------------------------------------------------------------------------------
    async def _keep(self, planned: PlannedFile, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        try:
            await self._stack.blobs.keep(staged, holding, metadata)
            self._durable.append(_Kept(planned, holding, metadata))
            self._settle()
            if not self._is_committing:
                await self._commit()
        except BaseException:
            self._is_ending = True
            raise

    async def _commit(self) -> None:
        """Record what is durable, one transaction after the other; who comes meanwhile joins the next one."""
        self._is_committing = True
        try:
            while self._durable:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_COMMIT_SECONDS):
                        await self._is_enough.wait()
                self._is_enough.clear()
                rows, self._durable = self._durable, []
                self._count(rows, await asyncio.to_thread(self._record, rows))
        finally:
            self._is_committing = False

    def _record(self, rows: list[_Kept]) -> set[str]:
        """What they say of themselves is kept before they are held: a run that is killed between loses none of it.

        The identities of those of which something else was believed.
        """
        seen = [(kept.planned.project, kept.planned.file, kept.metadata) for kept in rows if kept.metadata is not None]
        corrected = self._stack.metadata.said(seen)
        self._stack.holdings.record([(kept.planned.file.identity, kept.planned.project, kept.holding) for kept in rows])
        return corrected

    def _count(self, rows: list[_Kept], corrected: set[str]) -> None:
        for kept in rows:
            file, holding = kept.planned.file, kept.holding
            self.held[file.identity] = holding
            if is_corrected := file.identity in corrected:
                self.corrected.append(kept.planned)
            is_listed = holding.metadata_sha256 is not None and isinstance(file.core_metadata, str)
            if is_corrected or (is_listed and holding.metadata_sha256 != file.core_metadata):
                told = "the upstream's .metadata is not the wheel's; the wheel's is kept"
                self._reporter.note(f"{file.filename}: {told}")
        self._reporter.advance(len(rows))
