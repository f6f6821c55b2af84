"""Facts in dictionaries: the twin of the catalog's, which the same contract suite verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.records import KeptHead
from pypim.core.required import described_requirements, release_of, requirements_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.description import Description
    from pypim.core.model import CoreMetadata
    from pypim.core.records import Gathered, StoredResponse
    from pypim.core.required import KnownRequirement


def _order(one: KnownRequirement) -> tuple[str, str, str, str, bool]:
    return one.project, one.version, one.required, one.requirement, one.is_build


class MemoryFacts:
    """The Facts of this process. `metadata` tells the core metadata that is known, as a MetadataCache has it."""

    def __init__(self, metadata: Callable[[], Iterable[CoreMetadata]]) -> None:
        self._metadata = metadata
        self._responses: dict[str, tuple[StoredResponse, int | None, bool]] = {}
        self._descriptions: dict[tuple[str, NormalizedName], tuple[str, Description]] = {}

    def heads(self, urls: Sequence[str]) -> dict[str, KeptHead]:
        """What is kept of those answers, without their bodies."""
        found = {}
        for url in urls:
            if url in self._responses:
                one, serial, is_decoded = self._responses[url]
                found[url] = KeptHead(
                    url=url,
                    status=one.status,
                    etag=one.etag,
                    last_modified=one.last_modified,
                    serial=one.serial if serial is None else serial,
                    is_decoded=is_decoded,
                )
        return found

    def keep(self, upstream: str, gathered: Sequence[Gathered]) -> None:
        """Keep many answers with what they say."""
        for one in gathered:
            serial = one.page.last_serial if one.page is not None else None
            is_decoded = one.page is not None or one.description is not None
            self._responses[one.response.url] = (one.response, serial, is_decoded)
            known = self._descriptions.get((upstream, one.project))
            if one.description is not None:
                told = msgspec.structs.replace(one.description, version=release_of(one.description.version) or None)
                self._descriptions[upstream, one.project] = (one.response.url, told)
            elif known is not None and known[0] == one.response.url:
                del self._descriptions[upstream, one.project]

    def confirm(self, found_valid: Iterable[tuple[str, float, float | None]]) -> None:
        """The kept answers were found to be still valid."""
        for url, when, fresh_until in found_valid:
            if url in self._responses:
                one, serial, is_decoded = self._responses[url]
                touched = msgspec.structs.replace(one, fetched_at=when, fresh_until=fresh_until)
                self._responses[url] = (touched, serial, is_decoded)

    def description(self, upstream: str, project: NormalizedName) -> Description | None:
        """What a project says of itself; its classifiers in the order of their letters."""
        found = self._descriptions.get((upstream, project))
        if found is None:
            return None
        return msgspec.structs.replace(found[1], classifiers=tuple(sorted(found[1].classifiers)))

    def required_names(self) -> list[NormalizedName]:
        """Every project on which a requirement is known."""
        return sorted({one.required for one in self._all()})

    def requiring(self, project: NormalizedName) -> list[KnownRequirement]:
        """Every requirement on that project that is known."""
        return [one for one in self._all() if one.required == project]

    def required_by(self, project: NormalizedName, version: str | None = None) -> list[KnownRequirement]:
        """Every requirement of that project that is known."""
        return [one for one in self._all() if one.project == project and version in {None, one.version}]

    def _all(self) -> list[KnownRequirement]:
        certain = {known for one in self._metadata() for known in requirements_in(one.name, one.version, one)}
        releases = {(one.project, one.version) for one in certain}
        described = {
            known
            for (_, project), (_, told) in self._descriptions.items()
            for known in described_requirements(project, told.version, told.requires_dist)
            if (known.project, known.version) not in releases
        }
        return sorted(certain | described, key=_order)
