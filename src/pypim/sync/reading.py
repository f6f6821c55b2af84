"""Reads held files again and compares them with their digests: as fast as is wanted, the longest unread first.

What was found whole is remembered with its time, so that a verify that is stopped, or limited, goes on where it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pypim.core.model import Holding
    from pypim.ports import Reporter

    _Batch = list[tuple[str, Holding]]

_THREADS = 2  # hashing lets go of the interpreter's lock, and two readers keep a disk busy
_AT_ONCE = 64  # files handed to a thread together, so that a small file costs no hand-over of its own
_BATCH_BYTES = 64 << 20
_BATCHES_WAITING = 8
_CHUNK_BYTES = 1 << 20
_PIECES_A_SECOND = 20  # with a rate, so that no piece makes a jump of its own
_NOTE_SECONDS = 2.0


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is not as it was stored or published."""

    identity: str
    """Of a held file; of a published one its path in the tree."""
    filename: str
    reason: str
    is_repaired: bool = False


class Pace:
    """At most so many bytes a second, for all threads together; without a rate as fast as it goes."""

    def __init__(self, bytes_a_second: int | None = None) -> None:
        self._rate = bytes_a_second
        self._lock = threading.Lock()
        self._next = time.monotonic()
        self._is_over = threading.Event()

    @property
    def chunk_bytes(self) -> int:
        """How much to read at once."""
        return _CHUNK_BYTES if self._rate is None else max(1, min(_CHUNK_BYTES, self._rate // _PIECES_A_SECOND))

    @property
    def batch_bytes(self) -> int:
        """How much to hand to a thread at once: what was read of a batch is remembered at its end."""
        return _BATCH_BYTES if self._rate is None else min(_BATCH_BYTES, self._rate)

    def wait_for(self, size_bytes: int) -> None:
        """Wait until so many bytes may be read, or all is over."""
        if self._rate is not None:
            with self._lock:
                start = max(self._next, time.monotonic())
                self._next = start + size_bytes / self._rate
            self._is_over.wait(max(0.0, start - time.monotonic()))

    def end(self) -> None:
        """Nobody waits any more."""
        self._is_over.set()


class Reading:
    """What of the files to read again, and how."""

    def __init__(
        self,
        reporter: Reporter,
        *,
        pace: Pace | None = None,
        last_read: Mapping[str, float] | None = None,
        unread_since: float | None = None,
        note: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> None:
        """`last_read`: identity → when it was last found whole, in seconds since the epoch.

        With `unread_since` only what was not read since that time is due. `note` is given the identities of what was
        found whole, now and then.
        """
        self._reporter = reporter
        self._pace = pace or Pace()
        self._last_read = last_read or {}
        self._unread_since = unread_since
        self._note = note

    def due(self, held: Mapping[str, Holding]) -> dict[str, Holding]:
        """Those that are to be read, the longest unread first; all of them where nothing limits that.

        A time that has not come yet was written by a clock that was wrong, and counts for nothing.
        """
        if self._unread_since is None:
            return dict(held)
        now = time.time()
        times = {identity: self._last_read.get(identity, 0.0) for identity in held}
        times = {identity: at if at <= now else 0.0 for identity, at in times.items()}
        late = [identity for identity in held if times[identity] < self._unread_since]
        return {identity: held[identity] for identity in sorted(late, key=lambda one: (times[one], one))}

    async def read(
        self, held: Mapping[str, Holding], place: Callable[[Holding], Path], *, remembers: bool = True
    ) -> list[Damage]:
        """Read files, each by its identity what it should be, and compare; the damaged, by path.

        `place` tells where one stands: there may be hundreds of thousands. Without a limit they are read in the order
        of their paths, which disks like best. Safe to cancel.
        """
        by_path = [*held] if self._unread_since is not None else sorted(held, key=lambda one: held[one].path)
        total_bytes = sum(holding.blob.size for holding in held.values())
        self._reporter.stage("verify", total=len(held), total_bytes=total_bytes)
        found: list[Damage] = []
        sound: list[str] = []
        noted_at = time.monotonic()
        pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="verify")
        try:
            loop = asyncio.get_running_loop()
            batches = _batches(((identity, held[identity]) for identity in by_path), self._pace.batch_bytes)
            waiting: deque[tuple[_Batch, asyncio.Future[list[Damage]]]] = deque()
            while True:
                for batch in islice(batches, _BATCHES_WAITING - len(waiting)):
                    waiting.append((batch, loop.run_in_executor(pool, self._check, batch, place)))
                if not waiting:
                    break
                batch, checking = waiting.popleft()
                damages = await checking
                found += damages
                spoilt = {damage.identity for damage in damages}
                sound += (identity for identity, _ in batch if identity not in spoilt)
                self._reporter.advance(len(batch), size_bytes=sum(holding.blob.size for _, holding in batch))
                if remembers and time.monotonic() - noted_at > _NOTE_SECONDS:
                    self._note(sound)
                    sound, noted_at = [], time.monotonic()
        except BaseException:
            self._pace.end()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            if remembers and sound:
                self._note(sound)
        if self._unread_since is not None:
            found.sort(key=lambda damage: held[damage.identity].path)
        return found

    def _check(self, batch: _Batch, place: Callable[[Holding], Path]) -> list[Damage]:
        found = []
        for identity, holding in batch:
            reason = damage_of(holding, place(holding), self._pace)
            if reason:
                found.append(Damage(identity=identity, filename=holding.filename, reason=reason))
        return found


def _batches(items: Iterable[tuple[str, Holding]], most_bytes: int) -> Iterator[_Batch]:
    batch: _Batch = []
    size = 0
    for item in items:
        if batch and (len(batch) == _AT_ONCE or size + item[1].blob.size > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item[1].blob.size
    if batch:
        yield batch


def damage_of(holding: Holding, path: Path, pace: Pace) -> str:
    """What is wrong with a held file and its `.metadata`; empty where nothing is."""
    try:
        digest = hashlib.sha256()
        with path.open("rb", buffering=0) as stream:
            while chunk := stream.read(pace.chunk_bytes):
                digest.update(chunk)
                pace.wait_for(len(chunk))
        if digest.hexdigest() != holding.blob.sha256:
            return f"its sha256 is {digest.hexdigest()}, not {holding.blob.sha256}"
        if holding.metadata_sha256 is not None:
            body = path.with_name(path.name + ".metadata").read_bytes()
            if hashlib.sha256(body).hexdigest() != holding.metadata_sha256:
                return "its .metadata is not the one that was stored"
    except FileNotFoundError as error:
        return f"{error.filename} is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return ""
