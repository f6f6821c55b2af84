"""Takes over the files of a folder that another tool made: found by name, checked by hash, linked, recorded as held.

A file counts where its bytes are those that an upstream lists under its name; the upstream is asked only for the
projects found. Where it cannot be asked, what the folder's own pages list counts instead.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.core.adoption import AdoptReport, Mismatch, Unmatched
from pypim.core.errors import CorruptBlob, NotFound, ProjectNotFound, Refused, UpstreamFault, first_error
from pypim.core.examine import Examined, blob_of, digest_of, examine, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from packaging.utils import NormalizedName

    from pypim.core.model import Blob, DistFile, Holding
    from pypim.ports import Cached
    from pypim.sync.foreign import ForeignFolder, FoundFile
    from pypim.sync.model import Stack

_MOST_FAULTS = 3
"""In a row: then the upstream is out of reach, and no more time is spent on it."""
_MOST_UNRECORDED = 512
"""Files that are made durable and recorded together."""
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class How(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    copies: bool = False
    """Rather than links."""
    is_dry_run: bool = False
    is_offline: bool = False
    jobs: int = 16


class _Open(msgspec.Struct):
    """A file that nobody has taken yet, and why."""

    found: FoundFile
    projects: tuple[NormalizedName, ...]
    reason: Mismatch = Mismatch.NOT_LISTED
    detail: str = ""
    is_settled: bool = False

    def stays(self, reason: Mismatch, detail: str = "") -> None:
        """It was not taken; what is said of its bytes says more than that it is not listed elsewhere."""
        if self.reason in {Mismatch.NOT_LISTED, Mismatch.UNKNOWN}:
            self.reason, self.detail = reason, detail


class _Taken(msgspec.Struct, frozen=True):
    """A file that was right."""

    examined: Examined
    is_link: bool


class _Left(msgspec.Struct, frozen=True):
    """One that was not."""

    reason: Mismatch
    detail: str = ""


class Taker(msgspec.Struct, frozen=True):
    """An index that may take files over."""

    index: str
    stack: Stack
    cached: Cached | None = None
    """Of a proxy, which keeps what it gets."""


class Adoption:
    """One folder, offered to one index after the other."""

    def __init__(self, folder: ForeignFolder, how: How) -> None:
        """Raises NotFound where no name in the folder is that of a distribution file: nobody takes over nothing."""
        self._folder = folder
        self._portions = folder.portions()
        self._first = next(self._portions)
        if not folder.files:
            hint = "Check the path, and that its disk is mounted."
            raise NotFound(f"{folder.path}: no file in it has the name of a distribution file", hint=hint)
        self.how = how
        self._open: list[_Open] = []
        self._left: list[Unmatched] = []
        self._readers = asyncio.Semaphore(max(2, os.cpu_count() or 1))
        self._in_a_row = 0
        self._adopted = self._adopted_bytes = self._linked = self._held = 0
        self._faults: dict[str, None] = {}

    async def run(self, takers: Sequence[Taker]) -> AdoptReport:
        """Take what the upstreams of the indexes list, each what those before it did not.

        Raises StoreFault; what was recorded until then is held. Safe to cancel.
        """
        reporter, begun = takers[0].stack.reporter, takers[0].stack.clock.now()
        reporter.stage("adopt", total=self._folder.files, total_bytes=self._folder.size)
        for portion in chain([self._first], self._portions):
            self._open = [_Open(found, projects) for projects, files in portion.items() for found in files]
            for taker in takers:
                if self._open:
                    await self._offer(taker)
            for one in self._open:
                path = self._folder.shown(one.found.path)
                self._left.append(Unmatched(path=path, reason=one.reason, detail=one.detail))
                reporter.advance(size_bytes=one.found.size)
        seconds = (takers[0].stack.clock.now() - begun).total_seconds()
        return self._report(tuple(taker.index for taker in takers), seconds)

    async def _offer(self, taker: Taker) -> None:
        taking = _Taking(taker, is_dry_run=self.how.is_dry_run)
        self._in_a_row = 0
        for position in range(max(len(one.projects) for one in self._open)):
            by_project: dict[NormalizedName, list[_Open]] = defaultdict(list)
            for one in self._open:
                if position < len(one.projects):
                    by_project[one.projects[position]].append(one)
            await self._round(taking, iter(sorted(by_project.items())))
            self._open = [one for one in self._open if not one.is_settled]

    def _report(self, indexes: tuple[str, ...], seconds: float) -> AdoptReport:
        return AdoptReport(
            folder=str(self._folder.path),
            indexes=indexes,
            is_dry_run=self.how.is_dry_run,
            found_files=self._folder.files,
            found_bytes=self._folder.size,
            adopted_files=self._adopted,
            adopted_bytes=self._adopted_bytes,
            linked_files=self._linked,
            held_files=self._held,
            companion_files=self._folder.companions,
            unmatched=tuple(sorted([*self._left, *self._folder.unmatched], key=lambda one: one.path)),
            faults=tuple(self._faults),
            seconds=round(seconds, 3),
        )

    # --- project by project -----------------------------------------------------------------------------------------
    async def _round(self, taking: _Taking, waiting: Iterator[tuple[NormalizedName, list[_Open]]]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.how.jobs):
                    group.create_task(self._work(taking, waiting))
        except BaseExceptionGroup as failures:
            raise first_error(failures) from None
        finally:
            await taking.record()

    async def _work(self, taking: _Taking, waiting: Iterator[tuple[NormalizedName, list[_Open]]]) -> None:
        for project, ones in waiting:
            listed = await self._listed(taking.stack, project, ones)
            if listed is None:
                continue
            by_name: dict[str, list[_Open]] = defaultdict(list)
            for one in ones:
                by_name[one.found.filename].append(one)
            files = {filename: listed[filename] for filename in by_name if filename in listed}
            taking.look_at(files.values())
            async with asyncio.TaskGroup() as group:
                for filename, file in files.items():
                    group.create_task(self._judge(taking, project, file, by_name[filename]))
            taking.look_away(files.values())

    async def _listed(self, stack: Stack, project: NormalizedName, ones: list[_Open]) -> Mapping[str, DistFile] | None:
        """The project's files by name; None where nobody can be asked, which is noted at each file."""
        fault = "the upstream is out of reach"
        if self._in_a_row < _MOST_FAULTS:
            try:
                page = await stack.index.project(project)
            except ProjectNotFound:
                self._in_a_row = 0
                return None
            except (UpstreamFault, Refused) as error:
                fault = error.message
                if not self.how.is_offline:
                    self._in_a_row += 1
                    self._faults[fault] = None
            else:
                self._in_a_row = 0
                return {file.filename: file for file in page.files}
        folders = dict.fromkeys(os.path.dirname(one.found.path) for one in ones)  # noqa: PTH120 - one of very many
        told = await asyncio.to_thread(self._folder.told, project, folders)
        for one in ones:
            if one.found.filename not in told:
                one.stays(Mismatch.UNKNOWN, fault)
        return told

    async def _judge(self, taking: _Taking, project: NormalizedName, file: DistFile, same: list[_Open]) -> None:
        """Files of one name, one after the other: where several are right, the first is taken."""
        for one in same:
            left = _told_by_size(one.found, file)
            if left is None and taking.holds(file):
                self._held += 1
                self._settle(taking, one)
                continue
            if left is None:
                async with self._readers:
                    outcome = await taking.take(self._folder.path / one.found.path, project, file, self.how)
                if isinstance(outcome, _Taken):
                    self._adopted += 1
                    self._adopted_bytes += outcome.examined.holding.blob.size
                    self._linked += outcome.is_link
                    self._settle(taking, one)
                    continue
                left = outcome
            one.stays(left.reason, left.detail)

    def _settle(self, taking: _Taking, one: _Open) -> None:
        one.is_settled = True
        taking.stack.reporter.advance(size_bytes=one.found.size)


