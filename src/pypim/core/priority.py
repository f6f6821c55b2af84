"""Several indexes as one: what their pages of a project make together.

The first that has the project answers, and nobody else's files stand beside its own: names that two sources give to
different projects are never mixed by accident. Terms: PEP 766 (index priority, as opposed to version priority).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.simple_json import page_versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What one member said of a project."""

    member: str
    page: Page | None
    """None: it has no such project, for certain."""


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """A group's page, and whose each of its files is."""

    page: Page
    owners: tuple[str, ...]
    """The member that lists it, for each file of the page."""
    winner: str | None
    """The first member that has the project; None where the name is only reserved."""

    def owner_of(self, file: DistFile) -> str | None:
        """The member that lists this very file; None where the page does not."""
        try:
            return self.owners[self.page.files.index(file)]
        except ValueError:
            return None


def compose(
    name: NormalizedName, answers: Iterable[Answered], *, is_merged: bool, is_reserved: bool = False
) -> Composition | None:
    """What the members' answers make, in their order; None where nobody has the project.

    A name that is reserved exists even where nobody has it yet: its page has no files, so that no client looks for it
    elsewhere. With `is_merged` the files of all members stand on the page, and of each file name only the first.
    """
    found = [(answer.member, answer.page) for answer in answers if answer.page is not None]
    if not found:
        return Composition(page=Page(name=name), owners=(), winner=None) if is_reserved else None
    winner, first = found[0]
    if not is_merged or len(found) == 1 or first.status is ProjectStatus.QUARANTINED:
        return Composition(page=first, owners=(winner,) * len(first.files), winner=winner)
    return _merged(winner, first, found)


def _merged(winner: str, first: Page, found: Sequence[tuple[str, Page]]) -> Composition:
    """All that the members offer; the first of them decides what is said of the project as a whole."""
    offered = [(member, page) for member, page in found if page.status is not ProjectStatus.QUARANTINED]
    taken: dict[str, tuple[str, DistFile]] = {}
    dropped = list(chain.from_iterable(page.dropped for _, page in found))
    for member, page in offered:
        for file in page.files:
            owner, present = taken.setdefault(file.filename, (member, file))
            if present is not file and (sentence := conflict(owner, present, member, file)):
                dropped.append(sentence)
    versions = chain.from_iterable(page_versions(page) for _, page in offered)
    page = msgspec.structs.replace(
        first,
        files=tuple(file for _, file in taken.values()),
        versions=tuple(dict.fromkeys(versions)),
        last_serial=max((page.last_serial for _, page in found if page.last_serial is not None), default=None),
        dropped=tuple(dropped),
    )
    return Composition(page=page, owners=tuple(owner for owner, _ in taken.values()), winner=winner)


def conflict(owner: str, present: DistFile, member: str, file: DistFile) -> str | None:
    """What to report of two files of one name, of which the first is served; None where they are the same bytes."""
    differs = _differs(present, file)
    if differs is False:
        return None
    verb = "has other bytes" if differs else "may have other bytes, for no common hash is listed"
    return f"{file.filename}: the file of {member} {verb} than that of {owner}, which is served"


def _differs(one: DistFile, other: DistFile) -> bool | None:
    """Whether two files are different bytes; None where their pages do not tell."""
    if one.sha256 and other.sha256:
        return one.sha256 != other.sha256
    if one.blake2b_256 and other.blake2b_256:
        return one.blake2b_256 != other.blake2b_256
    if one.size is not None and other.size is not None and one.size != other.size:
        return True
    if one.other_hash and other.other_hash and one.other_hash[0] == other.other_hash[0]:
        return one.other_hash != other.other_hash
    return False if one.url == other.url else None


def combined_list(lists: Iterable[ProjectList]) -> ProjectList:
    """The union of the members' lists.

    A project's serial is that of the first member that lists it, whose page answers too: a mirror of ours compares
    the two, and takes a page with a lower serial than its entry in the list for an old copy.
    """
    projects: dict[NormalizedName, int | None] = {}
    dropped: list[str] = []
    serials: list[int] = []
    for one in lists:
        # `|` keeps the values of its right side, and the order of its left.
        projects = one.projects | projects
        dropped += one.dropped
        serials += [] if one.last_serial is None else [one.last_serial]
    return ProjectList(projects=projects, last_serial=max(serials, default=None), dropped=tuple(dropped))
