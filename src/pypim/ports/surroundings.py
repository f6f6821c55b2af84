"""Time, and whoever listens to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """Time, so that what decides can be given any."""

    def now(self) -> datetime:
        """The time in UTC, aware."""


class Reporter(Protocol):
    """Listens to a run's progress: a live display, plain lines, or nothing."""

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """A stage begins ("list", "metadata", "transfer", "prove", "publish", "verify"); totals where known."""

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Items of the current stage were finished; `total` corrects the stage's total."""

    def note(self, message: str) -> None:
        """Something a person should read: a warning, a file left out."""

    def close(self) -> None:
        """The run is over; restore the terminal."""
