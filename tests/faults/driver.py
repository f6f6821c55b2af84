"""Runs of pypim that are stopped on purpose: a process that has pypim imported forks one run after another.

`python -m tests.faults.driver` reads orders (one JSON object a line) and answers each with what became of the run.
A fork costs a tenth of a fresh start, and its peak memory is its own, not that of the test that asked for it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import re
import resource
import select
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pypim.cli.main
import pypim.cli.report
import pypim.cli.sync
import pypim.sync.run
import pypim.wiring
from pypim.store import atomic
from tests.faults import uploads
from tests.faults.power import Recorder
from tests.faults.system_calls import Supervisor, announce

DIED = 99
"""The status of a run that was stopped before an operation, as a power cut stops it: no cleaning up."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """One run of pypim and how it is to be disturbed."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_at: int | None = None
    """The number of the operation, from 1 on, before which the run is gone."""
    stop_before: str | None = None
    """Or a pattern: the run is gone before the first operation in which it is found."""
    raises: int | None = None
    """An errno: that operation fails with it instead."""
    kill_after: float | None = None
    """Seconds until SIGKILL."""
    seconds: float = 120.0
    """Longer than this no run may take."""
    calls: list[str] = field(default_factory=list)
    """The kinds of system calls that are counted: see `system_calls`."""
    calls_below: str = ""
    """Where they count, of files."""
    call_at: int | None = None
    """The number of the system call, from 1 on, that is broken."""
    call_error: int | None = None
    """An errno: it fails with it. None: the process is killed instead."""
    power_lost: str = ""
    """Where to write what the folder `calls_below` may look like after the power went where the run was stopped."""
    uploads: list[str] = field(default_factory=list)
    """With these the run is a server (the argument is its configuration) that is sent them, `made` by name."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a run."""

    status: int
    """The exit status; negative: the signal that ended it."""
    seconds: float
    peak_mib: float
    """Largest resident set."""
    operations: list[str]
    """What was announced, when the run reached its end or its stop; else nothing."""
    stopped_at: str
    """The operation or the system call that was stopped or broken, or empty."""
    calls: int
    """How many system calls counted."""
    stdout: str
    stderr: str


