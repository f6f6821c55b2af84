"""What the catalog remembers of upstreams as a whole: their lists with serials, what changed, what is to be done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.followed import Followed, Listed, ToDo, Way
from pypim.core.records import keyed
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.list_stream import Pairs
    from pypim.store.database import Database

_AFTER_EVERY_NAME = "\x7f"  # normalised names have letters, digits and hyphens
_encode = msgspec.json.Encoder().encode


@told_as_damage
class CatalogFollowing:
    """The Following of a catalog. What it keeps can be asked for again."""

    def __init__(self, database: Database, credentials: str = "") -> None:
        """What an upstream tells whom is kept apart: `credentials` is a digest of who asks."""
        self._database = database
        self._credentials = credentials
        self._is_changing = False

    def state(self, upstream: str) -> Followed | None:
        """What is known of it as a whole."""
        row = self._database.row("followed", (keyed(upstream, self._credentials),))
        if row is None:
            return None
        way, serial, revision, projects, asked_at, listed_at, fresh_until, etag, last_modified, digest, behind = row
        return Followed(
            way=Way(way),
            serial=serial,
            revision=revision,
            projects=projects,
            asked_at=asked_at,
            listed_at=listed_at,
            fresh_until=fresh_until,
            etag=etag,
            last_modified=last_modified,
            digest=digest,
            behind_since=behind,
        )

    def keep_state(self, upstream: str, state: Followed) -> None:
        """Remember it."""
        with self.changing():
            key = keyed(upstream, self._credentials)
            self._database.run("keep_followed", (key, *msgspec.structs.astuple(state)))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """All or nothing; inside of another, a part of that."""
        if self._is_changing:
            yield
            return
        with self._database.transaction(is_durable=False):
            self._is_changing = True
            try:
                yield
            finally:
                self._is_changing = False

    def keep_first(self, upstream: str, pieces: Iterable[Pairs]) -> None:
        """Keep a list where none was known. Twice as fast as row by row."""
        number = self._number(upstream)
        with self.changing():
            for pairs in pieces:
                self._database.run("keep_first_listed", (number, _encode(dict(reversed(pairs))).decode()))

    def keep_listed(self, upstream: str, projects: Iterable[Listed]) -> None:
        """Keep these in place of what was known of them."""
        number = self._number(upstream)
        with self.changing():
            self._database.run_many("keep_listed", ((number, *msgspec.structs.astuple(one)) for one in projects))

    def pairs(self, upstream: str, after: str, until: str | None) -> list[tuple[NormalizedName, int | None]]:
        """Names and serials of those that are there."""
        last = _AFTER_EVERY_NAME if until is None else until
        return self._database.rows("listed_pairs", (self._number(upstream), after, last))

    def listed(self, upstream: str, after: str, most: int) -> list[Listed]:
        """So many projects with names above that one."""
        return _listed(self._database.rows("listed_projects", (self._number(upstream), after, most)))

    def listed_of(self, upstream: str, names: Sequence[NormalizedName]) -> dict[NormalizedName, Listed]:
        """Those of them that are listed or were."""
        rows = self._database.rows("listed_of", (self._number(upstream), _encode(names)))
        return {one.name: one for one in _listed(rows)}

    def missing(self, upstream: str) -> list[Listed]:
        """Those that are not there and not yet gone."""
        return _listed(self._database.rows("listed_missing", (self._number(upstream),)))

    def changes(self, upstream: str, since: int) -> list[Listed]:
        """Those whose revision is above that number."""
        return _listed(self._database.rows("listed_changes", (self._number(upstream), since)))

    def _number(self, upstream: str) -> int | None:
        row = self._database.row("followed_id", (keyed(upstream, self._credentials),))
        return None if row is None else row[0]


@told_as_damage
class CatalogBacklog:
    """The Backlog of a catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def todo(self, index: str) -> dict[NormalizedName, ToDo]:
        """All that it could not do."""
        fields = ToDo.__struct_fields__
        rows = self._database.rows("todo", (index,))
        items = (dict(zip(fields, row, strict=True)) for row in rows)
        return {item["project"]: ToDo(**{**item, "is_accepted": bool(item["is_accepted"])}) for item in items}

    def keep_todo(self, index: str, items: Iterable[ToDo]) -> None:
        """Keep these in place of what was to be done about their projects."""
        rows = [(index, *msgspec.structs.astuple(item)) for item in items]
        if rows:
            with self._database.transaction(is_durable=False):
                self._database.run_many("keep_todo", rows)

    def settle(self, index: str, projects: Iterable[NormalizedName]) -> None:
        """Nothing is to be done about these any more."""
        rows = [(index, project) for project in projects]
        if rows:
            with self._database.transaction(is_durable=False):
                self._database.run_many("settle_todo", rows)


def _listed(rows: Iterable[Sequence[Any]]) -> list[Listed]:
    return [
        Listed(
            name=name,
            serial=serial,
            revision=revision,
            missing_since=missing_since,
            misses=misses,
            seen_at=seen_at,
            is_gone=bool(is_gone),
        )
        for name, serial, revision, missing_since, misses, seen_at, is_gone in rows
    ]
