"""What is known of an upstream as a whole: which projects it lists, what of that changed, and what is still to be done.

Every change has a revision, a number of ours that only grows, so that whoever works through the changes need remember
only the newest one that it has seen. Upstreams have serials for that, but not all of them, and serials can go back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

STALE_PAGE = "stale-page"
"""The code of a to-do: the upstream answers with an older page than it must be. Only whoever reads pages settles it."""
UNCONFIRMED_ABSENCE = "unconfirmed-absence"
"""Likewise: a page that was there is not there any more."""

_FIRST_WAIT_SECONDS = 15 * 60.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0


class Way(StrEnum):
    """How an upstream is asked what has changed, the cheapest first."""

    XML_RPC = "xml-rpc"
    """The warehouse's changelog: what changed since a serial, and nothing else."""
    JSON = "json"
    """The list of all projects as JSON, where each of them has a serial."""
    HTML = "html"
    """The list of all projects without serials: only pages tell what changed."""
    PROJECTS = "projects"
    """No list: the pages of the projects that matter are asked for, with their validators."""

    @property
    def has_serials(self) -> bool:
        """Whether it tells which projects have changed."""
        return self in {Way.XML_RPC, Way.JSON}


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """The state of what is known of one upstream; times in seconds since the epoch."""

    way: Way
    serial: int | None = None
    """All that the upstream did up to it is known."""
    revision: int = 0
    """That of the newest change; 0 for the first list."""
    projects: int = 0
    """How many are listed."""
    asked_at: float
    """When the upstream last answered."""
    listed_at: float | None = None
    """When its list, or what changed of it, was last complete."""
    fresh_until: float | None = None
    """Until when the upstream said that its list need not be asked for again."""
    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    """SHA-256 of the list as it came over the wire."""
    behind_since: float | None = None
    """Since when it answers with older lists than the one that is known; None where it does not."""

    @property
    def has_serials(self) -> bool:
        """Whether the serials of its projects tell which of them have changed."""
        return self.way.has_serials and self.serial is not None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A project as an upstream lists it, or listed it; times in seconds since the epoch."""

    name: NormalizedName
    serial: int | None
    """Of its newest change; None where the upstream does not say."""
    revision: int = 0
    """That of our change which brought it to this state."""
    missing_since: float | None = None
    """From when on it counts as missing, though nobody said that it was removed; see `missed`."""
    misses: int = 0
    """How often that was confirmed."""
    seen_at: float | None = None
    """When the list named it last. None while it does: then it is not missing, or its page alone is."""
    is_gone: bool = False
    """Removed for certain: the upstream's changelog says so, or enough confirmations do."""

    @property
    def is_gone_unsaid(self) -> bool:
        """Whether nothing but its page tells that it is gone: neither a list nor the changelog has said so."""
        return self.is_gone and self.seen_at is None


class ToDo(msgspec.Struct, frozen=True, kw_only=True):
    """A project that an index could not bring up to date; times in seconds since the epoch."""

    project: NormalizedName
    code: str
    """The kind of its error, as in `core/errors.py`."""
    error: str
    """One sentence."""
    attempts: int
    first_at: float
    """When it failed first."""
    tried_at: float
    next_at: float
    """Before that it is left alone."""
    required_serial: int | None = None
    """That which its page should have had."""
    is_accepted: bool = False
    """What was found was taken in the end: that is no error any more, and it is asked for again once a day."""

    def is_due(self, now: float) -> bool:
        """Whether it is to be tried again; at once where the clock was ahead when it was tried."""
        return now >= self.next_at or now < self.tried_at

    def tried_again(self, now: float) -> ToDo:
        """What was accepted, after it was found to be as old as before."""
        next_at = now + _LONGEST_WAIT_SECONDS
        return msgspec.structs.replace(self, attempts=self.attempts + 1, tried_at=now, next_at=next_at)


