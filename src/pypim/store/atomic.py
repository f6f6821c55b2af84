"""The one place that creates, writes, renames, syncs and deletes files, but for links and copies (`linking`).

Every fault of the operating system leaves here as a StoreFault that names the path. Every operation first announces
itself to an observer, when one is set, so that a test can stop or break the program at the n-th of them.
"""

from __future__ import annotations

import errno
import functools
import itertools
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.core.errors import OutOfSpace, StoreUnreadable, StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pypim.core.errors import StoreFault

    Observer = Callable[[str, str], None]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_CANNOT_RESERVE = frozenset({errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP})
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_BINARY = getattr(os, "O_BINARY", 0)
_TEMPORARIES = ".pypim-*.tmp"
_counter = itertools.count()


class _Tap:
    """Who listens to the operations; nobody but in tests."""

    observer: Observer | None = None


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Call `observer(operation, path)` before every operation, from whatever thread makes it.

    The operations are make-folder, open, write, truncate, reserve, rename, link, copy, unlink, remove-folder and sync.
    What the observer raises happens in place of the operation; an OSError is translated as if the system had raised it.
    """
    before = _Tap.observer
    _Tap.observer = observer
    try:
        yield
    finally:
        _Tap.observer = before


def announce(operation: str, path: str | Path) -> None:
    """Tell the observer, where one is set, what is about to be done."""
    if _Tap.observer is not None:
        _Tap.observer(operation, str(path))


def free_bytes(path: Path) -> int | None:
    """Bytes that this user may still write on the file system of `path`, which need not exist; None if unknown."""
    for folder in (path, *path.parents):
        try:
            return shutil.disk_usage(folder).free
        except FileNotFoundError:
            continue
        except OSError:
            return None
    return None


def as_store_fault(error: OSError, path: str | Path) -> StoreFault:
    """The StoreFault that an OSError at `path` stands for."""
    if error.errno in _FULL:
        return OutOfSpace(str(path), free_bytes=free_bytes(Path(path)))
    return StoreUnwritable(str(path), error.strerror or str(error))


def make_folder(path: Path) -> None:
    """Make a folder and those above it; not an error when it is there."""
    try:
        announce("make-folder", path)
        path.mkdir()
    except FileNotFoundError:
        if path.parent == path or path.parent.is_dir():  # as /proc says it of whatever it does not make itself
            raise StoreUnwritable(str(path), "no folder can be made there") from None
        make_folder(path.parent)
        make_folder(path)
    except FileExistsError as error:
        if not path.is_dir():
            raise StoreUnwritable(str(path), "it is not a folder") from error
    except OSError as error:
        raise as_store_fault(error, path) from error


def open_for_writing(path: str | Path, *, keeps_content: bool, mode: int = 0o666) -> int:
    """A descriptor that writes `path`, making it with that mode where it is missing; at its end, or emptied first."""
    flags = os.O_APPEND if keeps_content else os.O_APPEND | os.O_TRUNC
    try:
        announce("open", path)
        return os.open(path, os.O_RDWR | os.O_CREAT | flags | _BINARY, mode)
    except OSError as error:
        raise as_store_fault(error, path) from error


def write(descriptor: int, path: str | Path, content: bytes) -> None:
    """Write all of `content` to an open file; after a fault, how much of it was written is not known."""
    try:
        announce("write", path)
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, memoryview(content)[written:])
    except OSError as error:
        raise as_store_fault(error, path) from error


def truncate(descriptor: int, path: str | Path, size: int) -> None:
    """Cut an open file to `size` bytes."""
    try:
        announce("truncate", path)
        os.ftruncate(descriptor, size)
    except OSError as error:
        raise as_store_fault(error, path) from error


def reserve(descriptor: int, path: str | Path, size: int) -> None:
    """Give an empty open file `size` bytes of the disk; where the system cannot just reserve them, they are written."""
    try:
        announce("reserve", path)
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
            return
    except OSError as error:
        if error.errno not in _CANNOT_RESERVE:
            raise as_store_fault(error, path) from error
    write(descriptor, path, bytes(size))


def rename(source: str | Path, target: str | Path) -> None:
    """Give a file its name, in place of any that has it; both are on one file system."""
    try:
        announce("rename", target)
        os.replace(source, target)  # noqa: PTH105 - ten thousand Path objects cost more than the calls
    except OSError as error:
        raise as_store_fault(error, target) from error


class Folders:
    """Makes folders for many files, remembering those above them, so that most files cost one call each.

    A remembered folder that was deleted meanwhile is made again.
    """

    def __init__(self, top: Path) -> None:
        """`top` is a folder that all files are under."""
        self._top = str(top)
        self._known: set[str] = set()

    def make_for(self, path: str) -> bool:
        """Make the folder that `path` is in; False where it was there before."""
        folder = os.path.dirname(path)  # noqa: PTH120 - as above
        above = os.path.dirname(folder)  # noqa: PTH120 - as above
        if above not in self._known:
            if above.startswith(self._top):
                self.make_for(folder)
            else:
                make_folder(Path(folder))
            self._known.add(above)
        try:
            announce("make-folder", folder)
            os.mkdir(folder)  # noqa: PTH102 - as above
        except FileExistsError:
            return False
        except FileNotFoundError:
            self._known.clear()
            make_folder(Path(folder))
        except OSError as error:
            raise as_store_fault(error, folder) from error
        return True


def rename_into(source: str | Path, target: Path) -> None:
    """Rename, making the target's folder first where it is missing."""
    make_folder(target.parent)
    rename(source, target)


