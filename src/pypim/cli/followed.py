"""What `status` shows of following an upstream: on which way, how far, and what could not be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.cli.output import counted
from pypim.config.model import MirrorIndex
from pypim.core.measures import describe_time
from pypim.core.urls import root_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.config.model import Index
    from pypim.core.followed import ToDo
    from pypim.wiring import OpenStore

_MOST_SHOWN = 10


class FollowedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the upstream of an index as a whole; times as ISO 8601 in UTC."""

    way: str
    """"xml-rpc", "json", "html" or "projects": how it was asked last."""
    serial: int | None
    """All that the upstream did up to it is known; null where it tells no serials."""
    projects: int
    """How many it lists."""
    missing: int
    """How many of them are not there any more, without enough confirmations."""
    asked_at: str
    behind_since: str | None
    """Since when the upstream answers with something older than is known."""


class ToDoStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A project that could not be brought up to date; times as ISO 8601 in UTC."""

    project: str
    code: str
    """The kind of the error."""
    error: str
    attempts: int
    first_at: str
    next_at: str | None
    """When it will be tried again at the earliest; null where what was found was taken in the end: once a day then."""


def followed_of(store: OpenStore, index: Index) -> FollowedStatus | None:
    """Of a mirror whose upstream was asked before."""
    if not isinstance(index, MirrorIndex):
        return None
    following, url = store.of(index).following, root_url(index.upstream.url)
    state = following.state(url)
    if state is None:
        return None
    return FollowedStatus(
        way=str(state.way),
        serial=state.serial,
        projects=state.projects,
        missing=len(following.missing(url)),
        asked_at=describe_time(state.asked_at),
        behind_since=None if state.behind_since is None else describe_time(state.behind_since),
    )


def todo_of(store: OpenStore, index: Index) -> tuple[ToDoStatus, ...]:
    """All that an index could not do, by project."""
    return tuple(_shown(item) for item in store.catalog.backlog.todo(index.name).values())


def _shown(item: ToDo) -> ToDoStatus:
    return ToDoStatus(
        project=item.project,
        code=item.code,
        error=item.error,
        attempts=item.attempts,
        first_at=describe_time(item.first_at),
        next_at=None if item.is_accepted else describe_time(item.next_at),
    )


def followed_lines(followed: FollowedStatus | None, todo: tuple[ToDoStatus, ...]) -> Iterator[str]:
    """The same for people."""
    if followed is not None:
        missing = f", {followed.missing:,} of them missing" if followed.missing else ""
        yield f"  followed by {followed.way}: {counted(followed.projects, 'project')} listed{missing}"
        yield f"  upstream last asked: {followed.asked_at}"
        if followed.behind_since:
            yield f"  the upstream is behind what is known since {followed.behind_since}"
    if todo:
        yield f"  to do: {counted(len(todo), 'project')}"
    for item in todo[:_MOST_SHOWN]:
        when = f"next try {item.next_at}" if item.next_at else "taken as it is"
        yield f"    {item.error} (tried {counted(item.attempts, 'time')}; {when})"
    if len(todo) > _MOST_SHOWN:
        yield f"    and {len(todo) - _MOST_SHOWN:,} more: see `pypim status --json`"
