"""The generations of indexes in the catalog: each selection, file by file, with the reasons."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.errors import NotFound
from pypim.core.model import DistFile, ProjectStatus
from pypim.core.plan import Outline, PlannedRelease
from pypim.core.records import Generation
from pypim.core.selection import ChosenRelease, Problem, ProblemKind, ProjectFacts, Reason, Selection, Share

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode
_decode_file = msgspec.json.Decoder(DistFile).decode
_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_shares = msgspec.json.Decoder(tuple[Share, ...]).decode


class CatalogGenerations:
    """The Generations of a catalog: per index the current one and at most one that is being prepared."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self, index: str) -> Generation | None:
        """The newest finished generation."""
        row = self._database.row("current_generation", (index,))
        return None if row is None else Generation(*row)

    def is_interrupted(self, index: str) -> bool:
        """Whether a generation was begun and never finished."""
        return self._database.row("unfinished_generation", (index,)) is not None

    def listed(self, *, besides: str | None = None) -> set[str]:
        """The identities of all files that the current or an unfinished generation of any other index names."""
        return {identity for (identity,) in self._database.rows("listed_identities", (besides,))}

    def selection(self, generation: int) -> Selection:
        """What it holds, equal to what was given to `begin`. Raises NotFound when there is no such generation."""
        rows, one = self._database.rows, (generation,)
        self._check_known(generation)
        reasons = self._reasons(generation)
        shares = {release: tuple(found) for release, found in self._shares(generation).items()}
        files: defaultdict[int, list[DistFile]] = defaultdict(list)
        for release, file in rows("chosen_files", one):
            files[release].append(_decode_file(file))
        return Selection(
            releases=tuple(
                ChosenRelease(
                    project=project,
                    version=version,
                    files=tuple(files[position]),
                    reasons=tuple(reasons[position]),
                    shares=shares.get(position, ()),
                )
                for position, (project, version) in enumerate(rows("chosen_releases", one))
            ),
            projects=tuple(
                ProjectFacts(name=name, status=ProjectStatus(status), status_reason=reason)
                for name, status, reason in rows("chosen_projects", one)
            ),
            problems=self._problems(generation),
            warnings=self._warnings(generation),
        )

    def current_selection(self, index: str) -> Selection | None:
        """What the newest finished generation of an index holds; read again where a sync flips meanwhile."""
        while generation := self.current(index):
            with suppress(NotFound):
                selection = self.selection(generation.number)
                if self.current(index) == generation:  # or some of its rows may have been gone already
                    return selection
        return None

    def outline(self, index: str) -> Outline:
        """What the newest finished generation of an index holds, without the files."""
        generation = self.current(index)
        if generation is None:
            return Outline()
        reasons = self._reasons(generation.number)
        releases = (
            PlannedRelease(project=project, version=version, kept=files, reasons=tuple(reasons[position]))
            for position, project, version, files in self._database.rows("held_releases", (generation.number,))
        )
        return Outline(
            releases=tuple(releases),
            problems=self._problems(generation.number),
            warnings=self._warnings(generation.number),
        )

    def begin(self, index: str, selection: Selection, started_at: float) -> Generation:
        """Record the next generation; an unfinished older one is replaced. Numbers are never used again."""
        database = self._database
        with database.transaction(is_durable=True):
            database.run("drop_unfinished_generations", (index,))
            number = database.run("begin_generation", (index, started_at))
            for query, rows in _rows_of(number, selection):
                database.run_many(query, rows)
        return Generation(number=number, index=index, started_at=started_at, finished_at=None)

    def finish(self, generation: Generation, finished_at: float) -> None:
        """The flip: it is current and the older ones are gone, or nothing has changed.

        Raises NotFound when the generation was replaced meanwhile.
        """
        with self._database.transaction(is_durable=True):
            self._check_known(generation.number)
            self._database.run("finish_generation", (finished_at, generation.number))
            self._database.run("drop_older_generations", (generation.index, generation.number))

    def _reasons(self, generation: int) -> defaultdict[int, list[Reason]]:
        """Position of a release → its reasons."""
        reasons: defaultdict[int, list[Reason]] = defaultdict(list)
        for release, *reason in self._database.rows("given_reasons", (generation,)):
            reasons[release].append(_reason(reason))
        return reasons

    def _shares(self, generation: int) -> defaultdict[int, list[tuple[Share, ...]]]:
        """Position of a release that has any → the shares of each of its reasons."""
        shares: defaultdict[int, list[tuple[Share, ...]]] = defaultdict(list)
        for release, found in self._database.rows("given_shares", (generation,)):
            shares[release].append(_decode_shares(found))
        return shares

    def _problems(self, generation: int) -> tuple[Problem, ...]:
        return tuple(_problem(row) for row in self._database.rows("named_problems", (generation,)))

    def _warnings(self, generation: int) -> tuple[str, ...]:
        return tuple(warning for (warning,) in self._database.rows("given_warnings", (generation,)))

    def _check_known(self, number: int) -> None:
        if self._database.row("generation", (number,)) is None:
            raise NotFound(f"{self._database.path}: there is no generation {number}")