def remove(path: str | Path) -> None:
    """Delete a file; not an error when it is gone."""
    try:
        announce("unlink", path)
        os.unlink(path)  # noqa: PTH108 - as in rename
    except FileNotFoundError:
        pass
    except OSError as error:
        raise as_store_fault(error, path) from error


def remove_empty_folders(path: Path, stop: Path) -> None:
    """Delete the folder `path` and those above it while they are empty, up to `stop`, which stays."""
    while path != stop and path.is_relative_to(stop):
        try:
            announce("remove-folder", path)
            path.rmdir()
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in _NOT_EMPTY:
                return
            raise as_store_fault(error, path) from error
        path = path.parent


def write_atomically(path: Path, content: bytes, *, staging: Path | None = None, is_durable: bool = True) -> None:
    """Give `path` this content at once: a reader sees the old file or the new one, whole.

    The temporary file is made in `staging`, a folder on the same file system, or else beside `path`. Without
    `is_durable` a power cut may undo or empty the file; what then syncs the file system makes up for it.
    """
    temporary = _write_temporary(staging or path.parent, content)
    try:
        if is_durable:
            sync_files([temporary])
        rename(temporary, path)
        if is_durable:
            _sync(path.parent)
    except BaseException:
        drop(temporary)
        raise


def write_together(contents: Iterable[tuple[Path, bytes]], *, staging: Path, top: Path) -> None:
    """Give many files their content, each atomically and in this order, durable for the price of two syncs.

    `staging` and `top`, the folder that all are under, are on one file system. After a fault, those that were
    renamed stay, whole; the rest is as it was.
    """
    written: list[tuple[Path, Path]] = []
    try:
        written.extend((_write_temporary(staging, content), path) for path, content in contents)
        sync_file_system(top, [temporary for temporary, _ in written])
        for temporary, path in written:
            rename_into(temporary, path)
        sync_file_system(top, [path for _, path in written])
    except BaseException:
        for temporary, _ in written:
            drop(temporary)
        raise


def sync_file_system(path: Path, written: Iterable[Path] = ()) -> None:
    """Make everything durable that was written, renamed or deleted on the file system of the folder `path`.

    Linux does it with one call (syncfs; from Linux 5.8 on it also reports what could not be written). Elsewhere the
    `written` files and the folders between them and `path` are synced one by one.
    """
    syncfs = _syncfs()
    if syncfs is None:
        sync_files(written, top=path)
        return
    try:
        announce("sync", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            syncfs(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise as_store_fault(error, path) from error


def sync_files(paths: Iterable[Path], top: Path | None = None) -> None:
    """Make these files durable and, with `top`, their names: the folders from each file up to `top` are synced."""
    folders: dict[Path, None] = {}
    for path in paths:
        _sync(path)
        if top is not None and path.is_relative_to(top):
            folders.update(dict.fromkeys(folder for folder in path.parents if folder.is_relative_to(top)))
    for folder in folders:
        _sync(folder)


def _sync(path: Path) -> None:
    """Fsync a file or a folder; a system that cannot open folders has no such thing as a folder to sync."""
    if sys.platform == "win32" and path.is_dir():
        return
    try:
        announce("sync", path)
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            _fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise as_store_fault(error, path) from error


def _fsync(descriptor: int) -> None:
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync alone leaves the bytes in the drive's own cache
    else:
        os.fsync(descriptor)


@functools.cache
def _syncfs() -> Callable[[int], None] | None:
    """The system call syncfs, where there is one; the standard library has no function for it."""
    if sys.platform != "linux":
        return None
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "syncfs"):
        return None

    def syncfs(descriptor: int) -> None:
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return syncfs


def _write_temporary(folder: Path, content: bytes) -> Path:
    make_folder(folder)
    temporary = folder / temporary_name()
    descriptor = open_for_writing(temporary, keeps_content=False)
    try:
        write(descriptor, temporary, content)
    except BaseException:
        drop(temporary)
        raise
    finally:
        os.close(descriptor)
    return temporary


def drop(temporary: Path) -> None:
    """Delete a temporary file on the way out; the fault that leads out matters more than one met here."""
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Delete the temporary files that stopped processes left in a folder; only this process may be writing there."""
    try:
        found = list(folder.glob(_TEMPORARIES)) if folder.is_dir() else []
    except OSError as error:
        raise StoreUnreadable(str(folder), error.strerror or str(error)) from error
    for path in found:
        remove(path)


def temporary_name() -> str:
    """A name that no other process and no other call uses, and that no web server shows by default."""
    return f".pypim-{os.getpid()}-{next(_counter)}.tmp"
