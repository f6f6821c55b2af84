"""The lock of a store: the second run says who holds it, and a dead run holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import Locked, StoreUnwritable
from pypim.store.lock import StoreLock

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from pypim.store.lock import StoreLock
with StoreLock(Path(sys.argv[1]), "pypim sync flask"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_syncs_of_one_store_do_not_run_at_once(tmp_path: Path) -> None:
    since = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    with StoreLock(tmp_path / "new", "pypim sync https://me:secret@index.example/", lambda: since):
        with pytest.raises(Locked) as caught, StoreLock(tmp_path / "new"):
            raise AssertionError("unreachable")
        assert f"pid {os.getpid()} on " in caught.value.holder
        assert "`pypim sync https://***@index.example/`, since 2026-11-20T12:30:00+00:00" in caught.value.holder
    with StoreLock(tmp_path / "new"):
        pass
    assert (tmp_path / "new" / "lock").exists()


def test_the_system_releases_the_lock_of_a_killed_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Locked) as caught, StoreLock(tmp_path):
            raise AssertionError("unreachable")
        assert f"pid {other.pid} on " in caught.value.holder
        assert "`pypim sync flask`" in caught.value.holder
        other.kill()
    with StoreLock(tmp_path):
        pass


def test_a_holder_that_has_not_yet_said_who_it_is(tmp_path: Path) -> None:
    with StoreLock(tmp_path):
        (tmp_path / "lock").write_bytes(b'{"pid": 1')
        with pytest.raises(Locked, match="another run"), StoreLock(tmp_path):
            raise AssertionError("unreachable")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreUnwritable), StoreLock(tmp_path / "file" / "store"):
        raise AssertionError("unreachable")
