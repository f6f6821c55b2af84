"""Whether the bytes of a listed file stand where they should, and are still the ones that were uploaded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pypim.core.hosted import HostedFile

_METADATA = ".metadata"


def is_whole(path: Path, file: HostedFile) -> bool:
    """Read the file at `path` and the `.metadata` beside it; what cannot be read is not whole. Takes long."""
    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                return False
        if file.metadata_sha256 is None:
            return True
        beside = path.with_name(path.name + _METADATA).read_bytes()
    except OSError:
        return False
    return hashlib.sha256(beside).hexdigest() == file.metadata_sha256
