"""Projects that a proxy has and that its upstream says not to have: believed once that was said often and long enough.

One 404 would send clients elsewhere, to whoever has taken the name there. So until then the kept page counts.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pypim.core.followed import UNCONFIRMED_ABSENCE, Listed, ToDo, missed
from pypim.index.watching import NotYetGone

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.followed import Patience
    from pypim.index.behind import Later
    from pypim.ports import Backlog, Clock


class Absences:
    """Counts them on the to-do of one index, which is read in place and written in the background."""

    def __init__(
        self, index: str, backlogs: tuple[Backlog, Backlog], later: Later, patience: Patience, clock: Clock
    ) -> None:
        """`backlogs`: one to read, and one to write."""
        self._index = index
        self._read, self._write = backlogs
        self._later = later
        self._patience = patience
        self._clock = clock
        self._own: dict[NormalizedName, ToDo] = {}

    def confirm(self, name: NormalizedName, url: str) -> None:
        """Its page was there and is missing, perhaps once more. Raises NotYetGone unless it is gone for certain."""
        now = self._clock.now().timestamp()
        known = self._known(name)
        before = Listed(name=name, serial=None)
        if known is not None and known.first_at <= now:  # else the clock was set back
            before = Listed(name=name, serial=None, missing_since=known.first_at, misses=known.attempts)
        after = missed(before, now, None, self._patience, revision=0)
        if after.is_gone:
            self.seen(name)
            return
        times = f"{after.misses} of {self._patience.confirmations} times"
        sentence = f"{name}: it was there, now it is not (404); found so {times}, and what is kept counts until then"
        since = now if after.missing_since is None else after.missing_since
        step = self._patience.confirmed_over_seconds / max(self._patience.confirmations - 1, 1)
        item = ToDo(
            project=name,
            code=UNCONFIRMED_ABSENCE,
            error=sentence,
            attempts=after.misses,
            first_at=since,
            tried_at=now,
            next_at=since + after.misses * step,
        )
        self._own[name] = item
        self._later.run(partial(self._write.keep_todo, self._index, [item]))
        raise NotYetGone(url, sentence)

    def seen(self, name: NormalizedName) -> None:
        """Its page is there, or it is known for certain that there is none: nothing is to be confirmed."""
        if self._known(name) is not None:
            self._own.pop(name, None)
            self._later.run(partial(self._write.settle, self._index, [name]))

    def _known(self, name: NormalizedName) -> ToDo | None:
        """What was found so far, by whichever process found more."""
        item = self._read.todo(self._index).get(name)
        found = [one for one in (self._own.get(name), item) if one is not None and one.code == UNCONFIRMED_ABSENCE]
        return max(found, key=lambda one: one.attempts, default=None)
