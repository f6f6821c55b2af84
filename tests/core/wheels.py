"""Which of two wheels pip and uv take, as they were seen to: the table of `tests/clients/wheels.json`."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Listed(msgspec.Struct, frozen=True):
    """A wheel of lib 2.0."""

    name: str
    """What stands behind the version, but for the extension."""
    project: str = "lib"
    """As its name spells it."""
    yanked: bool = False
    python: str | None = None
    """The Requires-Python on the page."""
    version: str = "2.0"
    """The Version in its METADATA."""

    @property
    def filename(self) -> str:
        """The whole name."""
        return f"{self.project}-2.0-{self.name}.whl"


class Pair(msgspec.Struct, frozen=True):
    """Two wheels, and which is taken: as the page lists them here, and the other way round; null: of 2.0 none."""

    about: str
    wheels: tuple[Listed, Listed]
    uv: tuple[int | None, int | None]
    pip: tuple[int | None, int | None]


PAIRS = msgspec.json.decode(
    (Path(__file__).parent.parent / "clients" / "wheels.json").read_bytes(), type=tuple[Pair, ...]
)
