"""A staged blob: bytes on their way in, in a file that nobody sees, hashed while they are written."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import StoreUnreadable
from pypim.store import atomic

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_READ_BYTES = 1 << 20


class LocalStagedBlob:
    """The StagedBlob of LocalBlobs. The file is made with the first byte, so that staging alone costs nothing.

    It belongs to its caller until `close`, `discard` or a successful keep; all three may follow each other.
    """

    __slots__ = (
        "_blake2b",
        "_descriptor",
        "_is_closed",
        "_is_kept",
        "_release",
        "_sha256",
        "_size",
        "_whole",
        "file",
        "is_on_disk",
    )

    def __init__(self, file: str, release: Callable[[LocalStagedBlob], None], *, is_left_over: bool) -> None:
        """`release` is called once, when the file is let go of."""
        self.file = file
        self.is_on_disk = is_left_over
        self._release = release
        self._is_closed = False
        self._is_kept = False
        self._whole: bytes | None = None
        self._descriptor: int | None = None
        self._forget()
        if is_left_over:
            self._read_again()

    @property
    def size(self) -> int:
        """Bytes written so far, those of an interrupted run included."""
        return self._size

    def write(self, chunk: bytes) -> None:
        """Append and hash; after a fault the blob has what the disk took, a true beginning of the content."""
        descriptor = self._descriptor
        if descriptor is None:
            descriptor = self._open_descriptor()
        try:
            atomic.write(descriptor, self.file, chunk)
        except BaseException:
            self._forget()
            self._read_again()
            raise
        self._sha256.update(chunk)
        self._blake2b.update(chunk)
        # A small file that came in one piece is read again at once, for its metadata: from memory then.
        self._whole = chunk if self._size == 0 and len(chunk) <= _READ_BYTES else None
        self._size += len(chunk)

    def restart(self) -> None:
        """Forget what was written."""
        self._check_ours()
        if self.is_on_disk:
            descriptor = self._open_descriptor() if self._descriptor is None else self._descriptor
            atomic.truncate(descriptor, self.file, 0)
        self._forget()

    def digest(self, algorithm: str) -> str:
        """Hex digest of the bytes so far; ValueError for an algorithm that hashlib does not have."""
        if algorithm == "sha256":
            return self._sha256.hexdigest()
        if algorithm == "blake2b_256":
            return self._blake2b.hexdigest()
        digest = hashlib.new(algorithm)
        with self.open() as content:
            while chunk := content.read(_READ_BYTES):
                digest.update(chunk)
        return digest.hexdigest()

    def open(self) -> BinaryIO:
        """Read what is there so far. Raises StoreUnreadable."""
        if self._whole is not None:
            return io.BytesIO(self._whole)
        try:
            return Path(self.file).open("rb") if self.is_on_disk else io.BytesIO()
        except OSError as error:
            raise StoreUnreadable(self.file, error.strerror or str(error)) from error

    def close(self) -> None:
        """Let go of it; the bytes stay for a later resume. Again, or once it was kept, is not an error."""
        if not self._is_closed:
            self._is_closed = True
            if not self._is_kept:
                self._let_go()

    def discard(self) -> None:
        """Let go of it and delete the bytes. Again, or once it was kept, is not an error."""
        if not self._is_closed and not self._is_kept and self.is_on_disk:
            self._close_descriptor()
            atomic.remove(self.file)
            self.is_on_disk = False
        self.close()

    def hand_over(self) -> None:
        """Finish writing, for a keep that owns the file until it has its name or the keep failed."""
        self._check_ours()
        if not self.is_on_disk:
            self._open_descriptor()  # a blob without bytes is a file, too
        self._close_descriptor()
        self._whole = None
        self._is_kept = True

    def take_name(self) -> None:
        """The keep is over: the file has its own name, and the key may be staged again."""
        self.is_on_disk = False
        self._is_closed = True
        self._let_go()

    def take_back(self) -> None:
        """The keep failed: the caller owns what is left of the file, unless the caller closed it meanwhile."""
        self._is_kept = False
        self.is_on_disk = Path(self.file).exists()
        if not self.is_on_disk:
            self._forget()
        if self._is_closed:
            self._let_go()

    def _let_go(self) -> None:
        self._close_descriptor()
        self._release(self)

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open_descriptor(self) -> int:
        self._check_ours()
        self._descriptor = atomic.open_for_writing(self.file, keeps_content=self.is_on_disk)
        self.is_on_disk = True
        return self._descriptor

    def _forget(self) -> None:
        self._whole = None
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._blake2b = hashlib.blake2b(digest_size=32)

    def _read_again(self) -> None:
        try:
            with Path(self.file).open("rb", buffering=0) as content:
                while chunk := content.read(_READ_BYTES):
                    self._sha256.update(chunk)
                    self._blake2b.update(chunk)
                    self._size += len(chunk)
        except OSError as error:
            raise StoreUnreadable(self.file, error.strerror or str(error)) from error

    def _check_ours(self) -> None:
        if self._is_closed or self._is_kept:
            raise ValueError(f"{self.file}: the staged blob is closed")
