"""The commands that copy what was asked for: sync and plan."""

from __future__ import annotations

import gc
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import sync_options
from pypim.cli.output import render_json
from pypim.core.errors import NotFound, Refused, Unresolvable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pypim.cli.options import SyncArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.core.graph import Graph
    from pypim.core.selection import Selection
    from pypim.ports import Facts, Reporter
    from pypim.sync.model import Report, Request, Stack
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

    with _lasting_values() if is_dry_run else nullcontext():
        recalled = _recalled(session, arguments) if is_dry_run and arguments.graph is None else None
        if recalled is None:
            workspace = session.workspace(arguments)
            requests = [
                request_of(workspace.config, index) for index in workspace.indexes
            ]  # a fault in them leaves no store behind
            for note in (*workspace.notes, *(note for request in requests for note in request.notes)):
                session.note(note)
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
        with open_store(workspace.config, writable=not is_dry_run, frees=True) as store:
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


def _prepared(asked: Request, arguments: SyncArguments, facts: Facts, reporter: Reporter) -> Request:
    """With the limits of the command line in place of the configured ones, and what depends on what is excluded."""
    from pypim.sync.dependents import excluding_known_dependents

    limits = {"max_seconds": arguments.max_seconds, "max_bytes": arguments.max_bytes}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    request = excluding_known_dependents(msgspec.structs.replace(asked, **given), facts)
    for note in request.notes[len(asked.notes) :]:
        reporter.note(note)
    return request


async def _sync_one(
    stack: Stack,
    request: Request,
    arguments: SyncArguments,
    on_planned: Callable[[Selection | None], None],
    *,
    is_dry_run: bool,
) -> Report:
    """Project by project where that is the way, and no graph is wanted of them all. Raises Conflict."""
    from pypim.sync.each import sync_each
    from pypim.sync.refusing import refuse_tree_of_others
    from pypim.sync.run import sync as sync_index

    refuse_tree_of_others(stack, request.index)
    if arguments.graph is None:
        report = await sync_each(stack, request, is_dry_run=is_dry_run)
        if report is not None:
            on_planned(None)
            return report
    return await sync_index(
        stack,
        request,
        keeps_going=arguments.keeps_going,
        is_dry_run=is_dry_run,
        is_forced=arguments.is_forced,
        on_planned=on_planned,
    )


async def _sync_all(
    workspace: Workspace,
    requests: Sequence[Request],
    store: OpenStore,
    reporter: Reporter,
    arguments: SyncArguments,
    *,
    is_dry_run: bool,
) -> tuple[Report, ...]:
    from pypim.core.graph import graph_of
    from pypim.sync.fill import fill
    from pypim.wiring import open_stack, write_text

    graphs: list[Graph] = []

    def on_planned(index: str, selection: Selection | None) -> None:
        if arguments.graph is not None and selection is not None:
            sizes = {identity: holding.blob.size for identity, holding in store.catalog.holdings.holdings()}
            graphs.append(graph_of(index, selection, sizes))
        if not is_dry_run:
            for path, text in workspace.changed_files.items():
                write_text(path, text)

    reports = []
    for index, asked in zip(workspace.indexes, requests, strict=True):
        request = _prepared(asked, arguments, store.of(index).facts, reporter)
        async with open_stack(store, index, reporter, arguments.trust) as stack:
            if index.fills_proxy and not is_dry_run:
                reports.append(await fill(stack, request, store.of(index).cached, keeps_going=arguments.keeps_going))
                continue
            planned = partial(on_planned, index.name)
            reports.append(await _sync_one(stack, request, arguments, planned, is_dry_run=is_dry_run))
            _note_let_in(request, store.of(index).facts, stack)
    if arguments.graph is not None:
        write_text(arguments.graph, _drawn(arguments.graph, graphs))
    return tuple(reports)


def _note_let_in(request: Request, facts: Facts, stack: Stack) -> None:
    from pypim.sync.dependents import let_in_unknown

    for sentence in let_in_unknown(request, facts, stack.generations):
        stack.reporter.note(sentence)


def _drawn(path: Path, graphs: list[Graph]) -> str:
    """Graphs in the form that the ending of a path names."""
    from pypim.core.graph import render_dot

    return render_json({"indexes": graphs}) if path.suffix.lower() == ".json" else render_dot(graphs)
