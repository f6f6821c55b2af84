"""Files whose bytes are all in the store: from an entry of a page to where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import CorruptBlob, MetadataNotFound
from pypim.core.served import holding_of

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.model import DistFile
    from pypim.ports import Blobs


def held_path(blobs: Blobs, file: DistFile) -> Path:
    """Where the bytes of a listed file are. Raises CorruptBlob where somebody took them away."""
    path = blobs.path(holding_of(file))
    if not path.is_file():
        raise CorruptBlob(file.filename, "the file is gone from the store")
    return path


def held_metadata(blobs: Blobs, file: DistFile) -> bytes:
    """The `.metadata` beside a wheel (PEP 658). Raises MetadataNotFound or CorruptBlob."""
    if not isinstance(file.core_metadata, str):
        raise MetadataNotFound(file.filename, ["none is held"])
    path = blobs.path(holding_of(file))
    try:
        return path.with_name(path.name + ".metadata").read_bytes()
    except FileNotFoundError:
        raise CorruptBlob(file.filename, "its .metadata is gone from the store") from None