class Tap:
    """Counts operations and stops, or breaks, one of them, from whatever thread it comes.

    Operations are those of the one place that writes files, and the beginnings and ends of the catalog's transactions.
    """

    def __init__(self, order: Order, report: int, recorder: Recorder | None) -> None:
        self._passed: list[str] = []
        self._order = order
        self._report = report
        self._recorder = recorder
        self._lock = threading.Lock()
        self._is_spent = False

    def __call__(self, operation: str, path: str) -> None:
        announced = f"{operation} {path}"
        with self._lock:
            self._passed.append(announced)
            is_it = not self._is_spent and self._is_wanted(announced)
            if is_it:
                self._is_spent = True
                if self._recorder is not None:  # before it is told, for then the process may be ended
                    self._recorder.lose_power(Path(self._order.power_lost))
                self._tell(announced)
                if self._order.raises is None:
                    os._exit(DIED)
        if is_it and self._order.raises is not None:
            raise OSError(self._order.raises, os.strerror(self._order.raises))

    def finish(self) -> None:
        """The run is over: say so, unless it was told already where it was stopped."""
        if not self._is_spent:
            self._tell("")

    def _is_wanted(self, announced: str) -> bool:
        if self._order.stop_before is not None:
            return re.search(self._order.stop_before, announced) is not None
        return len(self._passed) == self._order.stop_at

    def _tell(self, stopped_at: str) -> None:
        content = memoryview(json.dumps([self._passed, stopped_at]).encode() + b"\n")
        while content:
            content = content[os.write(self._report, content) :]

    def connect(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """Take the place of `sqlite3.connect`: the connection is real, and announces its transactions here."""
        tap = self
        last, is_full = "", True

        class Announcing(sqlite3.Connection):
            def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
                nonlocal last
                nonlocal is_full
                if statement in {"COMMIT", "BEGIN IMMEDIATE"}:
                    tap.announce_statement(statement, last if statement == "COMMIT" else "")
                last = statement
                if statement.startswith("PRAGMA synchronous"):
                    is_full = statement.endswith("FULL")
                cursor = super().execute(statement, parameters)
                if statement == "COMMIT" and is_full and tap._recorder is not None:
                    tap._recorder.committed()
                return cursor

            def executemany(self, statement: str, parameters: Any, /) -> sqlite3.Cursor:
                nonlocal last
                last = statement
                return super().executemany(statement, parameters)

        return Announcing(*arguments, **options)

    def announce_statement(self, statement: str, last: str) -> None:
        """As an operation; where that is to fail, the failure is the one that SQLite has for it."""
        try:
            self(statement, last.partition("(")[0].strip())
        except OSError as error:
            fault = sqlite3.OperationalError(error.strerror)
            fault.sqlite_errorcode = sqlite3.SQLITE_FULL if error.errno == errno.ENOSPC else sqlite3.SQLITE_IOERR
            raise fault from None


def run_in_child(order: Order, report: int, outputs: tuple[int, int], channel: socket.socket) -> int:
    """The whole life of a run after the fork; its exit status."""
    for number, descriptor in enumerate(outputs, start=1):
        os.dup2(descriptor, number)
    os.environ.update(order.environment)
    tempfile.tempdir = None
    recorder = None
    if order.power_lost:
        recorder = Recorder(Path(order.calls_below))
        recorder.install()
    if order.calls:
        announce(channel)
    tap = Tap(order, report, recorder)
    sqlite3.connect = tap.connect  # type: ignore[assignment] # the same call, without its overloads
    with atomic.observed(tap):
        if order.uploads:
            uploads.serve(Path(order.arguments[0]), report)
        status = pypim.cli.main.run(order.arguments)
    gc.collect()  # so that what nobody waited for complains, as it would at the end of a process
    sys.stdout.flush()
    sys.stderr.flush()
    tap.finish()
    return status


def carry_out(order: Order) -> Outcome:
    """Fork, wait or kill, and report."""
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        reading, writing = os.pipe()
        ours, theirs = socket.socketpair()
        begun = time.perf_counter()
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = run_in_child(order, writing, (stdout.fileno(), stderr.fileno()), theirs)
            finally:
                os._exit(status)
        os.close(writing)
        theirs.close()
        supervisor = Supervisor(
            ours, child, order.calls_below, frozenset(order.calls), order.call_at, order.call_error,
            is_armed=not order.uploads,
        )  # fmt: skip
        supervisor.start()
        told = _upload(child, reading, order, supervisor) if order.uploads else _wait(child, reading, order)
        _, state, usage = os.wait4(child, 0)
        supervisor.stop()
        seconds = time.perf_counter() - begun
        # A run that is killed while it tells has told nothing.
        operations, stopped_at = json.loads(told) if told.endswith(b"\n") else ([], "")
        texts = []
        for stream in (stdout, stderr):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    return Outcome(
        status=os.waitstatus_to_exitcode(state),
        seconds=seconds,
        peak_mib=usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10),
        operations=operations,
        stopped_at=stopped_at or supervisor.broken,
        calls=len(supervisor.calls),
        stdout=texts[0],
        stderr=texts[1],
    )


def _wait(child: int, reading: int, order: Order) -> bytes:
    """What the child tells until it is gone; its end of the pipe closes with it, however it goes."""
    deadline = time.monotonic() + (order.kill_after if order.kill_after is not None else order.seconds)
    told = b""
    try:
        while True:
            ready, _, _ = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                return told
            if not (piece := os.read(reading, 65536)):
                return told
            told += piece
    finally:
        os.close(reading)


def _upload(child: int, reading: int, order: Order, supervisor: Supervisor) -> bytes:
    """Send the uploads once the server listens, and end it; what became of each, as operations."""
    try:
        url, _, told = os.read(reading, 1 << 20).decode().partition("\n")
        supervisor.is_armed = True
        has_begun = url.startswith("http")
        answers = uploads.send_all(url, order.uploads) if has_begun else ["the server did not start"]
        supervisor.is_armed = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        while piece := os.read(reading, 1 << 20):
            told += piece.decode()
    finally:
        os.close(reading)
    stopped_at = json.loads(told)[1] if told.endswith("\n") else "" if has_begun else url
    return json.dumps([answers, stopped_at]).encode() + b"\n"


def main() -> int:
    for line in sys.stdin:
        outcome = carry_out(Order(**json.loads(line)))
        print(json.dumps(asdict(outcome)), flush=True)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(ValueError, OSError):
        # No file of a run may grow without bounds, whatever an upstream sends: the test machine is shared.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    sys.path.insert(0, str(Path(__file__).parents[2]))
    sys.exit(main())
