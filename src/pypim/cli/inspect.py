"""The commands that show what there is: list and status."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.followed import FollowedStatus, ToDoStatus, followed_lines, followed_of, todo_of
from pypim.cli.inventory import releases_of
from pypim.cli.known import KnownStatus, known_lines, known_of
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_duration, format_size
from pypim.config.model import MirrorIndex
from pypim.core.errors import ProjectNotFound
from pypim.core.measures import describe_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.cli.inventory import ListedRelease
    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import Index
    from pypim.wiring import OpenStore


@click.command(
    "list",
    cls=Command,
    epilog=examples(
        ("pypim list", "Every release."),
        ("pypim list numpy --to ./mirror", "The files of one project."),
        ("pypim list --requires urllib3", "Everything that is known to require it."),
        ("pypim list --requires urllib3==1.26.20 --held", "What is held and allows that release of it."),
        ("pypim list --required-by flask==3.0.0", "What that release requires."),
    ),
)
@workspace_options
@click.option(
    "--requires",
    metavar="PROJECT[==VERSION]",
    help="List the releases that require this project, or that allow this version of it; of all that the catalog "
    "knows, which `pypim metadata` fills.",
)
@click.option(
    "--required-by",
    metavar="PROJECT[==VERSION]",
    help="List what is required by this project, in one of its releases or in any that is known.",
)
@click.option("--held", is_flag=True, help="With --requires and --required-by: only releases that mirrors hold.")
@click.argument("project", required=False)
@click.pass_obj
def list_held(
    session: Session,
    workspace: WorkspaceArguments,
    *,
    project: str | None,
    requires: str | None,
    required_by: str | None,
    held: bool,
) -> int:
    """List the releases that are held, or the files of one project; or who requires whom.

    --requires X lists those that require X, and --required-by X lists what X requires. Both read the catalog alone,
    and have each requirement as it is written, with its marker. One "as described" is known only from what the
    project says of itself, which is true of the first file of that release. The exit status is 3 where nothing at all
    is known of X.
    """
    from pypim.cli.requirers import Asked, check, show
    from pypim.core.names import parse_name
    from pypim.wiring import open_store

    asked = Asked(requires=requires, required_by=required_by, only_held=held)
    check(asked, project)
    found = session.workspace(workspace, is_about_mirrors=False)
    indexes = found.config.of_any_kind(workspace.index)
    if requires is not None or required_by is not None:
        return show(session, found, indexes, asked)
    wanted = parse_name(project) if project else None
    with open_store(found.config, writable=False) as store:
        rows = chain.from_iterable(releases_of(store, index, wanted) for index in indexes)
        first = next(rows, None)
        if wanted and first is None:
            error = ProjectNotFound(wanted, ", ".join(index.name for index in indexes))
            error.hint = f"It is not held. Ask `pypim why-not {wanted}` for what keeps it out of a mirror."
            raise error
        rows = chain([first] if first else [], rows)  # a mirror may have millions of files

        def prose() -> None:
            for row in rows:
                session.say("\n".join(_release_lines(row, has_files=wanted is not None)))

        document = {
            "command": "list",
            "releases": list(rows) if session.options.writes_json else (),
            "requirements": (),
        }
        return session.emit(document, prose)


def _release_lines(row: ListedRelease, *, has_files: bool) -> Iterator[str]:
    size_bytes = sum(file.size or 0 for file in row.files)
    missing = "" if all(file.is_held for file in row.files) else "  not all of it held"
    yield f"{row.project} {row.version}  ({counted(len(row.files), 'file')}, {format_size(size_bytes)}){missing}"
    for file in row.files if has_files else ():
        yield f"  {file.filename}  {format_size(file.size or 0)}{'' if file.is_held else '  not held'}"


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One index of `status`; times as ISO 8601 in UTC, sizes in bytes."""

    index: str
    kind: str
    upstream: str | None
    """Its name; null for hosted indexes and groups."""
    members: tuple[str, ...] = ()
    """Of a group."""
    state: str
    """"empty"; of a mirror "published", or "interrupted" where a run did not finish; of others "ready"."""
    projects: int
    releases: int
    files: int
    file_bytes: int
    waiting_removals: int
    last_sync: str | None
    last_outcome: str | None
    last_serial: int | None
    """The highest that the upstream has told so far; of a hosted index its own; null where there is none."""
    path: str | None
    """The published tree."""
    known: KnownStatus | None
    """What was read of the upstream, of more than is held; null where nothing was, or there is none."""
    followed: FollowedStatus | None = None
    """What is known of its upstream as a whole; null where that was never asked."""
    todo: tuple[ToDoStatus, ...] = ()
    """The projects that could not be brought up to date."""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim status", "All indexes."),
        ("pypim status --json", "For monitoring."),
        ("pypim status --completeness", "What is missing, why, and when it is tried again."),
    ),
)
@workspace_options
@click.option(
    "--completeness",
    "has_completeness",
    is_flag=True,
    help="How much of what the rules choose is held, and all that is missing; exit with 1 where anything is.",
)
@click.pass_obj
def status(session: Session, workspace: WorkspaceArguments, *, has_completeness: bool) -> int:
    """Show state and size of each index, its last sync and its upstream's last known serial."""
    from pypim.cli.complete import completeness_lines, completeness_of
    from pypim.wiring import open_store

    found = session.workspace(workspace, is_about_mirrors=False)
    with open_store(found.config, writable=False) as store:
        indexes = found.config.of_any_kind(workspace.index)
        rows = [_status_of(store, index) for index in indexes]
        mirrors = [index for index in indexes if isinstance(index, MirrorIndex)] if has_completeness else []
        found_complete = completeness_of(store, mirrors)
        free_bytes = store.blobs.free_bytes()
        oldest_reading = store.catalog.readings.oldest()

    def prose() -> None:
        for row in rows:
            session.say("\n".join(_status_lines(row)))
        for one in found_complete:
            session.say("\n".join(completeness_lines(one)))
        if free_bytes is not None:
            session.say(f"{format_size(free_bytes)} free")
        if oldest_reading is not None:
            age = format_duration(max(0.0, time.time() - oldest_reading))
            session.say(f"every file was stored or read since {describe_time(oldest_reading)}, {age} ago")

    document: dict[str, object] = {"command": "status", "indexes": rows, "free_bytes": free_bytes}
    document["oldest_reading"] = None if oldest_reading is None else describe_time(oldest_reading)
    if has_completeness:
        document["completeness"] = found_complete
    status = 0 if all(one.is_complete for one in found_complete) else 1
    return session.emit(document, prose, exit_status=status)