def failed(
    earlier: ToDo | None,
    project: NormalizedName,
    fault: tuple[str, str],
    now: float,
    required_serial: int | None = None,
) -> ToDo:
    """What is to be done about a project that has failed (again); `fault` is the error's code and its sentence.

    The next try comes after a quarter of an hour, and then after twice as long each time, at most a day.
    """
    if earlier is not None and earlier.is_accepted:
        earlier = None  # that was about an older state
    attempts = 1 if earlier is None else earlier.attempts + 1
    wait = min(_FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 10), _LONGEST_WAIT_SECONDS)
    return ToDo(
        project=project,
        code=fault[0],
        error=fault[1],
        attempts=attempts,
        first_at=now if earlier is None else min(earlier.first_at, now),
        tried_at=now,
        next_at=now + wait,
        required_serial=required_serial,
    )


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How much it takes to believe what an upstream seems to say; times in seconds."""

    stale_seconds: float = 86_400.0
    """So long an older list or page than the one that is known is not taken."""
    confirmations: int = 3
    """So often a project must be found missing before it is gone …"""
    confirmed_over_seconds: float = 2 * 86_400.0
    """… and from the first to the last time so long must have passed."""
    most_removed: int = 20
    """More projects than that do not go at once …"""
    most_removed_share: float = 0.01
    """… where they are more than this share of all, too."""

    def is_mass(self, removed: int, projects: int) -> bool:
        """Whether so many removals are more than may happen without somebody's word."""
        is_everything = removed >= projects > 1
        return is_everything or (removed > self.most_removed and removed > self.most_removed_share * projects)


class FollowRules(msgspec.Struct, frozen=True, kw_only=True):
    """How an upstream is followed."""

    way: Way | None = None
    """None: the cheapest one is found out."""
    patience: Patience = Patience()
    pause_seconds: float = 1.0
    """Between two calls of XML-RPC at least, and before an answer that is too old is asked for again."""


def missed(known: Listed, now: float, seen_at: float | None, patience: Patience, revision: int) -> Listed:
    """A project after it was found missing, perhaps once more.

    `seen_at`: when a list named it last, where it is a list that lacks it now. `revision` is for one that is missed
    for the first time, for its page may tell why, or is gone now. Confirmations count only when they are spread over
    the time that they must take: the next of them not before its part of that time has passed, and half a part since
    the last one. So where nobody asked for long, it counts as missing from a later time on.
    """
    is_first = known.missing_since is None
    step = patience.confirmed_over_seconds / max(patience.confirmations - 1, 1)
    since, misses = now, 1
    if known.missing_since is not None:
        since, misses = min(known.missing_since, now), known.misses
        if now >= since + misses * step:
            misses += 1
            since = max(since, now - (misses - 0.5) * step)
    is_gone = misses >= patience.confirmations
    return msgspec.structs.replace(
        known,
        missing_since=since,
        misses=misses,
        seen_at=seen_at if known.seen_at is None else known.seen_at,
        is_gone=is_gone,
        revision=revision if is_gone or is_first else known.revision,
    )


class Changed(msgspec.Struct, kw_only=True):
    """How many projects an update found in another state."""

    new: int = 0
    changed: int = 0
    removed: int = 0
    """Gone for certain."""
    missing: int = 0
    """Not there any more, and not yet believed to be gone."""
    vanished: int = 0
    """Those of them that were there the time before."""

    @property
    def is_any(self) -> bool:
        """Whether whoever follows has something to do."""
        return bool(self.new or self.changed or self.removed or self.vanished)


class Updated(msgspec.Struct, frozen=True, kw_only=True):
    """What an update found."""

    way: Way
    outcome: str
    """"first" list; "changed"; "unchanged"; "behind": older than what is known, so nothing was taken; "kept": nobody
    was asked."""
    projects: int
    """How many are listed."""
    new: int = 0
    changed: int = 0
    removed: int = 0
    missing: int = 0
    """Not there any more, without enough confirmations: they stay listed."""
    serial: int | None = None
    dropped: tuple[str, ...] = ()

    def with_more(self, more: Updated) -> Updated:
        """Both together, one after the other."""
        return msgspec.structs.replace(
            more,
            outcome=self.outcome if more.outcome == "unchanged" else more.outcome,
            new=self.new + more.new,
            changed=self.changed + more.changed,
            removed=self.removed + more.removed,
            dropped=(*self.dropped, *more.dropped),
        )
