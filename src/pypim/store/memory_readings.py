"""The twin in memory of what the catalog remembers of when files were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypim.store.memory import MemoryHoldings


class MemoryReadings:
    """Readings in a dictionary; what is stored anew begins anew."""

    def __init__(self, holdings: MemoryHoldings, now: Callable[[], float]) -> None:
        self._holdings = holdings
        self._stored_at = now()
        self._read_at: dict[str, float] = {}

    def last_read(self) -> dict[str, float]:
        """By identity."""
        held = dict(self._holdings.holdings())
        return {one: max(self._stored_at, self._read_at.get(one, 0.0)) for one in held}

    def oldest(self) -> float | None:
        """The earliest of these times."""
        return min(self.last_read().values(), default=None)

    def note_read(self, identities: Iterable[str], at: float) -> None:
        """They are whole."""
        held = dict(self._holdings.holdings())
        self._read_at |= {one: at for one in identities if one in held}
