"""A Reporter that nobody listens to."""

from __future__ import annotations


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
