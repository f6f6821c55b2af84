"""`verify --rate` and `--since`: bit rot is found at a bounded rate, and what was read lately is passed over."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from pypim.core.model import Blob, Holding
from pypim.core.names import parse_safe_filename
from pypim.sync.reading import Reading
from pypim.sync.silent import SilentReporter
from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Document, pypim
from tests.worlds.world import World, project, release, wheel

SIZE = 200_000
WORLD = World.of(
    project("app", "1.0", requires=["large", "lib"]),
    project("large", release("1.0", wheel(payload=SIZE))),
    project("lib", "1.0"),
)
LIB = "lib-1.0-py3-none-any.whl"


@pytest.fixture
def folder(serve: ServeWorld, tmp_path: Path) -> Path:
    pypim("sync", "app", "--to", tmp_path / "m", "--upstream", serve(WORLD).url, *LINUX_OPTIONS).expect()
    return tmp_path / "m"


def report_of(folder: Path, *options: str, status: int = 0) -> Document:
    (entry,) = pypim("verify", "--to", folder, "--json", *options).expect(status).document["indexes"]
    report: Document = entry["report"]
    return report


def set_readings(folder: Path, **days_ago: float) -> None:
    """As if these projects had been stored and read so many days ago."""
    with closing(sqlite3.connect(folder / ".pypim/catalog.sqlite")) as catalog, catalog:
        for name, days in days_ago.items():
            at = time.time() - days * 86_400
            catalog.execute("UPDATE holdings SET stored_at = ? WHERE project = ?", (at, name))
            catalog.execute(
                "UPDATE readings SET read_at = ? WHERE identity IN (SELECT identity FROM holdings WHERE project = ?)",
                (at, name),
            )


def test_what_was_read_lately_is_passed_over(folder: Path) -> None:
    assert report_of(folder, "--since", "1 day")["files"] == 0, "all of it was checked as it came"
    assert "nothing was due" in pypim("verify", "--to", folder, "--since", "1 day").expect().stdout
    set_readings(folder, app=40, lib=2)
    report = report_of(folder, "--since", "30 days")
    assert (report["files"], report["passed_over"]) == (1, 2)
    assert report_of(folder, "--since", "30 days")["files"] == 0, "it was read, and that is remembered"
    assert report_of(folder, "--since", "1 day")["files"] == 1
    assert report_of(folder)["files"] == 3


def test_status_tells_since_when_the_longest_unread_file_was_not_read(folder: Path) -> None:
    set_readings(folder, app=40, lib=2)
    told = pypim("status", "--to", folder, "--json").expect().document["oldest_reading"]
    assert abs(time.time() - 40 * 86_400 - datetime.fromisoformat(told).timestamp()) < 120
    assert f"since {told}, 960 h" in pypim("status", "--to", folder).expect().stdout
    report_of(folder, "--since", "30 days")
    told = pypim("status", "--to", folder, "--json").expect().document["oldest_reading"]
    assert abs(time.time() - 2 * 86_400 - datetime.fromisoformat(told).timestamp()) < 120


def test_a_date_is_a_time_too(folder: Path) -> None:
    set_readings(folder, app=4000)
    assert report_of(folder, "--since", "2020-01-31")["files"] == 1
    assert report_of(folder, "--since", "2000-01-31T12:00:00Z")["files"] == 0


def test_a_damaged_file_stays_due(folder: Path) -> None:
    """Only what was found whole is remembered: it is named again until it is mended."""
    set_readings(folder, app=40, lib=40, large=40)
    (spoilt,) = (folder / "packages").rglob(LIB)
    content = spoilt.read_bytes()
    spoilt.write_bytes(content[:-1] + b"X")
    for _ in range(2):
        report = report_of(folder, "--since", "30 days", status=7)
        assert [damage["filename"] for damage in report["damages"]] == [LIB]
    assert report["files"] == 1
    assert [damage["is_repaired"] for damage in report_of(folder, "--since", "30 days", "--repair")["damages"]] == [
        True
    ]
    assert report_of(folder, "--since", "30 days")["files"] == 0


def test_a_reading_of_the_future_counts_for_nothing(folder: Path) -> None:
    """A clock that was years ahead for a while does not keep files from being read for years."""
    report_of(folder)
    set_readings(folder, app=-3650)
    assert report_of(folder, "--since", "1 day")["files"] == 1


def test_the_rate_is_held(folder: Path) -> None:
    began = time.monotonic()
    report = report_of(folder, "--rate", "200 kB")
    assert report["files"] == 3
    assert time.monotonic() - began > (SIZE - 20_000) / 200_000


def test_ctrl_c_ends_a_slow_verify_at_once(folder: Path) -> None:
    set_readings(folder, app=300, lib=200, large=100)
    command = [sys.executable, "-m", "pypim", "verify", "--to", str(folder), "--since", "1 day", "--rate", "20 kB"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "verify" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=30)
    assert time.monotonic() - began < 5, "the large file alone would take ten seconds"
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("option", "value"), [("--rate", "fast"), ("--rate", "0"), ("--since", "yesterday"), ("--since", "2026-13-01")]
)
def test_what_cannot_be_meant_is_refused(folder: Path, option: str, value: str) -> None:
    assert option in pypim("verify", "--to", folder, option, value).expect(2).stderr


async def test_very_many_that_are_missing_take_little_more_than_their_names(tmp_path: Path) -> None:
    """Where each stands is worked out when it is read; all at once it took 22 MB here."""
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000)]
    held = {
        f"{number}#1": Holding(
            filename=parse_safe_filename(f"app-{number}.tar.gz"),
            blob=Blob(sha256=digest, blake2b_256=digest, size=1),
            metadata_sha256=None,
        )
        for number, digest in enumerate(digests)
    }
    reading = Reading(SilentReporter())
    tracemalloc.start()
    damages = await reading.read(held, lambda holding: tmp_path / holding.path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [damage.identity for damage in damages] == sorted(held, key=lambda one: held[one].path)
    assert peak_bytes < 14_000_000
