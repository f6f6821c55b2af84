"""Which projects an index has to look at, one after the other, and how far it has come with them.

A walk goes through all projects that the upstream lists, or through those that changed, in the order of their names.
It is remembered, so that a run that was stopped goes on where it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.closure import Root
from pypim.core.records import Walk
from pypim.core.upstream_errors import MassRemoval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.followed import Followed, Listed, ToDo
    from pypim.sync.model import Request, Stack

    _Row = tuple[NormalizedName, Listed | None, bool]

_AT_ONCE = 1000
"""So many names are read together."""


class Visit(msgspec.Struct, frozen=True):
    """A project that is to be looked at."""

    project: NormalizedName
    roots: tuple[Root, ...]
    """None of them where nothing asks for the project any more, or the upstream has removed it and nothing names it."""
    serial: int | None = None
    """That which its page must have at least; None where nobody knows."""
    is_of_walk: bool = False
    """Whether it belongs to the walk, which goes on behind it once it is done."""


class Rules:
    """What an index asks for by name and by pattern."""

    def __init__(self, request: Request) -> None:
        self._patterns = request.patterns
        self._named: dict[NormalizedName, list[Root]] = {}
        for root in request.roots:
            self._named.setdefault(root.project, []).append(root)

    def named(self) -> list[NormalizedName]:
        """The projects that are asked for by name, in order."""
        return sorted(self._named)

    def roots(self, name: NormalizedName) -> tuple[Root, ...]:
        """All that asks for a project, as `matching_roots` would have it."""
        matching = (
            Root(project=name, rule=pattern.rule, origin=pattern.origin, text=pattern.rule.text, is_named=False)
            for pattern in self._patterns
            if pattern.expression.fullmatch(name)
        )
        return (*self._named.get(name, ()), *matching)


def refuse_other_upstream(stack: Stack, request: Request) -> None:
    """Raises MassRemoval where the upstream is another than before, and lacks too much of what the index has of it."""
    known = stack.walks.walk(request.index)
    if known is None or known.upstream == stack.upstream_url:
        return
    rules, after, lacking, total = Rules(request), "", 0, 0
    while names := stack.generations.names(request.index, after, _AT_ONCE):
        asked_for = [name for name in names if rules.roots(name)]
        listed = stack.following.listed_of(stack.upstream_url, asked_for)
        lacking += sum(name not in listed or listed[name].is_gone for name in asked_for)
        total += len(asked_for)
        after = names[-1]
    if stack.patience.is_mass(lacking, total):
        raise MassRemoval(stack.upstream_url, lacking, total)


def accept_other_upstream(stack: Stack, index: str) -> None:
    """On somebody's word: whatever another upstream than before lacks may go with the next walk, which begins anew."""
    known = stack.walks.walk(index)
    if known is not None and known.upstream != stack.upstream_url:
        stack.walks.keep_walk(index, Walk(digest="", upstream=stack.upstream_url, since=None, until=0))


def next_walk(stack: Stack, request: Request, state: Followed) -> Walk | None:
    """The walk that is to be begun or gone on with; None where nothing has changed since the last one ended."""
    known = stack.walks.walk(request.index)
    current = stack.generations.current(request.index)
    anew = Walk(digest=request.digest, upstream=stack.upstream_url, since=None, until=state.revision)
    if known is None or (known.digest, known.upstream) != (anew.digest, anew.upstream):
        return anew
    if current is not None and not current.is_amended:
        return anew  # everything was chosen at once meanwhile
    if not known.is_ended:
        return known
    if not state.has_serials:
        return anew  # only pages tell
    if known.until == state.revision:
        return None
    return Walk(anew.digest, anew.upstream, known.until, anew.until)


