"""A file that stands elsewhere on this machine gets a place in the store as well: by a link, or as a copy.

The file itself is only read. A link is one more name for the very same bytes: whoever rewrites them in place later
rewrites the store's, too, which `verify` then finds.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import CorruptBlob, StoreUnreadable
from pypim.core.examine import state_of
from pypim.store import atomic, linking

if TYPE_CHECKING:
    from pypim.core.model import Holding
    from pypim.core.records import FileState

_METADATA = ".metadata"
_SUFFIX = ".second"


class SecondPlaces:
    """Gives files places below `root`; what is needed on the way stands in `staging`, on the same file system.

    Never staged as a download is: that is written to again, and these may be somebody else's bytes.
    """

    def __init__(self, root: Path, staging: Path) -> None:
        self._staging = staging
        self._root = root
        self._folders = atomic.Folders(root)

    def place(self, source: Path, state: FileState, holding: Holding, metadata: bytes | None, *, copies: bool) -> bool:
        """Put it under its name, the `.metadata` before it; whether it is a link. Safe to call from many threads.

        Raises CorruptBlob where the source is not what it was when `state` was seen, or its copy has other bytes;
        StoreUnwritable or OutOfSpace. Then nothing has a name that it did not have before.
        """
        atomic.make_folder(self._staging)
        target = f"{self._root}{os.sep}{holding.path}"
        temporary = self._staging / f"{hashlib.sha256(os.fsencode(source)).hexdigest()}{_SUFFIX}"
        atomic.remove(temporary)
        try:
            is_link = not copies and linking.link(source, temporary)
            if not is_link:
                linking.copy(source, temporary)
            self._check(source, temporary, state, holding, is_link=is_link)
            self._folders.make_for(target)
            if metadata is not None:
                atomic.write_atomically(Path(target + _METADATA), metadata, staging=self._staging, is_durable=False)
            atomic.rename(temporary, target)
        finally:
            atomic.remove(temporary)  # renaming one name of a file to another of the same file does nothing
        return is_link

    def _check(self, source: Path, temporary: Path, state: FileState, holding: Holding, *, is_link: bool) -> None:
        """A link is right when it leads to what was hashed; the bytes of a copy are hashed themselves."""
        try:
            if is_link:
                is_right = state_of(temporary.lstat()) == state
            else:
                with temporary.open("rb") as copied:
                    is_right = hashlib.file_digest(copied, "sha256").hexdigest() == holding.blob.sha256
        except OSError as error:
            raise StoreUnreadable(str(temporary), error.strerror or str(error)) from error
        if not is_right:
            raise CorruptBlob(holding.filename, f"{source} changed while it was read")
