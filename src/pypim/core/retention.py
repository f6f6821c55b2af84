"""What happens to files that the rules no longer choose: kept, deleted at once, or deleted after a while."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import InvalidRequirement
from pypim.core.filenames import parse_version
from pypim.core.selection import Selection

if TYPE_CHECKING:
    from pypim.core.policy import Policy
    from pypim.core.selection import ChosenRelease


class OnRemoval(msgspec.Struct, frozen=True):
    """`on-removal`: whether unlisted files are kept listed, or the time after which they are deleted."""

    keeps_listed: bool
    delete_after: timedelta


_PRUNE_AFTER = re.compile(r"prune-after\s+(\d{1,5})\s+(hour|day|week)s?")


def parse_on_removal(text: str, where: str) -> OnRemoval:
    """Read "keep", "prune" or "prune-after N days" (hours, weeks). Raises InvalidRequirement with `where`."""
    if text == "keep":
        return OnRemoval(keeps_listed=True, delete_after=timedelta())
    if text == "prune":
        return OnRemoval(keeps_listed=False, delete_after=timedelta())
    found = _PRUNE_AFTER.fullmatch(text.strip())
    if found is None:
        hint = 'Write "keep", "prune", or "prune-after 30 days".'
        raise InvalidRequirement(where, text, "this is not a rule for removal", hint=hint)
    return OnRemoval(keeps_listed=False, delete_after=timedelta(**{found[2] + "s": int(found[1])}))


def carried_over(
    selection: Selection, current: Selection | None, on_removal: OnRemoval, policy: Policy, *, is_partial: bool
) -> Selection:
    """Add the releases of the current generation that must stay listed.

    With "keep", all that no filter denies. After a run with faults (`is_partial`) all of them: an upstream that fails
    is never read as "deleted".
    """
    if current is None or not (on_removal.keeps_listed or is_partial):
        return selection
    chosen = {(release.project, release.version): release for release in selection.releases}
    for release in current.releases:
        key = (release.project, release.version)
        if not _is_allowed(release, policy):
            continue
        present = chosen.get(key)
        if present is None:
            chosen[key] = release
            continue
        known = {file.identity for file in present.files}
        missing = tuple(file for file in release.files if file.identity not in known)
        if missing:
            files = sorted((*present.files, *missing), key=lambda file: file.filename)
            chosen[key] = msgspec.structs.replace(present, files=tuple(files))
    facts = {known.name: known for known in (*current.projects, *selection.projects)}
    return msgspec.structs.replace(
        selection,
        releases=tuple(release for _, release in sorted(chosen.items())),
        projects=tuple(known for _, known in sorted(facts.items())),
    )


def _is_allowed(release: ChosenRelease, policy: Policy) -> bool:
    return (
        policy.project_verdict(release.project, is_dependency=True).is_allowed
        and policy.release_verdict(release.project, parse_version(release.version)).is_allowed
    )
