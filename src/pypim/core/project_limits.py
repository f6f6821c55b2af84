"""Filters of whole projects: their size, their number of releases, and what they say of themselves.

What an index does not say is not held against a project: unknown is not false.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.filenames import parse_filename
from pypim.core.model import ProjectStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.model import Page

STATUSES = tuple(status.value for status in ProjectStatus if status is not ProjectStatus.ACTIVE)
"""Those of PEP 792 that can be excluded."""
_LICENSE = "License :: "
_MOST_CHARACTERS = 200
"""Of a licence that is named in a sentence; some projects give its whole text."""


class Objection(NamedTuple):
    """What keeps a project out, and an instruction that lets it in, without capital and full stop."""

    reason: str
    remedy: str


class ProjectLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of an index that are about projects as a whole."""

    max_size_bytes: int | None = None
    """Of all files on the page together."""
    max_releases: int | None = None
    statuses: frozenset[ProjectStatus] = frozenset()
    classifiers: tuple[str, ...] = ()
    """Globs without regard to case, as below."""
    licenses: tuple[str, ...] = ()

    @property
    def is_about_words(self) -> bool:
        """Whether what a project says of itself counts (`Page.about`)."""
        return bool(self.classifiers or self.licenses)

    @property
    def is_any(self) -> bool:
        """Whether there is any such filter."""
        return self != _NONE

    def objections(self, page: Page) -> Iterator[Objection]:
        """All that these filters say against the project of a page."""
        if page.status in self.statuses:
            yield _excluded("exclude-statuses", page.status.value, page.status.value)
        yield from self._against_size(page)
        about = page.about
        if about is not None:
            yield from _matching("exclude-classifiers", self.classifiers, about.classifiers)
            named = [text.removeprefix(_LICENSE) for text in about.classifiers if text.startswith(_LICENSE)]
            licenses = (*about.licenses, *(text.rpartition(" :: ")[2] for text in named))
            yield from _matching("exclude-licenses", self.licenses, licenses)

    def _against_size(self, page: Page) -> Iterator[Objection]:
        total_bytes = sum(file.size or 0 for file in page.files)
        if self.max_size_bytes is not None and total_bytes > self.max_size_bytes:
            reason = f"filters.max-project-size: {total_bytes:,} bytes in all, {self.max_size_bytes:,} are allowed"
            yield Objection(reason, f"raise filters.max-project-size to {total_bytes:,} bytes or more")
        if self.max_releases is None:
            return
        parsed = (parse_filename(file.filename, page.name) for file in page.files)
        count = len({one.version or one.version_text for one in parsed})
        if count > self.max_releases:
            reason = f"filters.max-releases: {count:,} releases, {self.max_releases:,} are allowed"
            yield Objection(reason, f"raise filters.max-releases to {count:,} or more")


_NONE = ProjectLimits()


def _matching(key: str, globs: tuple[str, ...], texts: tuple[str, ...]) -> Iterator[Objection]:
    for glob in globs:
        told = next((text for text in texts if fnmatchcase(text.casefold(), glob.casefold())), None)
        if told is not None:
            yield _excluded(key, glob, told)


def _excluded(key: str, glob: str, told: str) -> Objection:
    shown = "" if told == glob else f" ({told[:_MOST_CHARACTERS]})"
    return Objection(f'filters.{key}: "{glob}"{shown}', f'take "{glob}" out of filters.{key}')
