"""What an index has of one project, as rows of the catalog and back again."""

from __future__ import annotations

from collections import defaultdict
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.model import DistFile, ProjectStatus
from pypim.core.selection import ChosenRelease, Problem, ProblemKind, ProjectFacts, Reason, Selection, Share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.store.database import Database

Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode
_decode_file = msgspec.json.Decoder(DistFile).decode
_decode_texts = msgspec.json.Decoder(tuple[str, ...]).decode
_decode_shares = msgspec.json.Decoder(tuple[Share, ...]).decode


def write_portion(database: Database, state: int, portion: Selection) -> None:
    """Write the rows of a state that has none yet, within a transaction of the caller's."""
    for query, rows in _rows_of(state, portion):
        database.run_many(query, rows)


def facts_of(portion: Selection) -> tuple[str | None, str | None]:
    """The status of the project and the reason for it; None where its page was not read."""
    if not portion.projects:
        return None, None
    return str(portion.projects[0].status), portion.projects[0].status_reason


class PortionReader:
    """Makes portions of the rows of many states, which come by state and position."""

    def __init__(
        self,
        releases: Iterable[Row],
        files: Iterable[Row],
        reasons: Iterable[Row],
        problems: Iterable[Row],
        warnings: Iterable[Row],
    ) -> None:
        self._releases: defaultdict[int, list[tuple[NormalizedName, str]]] = defaultdict(list)
        self._files: defaultdict[tuple[int, int], list[DistFile]] = defaultdict(list)
        self._reasons: defaultdict[tuple[int, int], list[Reason]] = defaultdict(list)
        self._shares: defaultdict[tuple[int, int], list[tuple[Share, ...]]] = defaultdict(list)
        self._problems: defaultdict[int, list[Problem]] = defaultdict(list)
        self._warnings: defaultdict[int, list[str]] = defaultdict(list)
        for state, project, version in releases:
            self._releases[state].append((project, version))
        for state, release, file in files:
            self._files[state, release].append(_decode_file(file))
        for state, release, *reason, shares in reasons:
            self._reasons[state, release].append(reason_of(reason))
            if shares is not None:
                self._shares[state, release].append(_decode_shares(shares))
        for state, *problem in problems:
            self._problems[state].append(problem_of(problem))
        for state, warning in warnings:
            self._warnings[state].append(warning)

    def portion(self, state: int, project: NormalizedName, status: str | None, reason: str | None) -> Selection:
        """What was written of that state."""
        facts = ProjectFacts(name=project, status=ProjectStatus(status), status_reason=reason) if status else None
        return Selection(
            releases=tuple(
                ChosenRelease(
                    project=name,
                    version=version,
                    files=tuple(self._files[state, position]),
                    reasons=tuple(self._reasons[state, position]),
                    shares=tuple(self._shares[state, position]),
                )
                for position, (name, version) in enumerate(self._releases[state])
            ),
            projects=(facts,) if facts is not None else (),
            problems=tuple(self._problems[state]),
            warnings=tuple(self._warnings[state]),
        )


def _rows_of(state: int, portion: Selection) -> Iterator[tuple[str, Iterator[Sequence[object]]]]:
    """For each statement the rows it is to be run with."""
    releases = portion.releases
    yield "choose_release", ((state, at, one.project, one.version) for at, one in enumerate(releases))
    yield "choose_file", (row for at, one in enumerate(releases) for row in _file_rows(state, at, one))
    yield "give_reason", (row for at, one in enumerate(releases) for row in _reason_rows(state, at, one))
    yield "name_problem", ((state, at, *_problem_row(one)) for at, one in enumerate(portion.problems))
    yield "give_warning", ((state, at, warning) for at, warning in enumerate(portion.warnings))


def _file_rows(state: int, release: int, chosen: ChosenRelease) -> Iterator[Sequence[object]]:
    for position, file in enumerate(chosen.files):
        readable = (file.filename, file.identity, file.url, file.sha256, file.size)
        yield state, release, position, chosen.version, *readable, _encode(file).decode()


def _reason_rows(state: int, release: int, chosen: ChosenRelease) -> Iterator[Sequence[object]]:
    for position, (reason, shares) in enumerate(zip(chosen.reasons, chosen.shares or repeat(()), strict=False)):
        parent = (reason.origin, reason.parent_project, reason.parent_version, reason.requirement)
        environments = _encode(reason.environments).decode()
        told = _encode(shares).decode() if chosen.shares else None
        yield state, release, position, chosen.project, chosen.version, *parent, environments, reason.is_build, told


def _problem_row(problem: Problem) -> Sequence[object]:
    lists = (_encode(problem.chain).decode(), _encode(problem.environments).decode())
    flags = (problem.is_root, problem.kind, problem.is_certain)
    return problem.project, problem.requirement, problem.reason, *lists, *flags


def reason_of(row: Sequence[Any]) -> Reason:
    """A reason as its row has it."""
    origin, parent_project, parent_version, requirement, environments, is_build = row
    return Reason(
        origin=origin,
        parent_project=parent_project,
        parent_version=parent_version,
        requirement=requirement,
        environments=_decode_texts(environments),
        is_build=bool(is_build),
    )


def problem_of(row: Sequence[Any]) -> Problem:
    """A problem as its row has it."""
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
