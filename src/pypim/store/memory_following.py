"""Following and Backlog in memory, and an overlay over other Following, which stays as it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pypim.core.followed import Listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.followed import Followed, ToDo
    from pypim.core.list_stream import Pairs
    from pypim.ports import Backlog, Following


class MemoryFollowing:
    """Following in dictionaries."""

    def __init__(self) -> None:
        self._states: dict[str, Followed] = {}
        self._projects: dict[str, dict[NormalizedName, Listed]] = {}
        self._is_changing = False

    def state(self, upstream: str) -> Followed | None:
        """What is known of it as a whole."""
        return self._states.get(upstream)

    def keep_state(self, upstream: str, state: Followed) -> None:
        """Remember it."""
        self._states[upstream] = state

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All or nothing; inside of another, a part of that."""
        if self._is_changing:
            yield
            return
        states, projects = dict(self._states), {url: dict(own) for url, own in self._projects.items()}
        self._is_changing = True
        try:
            yield
        except BaseException:
            self._states, self._projects = states, projects
            raise
        finally:
            self._is_changing = False

    def keep_first(self, upstream: str, pieces: Iterable[Pairs]) -> None:
        """Keep a list where none was known."""
        projects = (Listed(name=name, serial=serial) for pairs in pieces for name, serial in pairs)
        self.keep_listed(upstream, {one.name: one for one in reversed(list(projects))}.values())

    def keep_listed(self, upstream: str, projects: Iterable[Listed]) -> None:
        """Keep these in place of what was known of them."""
        with self.changing():
            self._projects.setdefault(upstream, {}).update({one.name: one for one in projects})

    def pairs(self, upstream: str, after: str, until: str | None) -> list[tuple[NormalizedName, int | None]]:
        """Names and serials of those that are there."""
        own = self._own(upstream).values()
        found = (one for one in own if one.name > after and (until is None or one.name <= until))
        return sorted((one.name, one.serial) for one in found if one.missing_since is None and not one.is_gone)

    def listed(self, upstream: str, after: str, most: int) -> list[Listed]:
        """So many projects with names above that one."""
        found = (one for name, one in sorted(self._own(upstream).items()) if name > after and not one.is_gone)
        return [one for one, _ in zip(found, range(most), strict=False)]

    def listed_of(self, upstream: str, names: Sequence[NormalizedName]) -> dict[NormalizedName, Listed]:
        """Those of them that are listed or were."""
        own = self._own(upstream)
        return {name: own[name] for name in sorted(set(names)) if name in own}

    def missing(self, upstream: str) -> list[Listed]:
        """Those that are not there and not yet gone."""
        found = (one for _, one in sorted(self._own(upstream).items()))
        return [one for one in found if one.missing_since is not None and not one.is_gone]

    def changes(self, upstream: str, since: int) -> list[Listed]:
        """Those whose revision is above that number."""
        found = (one for one in self._own(upstream).values() if one.revision > max(since, 0))
        return sorted(found, key=lambda one: (one.revision, one.name))

    def _own(self, upstream: str) -> Mapping[NormalizedName, Listed]:
        return self._projects.get(upstream, {})


class OverlayFollowing(MemoryFollowing):
    """Following over another."""

    def __init__(self, read: Following) -> None:
        super().__init__()
        self._read = read

    @property
    def has_learned(self) -> bool:
        """Whether anything was kept here."""
        return bool(self._states)

    def state(self, upstream: str) -> Followed | None:
        """What was kept here, else what the other knows."""
        return super().state(upstream) or self._read.state(upstream)

    def pairs(self, upstream: str, after: str, until: str | None) -> list[tuple[NormalizedName, int | None]]:
        """Names and serials of those that are there, of both together."""
        own = self._own(upstream)
        rest = (pair for pair in self._read.pairs(upstream, after, until) if pair[0] not in own)
        return sorted([*rest, *super().pairs(upstream, after, until)])

    def listed(self, upstream: str, after: str, most: int) -> list[Listed]:
        """So many projects with names above that one, of both together."""
        own = self._own(upstream)
        found = {one.name: one for one in super().listed(upstream, after, most)}
        while True:
            rest = self._read.listed(upstream, after, most)
            found |= {one.name: one for one in rest if one.name not in own}
            after = rest[-1].name if rest else after
            if len(rest) < most or len(found) >= most:
                return [found[name] for name in sorted(found)[:most]]

    def listed_of(self, upstream: str, names: Sequence[NormalizedName]) -> dict[NormalizedName, Listed]:
        """Those of them that are listed or were; what was kept here counts."""
        return dict(sorted((self._read.listed_of(upstream, names) | super().listed_of(upstream, names)).items()))

    def missing(self, upstream: str) -> list[Listed]:
        """Those that are not there and not yet gone, of both together."""
        own = self._own(upstream)
        rest = (one for one in self._read.missing(upstream) if one.name not in own)
        return sorted([*rest, *super().missing(upstream)], key=lambda one: one.name)

    def changes(self, upstream: str, since: int) -> list[Listed]:
        """Those whose revision is above that number, of both together."""
        own = self._own(upstream)
        rest = (one for one in self._read.changes(upstream, since) if one.name not in own)
        return sorted([*rest, *super().changes(upstream, since)], key=lambda one: (one.revision, one.name))


class MemoryBacklog:
    """A Backlog in dictionaries."""

    def __init__(self) -> None:
        self._items: dict[str, dict[NormalizedName, ToDo]] = {}

    def todo(self, index: str) -> dict[NormalizedName, ToDo]:
        """All that it could not do."""
        return dict(sorted(self._items.get(index, {}).items()))

    def keep_todo(self, index: str, items: Iterable[ToDo]) -> None:
        """Keep these in place of what was to be done about their projects."""
        self._items.setdefault(index, {}).update({item.project: item for item in items})

    def settle(self, index: str, projects: Iterable[NormalizedName]) -> None:
        """Nothing is to be done about these any more."""
        own = self._items.get(index, {})
        for project in projects:
            own.pop(project, None)


class OverlayBacklog(MemoryBacklog):
    """A Backlog over another, which stays as it is."""

    def __init__(self, read: Backlog) -> None:
        super().__init__()
        self._read = read

    def todo(self, index: str) -> dict[NormalizedName, ToDo]:
        """All that it could not do, as it was and as it was changed here."""
        self._items.setdefault(index, self._read.todo(index))
        return super().todo(index)

    def keep_todo(self, index: str, items: Iterable[ToDo]) -> None:
        """Keep these here."""
        self.todo(index)
        super().keep_todo(index, items)

    def settle(self, index: str, projects: Iterable[NormalizedName]) -> None:
        """Nothing is to be done about these any more, here."""
        self.todo(index)
        super().settle(index, projects)
