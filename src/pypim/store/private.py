"""Files that only their owner may read: the catalog, for what passwords are checked against, and the audit log."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from pypim.store import atomic

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o600


def make_private(path: Path) -> None:
    """Make the file, empty, where it is missing. One that is there already is narrowed, where it is ours.

    Of somebody else's, and of what is no plain file, nothing is changed. Raises StoreUnwritable or OutOfSpace.
    """
    try:
        facts = path.stat()
    except FileNotFoundError:
        os.close(atomic.open_for_writing(path, keeps_content=True, mode=MODE))
        return
    except OSError:
        return  # whoever opens it is told what is wrong
    is_ours = hasattr(os, "geteuid") and facts.st_uid == os.geteuid()
    if is_ours and stat.S_ISREG(facts.st_mode) and stat.S_IMODE(facts.st_mode) & ~MODE:
        with suppress(OSError):  # some file systems know no modes
            path.chmod(MODE)
