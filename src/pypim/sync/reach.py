"""What a sync changes, and who is concerned: all that require a project that changes, however far up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.model import ProjectStatus
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pypim.core.closure import Root
    from pypim.core.model import Holding
    from pypim.core.selection import Selection
    from pypim.sync.guard import Change
    from pypim.sync.model import Request


class Reach:
    """Computed once for a change."""

    def __init__(self, request: Request, change: Change) -> None:
        self.changed = _changed_projects(change)
        parents = _parents(change.before, change.after)
        follow = request.follow
        # What lies deeper than is followed has no edges here.
        self._affected = None if follow.max_depth or not follow.is_followed else _ancestors(self.changed, parents)
        # A resolution leaves aside what a filter excludes as a whole; whoever installs from the index cannot.
        excluded = [one for one in change.after.problems if one.kind is ProblemKind.EXCLUDED and not one.is_root]
        left_aside = {one.chain[-1].partition(" ")[0] for one in excluded}
        self.doubtful = _ancestors({*change.suspects, *left_aside}, parents)
        """What a resolution while releases were chosen does not prove."""
        # What is quarantined has to go at once, whatever needs it (PEP 792).
        closed = {facts.name for facts in change.after.projects if facts.status is ProjectStatus.QUARANTINED}
        self._given_up = _ancestors(closed, parents)

    def concerns(self, roots: Sequence[Root]) -> bool:
        """Whether what some roots need together changes, and none of it has to go anyway."""
        if any(root.project in self._given_up for root in roots):
            return False
        return bool(self.changed) and (self._affected is None or any(root.project in self._affected for root in roots))


def _changed_projects(change: Change) -> set[str]:
    """The projects of which other files are held, or of which something else is said."""
    before, after = _offers(change.before, change.holdings), _offers(change.after, change.holdings)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def _offers(selection: Selection, holdings: Mapping[str, Holding]) -> dict[str, set[tuple[object, ...]]]:
    found: dict[str, set[tuple[object, ...]]] = {}
    for release in selection.releases:
        offered = found.setdefault(release.project, set())
        for file in release.files:
            if file.identity in holdings:
                offered.add((file.filename, file.identity, file.requires_python, file.is_yanked))
    for facts in selection.projects:
        if facts.name in found:
            found[facts.name].add((facts.status,))
    return found


def _parents(*selections: Selection) -> dict[str, set[str]]:
    """Project → the projects whose releases require it."""
    parents: dict[str, set[str]] = {}
    for selection in selections:
        for release in selection.releases:
            for reason in release.reasons:
                if reason.parent_project and not reason.is_build:
                    parents.setdefault(release.project, set()).add(reason.parent_project)
    return parents


def _ancestors(projects: Iterable[str], parents: Mapping[str, set[str]]) -> set[str]:
    """The projects, and all that require them, however far."""
    found = set(projects)
    waiting = list(found)
    while waiting:
        fresh = parents.get(waiting.pop(), set()) - found
        found |= fresh
        waiting += fresh
    return found
