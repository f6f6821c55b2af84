"""Lists and pages that stand ready on the disk, in every form and encoding, with the headers that go with each.

The list of a whole upstream has hundreds of thousands of names, and some pages have tens of thousands of files: as
values they would take more memory than a worker has.
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
    last_serial: int
    """The highest that it tells."""


class ReadyPage(msgspec.Struct, frozen=True):
    """All forms of a page by media type; `begun_at`, in seconds since the epoch, is from before it was read."""

    begun_at: float
    forms: dict[str, ReadyForm]
    files: str
    """Name of the file beside the description in which its files are found by their paths (`core.file_table`)."""


class LongDocument(msgspec.Struct, frozen=True):
    """Stands for a kept document that is too long to be had in memory; two equal ones are of the same bytes."""

    length: int
    checksum: int


class PageIsLong(Exception):  # noqa: N818 - no fault: what is asked for is there
    """A page lists more than may be in memory here; whoever asked has to have it made elsewhere."""

    def __init__(self, index: str) -> None:
        """`index` is the one that has the page; of a group, its member."""
        super().__init__(index)
        self.index = index
