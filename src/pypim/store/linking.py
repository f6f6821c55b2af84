"""A file under a second name: by a link, or as a copy where the system cannot link."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

from pypim.store import atomic

_CANNOT_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_FICLONE = 0x40049409  # linux/fs.h; fcntl has no name for it before Python 3.14


def link_or_copy(source: str | Path, target: str | Path, *, staging: Path | None = None) -> None:
    """Make `target` a second name for the file `source`, or a copy where the file system cannot link.

    Atomic, in place of any older `target`; not an error when both are one file already. Not durable by itself.
    What is needed on the way is made in `staging`, on the file system of `target`, or else beside it.
    """
    try:
        atomic.announce("link", target)
        os.link(source, target)
    except FileExistsError:
        _replace(Path(source), Path(target), staging)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise atomic.as_store_fault(error, target) from error
        _replace(Path(source), Path(target), staging)


def _replace(source: Path, target: Path, staging: Path | None) -> None:
    """Link under another name and rename; or copy."""
    folder = staging or target.parent
    atomic.make_folder(folder)
    temporary = folder / atomic.temporary_name()
    if not link(source, temporary):
        copy(source, temporary)
    try:
        atomic.rename(temporary, target)
    finally:
        atomic.drop(temporary)  # renaming one name of a file to another of the same file does nothing


def link(source: Path, target: Path) -> bool:
    """Make `target`, which is not there, a second name for a file; False where the system does not let us."""
    try:
        atomic.announce("link", target)
        os.link(source, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise atomic.as_store_fault(error, target) from error
        return False
    return True


def copy(source: Path, target: Path) -> None:
    """Give `target` bytes of its own; after a fault there is no `target`. It shares blocks where the system can."""
    try:
        atomic.announce("copy", target)
        if not _clone(source, target):
            shutil.copyfile(source, target)
    except OSError as error:
        atomic.drop(target)
        raise atomic.as_store_fault(error, target) from error


def _clone(source: Path, target: Path) -> bool:
    """Let both files share their blocks until one of them is written (btrfs, xfs …); False where that is not to be."""
    if sys.platform != "linux":
        return False
    import fcntl

    with source.open("rb") as whole, target.open("wb") as clone:
        try:
            fcntl.ioctl(clone, _FICLONE, whole.fileno())
        except OSError:
            return False  # whatever stands in the way of this is no fault: there is still copying
    return True
