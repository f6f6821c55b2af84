"""What happens to files that the rules no longer choose: kept, deleted at once, or deleted after a while."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidRequirement
from pypim.core.filenames import parse_filename
from pypim.core.model import ProjectStatus
from pypim.core.selection import Selection, Share

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page
    from pypim.core.policy import Policy
    from pypim.core.selection import ChosenRelease


class OnRemoval(msgspec.Struct, frozen=True):
    """`on-removal`: whether unlisted files are kept listed, or the time after which they are deleted."""

    keeps_listed: bool
    delete_after: timedelta
    yanks_removed: bool = False
    """Whether what is kept although the upstream has removed it is marked as yanked (PEP 592)."""


YANKED_AS_REMOVED = "removed from the upstream"
"""Why a file is yanked that only the mirror still lists."""

_LONG_AFTER = datetime.max.replace(tzinfo=UTC)
_PRUNE_AFTER = re.compile(r"prune-after\s+(\d{1,5})\s+(hour|day|week)s?")


def parse_on_removal(text: str, where: str) -> OnRemoval:
    """Read "keep", "keep-and-yank", "prune" or "prune-after N days" (hours, weeks).

    Raises InvalidRequirement with `where`.
    """
    if text in {"keep", "keep-and-yank"}:
        return OnRemoval(keeps_listed=True, delete_after=timedelta(), yanks_removed=text != "keep")
    if text == "prune":
        return OnRemoval(keeps_listed=False, delete_after=timedelta())
    found = _PRUNE_AFTER.fullmatch(text.strip())
    if found is None:
        hint = 'Write "keep", "keep-and-yank", "prune", or "prune-after 30 days".'
        raise InvalidRequirement(where, text, "this is not a rule for removal", hint=hint)
    return OnRemoval(keeps_listed=False, delete_after=timedelta(**{found[2] + "s": int(found[1])}))


def carried_over(
    selection: Selection,
    current: Selection | None,
    on_removal: OnRemoval,
    policy: Policy,
    pages: Mapping[NormalizedName, Page],
    *,
    is_partial: bool,
) -> Selection:
    """Add the files of the current generation that must stay listed, each with its release.

    With "keep", all that no filter denies and no quarantine closes (PEP 792). After a run with faults (`is_partial`)
    too: an upstream that fails is never read as "deleted". A page names a file once, so one that is selected anew takes
    the place of the older. What a page says of such a file now, its yank for one, counts.
    """
    if current is None or not (on_removal.keeps_listed or is_partial):
        return selection
    closed = {known.name for known in selection.projects if known.status is ProjectStatus.QUARANTINED}
    closed |= {name for name, page in pages.items() if any(policy.limits.objections(page))}
    chosen = {(release.project, release.version): release for release in selection.releases}
    taken = {(release.project, file.filename) for release in selection.releases for file in release.files}
    for release in current.releases:
        unchosen = [file for file in release.files if (release.project, file.filename) not in taken]
        if unchosen and release.project in pages:
            told = {file.identity: file for file in pages[release.project].files}
            unchosen = [told.get(file.identity) or _removed(file, on_removal) for file in unchosen]
        missing = [file for file in unchosen if _is_allowed(release.project, file, policy)]
        if missing and release.project not in closed:
            key = (release.project, release.version)
            present = chosen.get(key)
            files = sorted((*(present.files if present else ()), *missing), key=lambda file: file.filename)
            kept = present or msgspec.structs.replace(release, shares=_in_no_resolution(release))
            chosen[key] = msgspec.structs.replace(kept, files=tuple(files))
    listed = {release.project for release in chosen.values()}
    facts = {known.name: known for known in current.projects if known.name in listed}
    facts |= {known.name: known for known in selection.projects}
    return msgspec.structs.replace(
        selection,
        releases=tuple(release for _, release in sorted(chosen.items())),
        projects=tuple(known for _, known in sorted(facts.items())),
    )


def _removed(file: DistFile, on_removal: OnRemoval) -> DistFile:
    """A file that the page of its project does not name any more."""
    if not on_removal.yanks_removed or file.yanked is not False:
        return file
    return msgspec.structs.replace(file, yanked=YANKED_AS_REMOVED)


def _in_no_resolution(release: ChosenRelease) -> tuple[tuple[Share, ...], ...]:
    """The shares of what is needed no more: the numbers of the older resolutions mean nothing in the new selection."""
    return tuple((Share(reason.environments, ()),) for reason in release.reasons)


def _is_allowed(project: NormalizedName, file: DistFile, policy: Policy) -> bool:
    """Whether no filter denies a file that is listed; it was old enough when it came, and only grows older."""
    timeless = msgspec.structs.replace(policy, min_age=timedelta())
    verdict = timeless.project_verdict(project, is_dependency=True)
    if verdict.is_allowed:
        verdict = timeless.file_verdict(project, file, parse_filename(file.filename, project), _LONG_AFTER)
    return verdict.is_allowed
