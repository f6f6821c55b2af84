"""An answer of an upstream becomes what is known of it: taken as a whole, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.errors import InvalidName, UpstreamMalformed
from pypim.core.followed import Changed, Followed, Updated, Way
from pypim.core.list_stream import NotStreamable
from pypim.core.names import parse_name
from pypim.core.negotiate import PageFormat
from pypim.core.upstream_errors import MassRemoval
from pypim.core.xml_rpc_reading import SerialsReader
from pypim.index.comparing import Comparison, Unsorted
from pypim.index.listing import is_marked, list_reader, pieces, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.followed import Patience
    from pypim.core.list_stream import Pairs
    from pypim.core.xml_rpc_reading import Event
    from pypim.index.listing import Body, Reader
    from pypim.ports import Following

_REMOVED = "remove project"
_AT_A_TIME = 5_000
_NO_SERIAL = 1


class Behind(Exception):  # noqa: N818 - a property of an answer
    """The answer is older than what is known."""


class Validators(NamedTuple):
    """What came with a list, and makes it cheap to ask for it again."""

    serial: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    fresh_until: float | None = None


class Taking:
    """What is known of one upstream, as answers change it."""

    def __init__(self, following: Following, root_url: str, patience: Patience) -> None:
        self._following = following
        self._root_url = root_url
        self._patience = patience

    def take_list(
        self, body: Body, content_type: str, validators: Validators, now: float, *, accepts_removals: bool
    ) -> Updated:
        """Of the Simple API. Raises Behind, MassRemoval or UpstreamFault."""
        make, form = list_reader(content_type, body.url)
        way = Way.JSON if form is PageFormat.JSON else Way.HTML
        is_strange_if_empty = form is PageFormat.HTML and not is_marked(body)
        taken = _Taken(way, now, validators, body.digest, accepts_removals, is_strange_if_empty)
        try:
            return self._take_streamed(body, make, taken)
        except NotStreamable:
            pairs, serial, dropped = whole(body, content_type)
            return self._take([sorted(pairs)], lambda: serial, lambda: dropped, taken)

    def take_serials(self, body: Body, now: float, *, accepts_removals: bool) -> Updated:
        """The answer of XML-RPC that has them all. Raises NotStreamable for any other answer, and as `take_list`."""
        taken = _Taken(Way.XML_RPC, now, Validators(), None, accepts_removals)
        return self._take_streamed(body, SerialsReader, taken)

    def take_events(self, events: Sequence[Event], now: float, *, accepts_removals: bool) -> Updated:
        """Of the changelog, the oldest first; those that are known already count no more. Raises MassRemoval."""
        state = self._known_state()
        known = state.serial or 0
        events = [event for event in events if event.serial > known]
        changes: dict[NormalizedName, tuple[int, bool]] = {}
        dropped = []
        for event in sorted(events, key=lambda one: one.serial):
            try:
                name = parse_name(event.name)
            except InvalidName as error:
                dropped.append(error.message)
                continue
            changes[name] = (event.serial, event.action == _REMOVED)
        newest = max((event.serial for event in events), default=known)
        with self._following.changing():
            comparison = Comparison(self._following, self._root_url, state, now, self._patience)
            projects = comparison.take_changes(changes)
            if accepts_removals:
                projects -= comparison.accept_removals()
            self._refuse_mass(comparison, state, accepts_removals=accepts_removals)
            is_any = comparison.changed.is_any
            after = msgspec.structs.replace(
                state,
                way=Way.XML_RPC,
                serial=newest,
                revision=comparison.revision if is_any else state.revision,
                projects=projects,
                asked_at=now,
                listed_at=now,
                fresh_until=None,
                behind_since=None,
            )
            if events:  # the list that the validators stand for is older than what is known from here on
                after = msgspec.structs.replace(after, etag=None, last_modified=None, digest=None)
            self._following.keep_state(self._root_url, after)
        return updated(after, "changed" if is_any else "unchanged", comparison.changed, tuple(dropped))

    def take_unchanged(self, validators: Validators, now: float, *, accepts_removals: bool) -> Updated:
        """The list is the one that is known: what was missing in it is missing still. Raises MassRemoval."""
        state = self._known_state()
        with self._following.changing():
            comparison = Comparison(self._following, self._root_url, state, now, self._patience)
            comparison.confirm(accepts_removals=accepts_removals)
            self._refuse_mass(comparison, state, accepts_removals=accepts_removals)
            is_any = comparison.changed.is_any
            after = msgspec.structs.replace(
                state,
                way=Way.HTML if state.way is Way.HTML else Way.JSON,
                serial=validators.serial if validators.serial and self.takes_older(now) else state.serial,
                revision=comparison.revision if is_any else state.revision,
                projects=state.projects - comparison.changed.removed,
                asked_at=now,
                listed_at=now,
                fresh_until=validators.fresh_until,
                etag=validators.etag or state.etag,
                last_modified=validators.last_modified or state.last_modified,
                behind_since=None,
            )
            self._following.keep_state(self._root_url, after)
        return updated(after, "changed" if is_any else "unchanged", comparison.changed)

    def left_behind(self, now: float) -> Updated:
        """The upstream answers with what is older than what is known."""
        state = self._known_state()
        since = now if state.behind_since is None else min(state.behind_since, now)
        self._following.keep_state(self._root_url, msgspec.structs.replace(state, asked_at=now, behind_since=since))
        return updated(state, "behind")

    def takes_older(self, now: float) -> bool:
        """Whether the upstream has been behind for so long that its older answers count."""
        state = self._following.state(self._root_url)
        behind_since = None if state is None else state.behind_since
        return behind_since is not None and now - behind_since >= self._patience.stale_seconds

    def is_behind(self, serial: int | None, now: float) -> bool:
        """Whether an answer of that serial is older than what is known, and must not be taken."""
        state = self._following.state(self._root_url)
        if state is None or state.serial is None or serial is None:
            return False
        return serial < state.serial and not self.takes_older(now)

    def _known_state(self) -> Followed:
        state = self._following.state(self._root_url)
        assert state is not None, "only what is known can be changed or confirmed"
        return state

    def _take_streamed(self, body: Body, make: Callable[[], Reader], taken: _Taken) -> Updated:
        reader = make()
        try:
            return self._take(pieces(body, reader), lambda: reader.last_serial, lambda: tuple(reader.dropped), taken)
        except Unsorted:
            reader = make()
            pairs: dict[NormalizedName, int | None] = {}
            for piece in pieces(body, reader):
                for name, serial in piece:
                    pairs.setdefault(name, serial)
            ordered = sorted(pairs.items())
            del pairs
        return self._take(
            (ordered[begin : begin + _AT_A_TIME] for begin in range(0, len(ordered), _AT_A_TIME)),
            lambda: reader.last_serial,
            lambda: tuple(reader.dropped),
            taken,
        )

    def _take(
        self,
        pieces_of_list: Iterable[Pairs],
        last_serial: Callable[[], int | None],
        dropped: Callable[[], tuple[str, ...]],
        taken: _Taken,
    ) -> Updated:
        state = self._following.state(self._root_url)
        counting = _Counting(pieces_of_list)
        with self._following.changing():
            if state is None:
                self._following.keep_state(self._root_url, Followed(way=taken.way, asked_at=taken.now))
                self._following.keep_first(self._root_url, counting)
                changed, revision, projects, has_lower = Changed(new=counting.projects), 0, counting.projects, False
            else:
                changed, revision, projects, has_lower = self._compare(state, counting, taken)
            serial = last_serial() or taken.validators.serial or counting.highest
            if self.is_behind(serial, taken.now):
                raise Behind
            if not counting.projects and taken.is_strange_if_empty:
                raise _strange(self._root_url)
            after = Followed(
                way=taken.way,
                serial=serial if taken.way is not Way.JSON or counting.tells_changes(serial) else None,
                revision=revision,
                projects=projects,
                asked_at=taken.now,
                listed_at=taken.now,
                fresh_until=taken.validators.fresh_until,
                etag=taken.validators.etag,
                last_modified=taken.validators.last_modified,
                digest=taken.digest,
            )
            if has_lower and state is not None:  # once they have done so for long enough, they count
                since = taken.now if state.behind_since is None else min(state.behind_since, taken.now)
                after = msgspec.structs.replace(
                    after, behind_since=since, etag=None, last_modified=None, digest=None, fresh_until=None
                )
            self._following.keep_state(self._root_url, after)
        outcome = "first" if state is None else ("changed" if changed.is_any else "unchanged")
        return updated(after, outcome, changed, dropped())

    def _compare(self, state: Followed, listed: Iterable[Pairs], taken: _Taken) -> tuple[Changed, int, int, bool]:
        """(what has changed, the revision after it, how many projects are listed, whether some serials went back)."""
        comparison = Comparison(self._following, self._root_url, state, taken.now, self._patience)
        takes_lower = self.takes_older(taken.now)
        for pairs in listed:
            comparison.add(pairs, takes_lower=takes_lower)
        projects = comparison.finish(accepts_removals=taken.accepts_removals)
        self._refuse_mass(comparison, state, accepts_removals=taken.accepts_removals)
        changed = comparison.changed
        revision = comparison.revision if changed.is_any else state.revision
        return changed, revision, projects, comparison.has_lower

    def _refuse_mass(self, comparison: Comparison, state: Followed, *, accepts_removals: bool) -> None:
        if not accepts_removals and self._patience.is_mass(comparison.not_there, state.projects):
            raise MassRemoval(self._root_url, comparison.not_there, state.projects)


class _Taken(NamedTuple):
    """How a list was come by."""

    way: Way
    now: float
    validators: Validators
    digest: str | None
    accepts_removals: bool
    is_strange_if_empty: bool = False


class _Counting:
    """Pieces of a list, counted as they pass."""

    def __init__(self, pieces_of_list: Iterable[Pairs]) -> None:
        self._pieces = pieces_of_list
        self.projects = 0
        self.highest: int | None = None

    def tells_changes(self, serial: int | None) -> bool:
        """Whether serials show which projects have changed: each has one. That of the list alone shows nothing.

        Nor does the 1 that trees of files have everywhere, for mirrors that want some number.
        """
        return not self.projects or (self.highest is not None and serial is not None and serial > _NO_SERIAL)

    def __iter__(self) -> Iterator[Pairs]:
        for pairs in self._pieces:
            self.projects += len(pairs)
            highest = max((serial for _, serial in pairs if serial is not None), default=None)
            if highest is not None and (self.highest is None or highest > self.highest):
                self.highest = highest
            yield pairs


def _strange(url: str) -> UpstreamMalformed:
    hint = "If the upstream really has no projects, nothing is wrong; otherwise look at what that URL shows."
    return UpstreamMalformed(url, "an HTML page came that names no project and is no list of projects", hint=hint)


def updated(state: Followed, outcome: str, changed: Changed | None = None, dropped: tuple[str, ...] = ()) -> Updated:
    """What is to be told of an update that ended in a state."""
    changed = changed or Changed()
    return Updated(
        way=state.way,
        outcome=outcome,
        projects=state.projects,
        new=changed.new,
        changed=changed.changed,
        removed=changed.removed,
        missing=changed.missing,
        serial=state.serial,
        dropped=dropped,
    )
