"""What an index should hold and what it holds, and of what is missing the reason and the next try."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.measures import describe_time
from pypim.sync.each import follows_nothing
from pypim.sync.walking import Rules

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.utils import NormalizedName

    from pypim.core.followed import ToDo
    from pypim.core.records import Walk
    from pypim.ports import Backlog, Following, Generations, Walks
    from pypim.sync.model import Request

_MOST = 10_000
_AT_ONCE = 5_000
_NOT_FETCHED = "it could not be fetched the last time"
_NEXT_SYNC = "the next sync"


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A project of which something is missing."""

    project: str
    files: tuple[str, ...] = ()
    """Those that are named by the index and not held; none where it is not known which there would be."""
    reason: str
    attempts: int = 0
    """How often it was tried in vain; 0 where nobody counts."""
    next_try: str | None
    """After that time, as ISO 8601 in UTC; "the next sync", or null where none will change anything by itself."""


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what the rules of an index choose is held; sizes in bytes, as far as the upstream says them."""

    index: str
    is_complete: bool
    is_chosen: bool
    """Whether a sync has ever chosen from this upstream what the index is to hold; where none has, nothing is known."""
    projects: int
    """Those of which the rules choose a file."""
    complete_projects: int
    """Those of them with all of their files."""
    files: int
    held_files: int
    file_bytes: int
    """At least what is held, where the upstream does not say sizes."""
    held_bytes: int
    unseen_projects: int
    """Projects that the rules are about and that were not looked at since the rules or the projects changed."""
    missing: tuple[Missing, ...]
    """By project; the first ten thousand."""


def completeness(
    request: Request, upstream: str, generations: Generations, backlog: Backlog, walks: Walks, following: Following
) -> Completeness:
    """Of one mirror, as the catalog knows it; nobody is asked."""
    index = request.index
    tally = generations.tally(index)
    todo = {name: item for name, item in backlog.todo(index).items() if not item.is_accepted}
    walk, state = walks.walk(index), following.state(upstream)
    unseen = _unseen(request, upstream, walk, following, todo.keys()) if state is not None else 0
    missing = _missing(index, generations, todo)
    is_chosen = generations.current(index) is not None
    if follows_nothing(request):
        is_chosen = state is not None and walk is not None and walk.upstream == upstream
    return Completeness(
        index=index,
        is_complete=is_chosen and not missing and not unseen,
        is_chosen=is_chosen,
        projects=tally.projects,
        complete_projects=tally.complete_projects,
        files=tally.files,
        held_files=tally.held_files,
        file_bytes=max(tally.file_bytes, tally.held_bytes),
        held_bytes=tally.held_bytes,
        unseen_projects=unseen,
        missing=tuple(missing),
    )


def _missing(index: str, generations: Generations, todo: dict[NormalizedName, ToDo]) -> list[Missing]:
    files: dict[NormalizedName, list[str]] = {}
    for one in generations.unheld(index, _MOST):
        files.setdefault(one.project, []).append(one.filename)
    found: dict[str, Missing] = {
        item.project: Missing(
            project=item.project,
            files=tuple(files.get(item.project, ())),
            reason=item.error,
            attempts=item.attempts,
            next_try=describe_time(item.next_at),
        )
        for item in todo.values()
    }
    for project, names in files.items():
        if project not in found:
            found[project] = Missing(project=project, files=tuple(names), reason=_NOT_FETCHED, next_try=_NEXT_SYNC)
    problems = [
        Missing(project=problem.project, reason=f"{problem.requirement}: {problem.reason}", next_try=None)
        for problem in generations.problems(index)
        if problem.project not in found
    ]
    return sorted([*found.values(), *problems], key=lambda one: (one.project, one.reason))[:_MOST]


def _unseen(
    request: Request, upstream: str, walk: Walk | None, following: Following, waiting: Collection[NormalizedName]
) -> int:
    """The projects behind the point that the walk of an index has reached, with those that are named and not listed.

    A walk goes past none that is not done, so that those under way are among them. Those that wait on the to-do are
    told apart.
    """
    if not follows_nothing(request):
        return 0
    rules = Rules(request)
    if walk is not None and walk.digest == request.digest and (walk.is_ended or walk.since is not None):
        since = walk.until if walk.is_ended else walk.since or 0
        after = "" if walk.is_ended else walk.after
        changed = following.changes(upstream, since)
        fresh = [one.name for one in changed if not one.is_gone and one.name > after and one.name not in waiting]
        return sum(bool(rules.roots(name)) for name in fresh)
    after = walk.after if walk is not None and walk.digest == request.digest else ""
    count, named = 0, {name for name in rules.named() if name > after}
    while listed := following.listed(upstream, after, _AT_ONCE):
        count += sum(bool(rules.roots(one.name)) for one in listed)
        named.difference_update(one.name for one in listed)
        after = listed[-1].name
    return count + len(named)
