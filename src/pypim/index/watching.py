"""Whether a page is to be believed: it must not be older than its project's serial, nor gone because of one 404.

Source: the contract of the warehouse with mirrors (X-PyPI-Last-Serial): a lower serial than the changelog told is an
old copy at its CDN. Such copies can stay for days, so after some time they are taken, with a flag.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import UpstreamFault, UpstreamUnavailable
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
_MOST_ABSENT = 10_000


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
        for attempt in range(1, self._tries(name)):
            if required is None or page is None or not self._is_stale(page, required):
                break
            await asyncio.sleep(attempt * self.follower.rules.pause_seconds)
            page = await read()
        if required is not None and page is not None and self._is_stale(page, required):
            return self._flagged(name, page, kept(), required)
        known = self.follower.following.listed_of(self.follower.root_url, [name]).get(name)
        if page is None or _is_left_over(page, known):
            self._note_absence(name, known)
            return None
        self._seen(known)
        self.settle(name)
        return page

    def _tries(self, name: NormalizedName) -> int:
        """How often to ask for a page that is too old: once where that is known and it is not hoped for yet."""
        earlier = self._todo.get(name)
        return _TRIES if earlier is None or (earlier.is_due(self._belief.now()) and not earlier.is_accepted) else 1

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
        if earlier is not None and earlier.is_accepted and earlier.required_serial == required:
            if earlier.is_due(now):
                self._keep(earlier.tried_again(now))
        elif earlier is None or earlier.is_accepted or earlier.is_due(now):
            item = failed(earlier, name, (STALE_PAGE, sentence), now, required)
            if now - item.first_at >= self.follower.rules.patience.stale_seconds:
                item = msgspec.structs.replace(item, is_accepted=True)
            self._keep(item)
        return msgspec.structs.replace(page, dropped=(*page.dropped, sentence))

    def hoped_for(self) -> set[NormalizedName]:
        """The projects that are gone by their page alone, where it is time to ask for it again."""
        now = self._belief.now()
        absent = (item for item in self._todo.values() if item.is_accepted and item.code == UNCONFIRMED_ABSENCE)
        return {item.project for item in absent if item.is_due(now)}

    async def confirm_absence(self, name: NormalizedName, url: str) -> None:
        """A page that was there is not there (404). Raises NotYetGone unless it is gone for certain."""
        now = self._belief.now()
        following, root_url = self.follower.following, self.follower.root_url
        state = following.state(root_url)
        if state is None:
            state = Followed(way=Way.PROJECTS, asked_at=now)
        known = following.listed_of(root_url, [name]).get(name) or Listed(name=name, serial=None)
        if known.is_gone:
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
            return
        sentence = self._absence(row)
        self._keep(failed(self._todo.get(name), name, (UNCONFIRMED_ABSENCE, sentence), now))
        raise NotYetGone(url, sentence)

    def _note_absence(self, name: NormalizedName, known: Listed | None) -> None:
        """No page of it: settled where that is certain, else to be asked for again. Raises UpstreamUnavailable.

        It may be listed, and a copy of "there is none" older than its page. Once that was found often and long enough,
        it is taken as it is, like a project of which the changelog did not tell that it went.
        """
        state = self.follower.following.state(self.follower.root_url)
        if self._belief.trust is Trust.KEPT:
            return
        if known is None or state is None or state.listed_at is None or (known.is_gone and not known.is_gone_unsaid):
            self.settle(name)
            return
        now, earlier = self._belief.now(), self._todo.get(name)
        is_same = earlier is not None and (earlier.code, earlier.required_serial) == (UNCONFIRMED_ABSENCE, known.serial)
        if earlier is not None and is_same and not earlier.is_due(now):
            return
        if earlier is not None and is_same and earlier.is_accepted:
            self._keep(earlier.tried_again(now))
            return
        self._refuse_too_many()
        item = failed(earlier, name, (UNCONFIRMED_ABSENCE, self._absence(known)), now, known.serial)
        patience = self.follower.rules.patience
        is_long = now - item.first_at >= patience.confirmed_over_seconds and item.attempts >= patience.confirmations
        self._keep(msgspec.structs.replace(item, is_accepted=known.is_gone or is_long))

    def _refuse_too_many(self) -> None:
        """Raises UpstreamUnavailable where it is not some pages that are not there: they would fill the memory."""
        if (
            len(self._todo) >= _MOST_ABSENT
            and sum(not item.is_accepted for item in self._todo.values()) >= _MOST_ABSENT
        ):
            reason = f"it lists projects and has no pages of {_MOST_ABSENT:,} of them"
            raise UpstreamUnavailable(self.follower.root_url, reason, hint="Look at what that URL shows.")

    def _absence(self, row: Listed) -> str:
        needed = self.follower.rules.patience.confirmations
        how = f"confirmed {row.misses} of {needed} times"
        if row.is_gone:
            how = "taken for gone"
        elif row.misses >= needed:
            how = "too many are missing at once: if they are gone, run `pypim update --accept-removals`"
        elif row.missing_since is None:
            return f"{row.name}: it is listed, and its page is not there (404)"
        return f"{row.name}: it was there, now it is not (404); {how}"

    def _seen(self, known: Listed | None) -> None:
        """The page of a project is there: it is not missing any more."""
        following, root_url = self.follower.following, self.follower.root_url
        if known is not None and (known.missing_since is not None or known.is_gone):
            state = following.state(root_url)
            revision = known.revision
            if known.is_gone and state is not None:
                revision = state.revision + 1
                state = msgspec.structs.replace(state, revision=revision, projects=state.projects + 1)
                following.keep_state(root_url, state)
            following.keep_listed(root_url, [Listed(name=known.name, serial=known.serial, revision=revision)])

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


def _is_left_over(page: Page, known: Listed | None) -> bool:
    """Whether it is an old copy of what the changelog has removed since."""
    if known is None or not known.is_gone or known.is_gone_unsaid or known.serial is None:
        return False
    return page.last_serial is not None and page.last_serial < known.serial
