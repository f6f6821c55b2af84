"""Progress as people see it: a live display on a terminal, plain lines elsewhere, nothing when asked for silence."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

import msgspec

from pypim.cli.output import counted, format_duration, format_size
from pypim.cli.surroundings import unheard_is_no_fault
from pypim.config.environment import is_plain_terminal, wants_color
from pypim.sync.silent import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.progress import Progress

    from pypim.cli.output import GlobalOptions
    from pypim.ports import Reporter

PLAIN_INTERVAL_SECONDS = 5.0
LIVE_INTERVAL_SECONDS = 0.1

NOUNS = {
    "list": "project list",
    "metadata": "document",
    "select": "release",
    "plan": "file",
    "transfer": "file",
    "publish": "page",
    "verify": "file",
    "prune": "file",
    "adopt": "file",
    "prove": "root",
    "judge": "question",
    "explain": "failure",
}
"""What a stage counts; any other stage counts items."""


def choose_reporter(options: GlobalOptions, stream: TextIO, variables: Mapping[str, str]) -> Reporter:
    """Live where lines can be redrawn, plain lines otherwise; -q is silent, --no-progress leaves the notes."""
    if options.is_quiet:
        return SilentReporter()
    if options.shows_progress and stream.isatty() and not is_plain_terminal(variables):
        return TerminalReporter(stream, has_color=wants_color(variables) is None)
    return PlainReporter(stream, shows_progress=options.shows_progress)


class Tally(msgspec.Struct):
    """How far a stage is. Sizes in bytes, times in seconds of the reporter's clock."""

    name: str
    started_at: float
    total: int | None = None
    total_bytes: int | None = None
    items: int = 0
    size_bytes: int = 0

    def add(self, items: int, size_bytes: int, total: int | None) -> None:
        """Count what was finished."""
        self.items += items
        self.size_bytes += size_bytes
        if total is not None:
            self.total = total

    def facts(self, now: float, *, is_over: bool) -> str:
        """The stage in one phrase: counts and bytes, then rate and time left, or how long it took."""
        elapsed = max(now - self.started_at, 0.0)
        parts = [self._count(is_over=is_over)]
        if self.total_bytes is not None and not is_over:
            parts.append(f"{format_size(self.size_bytes)} of {format_size(self.total_bytes)}")
        elif self.size_bytes:
            parts.append(format_size(self.size_bytes))
        if self.size_bytes and elapsed:
            parts.append(f"{format_size(self.size_bytes / elapsed)}/s")
        if is_over:
            return f"{', '.join(parts)} in {format_duration(elapsed)}"
        if (left := self.seconds_left(elapsed)) is not None:
            parts.append(f"{format_duration(left)} left")
        return ", ".join(parts)

    def seconds_left(self, elapsed: float) -> float | None:
        """From the rate so far, of bytes where their total is known, else of items; None while nobody can say."""
        done, total = (self.size_bytes, self.total_bytes) if self.total_bytes else (self.items, self.total)
        if not done or not total or not elapsed:
            return None
        return max(total - done, 0) * elapsed / done

    def _count(self, *, is_over: bool) -> str:
        noun = NOUNS.get(self.name, "item")
        if self.total is None or (is_over and self.items == self.total):
            return counted(self.items, noun)
        return f"{self.items:,} of {counted(self.total, noun)}"


class PlainReporter:
    """A line when a stage begins, every few seconds, and when it ends; for logs and pipes."""

    def __init__(
        self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic, shows_progress: bool = True
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._shows_progress = shows_progress
        self._tally: Tally | None = None
        self._spoke_at = 0.0

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """End the stage before, begin this one."""
        self._end()
        self._spoke_at = self._clock()
        self._tally = Tally(name, self._spoke_at, total, total_bytes)
        size = f", {format_size(total_bytes)}" if total_bytes else ""
        self._progress(f"{name}: {counted(total, NOUNS.get(name, 'item'))}{size}" if total is not None else name)

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Count, and say so when the last line is some seconds old."""
        tally = self._tally
        if tally is None:
            return
        tally.add(items, size_bytes, total)
        now = self._clock()
        if now - self._spoke_at >= PLAIN_INTERVAL_SECONDS:
            self._spoke_at = now
            self._progress(f"{tally.name}: {tally.facts(now, is_over=False)}")

    def note(self, message: str) -> None:
        """The message, also with --no-progress."""
        self._write(message)

    def close(self) -> None:
        """End the last stage."""
        self._end()

    def _end(self) -> None:
        if self._tally is not None:
            self._progress(f"{self._tally.name}: done, {self._tally.facts(self._clock(), is_over=True)}")
            self._tally = None

    def _progress(self, line: str) -> None:
        if self._shows_progress:
            self._write(line)

    def _write(self, line: str) -> None:
        with unheard_is_no_fault(self._stream):
            self._stream.write(line + "\n")
            self._stream.flush()


class TerminalReporter:
    """One line per stage, redrawn while it runs: a bar, counts, bytes, rate and time left."""

    def __init__(self, stream: TextIO, *, has_color: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._has_color = has_color
        self._display: Progress | None = None
        self._tally: Tally | None = None
        self._drawn_at = 0.0

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """Leave the line of the stage before as it ended, and begin a new one."""
        self._end()
        display = self._started()
        self._tally = Tally(name, self._clock(), total, total_bytes)
        self._task = display.add_task(name, total=total_bytes or total, facts="")

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Count; what is drawn changes ten times a second at most, however fast files arrive."""
        if self._tally is None:
            return
        self._tally.add(items, size_bytes, total)
        if (now := self._clock()) - self._drawn_at >= LIVE_INTERVAL_SECONDS:
            self._drawn_at = now
            self._draw(now, is_over=False)

    def note(self, message: str) -> None:
        """The message, above the running lines."""
        self._started().console.print(message, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Draw the last state, stop redrawing, and give the cursor back."""
        self._end()
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _end(self) -> None:
        if self._tally is not None:
            self._draw(self._clock(), is_over=True)
            self._tally = None

    def _draw(self, now: float, *, is_over: bool) -> None:
        tally = self._tally
        assert tally is not None
        done, total = (tally.size_bytes, tally.total_bytes) if tally.total_bytes else (tally.items, tally.total)
        if is_over:
            total = done = max(done, 1)
        facts = tally.facts(now, is_over=is_over)
        self._started().update(self._task, completed=done, total=total, facts=facts, refresh=True)

    def _started(self) -> Progress:
        """The display, made when it is first needed: rich takes as long to import as all of pypim's help."""
        if self._display is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            console = Console(file=self._stream, force_terminal=True, no_color=not self._has_color)
            self._display = Progress(
                SpinnerColumn(finished_text="[green]✓[/]"),
                TextColumn("{task.description:<9}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[facts]}"),
                console=console,
            )
            self._display.start()
        return self._display
