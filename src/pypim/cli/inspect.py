"""The commands that ask: list, status, why and why-not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_size
from pypim.core.errors import NotFound, ProjectNotFound
from pypim.core.urls import split_user_info

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import Index
    from pypim.core.chains import Chain
    from pypim.core.model import DistFile, Holding
    from pypim.core.requirements import RequirementLine
    from pypim.ports import Reporter
    from pypim.sync.why_not import Objections
    from pypim.wiring import OpenStore

_MOST_CHAINS = 10


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

    found = session.workspace(workspace)
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

    found = session.workspace(workspace)
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


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim why asgiref", "Every reason that keeps it."),
        ("pypim why django==4.2.16 --to ./mirror", "One release of it."),
    ),
)
@workspace_options
@click.argument("project", metavar="PROJECT[==VERSION]")
@click.pass_obj
def why(session: Session, workspace: WorkspaceArguments, project: str) -> int:
    """Show the chains of requirements and rules that keep a project, shortest first."""
    from pypim.core.chains import Kept, chains_of
    from pypim.core.names import parse_name
    from pypim.wiring import open_store

    found = session.workspace(workspace)
    text, _, version = project.partition("==")
    name = parse_name(text.strip())
    kept: list[tuple[str, Kept]] = []
    with open_store(found.config, writable=False) as store:
        for index in found.indexes:
            selection = store.catalog.generations.current_selection(index.name)
            if selection is not None:
                kept += [(index.name, release) for release in chains_of(selection, name, version.strip() or None)]
    if not kept:
        raise _not_held(found, name, project)

    def prose() -> None:
        for index_name, release in kept:
            session.say(f"{release.project} {release.version} is in {index_name} because of")
            for chain in release.chains[:_MOST_CHAINS]:
                session.say(f"  {_chain_text(chain)}")
            if len(release.chains) > _MOST_CHAINS:
                session.say(f"  … and {len(release.chains) - _MOST_CHAINS} more reasons (all of them with --json)")

    documents = [{"index": index_name, "release": release} for index_name, release in kept]
    return session.emit({"command": "why", "kept": documents}, prose)


def _not_held(found: Workspace, name: NormalizedName, asked: str) -> NotFound:
    """The error for what is not held: the project at all, or the release that was asked for."""
    from pypim.core.chains import chains_of
    from pypim.wiring import open_store

    versions: list[str] = []
    with open_store(found.config, writable=False) as store:
        for index in found.indexes:
            if (selection := store.catalog.generations.current_selection(index.name)) is not None:
                versions += [release.version for release in chains_of(selection, name)]
    hint = f"Ask `pypim why-not {asked!r}` for what keeps it out."
    if versions:
        return NotFound(f"{asked} is not held; {name} is in {', '.join(versions)}", hint=hint)
    error = ProjectNotFound(name, ", ".join(index.name for index in found.indexes))
    error.hint = f"It is not held. {hint}"
    return error


def _chain_text(chain: Chain) -> str:
    steps = " → ".join(map(str, chain.links))
    return f"{steps}  [{', '.join(chain.environments)}]"


@click.command(
    "why-not",
    cls=Command,
    epilog=examples(
        ("pypim why-not 'django<5'", "What keeps older releases out."),
        ("pypim why-not torch --to ./mirror", "Why it is not mirrored at all."),
    ),
)
@workspace_options
@click.argument("requirement", metavar="REQ")
@click.pass_obj
def why_not(session: Session, workspace: WorkspaceArguments, requirement: str) -> int:
    """Show the rule, filter, tag, Python bound, hash or age that keeps a requirement out, and what to change.

    The upstream is asked for the project's page; nothing on disk changes. The exit status is 3 where it has no such
    project.
    """
    from pypim.cli.workspace import Needs
    from pypim.core.requirements import parse_requirement_argument
    from pypim.wiring import open_store, run

    found = session.workspace(workspace, Needs.USED)
    line = parse_requirement_argument(requirement, "REQ")
    reporter = session.reporter()

    try:
        with open_store(found.config, writable=False) as store:
            answers = run(_object_to(session, found, line, store, reporter))
    finally:
        reporter.close()

    def prose() -> None:
        for answer in answers:
            session.say(f"{answer.index}: {answer.verdict}")
            for row in answer.files:
                session.say(f"  {row.filename}: {row.reason or 'nothing keeps it out'}")
            if answer.remedy:
                session.say(f"  {answer.remedy}")

    return session.emit({"command": "why-not", "indexes": answers}, prose)


async def _object_to(
    session: Session, found: Workspace, line: RequirementLine, store: OpenStore, reporter: Reporter
) -> list[Objections]:
    """What each index says. Raises ProjectNotFound where the upstream of none has the project."""
    from pypim.sync.why_not import Objections, object_to
    from pypim.wiring import open_stack, request_of

    answers: list[Objections] = []
    unknown: list[ProjectNotFound] = []
    for index in found.indexes:
        async with open_stack(store, index, reporter) as stack:
            try:
                answer = await object_to(stack, request_of(found.config, index), line)
            except ProjectNotFound as error:
                unknown.append(error)
                answer = Objections(
                    index=index.name, requirement=line.text, is_kept=False, verdict=error.message, remedy=error.hint
                )
        answers.append(msgspec.structs.replace(answer, remedy=session.pasteable(answer.remedy)))
    if len(unknown) == len(answers):
        raise unknown[0]
    return answers


def _status_of(store: OpenStore, index: Index) -> IndexStatus:
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
