"""Following an upstream: what has changed there is learned on the cheapest way that it offers, and kept."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import UpstreamFault, UpstreamMalformed, UpstreamUnavailable
from pypim.core.followed import Changed, Followed, Updated, Way
from pypim.core.freshness import Trust, fresh_seconds, is_fresh
from pypim.core.list_stream import NotStreamable
from pypim.core.negotiate import ACCEPT_PAGE, PageFormat, page_format
from pypim.core.xml_rpc_reading import Fault, value_of
from pypim.index.changelog import Changelog, NotOffered, joined
from pypim.index.listing import kept_aside, received
from pypim.index.taking import Behind, Taking, Validators, updated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.followed import FollowRules
    from pypim.core.list_stream import Pairs
    from pypim.index.conditional import Belief
    from pypim.ports import Capabilities, Fetcher, Following, Incoming

_OK = 200
_NOT_MODIFIED = 304
_ABSENT = frozenset({404, 410})
_TRIES = 3
_MOST_EVENTS = 50_000
_MOST_CALLS = 10
_ACCEPT_HTML = "application/vnd.pypi.simple.v1+html,text/html;q=0.5"
_SERIAL_DIGITS = 18


class _BrokenOff(Exception):  # noqa: N818 - carries the fault that it stands for
    """A list did not arrive whole; it may, if it is asked for once more."""

    def __init__(self, fault: UpstreamFault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Follower:
    """Keeps what is known of one upstream up to date."""

    def __init__(
        self,
        root_url: str,
        fetcher: Fetcher,
        following: Following,
        capabilities: Capabilities,
        belief: Belief,
        rules: FollowRules,
    ) -> None:
        """`root_url` is that of the Simple API, without credentials."""
        self.root_url = root_url
        self.following = following
        self.rules = rules
        self._fetcher = fetcher
        self._belief = belief
        self._how = rules.way
        self._changelog = Changelog(root_url, fetcher, capabilities, rules.pause_seconds)
        self._taking = Taking(following, root_url, rules.patience)

    async def update(self, *, accepts_removals: bool = False) -> Updated:
        """Learn what has changed. Raises UpstreamFault or Refused (MassRemoval); then all that is known stays."""
        state = self.following.state(self.root_url)
        if state is not None and state.listed_at is not None and self._counts(state):
            return updated(state, "kept")
        if state is not None and self._may_ask_changelog(state):
            try:
                return await self._by_changelog(state, accepts_removals=accepts_removals)
            except NotOffered:
                self._refuse_without_changelog()
            except UpstreamFault:
                if self._how is Way.XML_RPC:
                    raise
        found = await self._by_lists(accepts_removals=accepts_removals)
        if state is None:
            await self._try_changelog()
        return found

    async def _by_lists(self, *, accepts_removals: bool) -> Updated:
        """What is too old, or did not arrive whole, is asked for again."""
        for attempt in range(_TRIES):
            await asyncio.sleep(attempt * self.rules.pause_seconds)
            try:
                return await self._by_list(accepts_removals=accepts_removals)
            except Behind:
                continue
            except _BrokenOff as broken:
                if attempt + 1 == _TRIES:
                    raise broken.fault from None
        return self._taking.left_behind(self._belief.now())

    def asked(self, projects: int, changed: Changed) -> Updated:
        """What is to be told where only pages were asked for."""
        now = self._belief.now()
        state = self.following.state(self.root_url)
        if state is None or state.listed_at is None:
            before = state or Followed(way=Way.PROJECTS, asked_at=now)
            state = msgspec.structs.replace(before, way=Way.PROJECTS, projects=projects, asked_at=now)
        else:
            state = msgspec.structs.replace(state, way=Way.PROJECTS, asked_at=now)
        self.following.keep_state(self.root_url, state)
        return updated(state, "changed" if changed.is_any else "unchanged", changed)

    def projects(self) -> dict[NormalizedName, int | None]:
        """All that are listed, with serials where those tell what has changed: of what is missing, none does."""
        state = self.following.state(self.root_url)
        pairs = self.following.pairs(self.root_url, "", None)
        missing: Pairs = [(one.name, None) for one in self.following.missing(self.root_url)]
        found = dict(sorted([*pairs, *missing]) if missing else pairs)
        return found if state is not None and state.has_serials else dict.fromkeys(found)

    def serial(self, name: NormalizedName) -> int | None:
        """That which the page of a listed project must have at least; None where nothing tells."""
        state = self.following.state(self.root_url)
        known = self.following.listed_of(self.root_url, [name]).get(name)
        if known is None or known.missing_since is not None or state is None or not state.has_serials:
            return None
        return known.serial

    def _counts(self, state: Followed) -> bool:
        """Whether nobody need be asked."""
        if self._belief.trust is Trust.FRESH:
            return is_fresh(state.asked_at, state.fresh_until, self._belief.now())
        return self._belief.trust is Trust.KEPT

    # --- the changelog ----------------------------------------------------------------------------------------------
    def _may_ask_changelog(self, state: Followed) -> bool:
        """Whether it can be told from when on changes are wanted, and nobody has said that there is no changelog."""
        if state.serial is None or state.listed_at is None or self._taking.takes_older(self._belief.now()):
            return False
        if self._how is Way.XML_RPC:
            return True
        return self._how is None and self._changelog.is_offered is not False

    async def _try_changelog(self) -> None:
        """Learn with the first list whether there is a changelog, so that later updates do not ask for it in vain."""
        state = self.following.state(self.root_url)
        if self._how is None and state is not None and self._may_ask_changelog(state):
            with suppress(NotOffered, UpstreamFault):
                await self._changelog.last_serial()

    def _refuse_without_changelog(self) -> None:
        if self._how is Way.XML_RPC:
            hint = 'Set follow = "auto" for this upstream.'
            raise UpstreamUnavailable(self._changelog.url, "XML-RPC is not offered there", hint=hint)

    async def _by_changelog(self, state: Followed, *, accepts_removals: bool) -> Updated:
        """The change of the known serial itself is asked for, too: where it is not told, the upstream may be behind."""
        serial = state.serial or 0
        events = await self._changelog.events(max(serial - 1, 0))
        if all(event.serial != serial for event in events) and await self._changelog.last_serial() < serial:
            return self._taking.left_behind(self._belief.now())
        found = self._taking.take_events(events, self._belief.now(), accepts_removals=accepts_removals)
        for _ in range(_MOST_CALLS):
            if len(events) < _MOST_EVENTS or found.serial is None:
                break
            events = await self._changelog.events(found.serial)
            more = self._taking.take_events(events, self._belief.now(), accepts_removals=accepts_removals)
            found = found.with_more(more)
        return found

    async def _by_serials(self, *, accepts_removals: bool) -> Updated:
        """The list of XML-RPC, which has nothing but names and serials."""
        for is_last in (False, True):
            with kept_aside() as content:
                body = await self._changelog.serials(content)
                try:
                    return self._taking.take_serials(body, self._belief.now(), accepts_removals=accepts_removals)
                except NotStreamable:
                    answer = joined(body)
            try:
                value_of(answer, body.url)
            except Fault as fault:
                await self._changelog.obey(fault, is_last=is_last)
            else:
                raise UpstreamMalformed(body.url, "the answer is no list of projects with serials")
        raise AssertionError("the last turn returns or raises")

    # --- the list ---------------------------------------------------------------------------------------------------
    async def _by_list(self, *, accepts_removals: bool) -> Updated:
        if self._how is Way.XML_RPC:
            try:
                return await self._by_serials(accepts_removals=accepts_removals)
            except NotOffered:
                self._refuse_without_changelog()
        now = self._belief.now()
        state = self.following.state(self.root_url)
        with kept_aside() as content:
            async with self._fetcher.open(self.root_url, self._headers(state)) as incoming:
                validators = _validators(incoming.headers, now)
                is_unchanged = incoming.status == _NOT_MODIFIED and state is not None
                content_type = "" if is_unchanged else self._judge(incoming)
                if self._taking.is_behind(validators.serial, now):
                    raise Behind
                if is_unchanged:
                    return self._taking.take_unchanged(validators, now, accepts_removals=accepts_removals)
                try:
                    body = await received(incoming, content)
                except UpstreamFault as fault:
                    raise _BrokenOff(fault) if fault.is_transient else fault from None
            if state is not None and state.listed_at is not None and state.digest == body.digest:
                return self._taking.take_unchanged(validators, now, accepts_removals=accepts_removals)
            return self._taking.take_list(body, content_type, validators, now, accepts_removals=accepts_removals)

    def _headers(self, state: Followed | None) -> dict[str, str]:
        headers = {"Accept": _ACCEPT_HTML if self._how is Way.HTML else ACCEPT_PAGE, "Accept-Encoding": "gzip"}
        if state is None or state.listed_at is None or self._is_other_form(state):
            return headers
        if state.etag:
            headers["If-None-Match"] = state.etag
        if state.last_modified:
            headers["If-Modified-Since"] = state.last_modified
        return headers

    def _is_other_form(self, state: Followed) -> bool:
        """Whether the list that is known came in another form than is asked for now: its validators mean nothing."""
        return self._how is not None and self._how is not Way.XML_RPC and state.way is not self._how

    def _judge(self, incoming: Incoming) -> str:
        """The type of a list that may be read. Raises UpstreamFault."""
        if incoming.status in _ABSENT:
            hint = "Check the upstream's URL; that of a Simple API usually ends in /simple/."
            raise UpstreamUnavailable(self.root_url, f"there is no list of projects ({incoming.status})", hint=hint)
        if incoming.status != _OK:
            raise UpstreamMalformed(incoming.url, f"the upstream answered {incoming.status}")
        content_type = incoming.headers.get("content-type", "")
        if self._how is Way.JSON and page_format(content_type, incoming.url) is not PageFormat.JSON:
            hint = 'Set follow = "auto" for this upstream.'
            raise UpstreamMalformed(incoming.url, "its list comes in HTML, which has no serials", hint=hint)
        return content_type


def _validators(headers: Mapping[str, str], now: float) -> Validators:
    serial = headers.get("x-pypi-last-serial", "")
    is_number = serial.isascii() and serial.isdigit() and len(serial) <= _SERIAL_DIGITS
    seconds = fresh_seconds(headers)
    return Validators(
        serial=int(serial) if is_number else None,
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
        fresh_until=now + seconds if seconds else None,
    )
