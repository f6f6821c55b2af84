"""What the machine around a run makes of it: standard streams that are closed or full, a folder that is gone."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pypim.core.errors import InvalidUsage, StoreFault, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.errors import PypimError

_MOST_SHOWN = 200


def open_closed_streams() -> None:
    """Whoever closed a standard stream wants nothing of it; left closed, a file of ours would get its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - takes it by position only
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - a number, and open to the end


def discard(stream: TextIO) -> None:
    """Nobody gets what is still to be said. Python would complain again at exit, so it goes where there is room."""
    with suppress(OSError, ValueError):  # of a stream without a number there is nothing to redirect
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def unheard_is_no_fault(stream: TextIO) -> Iterator[None]:
    """For prose: a log on a full disk, or a reader that has left, does not end what a run is doing."""
    try:
        yield
    except OSError:
        discard(stream)


@contextmanager
def results() -> Iterator[None]:
    """For what goes to standard output. Raises StoreFault where that cannot be written, and BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        hint = "What the command did is done; give it somewhere to write, and run it again to see what it says."
        raise StoreFault(f"standard output cannot be written: {error.strerror or error}", hint=hint) from error


def fault_of(error: Exception) -> PypimError | None:
    """The fault of the machine that an error nobody foresaw stands for; None where it is a bug of ours."""
    if isinstance(error, UnicodeEncodeError) and error.reason.startswith("surrogates"):
        hint = "Name it in UTF-8, and look at the locale (LC_ALL, LANG) of this shell."
        return InvalidUsage(f"{error.object[:_MOST_SHOWN]!a} is no text in UTF-8", hint=hint)
    if not isinstance(error, OSError) or not error.strerror:
        return None
    if isinstance(error.filename, str | os.PathLike):
        return StoreUnreadable(str(error.filename), error.strerror)
    if error.strerror.startswith("No usable temporary directory"):
        hint = "Set the variable TMPDIR to a folder that can be."
        return StoreFault("no folder for temporary files can be written", hint=hint)
    if isinstance(error, FileNotFoundError) and not _has_working_folder():
        return InvalidUsage("the working folder is not there any more", hint="Change to another folder, and try again.")
    return None


def _has_working_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
