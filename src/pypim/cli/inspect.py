"""The commands that show what there is: list and status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.inventory import releases_of
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_size
from pypim.config.model import MirrorIndex
from pypim.core.errors import ProjectNotFound

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
    epilog=examples(("pypim list", "Every release."), ("pypim list numpy --to ./mirror", "The files of one project.")),
)
@workspace_options
@click.argument("project", required=False)
@click.pass_obj
def list_held(session: Session, workspace: WorkspaceArguments, project: str | None) -> int:
    """List the releases that are held, or the files of one project."""
    from pypim.core.names import parse_name
    from pypim.wiring import open_store

    found = session.workspace(workspace, is_about_mirrors=False)
    indexes = found.config.of_any_kind(workspace.index)
    wanted = parse_name(project) if project else None
    rows: list[ListedRelease] = []
    with open_store(found.config, writable=False) as store:
        held = dict(store.catalog.holdings.holdings())
        for index in indexes:
            rows += [one for one in releases_of(store, index, held) if wanted in {None, one.project}]
    if wanted and not rows:
        raise ProjectNotFound(wanted, ", ".join(index.name for index in indexes))

    def prose() -> None:
        for row in rows:
            size_bytes = sum(file.size or 0 for file in row.files)
            missing = "" if all(file.is_held for file in row.files) else "  not all of it held"
            session.say(
                f"{row.project} {row.version}  ({counted(len(row.files), 'file')}, {format_size(size_bytes)}){missing}"
            )
            for file in row.files if wanted else ():
                session.say(f"  {file.filename}  {format_size(file.size or 0)}{'' if file.is_held else '  not held'}")

    return session.emit({"command": "list", "releases": rows}, prose)


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


@click.command(
    cls=Command, epilog=examples(("pypim status", "All indexes."), ("pypim status --json", "For monitoring."))
)
@workspace_options
@click.pass_obj
def status(session: Session, workspace: WorkspaceArguments) -> int:
    """Show state and size of each index, its last sync and its upstream's last known serial."""
    from pypim.wiring import open_store

    found = session.workspace(workspace, is_about_mirrors=False)
    with open_store(found.config, writable=False) as store:
        rows = [_status_of(store, index) for index in found.config.of_any_kind(workspace.index)]
        free_bytes = store.blobs.free_bytes()

    def prose() -> None:
        for row in rows:
            session.say("\n".join(_status_lines(row)))
        if free_bytes is not None:
            session.say(f"{format_size(free_bytes)} free")

    return session.emit({"command": "status", "indexes": rows, "free_bytes": free_bytes}, prose)


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


def _status_of(store: OpenStore, index: Index) -> IndexStatus:
    from pypim.wiring_told import StoreTelling

    told = StoreTelling(store.config, store.catalog).state(index.name)
    releases = releases_of(store, index, dict(store.catalog.holdings.holdings()))
    files = {file.path: file.size or 0 for release in releases for file in release.files if file.is_held}
    return IndexStatus(
        index=index.name,
        kind=index.kind,
        upstream=told.upstream,
        members=told.members,
        state=told.state,
        projects=len({release.project for release in releases}),
        releases=len(releases),
        files=len(files),
        file_bytes=sum(files.values()),
        waiting_removals=len(store.catalog.published.removals(index.name)),
        last_sync=told.last_sync,
        last_outcome=told.last_outcome,
        last_serial=told.last_serial,
        path=str(index.publish) if isinstance(index, MirrorIndex) and index.publish else None,
    )
