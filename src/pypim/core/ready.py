"""A list of projects that stands ready on the disk, in every form and encoding, with the headers that go with each.

The list of a whole upstream has hundreds of thousands of names: as values it would take more memory than a worker has.
"""

from __future__ import annotations

import msgspec


class ReadyBody(msgspec.Struct, frozen=True):
    """One form in one encoding; names and values of headers as they are sent."""

    file: str
    """Name of a file beside the description."""
    etag: str
    headers: tuple[tuple[str, str], ...]
    unchanged: tuple[tuple[str, str], ...]
    """Those of a 304."""


class ReadyForm(msgspec.Struct, frozen=True):
    """One form, plain and in gzip where that is shorter."""

    plain: ReadyBody
    packed: ReadyBody | None


class ReadyList(msgspec.Struct, frozen=True):
    """All forms by media type; `made_at` in seconds since the epoch."""

    made_at: float
    state: str
    """What it depends on besides time, as it was then."""
    forms: dict[str, ReadyForm]
    last_serial: int = 1
    """The highest that it tells."""