def _rows_of(number: int, selection: Selection) -> Iterator[tuple[str, Iterator[Sequence[object]]]]:
    """For each statement the rows it is to be run with."""
    releases = selection.releases
    yield "choose_release", ((number, at, one.project, one.version) for at, one in enumerate(releases))
    yield "choose_file", (row for at, one in enumerate(releases) for row in _file_rows(number, at, one))
    yield "give_reason", (row for at, one in enumerate(releases) for row in _reason_rows(number, at, one))
    yield (
        "choose_project",
        ((number, at, facts.name, facts.status, facts.status_reason) for at, facts in enumerate(selection.projects)),
    )
    yield "name_problem", ((number, at, *_problem_row(one)) for at, one in enumerate(selection.problems))
    yield "give_warning", ((number, at, warning) for at, warning in enumerate(selection.warnings))


def _file_rows(number: int, release: int, chosen: ChosenRelease) -> Iterator[Sequence[object]]:
    for position, file in enumerate(chosen.files):
        readable = (file.filename, file.identity, file.url, file.sha256, file.size)
        yield number, release, position, chosen.project, chosen.version, *readable, _encode(file).decode()


def _reason_rows(number: int, release: int, chosen: ChosenRelease) -> Iterator[Sequence[object]]:
    for position, (reason, shares) in enumerate(zip(chosen.reasons, chosen.shares or repeat(()), strict=False)):
        parent = (reason.origin, reason.parent_project, reason.parent_version, reason.requirement)
        environments = _encode(reason.environments).decode()
        told = _encode(shares).decode() if chosen.shares else None
        yield number, release, position, chosen.project, chosen.version, *parent, environments, reason.is_build, told


def _problem_row(problem: Problem) -> Sequence[object]:
    lists = (_encode(problem.chain).decode(), _encode(problem.environments).decode())
    flags = (problem.is_root, problem.kind, problem.is_certain)
    return problem.project, problem.requirement, problem.reason, *lists, *flags


def _reason(row: Sequence[Any]) -> Reason:
    origin, parent_project, parent_version, requirement, environments, is_build = row
    return Reason(
        origin=origin,
        parent_project=parent_project,
        parent_version=parent_version,
        requirement=requirement,
        environments=_decode_texts(environments),
        is_build=bool(is_build),
    )


def _problem(row: Sequence[Any]) -> Problem:
    project, requirement, reason, chain, environments, is_root, kind, is_certain = row
    return Problem(
        project=project,
        requirement=requirement,
        reason=reason,
        chain=_decode_texts(chain),
        environments=_decode_texts(environments),
        is_root=bool(is_root),
        kind=ProblemKind(kind),
        is_certain=bool(is_certain),
    )
