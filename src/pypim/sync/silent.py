"""Reporters for steps that are too small to be told: one that says nothing, and one that only counts bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypim.ports import Reporter


class ByteReporter:
    """Tells another one of bytes and of faults only: that counts items of another kind meanwhile."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """Nothing: the other one's goes on."""

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:  # noqa: ARG002 - the port's
        """So many bytes have come."""
        if size_bytes:
            self._reporter.advance(0, size_bytes=size_bytes)

    def note(self, message: str) -> None:
        """Say it."""
        self._reporter.note(message)

    def close(self) -> None:
        """Nothing."""


class SilentReporter:
    """Says nothing: for steps that are too small to be told, and where nobody wants to be told."""

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """Nothing."""

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Nothing."""

    def note(self, message: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
