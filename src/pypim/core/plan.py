"""The plan: a selection less the holdings, as what a sync would fetch, list, stop listing and keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.utils import NormalizedName

from pypim.core.model import DistFile
from pypim.core.selection import Problem, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypim.core.model import Holding
    from pypim.core.selection import Selection


class PlannedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file with the release it belongs to."""

    project: NormalizedName
    version: str
    file: DistFile


class PlannedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one release: how many files come, go and stay, and how it came in."""

    project: str
    version: str
    added: tuple[str, ...] = ()
    """Names of the files that the index will list and does not list now."""
    removed: tuple[str, ...] = ()
    """Names of the files that the index lists now and will not list."""
    kept: int = 0
    """Files that stay."""
    fetch_bytes: int = 0
    """Bytes that must be fetched, as far as their sizes are known; also of listed files that are no longer held."""
    reasons: tuple[Reason, ...] = ()


class Outline(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection holds without its files: enough to tell of a sync that finds nothing to do."""

    releases: tuple[PlannedRelease, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync would do. Sizes in bytes; `unknown_sizes` counts the files whose size the upstream does not say."""

    fetch: tuple[PlannedFile, ...]
    """Files whose bytes we do not have."""
    removed: tuple[PlannedFile, ...]
    """Files that the current generation lists and the selection does not."""
    releases: tuple[PlannedRelease, ...]
    """Every release that changes or stays, by project and version."""
    fetch_bytes: int
    unknown_sizes: int
    total_files: int
    total_bytes: int
    removed_bytes: int
    fetch_files: int = 0
    """How many `fetch` are in all: of an index that mirrors very many projects not every one is listed."""
    removed_files: int = 0
    """How many `removed` are in all, likewise."""
    untold_releases: int = 0
    """Releases that change and are not among `releases`, likewise; those that stay are not among them either."""

    @property
    def changes_nothing(self) -> bool:
        """Whether the index is already as the selection wants it."""
        return not self.fetch and not self.removed and not any(release.added for release in self.releases)


def make_plan(selection: Selection, current: Selection | None, holdings: Mapping[str, Holding]) -> Plan:
    """Compare a selection with the current generation's and with what we hold (identity → holding)."""
    wanted = {planned.file.identity: planned for planned in planned_files(selection)}
    listed = {planned.file.identity: planned for planned in planned_files(current)} if current else {}
    fetch = [planned for identity, planned in wanted.items() if identity not in holdings]
    removed = [planned for identity, planned in listed.items() if identity not in wanted]
    reasons = {(release.project, release.version): release.reasons for release in selection.releases}
    sizes = [_size(planned.file, holdings) for planned in wanted.values()]
    return Plan(
        fetch=tuple(fetch),
        removed=tuple(removed),
        releases=_by_release(wanted, listed, holdings, reasons),
        fetch_bytes=sum(planned.file.size or 0 for planned in fetch),
        unknown_sizes=sum(planned.file.size is None for planned in fetch),
        total_files=len(wanted),
        total_bytes=sum(size or 0 for size in sizes),
        removed_bytes=sum(_size(planned.file, holdings) or 0 for planned in removed),
        fetch_files=len(fetch),
        removed_files=len(removed),
    )


def outline_of(selection: Selection) -> Outline:
    """A selection that is held, as a plan would tell of it."""
    releases = (
        PlannedRelease(project=one.project, version=one.version, kept=len(one.files), reasons=one.reasons)
        for one in selection.releases
    )
    return Outline(releases=tuple(releases), problems=selection.problems, warnings=selection.warnings)


def planned_files(selection: Selection) -> Iterable[PlannedFile]:
    """Every file of a selection with its release."""
    for release in selection.releases:
        for file in release.files:
            yield PlannedFile(project=release.project, version=release.version, file=file)


def _size(file: DistFile, holdings: Mapping[str, Holding]) -> int | None:
    holding = holdings.get(file.identity) if holdings else None
    return holding.blob.size if holding else file.size


def _by_release(
    wanted: Mapping[str, PlannedFile],
    listed: Mapping[str, PlannedFile],
    holdings: Mapping[str, Holding],
    reasons: Mapping[tuple[NormalizedName, str], tuple[Reason, ...]],
) -> tuple[PlannedRelease, ...]:
    rows: dict[tuple[NormalizedName, str], tuple[list[str], list[str], list[int]]] = {}
    for identity, planned in wanted.items():
        added, _, numbers = rows.setdefault((planned.project, planned.version), ([], [], [0, 0]))
        if identity in listed:
            numbers[0] += 1
        else:
            added.append(planned.file.filename)
        if identity not in holdings:
            numbers[1] += planned.file.size or 0
    for identity, planned in listed.items():
        if identity not in wanted:
            rows.setdefault((planned.project, planned.version), ([], [], [0, 0]))[1].append(planned.file.filename)
    return tuple(
        PlannedRelease(
            project=key[0],
            version=key[1],
            added=tuple(added),
            removed=tuple(removed),
            kept=numbers[0],
            fetch_bytes=numbers[1],
            reasons=reasons.get(key, ()),
        )
        for key, (added, removed, numbers) in sorted(rows.items())
    )
