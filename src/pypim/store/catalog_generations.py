"""The generations of indexes in the catalog, project by project: a new one writes only the projects that differ."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import NotFound
from pypim.core.plan import Outline, PlannedRelease
from pypim.core.portions import digest_of_portion, joined, portions_of
from pypim.core.records import Generation, Tally, UnheldFile
from pypim.core.selection import Selection
from pypim.store.catalog_states import PortionReader, Row, facts_of, problem_of, reason_of, write_portion
from pypim.store.database import told_as_damage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.selection import Problem
    from pypim.store.database import Database

_NOTHING = Selection()
_OF_A_GENERATION = ("chosen_releases", "chosen_files", "chosen_reasons", "chosen_problems", "chosen_warnings")
_OF_STATES = (
    "releases_of_states",
    "files_of_states",
    "reasons_of_states",
    "problems_of_states",
    "warnings_of_states",
)
_encode = msgspec.json.Encoder().encode


@told_as_damage
class CatalogGenerations:
    """The Generations of a catalog: per index the current one and at most one that is being prepared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- what is published ------------------------------------------------------------------------------------------
    def current(self, index: str) -> Generation | None:
        """The newest finished generation."""
        row = self._database.row("current_generation", (index,))
        if row is None:
            return None
        number, name, started_at, finished_at, is_amended = row
        return Generation(number, name, started_at, finished_at, is_amended=bool(is_amended))

    def indexes(self) -> list[str]:
        """Every index that has a finished generation, in order."""
        return [name for (name,) in self._database.rows("published_indexes")]

    def is_interrupted(self, index: str) -> bool:
        """Whether a generation was begun and never finished."""
        return self._database.row("unfinished_generation", (index,)) is not None

    def listed(self, *, besides: str | None = None) -> set[str]:
        """The identities of all files that the current or an unfinished generation of any other index names."""
        return {identity for (identity,) in self._database.rows("listed_identities", (besides,))}

    def listed_among(self, identities: Iterable[str], *, besides: str | None = None) -> set[str]:
        """Those of them that `listed` would have."""
        wanted = _encode(list(identities)).decode()
        return {identity for (identity,) in self._database.rows("listed_among", (besides, wanted))}

    def selection(self, generation: int) -> Selection:
        """What it holds, equal to what was given to `begin`. Raises NotFound when there is no such generation."""
        return joined(portion for _, portion in self._portions((self._index_of(generation), generation)))

    def current_selection(self, index: str) -> Selection | None:
        """What the newest finished generation of an index holds; read again where a sync flips meanwhile."""
        while generation := self.current(index):
            with suppress(NotFound):
                selection = self.selection(generation.number)
                if self.current(index) == generation:  # or some of its rows may have been gone already
                    return selection
        return None

    def portion(self, index: str, project: NormalizedName) -> Selection:
        """What the current generation holds of one project; nothing where it has none of it."""
        while generation := self.current(index):
            where = (index, generation.number, project)
            states = self._database.rows("state_of_project", where)
            numbers = _encode([number for number, *_ in states]).decode()
            found = [portion for _, portion in self._read(states, _OF_STATES, (numbers,))]
            if self.current(index) == generation:
                return joined(found)
        return _NOTHING

    def portions(self, index: str, after: str, most: int) -> list[tuple[NormalizedName, Selection]]:
        """The same of so many projects whose names come after one, in order."""
        while generation := self.current(index):
            states = self._database.rows("states_after", (index, generation.number, after, most))
            numbers = _encode([number for number, *_ in states]).decode()
            found = self._read(states, _OF_STATES, (numbers,))
            if self.current(index) == generation:
                return found
        return []

    def names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name of which the current generation, or an unfinished one, has something."""
        return [name for (name,) in self._database.rows("chosen_names", (index, after, most))]

    def chosen_among(self, index: str, names: Iterable[NormalizedName]) -> set[NormalizedName]:
        """Those of some projects of which the current generation, or an unfinished one, has something."""
        where = (index, _encode(list(names)).decode())
        return {project for project, _ in self._database.rows("known_states_among", where)}

    def named_among(self, index: str, identities: Iterable[str]) -> set[str]:
        """Those of some identities that the current generation of the index names."""
        where = (index, self._number(index), _encode(list(identities)).decode())
        return {identity for (identity,) in self._database.rows("named_among", where)}

    def tally(self, index: str) -> Tally:
        """How much the current generation names, and how much of that is held."""
        return Tally(*self._database.rows("tally", (index, self._number(index)))[0])

    def unheld(self, index: str, most: int) -> list[UnheldFile]:
        """Files that the current generation names and that are not held, so many at most, by project."""
        rows = self._database.rows("unheld_files", (index, self._number(index), most))
        return [UnheldFile(*row) for row in rows]

    def problems(self, index: str) -> tuple[Problem, ...]:
        """What of the current generation was asked for and certainly cannot be had, sorted."""
        rows = self._database.rows("certain_problems", (index, self._number(index)))
        return tuple(sorted({problem_of(row) for row in rows}))

    def outline(self, index: str) -> Outline:
        """What the newest finished generation of an index holds, without the files."""
        generation = self.current(index)
        if generation is None:
            return Outline()
        where = (index, generation.number)
        given = self._database.rows("chosen_reasons", where)
        reasons = {
            place: tuple(reason_of(row[2:-1]) for row in rows) for place, rows in groupby(given, itemgetter(0, 1))
        }
        releases = (
            PlannedRelease(project=project, version=version, kept=files, reasons=reasons.get((state, position), ()))
            for state, position, project, version, files in self._database.rows("held_releases", where)
        )
        problems = groupby(self._database.rows("chosen_problems", where), itemgetter(0))
        warnings = groupby(self._database.rows("chosen_warnings", where), itemgetter(0))
        told = joined(
            [
                *(Selection(problems=tuple(problem_of(row[1:]) for row in rows)) for _, rows in problems),
                *(Selection(warnings=tuple(warning for _, warning in rows)) for _, rows in warnings),
            ]
        )
        return Outline(releases=tuple(releases), problems=told.problems, warnings=told.warnings)

    # --- what is being prepared -------------------------------------------------------------------------------------
    def begin(self, index: str, selection: Selection, started_at: float) -> Generation:
        """Record the next generation; an unfinished older one is replaced. Numbers are never used again."""
        portions = portions_of(selection)
        with self._database.transaction(is_durable=True):
            number = self._begin(index, started_at, is_amended=False)
            known = dict(self._database.rows("known_states", (index,)))
            for project in known.keys() - portions.keys():
                portions[project] = _NOTHING
            self._write(number, index, portions, known)
        return Generation(number=number, index=index, started_at=started_at, finished_at=None)

    def amend(
        self, index: str, portions: Mapping[NormalizedName, Selection] | Mapping[str, Selection], started_at: float
    ) -> Generation:
        """Record the next generation, which differs in these projects only; an unfinished older one is replaced."""
        names = _encode(list(portions)).decode()
        with self._database.transaction(is_durable=True):
            number = self._begin(index, started_at, is_amended=True)
            known = dict(self._database.rows("known_states_among", (index, names)))
            self._write(number, index, portions, known)
        return Generation(number=number, index=index, started_at=started_at, finished_at=None, is_amended=True)

    def finish(self, generation: Generation, finished_at: float) -> None:
        """The flip: it is current and what it replaces is gone, or nothing has changed.

        Raises NotFound when the generation was replaced meanwhile.
        """
        with self._database.transaction(is_durable=True):
            self._index_of(generation.number)
            self._database.run("finish_generation", (finished_at, generation.number))
            self._database.run("drop_replaced_states", (generation.number,))
            self._database.run("drop_gone_states", (generation.number,))
            self._database.run("drop_older_generations", (generation.index, generation.number))

    def unfinished(self, index: str) -> list[NormalizedName]:
        """The projects in which a generation that was begun and never finished differs, in order."""
        return [name for (name,) in self._database.rows("unfinished_projects", (index,))]

    def abandon(self, index: str) -> None:
        """Forget what was begun and never finished."""
        with self._database.transaction(is_durable=True):
            self._database.run("drop_unfinished_states", (index,))
            self._database.run("drop_unfinished_generations", (index,))

    def _begin(self, index: str, started_at: float, *, is_amended: bool) -> int:
        self._database.run("drop_unfinished_states", (index,))
        self._database.run("drop_unfinished_generations", (index,))
        return self._database.run("begin_generation", (index, started_at, is_amended))

    def _write(
        self,
        number: int,
        index: str,
        portions: Mapping[NormalizedName, Selection] | Mapping[str, Selection],
        known: Mapping[str, str | None],
    ) -> None:
        """Write the portions that differ from what is `known` (project → digest)."""
        for project, portion in portions.items():
            is_gone = portion == _NOTHING
            digest = None if is_gone else digest_of_portion(portion)
            is_same = project not in known if is_gone else known.get(project) == digest
            if not is_same:
                row = (index, project, number, *facts_of(portion), digest, is_gone)
                write_portion(self._database, self._database.run("begin_state", row), portion)

    # --- reading ----------------------------------------------------------------------------------------------------
    def _portions(self, where: Sequence[object]) -> list[tuple[NormalizedName, Selection]]:
        return self._read(self._database.rows("chosen_states", where), _OF_A_GENERATION, where)

    def _read(
        self, states: Iterable[Row], queries: Sequence[str], where: Sequence[object]
    ) -> list[tuple[NormalizedName, Selection]]:
        tables = (self._database.rows(query, where) for query in queries)
        reader = PortionReader(*tables)
        return [(project, reader.portion(number, project, *facts)) for number, project, *facts in states]

    def _number(self, index: str) -> int:
        """That of the current generation; 0 where there is none."""
        current = self.current(index)
        return 0 if current is None else current.number

    def _index_of(self, number: int) -> str:
        row = self._database.row("generation", (number,))
        if row is None:
            raise NotFound(f"{self._database.path}: there is no generation {number}")
        return str(row[0])