class Walker:
    """Goes through the projects of one walk, and of the to-do; who looks at them says when one is done."""

    def __init__(self, stack: Stack, request: Request, walk: Walk | None, todo: dict[NormalizedName, ToDo]) -> None:
        self._stack = stack
        self._index = request.index
        self._rules = Rules(request)
        self._walk = walk
        self._todo = todo
        known = stack.walks.walk(request.index)
        self._is_known = (
            known is not None and walk is not None and (known.digest, known.upstream) == (walk.digest, walk.upstream)
        )
        """Whether a walk was begun before as the configuration is now: then what waits on the to-do goes on waiting."""
        self._under_way: dict[NormalizedName, bool] = {}
        """Those of the walk, in the order of their names: whether it is done."""
        self._apart: set[NormalizedName] = set()
        """Those that were asked for apart from the walk, which leaves them out, and that are not done."""
        self._reached: str = walk.after if walk is not None else ""
        self._is_at_end = False

    def visits(self, now: float) -> Iterator[Visit]:
        """What is asked for by name first, then what waited or is listed no more, then the walk; each project once.

        A project that is merely missing in the list may be quarantined, or removed: its page tells.
        """
        seen: set[NormalizedName] = set()
        walk, stack = self._walk, self._stack
        first = self._named_behind(walk) if walk is not None and walk.since is None else []
        again = [*dict.fromkeys([*self.waiting(now), *stack.walks.revisits(self._index, now)])]
        for names in (first, again):
            fresh = [name for name in dict.fromkeys(names) if name not in seen]
            seen.update(fresh)
            listed = stack.following.listed_of(stack.upstream_url, fresh) if fresh else {}
            if names is first:
                fresh = [name for name in fresh if not self._must_wait(name, listed.get(name), now)]
            self._apart.update(fresh)
            for name in fresh:
                yield self._visit(name, listed.get(name), is_of_walk=False)
        if walk is not None:
            for one in self._walked(walk, seen, now):
                self._under_way[one.project] = False
                yield one
        self._is_at_end = True

    def waiting(self, now: float) -> list[NormalizedName]:
        """What is due on the to-do, or asked for no more, and what is listed no more.

        Who reads their pages may settle them at once. So they must be remembered in another way until they are done.
        """
        listed = self._stack.following.listed_of(self._stack.upstream_url, [*self._todo]) if self._todo else {}
        due = [name for name, item in self._todo.items() if item.is_due(now) or not self._roots(name, listed.get(name))]
        missing = [
            one.name for one in self._stack.following.missing(self._stack.upstream_url) if one.name not in self._todo
        ]
        return [*due, *self._chosen(missing)]

    def _named_behind(self, walk: Walk) -> list[NormalizedName]:
        """A walk that was stopped has not gone past any that was not done."""
        return [name for name in self._rules.named() if name > walk.after]

    def done(self, visits: Iterable[Visit]) -> Walk | None:
        """These are done, or on the to-do; the walk as it is to be remembered, None where that has not changed.

        It goes past no project that is not done, be it its own or one that it leaves out, and does not end before.
        """
        if self._walk is None:
            return None
        for visit in visits:
            if visit.is_of_walk:
                self._under_way[visit.project] = True
            else:
                self._apart.discard(visit.project)
        before = self._reached
        barrier = min((name for name in self._apart if name > before), default=None)
        while self._under_way and self._under_way[first := next(iter(self._under_way))]:
            if barrier is not None and first > barrier:
                break
            self._reached = first
            del self._under_way[first]
        is_ended = self._is_at_end and not self._under_way and not self._apart
        if self._reached == before and not is_ended:
            return None
        return msgspec.structs.replace(self._walk, after="" if is_ended else self._reached, is_ended=is_ended)

    def _chosen(self, names: list[NormalizedName]) -> list[NormalizedName]:
        """Those of which the index has something."""
        return sorted(self._stack.generations.chosen_among(self._index, names)) if names else []

    def _roots(self, name: NormalizedName, listed: Listed | None) -> tuple[Root, ...]:
        """What asks for a project; of one that is gone what names it, for whoever names it wants to know."""
        roots = self._rules.roots(name)
        if listed is None or not listed.is_gone or listed.is_gone_unsaid:
            return roots
        return tuple(root for root in roots if root.is_named)

    def _visit(self, name: NormalizedName, listed: Listed | None, *, is_of_walk: bool) -> Visit:
        return Visit(name, self._roots(name, listed), listed.serial if listed is not None else None, is_of_walk)

    def _must_wait(self, name: NormalizedName, listed: Listed | None, now: float) -> bool:
        """Whether it is on the to-do, its time has not come, and nobody has said since that it has changed."""
        item = self._todo.get(name)
        if not self._is_known or item is None or item.is_accepted or item.is_due(now):
            return False
        return listed is not None and not listed.is_gone and listed.serial in {None, item.required_serial}

    def _walked(self, walk: Walk, seen: set[NormalizedName], now: float) -> Iterator[Visit]:
        rows = self._all(walk) if walk.since is None else self._changed(walk, walk.since)
        for name, listed, is_chosen in rows:
            if name in seen:
                continue
            visit = self._visit(name, listed, is_of_walk=True)
            is_wanted = not self._must_wait(name, listed, now) if visit.roots else is_chosen
            if is_wanted:
                yield visit

    def _changed(self, walk: Walk, since: int) -> Iterator[_Row]:
        """What has changed upstream, by name; whether the index has something of it now."""
        changed = sorted(self._stack.following.changes(walk.upstream, since), key=lambda one: one.name)
        left = [one for one in changed if one.name > walk.after]
        for start in range(0, len(left), _AT_ONCE):
            batch = left[start : start + _AT_ONCE]
            chosen = self._stack.generations.chosen_among(self._index, [one.name for one in batch])
            yield from ((one.name, one, one.name in chosen) for one in batch)

    def _all(self, walk: Walk) -> Iterator[_Row]:
        """All that the upstream lists, and all that the index has, side by side."""
        after = walk.after
        while True:
            listed = {one.name: one for one in self._stack.following.listed(walk.upstream, after, _AT_ONCE)}
            chosen = {*self._stack.generations.names(self._index, after, _AT_ONCE)}
            ends = [max(names) for names in (listed, chosen) if len(names) == _AT_ONCE]
            last = min(ends, default=None)
            names = sorted(name for name in {*listed, *chosen} if last is None or name <= last)
            yield from ((name, listed.get(name), name in chosen) for name in names)
            if last is None:
                return
            after = last
