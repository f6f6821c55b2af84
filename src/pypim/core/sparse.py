"""A file of which only some bytes are here: it says which ones it misses, so that its owner can fetch just those."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class MissingBytes(Exception):  # noqa: N818 - a request to the owner, not an error
    """A read needs the bytes from `start` up to, but without, `stop`; add them and try again."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__(f"bytes {start} to {stop} are not here")
        self.start = start
        self.stop = stop


class SparseFile(io.RawIOBase):
    """A seekable file of known size in bytes, filled range by range with `add`."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._position = 0
        self._ranges: list[tuple[int, bytes]] = []  # sorted, neither overlapping nor touching

    def add(self, start: int, data: bytes) -> None:
        """Bytes that became known; what is known already may come again."""
        if start < 0 or start + len(data) > self.size:
            raise ValueError(f"bytes {start} to {start + len(data)} do not lie in a file of {self.size} bytes")
        apart: list[tuple[int, bytes]] = []
        for known_start, known in self._ranges:
            known_stop, stop = known_start + len(known), start + len(data)
            if known_stop < start or known_start > stop:
                apart.append((known_start, known))
            else:
                before, after = known[: max(start - known_start, 0)], known[max(stop - known_start, 0) :]
                start, data = min(start, known_start), before + data + after
        self._ranges = sorted([*apart, (start, data)])

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position of the next read, in bytes from the beginning."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position, which may lie behind the end; raises ValueError for one before the beginning."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if origin + offset < 0:
            raise ValueError("a position before the beginning of the file")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the buffer up to the end of the file; raises MissingBytes, and reads nothing, where bytes lack."""
        view = memoryview(buffer).cast("B")
        stop = min(self._position + len(view), self.size)
        count = max(stop - self._position, 0)
        if count:
            view[:count] = self._known(self._position, stop)
            self._position = stop
        return count

    def _known(self, start: int, stop: int) -> bytes:
        for known_start, known in self._ranges:
            known_stop = known_start + len(known)
            if known_start <= start < known_stop:
                if stop <= known_stop:
                    return known[start - known_start : stop - known_start]
                raise MissingBytes(known_stop, min(stop, self._next_start(known_stop)))
        raise MissingBytes(start, min(stop, self._next_start(start)))

    def _next_start(self, position: int) -> int:
        return min((start for start, _ in self._ranges if start >= position), default=self.size)
