"""A list of all projects, or a changelog, compared with what is known: only rows of changed projects are written."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

from pypim.core.followed import Changed, Listed, missed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.followed import Followed, Patience
    from pypim.core.list_stream import Pairs
    from pypim.ports import Following

_AT_A_TIME = 5_000


class Unsorted(Exception):  # noqa: N818 - a property of the list
    """The names of a list do not come in the order of their characters."""


class Comparison:
    """One update of what is known of an upstream, to be made inside of `Following.changing`."""

    def __init__(self, following: Following, upstream: str, state: Followed, now: float, patience: Patience) -> None:
        """`state` is the one before."""
        self._following = following
        self._upstream = upstream
        self._state = state
        self._now = now
        self._patience = patience
        self._last = ""
        self._count = 0
        self._newly_missing: list[NormalizedName] = []
        self.has_lower = False
        """Whether the list tells lower serials than are known, and they did not count."""
        self.changed = Changed()
        self.revision = state.revision + 1

    def add(self, listed: Pairs, *, takes_lower: bool = False) -> None:
        """The next projects of the list. Raises Unsorted. With `takes_lower` also lower serials than known count."""
        if not listed:
            return
        if listed[0][0] <= self._last or any(one[0] >= other[0] for one, other in pairwise(listed)):
            raise Unsorted
        after, self._last = self._last, listed[-1][0]
        self._count += len(listed)
        known = self._following.pairs(self._upstream, after, self._last)
        if known == listed:
            return
        old, new = dict(known), dict(listed)
        self._newly_missing += [name for name in old if name not in new]
        fresh = [name for name in new if name not in old]
        rows = self._appeared(fresh, new) if fresh else []
        rows += self._moved(old, new, takes_lower=takes_lower)
        self._following.keep_listed(self._upstream, rows)

    def finish(self, *, accepts_removals: bool) -> int:
        """What is known and was not in the list is missing. The number of projects that are listed now."""
        rest = self._following.pairs(self._upstream, self._last, None)
        self._newly_missing += [name for name, _ in rest]
        already = self._following.missing(self._upstream)
        for begin in range(0, len(self._newly_missing), _AT_A_TIME):
            names = self._newly_missing[begin : begin + _AT_A_TIME]
            found = self._following.listed_of(self._upstream, names)
            self._lose(found.values(), accepts_removals=accepts_removals)
        self._lose(already, accepts_removals=accepts_removals)
        return self._count + self.changed.missing

    def confirm(self, *, accepts_removals: bool) -> None:
        """What was missing in the list is missing still; whose page alone was not there is named by it."""
        missing = self._following.missing(self._upstream)
        named = [
            Listed(name=one.name, serial=one.serial, revision=one.revision) for one in missing if one.seen_at is None
        ]
        self._following.keep_listed(self._upstream, named)
        self._lose((one for one in missing if one.seen_at is not None), accepts_removals=accepts_removals)

    def accept_removals(self) -> int:
        """Whatever is missing is gone, on somebody's word. How many projects that were."""
        missing = self._following.missing(self._upstream)
        self._lose(missing, accepts_removals=True)
        return len(missing)

    @property
    def not_there(self) -> int:
        """How many projects were listed and are not any more, with and without certainty."""
        return self.changed.missing + self.changed.removed

    def _appeared(self, names: Sequence[NormalizedName], serials: Mapping[NormalizedName, int | None]) -> list[Listed]:
        """New projects, and such as are back; one that was only missed has not changed by that."""
        before = self._following.listed_of(self._upstream, names)
        rows = []
        for name in names:
            known, serial = before.get(name), serials[name]
            is_back = known is not None and not known.is_gone
            if known is not None and serial is None:
                serial = known.serial
            is_same = is_back and known is not None and known.serial == serial
            self.changed.new += not is_back
            self.changed.changed += is_back and not is_same
            revision = known.revision if known is not None and is_same else self.revision
            rows.append(Listed(name=name, serial=serial, revision=revision))
        return rows

    def _moved(
        self,
        old: Mapping[NormalizedName, int | None],
        new: Mapping[NormalizedName, int | None],
        *,
        takes_lower: bool,
    ) -> list[Listed]:
        """Projects whose serial is another; one that went back, or is not told, is a copy that lags behind."""
        rows = []
        for name, serial in new.items():
            known = old.get(name, serial)
            if serial is None or serial == known:
                continue
            if known is not None and serial < known and not takes_lower:
                self.has_lower = True
                continue
            rows.append(Listed(name=name, serial=serial, revision=self.revision))
        self.changed.changed += len(rows)
        return rows

    def _lose(self, projects: Iterable[Listed], *, accepts_removals: bool) -> None:
        rows = []
        seen_at = self._state.asked_at if self._state.listed_at is None else self._state.listed_at
        for known in projects:
            row = missed(known, self._now, seen_at, self._patience, self.revision)
            if accepts_removals and not row.is_gone:
                row = msgspec.structs.replace(row, is_gone=True, revision=self.revision)
            self.changed.removed += row.is_gone
            self.changed.missing += not row.is_gone
            self.changed.vanished += not row.is_gone and known.missing_since is None
            if row != known:
                rows.append(row)
        self._following.keep_listed(self._upstream, rows)

    def take_changes(self, changes: Mapping[NormalizedName, tuple[int, bool]]) -> int:
        """What a changelog says of projects: the serial of the newest entry, and whether that removed the project.

        The number of projects that are listed now.
        """
        names = list(changes)
        projects = self._state.projects
        for begin in range(0, len(names), _AT_A_TIME):
            part = names[begin : begin + _AT_A_TIME]
            known = self._following.listed_of(self._upstream, part)
            rows = [row for name in part if (row := self._changed_row(name, known.get(name), *changes[name]))]
            self._following.keep_listed(self._upstream, rows)
        return projects + self.changed.new - self.changed.removed

    def _changed_row(
        self,
        name: NormalizedName,
        known: Listed | None,
        serial: int,
        is_removed: bool,  # noqa: FBT001 - a pair of a map
    ) -> Listed | None:
        if known is not None and known.serial is not None and serial <= known.serial:
            is_there = known.missing_since is None and not known.is_gone
            if not is_there or serial == known.serial:
                return None  # it tells nothing of a project that was found missing, or gone, since then
            # Else a list has told a serial too high: what the changelog tells beyond all that is known counts.
        is_listed = known is not None and not known.is_gone
        if is_removed:
            if known is None or (known.is_gone and not known.is_gone_unsaid):
                return None
            self.changed.removed += is_listed
            return Listed(
                name=name,
                serial=serial,
                revision=self.revision,
                missing_since=self._now,
                misses=1,
                seen_at=self._state.listed_at,
                is_gone=True,
            )
        self.changed.changed += is_listed
        self.changed.new += not is_listed
        return Listed(name=name, serial=serial, revision=self.revision)
