"""Sizes that a page does not say, as they are learned: `max-file-size` must judge a silent index like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page


class Sizing:
    """What is known besides the pages; without a limit nothing need be known. Sizes in bytes."""

    def __init__(self, limit_bytes: int | None) -> None:
        self.limit_bytes = limit_bytes
        self._answers: dict[NormalizedName, dict[str, int | None]] = {}
        self._too_large: dict[NormalizedName, dict[str, DistFile]] = {}

    def unknown(self, project: NormalizedName, files: Iterable[DistFile]) -> list[DistFile]:
        """Those whose size must be asked for before it can be said whether they are too large."""
        if self.limit_bytes is None:
            return []
        answers = self._answers.get(project, {})
        return [file for file in files if file.size is None and file.identity not in answers]

    def learn(self, project: NormalizedName, file: DistFile, size: int | None) -> None:
        """The answer for a file; None where nobody can tell, and the filter lets it pass."""
        self._answers.setdefault(project, {})[file.identity] = size
        if size is not None and self.limit_bytes is not None and size > self.limit_bytes:
            self._too_large.setdefault(project, {})[file.identity] = file

    def too_large(self, project: NormalizedName) -> Mapping[str, DistFile]:
        """The files (by identity) of which it was learned that they are, whoever asked."""
        return self._too_large.get(project, {})

    def size(self, project: NormalizedName, file: DistFile) -> int | None:
        """What the page says, or else what was learned."""
        return file.size if file.size is not None else self._answers.get(project, {}).get(file.identity)

    def page(self, page: Page) -> Page:
        """The page as an index would have written it that says the sizes learned so far."""
        answers = self._answers.get(page.name)
        if not answers:
            return page
        return msgspec.structs.replace(page, files=self.files(page.name, page.files))

    def files(self, project: NormalizedName, files: Iterable[DistFile]) -> tuple[DistFile, ...]:
        """Files of a page likewise."""
        answers = self._answers.get(project, {})
        return tuple(
            msgspec.structs.replace(file, size=answers.get(file.identity)) if file.size is None else file
            for file in files
        )
