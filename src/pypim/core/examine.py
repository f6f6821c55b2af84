"""What the bytes of a distribution file say by themselves: their digests, and the core metadata that is in them."""

from __future__ import annotations

import hashlib
from stat import S_ISREG
from typing import TYPE_CHECKING

import msgspec

from pypim.core.archive import sdist_metadata, wheel_metadata
from pypim.core.errors import CorruptBlob, InvalidName
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.metadata import parse_metadata
from pypim.core.model import Blob, CoreMetadata, Holding, MetadataSource
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.records import FileState

if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    from packaging.utils import NormalizedName

    class _Stat(Protocol):
        """What a system says of a file: `os.stat_result`."""

        @property
        def st_mode(self) -> int: ...

        @property
        def st_dev(self) -> int: ...

        @property
        def st_ino(self) -> int: ...

        @property
        def st_size(self) -> int: ...

        @property
        def st_mtime_ns(self) -> int: ...


_READ_BYTES = 1 << 20


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was read: what it would be held as, and what it says."""

    holding: Holding
    wheel_metadata: bytes | None = None
    """The METADATA of a readable wheel."""
    metadata: CoreMetadata | None = None
    """What resolution needs of it; None where the file says nothing usable, or nothing of that project."""
    body: bytes | None = None
    """What that was read from."""


def blob_of(stream: BinaryIO) -> Blob:
    """The digests of everything from here to the end, in one reading. Raises OSError."""
    sha256, blake2b, size = hashlib.sha256(), hashlib.blake2b(digest_size=32), 0
    while chunk := stream.read(_READ_BYTES):
        sha256.update(chunk)
        blake2b.update(chunk)
        size += len(chunk)
    return Blob(sha256=sha256.hexdigest(), blake2b_256=blake2b.hexdigest(), size=size)


def state_of(facts: _Stat) -> FileState | None:
    """What tells a regular file from what it is after any change; None for anything else."""
    if not S_ISREG(facts.st_mode):
        return None
    return FileState(facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)


def digest_of(stream: BinaryIO, algorithm: str) -> str:
    """The hex digest of the whole stream by an algorithm of hashlib. Raises OSError."""
    stream.seek(0)
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := stream.read(_READ_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def examine(stream: BinaryIO, filename: str, project: NormalizedName, blob: Blob) -> Examined:
    """What a file of those digests says; one whose insides cannot be read is a file all the same. Raises OSError."""
    name = parse_safe_filename(filename)
    kind = parse_filename(filename, project).kind
    stream.seek(0)
    try:
        if kind is FileKind.WHEEL:
            body = wheel_metadata(stream, filename)
            holding = Holding(filename=name, blob=blob, metadata_sha256=hashlib.sha256(body).hexdigest())
            metadata = parse_metadata(body, MetadataSource.WHEEL)
            is_its_own = _names(metadata, project)
            return Examined(holding=holding, wheel_metadata=body, metadata=metadata if is_its_own else None, body=body)
        if kind is FileKind.SDIST:
            metadata, pkg_info = sdist_metadata(stream, filename)
            return Examined(holding=Holding(filename=name, blob=blob), metadata=metadata, body=pkg_info)
    except CorruptBlob:
        pass  # as when it is fetched: kept as it is, without core metadata
    return Examined(holding=Holding(filename=name, blob=blob))


def _names(metadata: CoreMetadata, project: NormalizedName) -> bool:
    try:
        return parse_name(metadata.name or "") == project
    except InvalidName:
        return False