class _Taking:
    """What one index takes: read, placed in the store, and recorded in batches once it is durable."""

    def __init__(self, taker: Taker, *, is_dry_run: bool) -> None:
        self.stack = taker.stack
        self._index = taker.index
        self._cached = taker.cached
        self._is_dry_run = is_dry_run
        self._known: dict[str, Holding] = {}
        """Of the projects that are being looked at."""
        self._unrecorded: list[tuple[str, NormalizedName, Holding]] = []
        self._recording = asyncio.Lock()

    def look_at(self, files: Iterable[DistFile]) -> None:
        """Learn which of these are held."""
        self._known |= self.stack.holdings.own_of([file.identity for file in files])

    def look_away(self, files: Iterable[DistFile]) -> None:
        """They are done with."""
        for file in files:
            self._known.pop(file.identity, None)

    def holds(self, file: DistFile) -> bool:
        """Whether that listed file is held, by now."""
        holding = self._known.get(file.identity)
        return holding is not None and (self._is_dry_run or self.stack.blobs.found(holding))

    async def take(self, path: Path, project: NormalizedName, file: DistFile, how: How) -> _Taken | _Left:
        """Read the file and, where its bytes are those that are listed, take it over."""
        outcome = await asyncio.to_thread(self._take, path, project, file, how)
        if isinstance(outcome, _Taken):
            examined = outcome.examined
            self._known[file.identity] = examined.holding
            if not self._is_dry_run:
                if examined.metadata is not None:
                    self.stack.metadata.learned(project, file, examined.metadata, examined.body)
                self._unrecorded.append((file.identity, project, examined.holding))
                if len(self._unrecorded) >= _MOST_UNRECORDED:
                    await self.record()
        return outcome

    def _take(self, path: Path, project: NormalizedName, file: DistFile, how: How) -> _Taken | _Left:
        try:
            descriptor = os.open(path, _READ_FLAGS)
            with open(descriptor, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
                state = state_of(os.fstat(descriptor))
                if state is None:
                    return _Left(Mismatch.NO_FILE)
                blob = blob_of(stream)
                if (left := _compared(stream, blob, file)) is not None:
                    return left
                examined = examine(stream, file.filename, project, blob)
                if state_of(os.fstat(descriptor)) != state:
                    return _Left(Mismatch.CHANGED)
        except OSError as error:
            return _Left(Mismatch.UNREADABLE, error.strerror or str(error))
        if how.is_dry_run:
            return _Taken(examined, is_link=False)
        try:
            metadata = examined.wheel_metadata
            is_link = self.stack.blobs.place(path, state, examined.holding, metadata, copies=how.copies)
        except CorruptBlob as error:
            return _Left(Mismatch.CHANGED, error.reason)
        return _Taken(examined, is_link)

    async def record(self) -> None:
        """Make what was placed durable, then commit it; who comes meanwhile waits."""
        async with self._recording:
            rows, self._unrecorded = self._unrecorded, []
            if not rows:
                return
            await self.stack.blobs.confirm([holding for _, _, holding in rows])
            if self._cached is None:
                self.stack.holdings.record(rows)
            else:
                self._cached.record(self._index, rows, self.stack.clock.now().timestamp())
                self.stack.epochs.advance(self._index)


def _told_by_size(found: FoundFile, file: DistFile) -> _Left | None:
    """Whether its size alone says that it is not the one."""
    if file.sha256 is None and file.other_hash is None and file.blake2b_256 is None:
        return _Left(Mismatch.NO_HASH)
    if file.size is None or file.size == found.size:
        return None
    reason = Mismatch.TRUNCATED if found.size < file.size else Mismatch.OTHER_HASH
    return _Left(reason, f"it has {found.size:,} bytes, and {file.size:,} are listed")


def _compared(stream: BinaryIO, blob: Blob, file: DistFile) -> _Left | None:
    """Whether the bytes are not those that are listed, by the best digest that is."""
    if file.sha256 is not None:
        algorithm, expected, actual = "sha256", file.sha256, blob.sha256
    elif file.other_hash is not None:
        algorithm, expected = file.other_hash
        actual = digest_of(stream, algorithm)
    else:
        algorithm, expected, actual = "blake2b_256", file.blake2b_256 or "", blob.blake2b_256
    if actual == expected:
        return None
    return _Left(Mismatch.OTHER_HASH, f"its {algorithm} is {actual}, and {expected} is listed")
