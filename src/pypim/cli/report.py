"""Plans and summaries as lines for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from pypim.cli.output import counted, format_size
from pypim.core.selection import BUILD, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.core.plan import PlannedRelease
    from pypim.index.file_hosts import FileHostReport
    from pypim.sync.model import Report

_PLUS, _MINUS = click.style("+", fg="green"), click.style("-", fg="red")
_MOST_WARNINGS = 20
_MOST_RELEASES = 10


def plan_lines(report: Report, free_bytes: int | None) -> Iterator[str]:
    """What a sync would do: a line for each release that changes, then totals, problems and warnings."""
    plan = report.plan
    yield f"Index {report.index}"
    for release in plan.releases:
        if release.added or release.removed:
            yield _release_line(release)
    if plan.changes_nothing:
        yield "  nothing to add and nothing to remove"
    unknown = f" and {plan.unknown_sizes} of unknown size" if plan.unknown_sizes else ""
    free = f"; {format_size(free_bytes)} free" if free_bytes is not None else ""
    yield f"  to fetch: {counted(len(plan.fetch), 'file')}, {format_size(plan.fetch_bytes)}{unknown}{free}"
    if plan.removed:
        yield f"  to remove: {counted(len(plan.removed), 'file')}, {format_size(plan.removed_bytes)}"
    yield f"  then held: {counted(plan.total_files, 'file')}, {format_size(plan.total_bytes)}"
    yield from trouble_lines(report)


def lacking_line(lacking_bytes: int) -> str:
    """The warning below plans that do not fit on the device."""
    label = click.style("warning", fg="yellow")
    return f"{label}: there is not enough room for this: {format_size(lacking_bytes)} are missing. Make room first"


def _release_line(release: PlannedRelease) -> str:
    parts = []
    if release.added:
        fetched = f", {format_size(release.fetch_bytes)}" if release.fetch_bytes else ""
        parts.append(counted(len(release.added), "file") + fetched)
    if release.removed:
        parts.append(f"{counted(len(release.removed), 'file')} no longer wanted")
    if release.kept:
        parts.append(f"{release.kept} stay")
    sign = _PLUS if release.added else _MINUS
    return f"  {sign} {release.project} {release.version}  ({'; '.join(parts)})  {_why(release.reasons)}".rstrip()


def _why(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return ""
    first = reasons[0]
    who = f"{first.parent_project} {first.parent_version}" if first.parent_project else first.origin
    more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return f"← {who}: {first.requirement}{BUILD if first.is_build else ''}{more}"


def summary_lines(report: Report) -> Iterator[str]:
    """The close of a sync."""
    plan = report.plan
    if report.outcome == "unchanged":
        yield f"{report.index}: nothing new; {counted(plan.total_files, 'file')}, {format_size(plan.total_bytes)} held"
    else:
        # What a run that stopped has planned as a whole is held once the next one has gone on.
        is_to_come = report.outcome == "stopped" and plan.fetch
        held = f"{counted(plan.total_files, 'file')}, {format_size(plan.total_bytes)} held; "
        yield (
            f"{report.index}: fetched {counted(report.fetched_files, 'file')} ({format_size(report.fetched_bytes)}), "
            f"wrote {counted(report.pages_written, 'page file')}, deleted {counted(report.deleted_files, 'file')}; "
            f"{'' if is_to_come else held}{report.seconds:.1f} s"
        )
    yield from map(_host_line, report.file_hosts)
    yield from _unlisted_lines(report)
    yield from trouble_lines(report)


def _host_line(host: FileHostReport) -> str:
    """What came of a file host."""
    failed = f", {host.failed:,} failed" if host.failed else ""
    absent = f", {host.absent:,} not there" if host.absent else ""
    return f"  {host.url}: {counted(host.files, 'file')}{absent}{failed}{'; left out' if host.is_left_out else ''}"


def _unlisted_lines(report: Report) -> Iterator[str]:
    """What is no longer listed, by release."""
    files = Counter((planned.project, planned.version) for planned in report.plan.removed)
    told = [f"{project} {version} ({counted(count, 'file')})" for (project, version), count in files.items()]
    more = f" and {len(told) - _MOST_RELEASES} more (all of them with --json)" if len(told) > _MOST_RELEASES else ""
    if told:
        yield f"  no longer listed: {', '.join(told[:_MOST_RELEASES])}{more}"


def trouble_lines(report: Report) -> Iterator[str]:
    """What is missing, and what to know of the rest."""
    for problem in report.problems:
        from pypim.sync.refusing import describe_problem

        label = click.style("missing", fg="red") if problem.is_certain else click.style("note", fg="yellow")
        yield f"  {label}: {describe_problem(problem)}"
    for fault in report.faults:
        yield f"  {click.style('failed', fg='red')}: {fault}"
    for warning in report.warnings[:_MOST_WARNINGS]:
        yield f"  {click.style('note', fg='yellow')}: {warning}"
    if len(report.warnings) > _MOST_WARNINGS:
        yield f"  … and {len(report.warnings) - _MOST_WARNINGS} more notes (all of them with --json)"
