"""A file read whole because its metadata can be had in no cheaper way; its bytes stay staged for the transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import DigestMismatch, IntegrityFault, NotFound, SizeMismatch, UpstreamFault, UpstreamMalformed

if TYPE_CHECKING:
    from pypim.core.model import DistFile
    from pypim.ports import Blobs, Fetcher, Incoming, StagedBlob

_ATTEMPTS = 4
_OK = 200
_PARTIAL_CONTENT = 206
_ABSENT = frozenset({404, 410})


class FileIsAbsent(NotFound):
    """The index lists the file, and its address says that there is none."""

    code = "file-is-absent"


async def stage_whole(fetcher: Fetcher, blobs: Blobs, file: DistFile, limit_bytes: int) -> StagedBlob:
    """Fetch a file into the staging area and check its size and sha256; the caller closes what it gets.

    Goes on where an earlier attempt stopped.
    Raises FileIsAbsent, UpstreamFault, Refused, SizeMismatch, DigestMismatch, StoreFault.
    """
    staged = blobs.stage(file.identity)
    try:
        for _ in range(_ATTEMPTS - 1):
            try:
                await _complete(fetcher, staged, file, limit_bytes)
            except IntegrityFault:
                staged.restart()
            except UpstreamFault as fault:
                if not fault.is_transient:
                    raise
            else:
                return staged
        await _complete(fetcher, staged, file, limit_bytes)
    except IntegrityFault:
        staged.discard()
        raise
    except BaseException:
        staged.close()
        raise
    return staged


async def _complete(fetcher: Fetcher, staged: StagedBlob, file: DistFile, limit_bytes: int) -> None:
    if not staged.size or staged.size != file.size:
        await _receive(fetcher, staged, file, limit_bytes)
    if file.size is not None and staged.size != file.size:
        raise SizeMismatch(file.filename, file.size, staged.size)
    if file.sha256 is not None and (actual := staged.digest("sha256")) != file.sha256:
        raise DigestMismatch(file.filename, "sha256", file.sha256, actual)


async def _receive(fetcher: Fetcher, staged: StagedBlob, file: DistFile, limit_bytes: int) -> None:
    limit = limit_bytes if file.size is None else file.size
    headers = {"Range": f"bytes={staged.size}-"} if staged.size else {}
    async with fetcher.open(file.url, headers) as incoming:
        if incoming.status in _ABSENT:
            raise FileIsAbsent(f"{file.url}: the file is listed and not there ({incoming.status})")
        if not _continues(incoming, staged.size):
            staged.restart()
        if incoming.status not in {_OK, _PARTIAL_CONTENT} or (incoming.status == _PARTIAL_CONTENT and not staged.size):
            # A part that does not fit what we have, or 416: begin anew.
            is_resuming = bool(headers)
            raise UpstreamMalformed(file.url, f"the upstream answered {incoming.status}", is_transient=is_resuming)
        announced = staged.size + _announced_bytes(incoming)
        if announced > limit:
            raise SizeMismatch(file.filename, limit, announced)
        async for chunk in incoming.chunks():
            if staged.size + len(chunk) > limit:
                raise SizeMismatch(file.filename, limit, staged.size + len(chunk))
            staged.write(chunk)


def _continues(incoming: Incoming, received: int) -> bool:
    """Whether the answer begins where what we have ends."""
    if incoming.status != _PARTIAL_CONTENT:
        return received == 0
    return incoming.headers.get("content-range", "").startswith(f"bytes {received}-")


def _announced_bytes(incoming: Incoming) -> int:
    text = incoming.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0