def _status_lines(row: IndexStatus) -> Iterator[str]:
    source = f" of {row.upstream}" if row.upstream else f" of {', '.join(row.members)}" if row.members else ""
    yield f"{row.index} ({row.kind}{source}): {row.state}"
    if row.members:
        return
    releases = f"{counted(row.projects, 'project')}, {counted(row.releases, 'release')}"
    yield f"  {releases}, {counted(row.files, 'file')}, {format_size(row.file_bytes)}"
    if row.kind == "mirror":
        outcome = f" ({row.last_outcome})" if row.last_outcome else ""
        yield f"  last sync: {row.last_sync or 'never'}{outcome}"
    if row.last_serial is not None:
        yield f"  {'upstream serial' if row.upstream else 'serial'}: {row.last_serial}"
    if row.waiting_removals:
        yield f"  {counted(row.waiting_removals, 'file')} no longer listed wait to be deleted"
    if row.path:
        yield f"  published in {row.path}"
    yield from known_lines(row.known)
    yield from followed_lines(row.followed, row.todo)


def _status_of(store: OpenStore, index: Index) -> IndexStatus:
    from pypim.wiring_told import StoreTelling

    told = StoreTelling(store.config, store.catalog).state(index.name)
    projects, releases, files, file_bytes = _amounts(store, index)
    return IndexStatus(
        index=index.name,
        kind=index.kind,
        upstream=told.upstream,
        members=told.members,
        state=told.state,
        projects=projects,
        releases=releases,
        files=files,
        file_bytes=file_bytes,
        waiting_removals=len(store.catalog.published.removals(index.name)),
        last_sync=told.last_sync,
        last_outcome=told.last_outcome,
        last_serial=told.last_serial,
        path=str(index.publish) if isinstance(index, MirrorIndex) and index.publish else None,
        known=known_of(store, index),
        followed=followed_of(store, index),
        todo=todo_of(store, index),
    )


def _amounts(store: OpenStore, index: Index) -> tuple[int, int, int, int]:
    """Projects, releases, files that are held, and their bytes."""
    if isinstance(index, MirrorIndex):
        tally = store.catalog.generations.tally(index.name)
        return tally.projects, tally.releases, tally.held_files, tally.held_bytes
    releases = list(releases_of(store, index, None))
    files = {file.path: file.size or 0 for release in releases for file in release.files if file.is_held}
    return len({release.project for release in releases}), len(releases), len(files), sum(files.values())
