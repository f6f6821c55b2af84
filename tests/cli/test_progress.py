"""Progress for real: a live display on a pseudo-terminal, plain lines in a pipe, nothing when asked for silence."""

from __future__ import annotations

import io
import os
import pty
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import pytest

from pypim.cli.output import GlobalOptions, counted, format_duration, format_size, table
from pypim.cli.progress import PlainReporter, Tally, TerminalReporter, choose_reporter
from pypim.ports import Reporter
from pypim.sync.silent import SilentReporter


class _Clock:
    """Time that stands still until it is told to go on; in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def _terminal() -> Iterator[tuple[TextIO, list[str]]]:
    """A real pseudo-terminal, and what was read from its other end when the block is left."""
    master, slave = pty.openpty()
    chunks: list[bytes] = []

    def read() -> None:
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux reports the closed end as EIO
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    seen: list[str] = []
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream, seen
    reader.join()
    os.close(master)
    seen.append(b"".join(chunks).decode())


def _sync_like(reporter: Reporter, clock: _Clock) -> None:
    reporter.stage("metadata", total=2)
    clock.now += 1
    reporter.advance(total=3)
    reporter.note("six 1.0: no [bold]metadata[/bold]")
    reporter.advance(2)
    reporter.stage("transfer", total=4, total_bytes=8_000_000)
    for _ in range(4):
        clock.now += 2
        reporter.advance(size_bytes=2_000_000)
    reporter.close()


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_terminal_shows_counts_bytes_rate_and_time_left_and_gets_its_cursor_back() -> None:
    clock = _Clock()
    with _terminal() as (stream, seen):
        assert stream.isatty()
        _sync_like(TerminalReporter(stream, clock=clock), clock)
    screen = _plain(seen[0])
    assert "2 of 4 files, 4.0 MB of 8.0 MB, 1.0 MB/s, 4.0 s left" in screen
    assert "4 files, 8.0 MB, 1.0 MB/s in 8.0 s" in screen
    assert "3 documents in 1.0 s" in screen
    assert "six 1.0: no [bold]metadata[/bold]" in screen
    assert seen[0].rindex("\x1b[?25h") > seen[0].rindex("\x1b[?25l")


def test_a_pipe_gets_a_line_when_a_stage_begins_every_five_seconds_and_when_it_ends() -> None:
    clock = _Clock()
    read_end, write_end = os.pipe()
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        assert not stream.isatty()
        _sync_like(PlainReporter(stream, clock=clock), clock)
    with os.fdopen(read_end, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    assert lines == [
        "metadata: 2 documents",
        "six 1.0: no [bold]metadata[/bold]",
        "metadata: done, 3 documents in 1.0 s",
        "transfer: 4 files, 8.0 MB",
        "transfer: 3 of 4 files, 6.0 MB of 8.0 MB, 1.0 MB/s, 2.0 s left",
        "transfer: done, 4 files, 8.0 MB, 1.0 MB/s in 8.0 s",
    ]


def test_without_progress_the_notes_stay() -> None:
    stream = io.StringIO()
    _sync_like(PlainReporter(stream, clock=_Clock(), shows_progress=False), _Clock())
    assert stream.getvalue() == "six 1.0: no [bold]metadata[/bold]\n"


def test_who_reports_depends_on_the_options_and_the_terminal() -> None:
    quiet = GlobalOptions(is_quiet=True)
    with _terminal() as (stream, _):
        assert isinstance(choose_reporter(GlobalOptions(), stream, {"TERM": "xterm"}), TerminalReporter)
        assert isinstance(choose_reporter(GlobalOptions(), stream, {"TERM": "dumb"}), PlainReporter)
        assert isinstance(choose_reporter(GlobalOptions(shows_progress=False), stream, {}), PlainReporter)
        assert isinstance(choose_reporter(quiet, stream, {}), SilentReporter)
    assert isinstance(choose_reporter(GlobalOptions(), io.StringIO(), {"TERM": "xterm"}), PlainReporter)


@pytest.mark.parametrize("kind", [PlainReporter, TerminalReporter])
def test_a_reporter_can_be_closed_at_any_time_and_advance_without_a_stage_is_nothing(
    kind: type[PlainReporter | TerminalReporter],
) -> None:
    stream = io.StringIO()
    reporter = kind(stream)
    reporter.advance()
    reporter.close()
    reporter.stage("select")
    reporter.advance(5)
    reporter.close()
    reporter.close()
    assert "5 releases in" in _plain(stream.getvalue())


def test_what_is_missing_at_the_end_is_seen() -> None:
    tally = Tally("transfer", 0.0, total=4, items=3, size_bytes=10)
    assert tally.facts(2.0, is_over=True) == "3 of 4 files, 10 B, 5 B/s in 2.0 s"
    assert Tally("list", 0.0).facts(0.0, is_over=False) == "0 project lists"


def test_sizes_durations_numbers_and_tables_as_people_write_them() -> None:
    assert [format_size(n) for n in (0, 999, 1000, 999_949, 999_950, 12_345_678)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "999.9 kB",
        "1.0 MB",
        "12.3 MB",
    ]
    assert [format_duration(s) for s in (0.04, 9.94, 12.4, 59.6, 185, 7620)] == [
        "0.0 s",
        "9.9 s",
        "12 s",
        "1 min 00 s",
        "3 min 05 s",
        "2 h 07 min",
    ]
    assert (counted(1, "file"), counted(1200, "index", "indexes")) == ("1 file", "1,200 indexes")
    assert table([("a", "1"), ("long", "20")], right={1: True}) == "a      1\nlong  20"
    assert table([]) == ""
