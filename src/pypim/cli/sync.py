"""The commands that follow an upstream: sync, plan, update and metadata."""

from __future__ import annotations

import gc
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import sync_options, workspace_options
from pypim.cli.output import counted, render_json
from pypim.core.errors import NotFound, Refused, Unresolvable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypim.cli.options import SyncArguments, WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.core.graph import Graph
    from pypim.core.selection import Selection
    from pypim.ports import Reporter
    from pypim.sync.model import Report, Request
    from pypim.wiring import OpenStore


class SyncDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `sync` and `plan` print with --json; sizes in bytes."""

    command: str
    indexes: tuple[Report, ...]
    free_bytes: int | None
    lacking_bytes: int
    """How much room is missing for what a plan would fetch; 0 where it fits, or nobody knows."""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim sync flask 'django>=5,<6' --to ./mirror", "Two projects and all they need, for this machine."),
        (
            "pypim sync -r requirements.txt --python 3.12 --platform windows --to ./mirror",
            "For other machines.",
        ),
        ("pypim sync", "Everything that ./pypim.toml asks for."),
    ),
)
@sync_options(has_dry_run=True)
@click.pass_obj
def sync(session: Session, arguments: SyncArguments) -> int:
    """Make the index match what you asked for: fetch what is missing, publish it, remove what is not wanted any more.

    With --to DIR no configuration is needed: what you say is kept in that folder, added to what was said before, and
    repeated by `pypim sync --to DIR`. Nothing is visible before its hash was checked; a run that was interrupted has
    lost nothing, and the next one goes on from there. What can be installed from the index now stays installable, or
    nothing is published and the exit status is 9: --force publishes all the same.
    """
    return _run(session, arguments, is_dry_run=arguments.is_dry_run)


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim plan --json | jq .indexes[].plan.fetch_bytes", "How much would be fetched."),
        (
            "pypim plan 'apache-airflow[postgres]' --platform linux --to ./mirror",
            "Without a configuration.",
        ),
        ("pypim plan --graph plan.dot && dot -Tsvg plan.dot -o plan.svg", "Who needs what, as a picture."),
    ),
)
@sync_options(has_dry_run=False)
@click.pass_obj
def plan(session: Session, arguments: SyncArguments) -> int:
    """Show what a sync would add and remove, with sizes and reasons. Nothing that is held or published changes.

    Takes the options of `sync` and is the same as `sync --dry-run`.
    """
    return _run(session, arguments, is_dry_run=True)


def _run(session: Session, arguments: SyncArguments, *, is_dry_run: bool) -> int:
    from pypim.cli.report import lacking_line, plan_lines, summary_lines
    from pypim.wiring import request_of

    recalled = _recalled(session, arguments) if is_dry_run and arguments.graph is None else None
    if recalled is None:
        workspace = session.workspace(arguments)
        requests = [
            request_of(workspace.config, index) for index in workspace.indexes
        ]  # a fault in them leaves no store behind
        for note in (*workspace.notes, *(note for request in requests for note in request.notes)):
            session.note(note)
        with _lasting_values() if is_dry_run else nullcontext():
            reports, free_bytes = _with_store(session, workspace, requests, arguments, is_dry_run=is_dry_run)
    else:
        reports, free_bytes = recalled
    document = SyncDocument(
        command="plan" if is_dry_run else "sync",
        indexes=reports,
        free_bytes=free_bytes,
        lacking_bytes=_lacking_bytes(reports, free_bytes) if is_dry_run else 0,
    )

    def prose() -> None:
        for report in reports:
            lines = plan_lines(report, free_bytes) if is_dry_run else summary_lines(report)
            session.say("\n".join(lines))  # at once, for there may be very many
        if document.lacking_bytes:
            session.say(lacking_line(document.lacking_bytes))

    status = 0 if all(report.is_complete for report in reports) else 1
    # With -q a sync is silent only when there is nothing to tell: what is missing has to reach cron's mail.
    return session.emit(document, prose, is_summary=not is_dry_run and status == 0, exit_status=status)


@contextmanager
def _lasting_values() -> Iterator[None]:
    """A plan is made of very many values that live until it is made: there are next to no cycles to look for."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _recalled(session: Session, arguments: SyncArguments) -> tuple[tuple[Report, ...], int | None] | None:
    """The reports and the room that is left, where every plan was made before and would be the same again."""
    from pypim.wiring import open_store, recalled_plan

    workspace = session.workspace(arguments, looks_beyond=False)
    with open_store(workspace.config, writable=False) as store:
        plans = []
        for index in workspace.indexes:
            plan = recalled_plan(store, index, arguments.trust)
            if plan is None:
                return None
            plans.append(plan)
        free_bytes = store.blobs.free_bytes()
    reports = tuple(plan.report for plan in plans)
    for note in (*workspace.notes, *(note for plan in plans for note in plan.notes)):
        session.note(note)
    _note_how_to_forget(session, workspace, reports)
    return reports, free_bytes


