"""Whether a page is to be believed: it must not be older than its project's serial, nor gone because of one 404.

Source: the contract of the warehouse with mirrors (X-PyPI-Last-Serial): a lower serial than the changelog told is an
old copy at its CDN. Such copies can stay for days, so after some time they are taken, with a flag.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import UpstreamFault
from pypim.core.followed import STALE_PAGE, UNCONFIRMED_ABSENCE, Followed, Listed, Way, failed, missed
from pypim.core.freshness import Trust

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from packaging.utils import NormalizedName

    from pypim.core.followed import ToDo
    from pypim.core.model import Page
    from pypim.index.conditional import Belief
    from pypim.index.follower import Follower
    from pypim.ports import Backlog, Capabilities

CAPABILITY = "page-serials"
_TRIES = 3


class NotYetGone(UpstreamFault):
    """A page that was there is not there any more, and that has not been confirmed often enough."""

    code = "not-yet-gone"


class PageWatch:
    """Judges the pages of one upstream for one index, whose to-do shows what is not believed."""

    def __init__(
        self, index: str, backlog: Backlog, follower: Follower, capabilities: Capabilities, belief: Belief
    ) -> None:
        """`index` is the name of the one that pages are read for."""
        self.follower = follower
        self._index = index
        self._backlog = backlog
        self._capabilities = capabilities
        self._belief = belief
        self._known: dict[NormalizedName, ToDo] | None = None
        self._missing: int | None = None
        """How many projects were missing when the first of this run would have been gone."""

    async def believed(
        self, name: NormalizedName, read: Callable[[], Awaitable[Page | None]], kept: Callable[[], Page | None]
    ) -> Page | None:
        """What `read` gives, asked for again where it is too old; then the newest there is, `kept` among it.

        Raises as `read`.
        """
        try:
            page = await read()
        except NotYetGone as fault:
            if (before := kept()) is None:
                raise
            return msgspec.structs.replace(before, dropped=(*before.dropped, fault.reason))
        required = None if self._belief.trust is Trust.KEPT else self.follower.serial(name)
        earlier = self._todo.get(name)
        for attempt in range(1, _TRIES if earlier is None or earlier.is_due(self._belief.now()) else 1):
            if required is None or page is None or not self._is_stale(page, required):
                break
            await asyncio.sleep(attempt * self.follower.rules.pause_seconds)
            page = await read()
        if required is not None and page is not None and self._is_stale(page, required):
            return self._flagged(name, page, kept(), required)
        if page is not None:
            self._seen(name)
        self.settle(name)
        return page

    def _is_stale(self, page: Page, required: int) -> bool:
        """A page without a serial is, too, where others of this upstream have one."""
        has_serials = self._capabilities.capability(self.follower.root_url, CAPABILITY)
        if page.last_serial is None:
            return has_serials is True
        if not has_serials:
            self._capabilities.keep_capability(self.follower.root_url, CAPABILITY, is_offered=True)
        return page.last_serial < required

    def _flagged(self, name: NormalizedName, page: Page, kept: Page | None, required: int) -> Page:
        """The newer one, with a sentence that says so; whether it is still to be done depends on the time."""
        if kept is not None and (kept.last_serial or 0) > (page.last_serial or 0):
            page = kept
        has = "no serial" if page.last_serial is None else f"serial {page.last_serial}"
        sentence = f"{name}: the newest page to be had has {has}, and its last change {required}: an old copy"
        now, earlier = self._belief.now(), self._todo.get(name)
        if earlier is not None and earlier.code != STALE_PAGE and earlier.required_serial != required:
            earlier = None  # it has failed in another way, and before this change
        if earlier is None or (earlier.is_accepted and earlier.required_serial != required) or earlier.is_due(now):
            item = failed(earlier, name, (STALE_PAGE, sentence), now, required)
            if now - item.first_at >= self.follower.rules.patience.stale_seconds:
                item = msgspec.structs.replace(item, is_accepted=True)
            self._keep(item)
        return msgspec.structs.replace(page, dropped=(*page.dropped, sentence))

    async def confirm_absence(self, name: NormalizedName, url: str) -> None:
        """A page that was there is not there (404). Raises NotYetGone unless it is gone for certain."""
        now = self._belief.now()
        following, root_url = self.follower.following, self.follower.root_url
        state = following.state(root_url)
        if state is None:
            state = Followed(way=Way.PROJECTS, asked_at=now)
        known = following.listed_of(root_url, [name]).get(name) or Listed(name=name, serial=None)
        if known.is_gone:
            self.settle(name)
            return
        row = missed(known, now, None, self.follower.rules.patience, state.revision + 1)
        if row.is_gone and self._is_mass(state):
            row = msgspec.structs.replace(row, is_gone=False, revision=known.revision)
        if row.revision > state.revision:
            state = msgspec.structs.replace(state, revision=row.revision)
        if row.is_gone:  # a list that names it all the same must be compared, even if it has not changed
            projects = max(state.projects - 1, 0)
            state = msgspec.structs.replace(state, projects=projects, etag=None, last_modified=None, digest=None)
        with following.changing():
            following.keep_state(root_url, state)
            following.keep_listed(root_url, [row])
        if row.is_gone:
            self.settle(name)
            return
        patience = self.follower.rules.patience
        sentence = (
            f"{name}: it was there, now it is not (404); confirmed {row.misses} of {patience.confirmations} times"
        )
        self._keep(failed(self._todo.get(name), name, (UNCONFIRMED_ABSENCE, sentence), now))
        raise NotYetGone(url, sentence)

    def _seen(self, name: NormalizedName) -> None:
        """The page of a project is there: it is not missing any more."""
        following, root_url = self.follower.following, self.follower.root_url
        known = following.listed_of(root_url, [name]).get(name)
        if known is not None and (known.missing_since is not None or known.is_gone):
            state = following.state(root_url)
            revision = known.revision
            if known.is_gone and state is not None:
                revision = state.revision + 1
                state = msgspec.structs.replace(state, revision=revision, projects=state.projects + 1)
                following.keep_state(root_url, state)
            following.keep_listed(root_url, [Listed(name=name, serial=known.serial, revision=revision)])

    @property
    def _todo(self) -> dict[NormalizedName, ToDo]:
        if self._known is None:
            self._known = self._backlog.todo(self._index)
        return self._known

    def _keep(self, item: ToDo) -> None:
        self._todo[item.project] = item
        self._backlog.keep_todo(self._index, [item])

    def _is_mass(self, state: Followed) -> bool:
        """Whether more pages are missing than those of an upstream with a list may, without somebody's word."""
        if state.listed_at is None:
            return False
        if self._missing is None:
            self._missing = len(self.follower.following.missing(self.follower.root_url))
        return self.follower.rules.patience.is_mass(self._missing, state.projects)

    def settle(self, name: NormalizedName) -> None:
        """Its page is as new as it must be, or there is none for certain. Only what is said here is taken back here."""
        item = self._todo.get(name)
        if item is not None and item.code in {STALE_PAGE, UNCONFIRMED_ABSENCE}:
            del self._todo[name]
            self._backlog.settle(self._index, [name])
