"""What is known of all projects of upstreams, taken in by the thousand and asked for the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.description import Description
    from pypim.core.records import Gathered, KeptHead
    from pypim.core.required import KnownRequirement


class Facts(Protocol):
    """Pages and descriptions of very many projects, and who requires whom by all that is known.

    Of one index: by what its upstream says, and by what stands in files that were checked.

    What is kept here can be asked for again, so a power cut may take the newest of it.
    """

    def heads(self, urls: Sequence[str]) -> dict[str, KeptHead]:
        """What is kept of those answers, without their bodies."""

    def keep(self, upstream: str, gathered: Sequence[Gathered]) -> None:
        """Keep many answers with what they say, all or none, each in place of what its URL said before."""

    def confirm(self, found_valid: Iterable[tuple[str, float, float | None]]) -> None:
        """(URL, when, fresh until): the kept answers were found to be still valid."""

    def description(self, upstream: str, project: NormalizedName) -> Description | None:
        """What a project says of itself; None where nobody has asked, or it says nothing."""

    def required_names(self) -> list[NormalizedName]:
        """Every project on which a requirement is known, sorted."""

    def requiring(self, project: NormalizedName) -> list[KnownRequirement]:
        """Every requirement on that project that is known, sorted.

        A description counts only where nothing is known of that release from core metadata.
        """

    def required_by(self, project: NormalizedName, version: str | None = None) -> list[KnownRequirement]:
        """Every requirement of that project that is known, of one release or of all, sorted; likewise."""
