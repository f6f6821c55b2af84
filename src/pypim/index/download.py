"""A listed file read whole into the staging area, hashed while it is written, resumed where it was interrupted.

Both the transfer of a plan and the reading of metadata that can be had in no cheaper way come through here, so what
one of them received is not asked for again by the other.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from pypim.core.allowed import check_allowed
from pypim.core.errors import DigestMismatch, IntegrityFault, SizeMismatch, UpstreamFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.core.model import DistFile
    from pypim.index.file_hosts import FileHosts
    from pypim.ports import Blobs, Fetcher, Incoming, StagedBlob

_ATTEMPTS = 4
_THREAD_BYTES = 1 << 19  # from so many bytes on, handing work to a thread costs less than it gains
_OK = 200
_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416
_ABSENT = frozenset({404, 410})


class Downloads:
    """Where whole files are read from, and where they are staged."""

    def __init__(self, fetcher: Fetcher, blobs: Blobs, hosts: FileHosts | None = None) -> None:
        self._fetcher = fetcher
        self._blobs = blobs
        self._hosts = hosts

    async def whole(self, file: DistFile, limit_bytes: int) -> StagedBlob:
        """As `download`."""
        return await download(self._fetcher, self._blobs, file, limit_bytes, hosts=self._hosts)


class FileIsAbsent(UpstreamFault):
    """The index lists the file, and its address says that there is none."""

    code = "file-is-absent"

    def __init__(self, url: str, status: int) -> None:
        super().__init__(url, f"the file is listed and not there ({status})")


def _nobody_listens(_size_bytes: int) -> None:
    """Nobody wants to know how many bytes came in."""


async def download(
    fetcher: Fetcher,
    blobs: Blobs,
    file: DistFile,
    limit_bytes: int,
    on_bytes: Callable[[int], None] = _nobody_listens,
    hosts: FileHosts | None = None,
) -> StagedBlob:
    """The whole file, staged and checked against what the index lists; the caller closes what it gets.

    A broken or wrong body is asked for again. `limit_bytes` counts where the index lists no size; `on_bytes` hears
    of the bytes as they arrive; `hosts` are asked before the upstream. Safe to cancel: what was received stays for
    the next attempt.
    Raises FileIsAbsent, UpstreamFault, Refused, SizeMismatch, DigestMismatch, HashNotAllowed, StoreFault.
    """
    staged = blobs.stage(file.identity)
    if file.sha256 is None and file.other_hash is None:
        staged.restart()  # nothing would tell whether the rest belongs to the same content
    try:
        if hosts is not None and not is_complete(staged, file):
            complete = partial(_complete_at, staged, limit_bytes, on_bytes)
            if await hosts.receive(staged, file, complete):
                return staged
        for _ in range(_ATTEMPTS - 1):
            if await _is_completed(fetcher, staged, file, limit_bytes, on_bytes):
                return staged
        await _complete(fetcher, staged, file, limit_bytes, on_bytes)
    except IntegrityFault:
        staged.discard()
        raise
    except BaseException:
        staged.close()
        raise
    return staged


async def _complete_at(
    staged: StagedBlob, limit_bytes: int, on_bytes: Callable[[int], None], fetcher: Fetcher, file: DistFile
) -> None:
    await _complete(fetcher, staged, file, limit_bytes, on_bytes)


async def _is_completed(
    fetcher: Fetcher, staged: StagedBlob, file: DistFile, limit_bytes: int, on_bytes: Callable[[int], None]
) -> bool:
    """Whether it is whole and right now; False where another attempt may help."""
    before = staged.size
    try:
        await _complete(fetcher, staged, file, limit_bytes, on_bytes)
    except IntegrityFault:
        staged.restart()
        return False
    except UpstreamFault as fault:
        # An answer that never began was retried by the fetcher; one that was cut goes on from there.
        if not fault.is_transient or staged.size == before:
            raise
        return False
    return True


async def _complete(
    fetcher: Fetcher, staged: StagedBlob, file: DistFile, limit_bytes: int, on_bytes: Callable[[int], None]
) -> None:
    if not is_complete(staged, file):
        headers = {"range": f"bytes={staged.size}-"} if staged.size else {}
        async with fetcher.open(file.url, headers) as incoming:
            judge(incoming, staged, file)
            limit = file.size if file.size is not None else limit_bytes
            expected = expected_size(incoming, staged.size)
            if expected is not None and (expected > limit or file.size not in {None, expected}):
                raise SizeMismatch(file.filename, limit, expected)
            await _write(staged, incoming, file, limit, on_bytes)
    check_bytes(staged, file)


def is_complete(staged: StagedBlob, file: DistFile) -> bool:
    """Whether an earlier run, or the reading of metadata, left the whole file."""
    if not staged.size:
        return False
    return staged.size == file.size or (file.size is None and staged.digest("sha256") == file.sha256)


def judge(incoming: Incoming, staged: StagedBlob, file: DistFile) -> None:
    """Whether the answer can be written after what is staged; the latter is dropped where it cannot go on.

    Raises FileIsAbsent or UpstreamFault where the answer cannot be written at all.
    """
    if incoming.status in _ABSENT:
        raise FileIsAbsent(file.url, incoming.status)
    if incoming.status == _RANGE_NOT_SATISFIABLE:
        staged.restart()
        raise UpstreamFault(file.url, "the range is not satisfiable", is_transient=True)
    if incoming.status not in {_OK, _PARTIAL_CONTENT}:
        raise UpstreamFault(file.url, f"status {incoming.status} for a listed file")
    begin = f"bytes {staged.size}-"
    resumes = incoming.status == _PARTIAL_CONTENT and incoming.headers.get("content-range", "").startswith(begin)
    if staged.size and not resumes:
        staged.restart()
    if incoming.status == _PARTIAL_CONTENT and not resumes:
        raise UpstreamFault(file.url, "the upstream sent another part than was asked for", is_transient=True)


def expected_size(incoming: Incoming, received: int) -> int | None:
    """What the answer says that the whole file will have, in bytes, where so many were received before."""
    length = incoming.headers.get("content-length", "")
    return received + int(length) if length.isascii() and length.isdigit() else None


async def _write(
    staged: StagedBlob, incoming: Incoming, file: DistFile, limit: int, on_bytes: Callable[[int], None]
) -> None:
    """Write the body as it arrives; large ones in a thread, for hashing and writing let go of the interpreter."""
    received: list[bytes] = []
    waiting = 0
    try:
        async for chunk in incoming.chunks():
            if staged.size + waiting + len(chunk) > limit:
                raise SizeMismatch(file.filename, limit, staged.size + waiting + len(chunk))
            received.append(chunk)
            waiting += len(chunk)
            on_bytes(len(chunk))
            if waiting >= _THREAD_BYTES:
                piece, received, waiting = b"".join(received), [], 0
                await in_thread(staged.write, piece)
    finally:
        if received:
            staged.write(b"".join(received))


async def in_thread(work: Callable[[bytes], None], piece: bytes) -> None:
    """Run in a thread, and wait for its end even when cancelled: nobody else may touch the file before."""
    written = asyncio.get_running_loop().run_in_executor(None, work, piece)
    try:
        await asyncio.shield(written)
    except asyncio.CancelledError:
        while not written.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([written])
        raise


def check_bytes(staged: StagedBlob, file: DistFile) -> None:
    """Compare with the size and the best digest that the index lists, and with the hashes that requirements allow.

    A BLAKE2b digest may be guessed from the shape of the URL, so it counts only where nothing else is listed.
    Raises SizeMismatch, DigestMismatch or HashNotAllowed.
    """
    if file.size is not None and staged.size != file.size:
        raise SizeMismatch(file.filename, file.size, staged.size)
    check_allowed(file, staged.digest)
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