def _with_store(
    session: Session, workspace: Workspace, requests: Sequence[Request], arguments: SyncArguments, *, is_dry_run: bool
) -> tuple[tuple[Report, ...], int | None]:
    """The reports and the room that is left."""
    from pypim.wiring import open_store, request_of, run

    reporter = session.reporter()
    try:
        with open_store(workspace.config, writable=not is_dry_run) as store:
            if not is_dry_run:  # who held the lock until now may have told this mirror something else
                workspace = session.workspace(arguments)
                requests = [request_of(workspace.config, index) for index in workspace.indexes]
            reports = run(_sync_all(workspace, requests, store, reporter, arguments, is_dry_run=is_dry_run))
            free_bytes = store.blobs.free_bytes()
    except (NotFound, Refused, Unresolvable) as error:
        error.hint = " ".join([error.hint, *_how_to_forget(workspace)]).strip()
        raise
    finally:
        reporter.close()
    _note_how_to_forget(session, workspace, reports)
    return reports, free_bytes


def _note_how_to_forget(session: Session, workspace: Workspace, reports: Sequence[Report]) -> None:
    if any(problem.is_root and problem.is_certain for report in reports for problem in report.problems):
        for note in _how_to_forget(workspace):
            session.note(note)


def _how_to_forget(workspace: Workspace) -> list[str]:
    """A mirror that was told on the command line goes on to ask for what it could not have: perhaps it will come."""
    if workspace.memory is None or not workspace.memory.is_file():
        return []
    return [f"What was asked for before stays asked for; to forget a line of it, edit {workspace.memory}."]


def _lacking_bytes(reports: Sequence[Report], free_bytes: int | None) -> int:
    needed_bytes = sum(report.plan.fetch_bytes for report in reports)
    return 0 if free_bytes is None else max(0, needed_bytes - free_bytes)


async def _sync_all(
    workspace: Workspace,
    requests: Sequence[Request],
    store: OpenStore,
    reporter: Reporter,
    arguments: SyncArguments,
    *,
    is_dry_run: bool,
) -> tuple[Report, ...]:
    from pypim.core.graph import graph_of, render_dot
    from pypim.sync.fill import fill
    from pypim.sync.run import sync as sync_index
    from pypim.wiring import open_stack, write_text

    graphs: list[Graph] = []

    def on_planned(index: str, selection: Selection) -> None:
        if arguments.graph is not None:
            sizes = {identity: holding.blob.size for identity, holding in store.catalog.holdings.holdings()}
            graphs.append(graph_of(index, selection, sizes))
        if not is_dry_run:
            for path, text in workspace.changed_files.items():
                write_text(path, text)

    reports = []
    for index, request in zip(workspace.indexes, requests, strict=True):
        async with open_stack(store, index, reporter, arguments.trust) as stack:
            if index.fills_proxy and not is_dry_run:
                reports.append(await fill(stack, request, store.catalog.cached, keeps_going=arguments.keeps_going))
                continue
            reports.append(
                await sync_index(
                    stack,
                    request,
                    keeps_going=arguments.keeps_going,
                    is_dry_run=is_dry_run,
                    is_forced=arguments.is_forced,
                    on_planned=partial(on_planned, index.name),
                )
            )
    if arguments.graph is not None:
        is_json = arguments.graph.suffix.lower() == ".json"
        write_text(arguments.graph, render_json({"indexes": graphs}) if is_json else render_dot(graphs))
    return tuple(reports)


class UpdateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `update` prints with --json, one for each index."""

    index: str
    upstream: str
    projects: int
    last_serial: int | None
    dropped: tuple[str, ...]


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim update", "Ask every upstream for its list of projects."),
        ("pypim update --index main --json", "One of them, for a script."),
    ),
)
@workspace_options
@click.pass_obj
def update(session: Session, workspace: WorkspaceArguments) -> int:
    """Fetch the upstream's list of projects and their serials, and nothing else.

    The list is kept with its validators, so that asking again costs little when nothing is new. A sync asks for the
    list by itself where a pattern needs it.
    """
    from pypim.wiring import open_stack, open_store, run

    found = session.workspace(workspace)
    reporter = session.reporter()

    async def work() -> list[UpdateDocument]:
        documents = []
        for index in found.indexes:
            reporter.stage("list")
            async with open_stack(store, index, reporter) as stack:
                listed = await stack.index.project_list()
            documents.append(
                UpdateDocument(
                    index=index.name,
                    upstream=index.upstream.name,
                    projects=len(listed.projects),
                    last_serial=listed.last_serial,
                    dropped=listed.dropped,
                )
            )
        return documents

    try:
        with open_store(found.config, writable=True) as store:
            documents = run(work())
    finally:
        reporter.close()

    def prose() -> None:
        for document in documents:
            serial = f", serial {document.last_serial}" if document.last_serial is not None else ""
            session.say(f"{document.index}: {document.upstream} lists {document.projects:,} projects{serial}")

    return session.emit({"command": "update", "indexes": documents}, prose)


class MetadataDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `metadata` prints with --json, one for each index."""

    index: str
    is_complete: bool
    """Whether nothing that was asked for is missing; what only some targets lack does not count."""
    projects: int
    releases: int
    files: int
    problems: tuple[str, ...]
    faults: tuple[str, ...]
    warnings: tuple[str, ...]


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim metadata", "Learn the pages and core metadata of all that is asked for."),
        ("pypim metadata && sqlite3 data/catalog.sqlite .tables", "Then ask the catalog."),
    ),
)
@workspace_options
@click.option("--keep-going", is_flag=True, help="Leave out what fails, name it at the end, and exit with 1.")
@click.pass_obj
def metadata(session: Session, workspace: WorkspaceArguments, *, keep_going: bool) -> int:
    """Fetch the pages and the core metadata of everything that is asked for and of what it needs; download no file.

    What is learned stays in the catalog: the next plan or sync asks the upstream only whether it is still so.
    """
    from pypim.cli.workspace import Needs
    from pypim.sync.run import describe_problem, expand_roots, select
    from pypim.wiring import open_stack, open_store, request_of, run

    found = session.workspace(workspace, Needs.USED)
    reporter = session.reporter()

    async def work() -> list[MetadataDocument]:
        documents = []
        for index in found.indexes:
            async with open_stack(store, index, reporter) as stack:
                request = request_of(found.config, index)
                roots, _ = await expand_roots(stack, request)
                selected = await select(stack, request, roots, keeps_going=keep_going)
                selection = selected.selection
            documents.append(
                MetadataDocument(
                    index=index.name,
                    is_complete=not selected.faults and not any(p.is_certain for p in selection.problems),
                    projects=len(selection.projects),
                    releases=len(selection.releases),
                    files=sum(len(release.files) for release in selection.releases),
                    problems=tuple(describe_problem(problem) for problem in selection.problems),
                    faults=selected.faults,
                    warnings=selection.warnings,
                )
            )
        return documents

    try:
        with open_store(found.config, writable=True) as store:
            documents = run(work())
    finally:
        reporter.close()

    def prose() -> None:
        for document in documents:
            session.say(
                f"{document.index}: {counted(document.projects, 'project')}, "
                f"{counted(document.releases, 'release')} and "
                f"{counted(document.files, 'file')} would be held"
            )
            for line in (*document.problems, *document.faults):
                session.say(f"  {line}")

    status = 1 if not all(document.is_complete for document in documents) else 0
    return session.emit({"command": "metadata", "indexes": documents}, prose, exit_status=status)
