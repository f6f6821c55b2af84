"""The audit log as a file of JSON lines, to which every process appends; who rotates it may just rename it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pypim.core.audit import AuditEntry, audit_line
from pypim.store import atomic
from pypim.store.private import MODE, make_private

if TYPE_CHECKING:
    from pathlib import Path


class FileAudit:
    """The Audit of one file, made with its first line. Only its owner reads it: it tells who comes from where."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def try_to_open(self) -> None:
        """Open it as `append` does, and write nothing; what is no plain file is let be. Raises StoreFault."""
        try:
            is_plain = stat.S_ISREG(self._path.stat().st_mode)
        except OSError:
            is_plain = True  # it is missing, or opening it tells what is wrong
        if is_plain:
            make_private(self._path)
            os.close(atomic.open_for_writing(self._path, keeps_content=True, mode=MODE))

    def append(self, entry: AuditEntry) -> None:
        """Append one line by one write, which the system does not mix with that of another process."""
        make_private(self._path)
        descriptor = atomic.open_for_writing(self._path, keeps_content=True, mode=MODE)
        try:
            atomic.write(descriptor, self._path, audit_line(entry))
        finally:
            os.close(descriptor)
