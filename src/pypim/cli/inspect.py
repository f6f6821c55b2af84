"""The commands that show what there is: list and status."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_size
from pypim.core.errors import ProjectNotFound
from pypim.core.urls import split_user_info

if TYPE_CHECKING:
    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import MirrorIndex
    from pypim.core.model import DistFile, Holding
    from pypim.wiring import OpenStore


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of `list`; size in bytes, None while it is not held and the upstream does not say."""

    filename: str
    size: int | None
    sha256: str | None
    is_held: bool
    path: str | None
    """Relative to the folder that holds `packages/`."""


class ListedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """One release of `list`."""

    index: str
    project: str
    version: str
    files: tuple[ListedFile, ...]


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
    wanted = parse_name(project) if project else None
    rows: list[ListedRelease] = []
    with open_store(found.config, writable=False) as store:
        held = dict(store.catalog.holdings.holdings())
        for index in found.indexes:
            selection = store.catalog.generations.current_selection(index.name)
            for release in selection.releases if selection else ():
                if wanted in {None, release.project}:
                    files = tuple(_listed(file, held.get(file.identity)) for file in release.files)
                    rows.append(
                        ListedRelease(index=index.name, project=release.project, version=release.version, files=files)
                    )
    if wanted and not rows:
        raise ProjectNotFound(wanted, ", ".join(index.name for index in found.indexes))

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


def _listed(file: DistFile, holding: Holding | None) -> ListedFile:
    return ListedFile(
        filename=file.filename,
        size=holding.blob.size if holding else file.size,
        sha256=holding.blob.sha256 if holding else file.sha256,
        is_held=holding is not None,
        path=holding.path if holding else None,
    )


class IndexStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One index of `status`; times as ISO 8601 in UTC, sizes in bytes."""

    index: str
    kind: str
    upstream: str
    state: str
    """"empty", "published", or "interrupted" where a run did not finish."""
    projects: int
    releases: int
    files: int
    file_bytes: int
    waiting_removals: int
    last_sync: str | None
    last_outcome: str | None
    last_serial: int | None
    """The highest that the upstream has told so far, with its list or with a page; null where it tells none."""
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
        rows = [_status_of(store, index) for index in found.indexes]
        free_bytes = store.blobs.free_bytes()

    def prose() -> None:
        for row in rows:
            session.say(f"{row.index} ({row.kind} of {row.upstream}): {row.state}")
            session.say(
                f"  {counted(row.projects, 'project')}, {counted(row.releases, 'release')}, "
                f"{counted(row.files, 'file')}, "
                f"{format_size(row.file_bytes)}"
            )
            session.say(
                f"  last sync: {row.last_sync or 'never'}{f' ({row.last_outcome})' if row.last_outcome else ''}"
            )
            if row.last_serial is not None:
                session.say(f"  upstream serial: {row.last_serial}")
            if row.waiting_removals:
                session.say(f"  {counted(row.waiting_removals, 'file')} no longer listed wait to be deleted")
            if row.path:
                session.say(f"  published in {row.path}")
        if free_bytes is not None:
            session.say(f"{format_size(free_bytes)} free")

    return session.emit({"command": "status", "indexes": rows, "free_bytes": free_bytes}, prose)


def _status_of(store: OpenStore, index: MirrorIndex) -> IndexStatus:
    catalog = store.catalog
    selection = catalog.generations.current_selection(index.name)
    releases = selection.releases if selection else ()
    held = dict(catalog.holdings.holdings())
    files = {file.identity for release in releases for file in release.files} & held.keys()
    state = "empty" if selection is None else "published"
    if catalog.generations.is_interrupted(index.name):
        state = "interrupted"
    run = catalog.runs.last_run(index.name)
    root_url = split_user_info(index.upstream.url)[0].rstrip("/") + "/"
    return IndexStatus(
        index=index.name,
        kind=index.kind,
        upstream=index.upstream.name,
        state=state,
        projects=len({release.project for release in releases}),
        releases=len(releases),
        files=len(files),
        file_bytes=sum(held[identity].blob.size for identity in files),
        waiting_removals=len(catalog.published.removals(index.name)),
        last_sync=describe_time(run.finished_at) if run and run.finished_at else None,
        last_outcome=run.outcome if run else None,
        last_serial=catalog.pages.last_serial(root_url),
        path=str(index.publish) if index.publish else None,
    )


def describe_time(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
