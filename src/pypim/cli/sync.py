"""The commands that follow an upstream: sync, plan, update and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import place_options, sync_options
from pypim.cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.cli.options import PlaceArguments, SyncArguments
    from pypim.cli.output import Session
    from pypim.cli.place import Place
    from pypim.ports import Reporter
    from pypim.sync.model import Report, Request
    from pypim.wiring import OpenStore


class SyncDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `sync` and `plan` print with --json; sizes in bytes."""

    command: str
    indexes: tuple[Report, ...]
    free_bytes: int | None


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
    lost nothing, and the next one goes on from there.
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
    ),
)
@sync_options(has_dry_run=False)
@click.pass_obj
def plan(session: Session, arguments: SyncArguments) -> int:
    """Show what a sync would add and remove, with sizes and reasons. Nothing on disk changes.

    Takes the options of `sync` and is the same as `sync --dry-run`.
    """
    return _run(session, arguments, is_dry_run=True)


def _run(session: Session, arguments: SyncArguments, *, is_dry_run: bool) -> int:
    from pypim.cli.report import plan_lines, summary_lines
    from pypim.wiring import open_store, request_of, run

    place = session.place(arguments)
    requests = [request_of(place.config, index) for index in place.indexes]  # a fault in them leaves no store behind
    for note in (*place.notes, *(note for request in requests for note in request.notes)):
        session.note(note)
    reporter = session.reporter()
    try:
        with open_store(place.config, writable=not is_dry_run) as store:
            if not is_dry_run:  # who held the lock until now may have told this mirror something else
                place = session.place(arguments)
                requests = [request_of(place.config, index) for index in place.indexes]
            reports = run(_sync_all(place, requests, store, reporter, arguments, is_dry_run=is_dry_run))
            free_bytes = store.blobs.free_bytes()
    finally:
        reporter.close()
    document = SyncDocument(command="plan" if is_dry_run else "sync", indexes=reports, free_bytes=free_bytes)

    def prose() -> None:
        for report in reports:
            lines = plan_lines(report, free_bytes) if is_dry_run else summary_lines(report)
            for line in lines:
                session.say(line)

    status = 0 if all(report.is_complete for report in reports) else 1
    # With -q a sync is silent only when there is nothing to tell: what is missing has to reach cron's mail.
    return session.emit(document, prose, is_summary=not is_dry_run and status == 0, exit_status=status)


async def _sync_all(
    place: Place,
    requests: Sequence[Request],
    store: OpenStore,
    reporter: Reporter,
    arguments: SyncArguments,
    *,
    is_dry_run: bool,
) -> tuple[Report, ...]:
    from pypim.sync.run import sync as sync_index
    from pypim.wiring import open_stack, write_text

    def remember() -> None:
        for path, text in place.changed_files.items():
            write_text(path, text)

    reports = []
    for index, request in zip(place.indexes, requests, strict=True):
        async with open_stack(store, index, reporter) as stack:
            reports.append(
                await sync_index(
                    stack,
                    request,
                    keeps_going=arguments.keeps_going,
                    is_dry_run=is_dry_run,
                    on_planned=remember,
                )
            )
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
@place_options
@click.pass_obj
def update(session: Session, place: PlaceArguments) -> int:
    """Fetch the upstream's list of projects and their serials, and nothing else.

    The list is kept with its validators, so that asking again costs little when nothing is new. A sync asks for the
    list by itself where a pattern needs it.
    """
    from pypim.wiring import open_stack, open_store, run

    found = session.place(place)
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
@place_options
@click.option("--keep-going", is_flag=True, help="Leave out what fails, name it at the end, and exit with 1.")
@click.pass_obj
def metadata(session: Session, place: PlaceArguments, *, keep_going: bool) -> int:
    """Fetch the pages and the core metadata of everything that is asked for and of what it needs; download no file.

    What is learned stays in the catalog: the next plan or sync asks the upstream only whether it is still so.
    """
    from pypim.sync.run import describe_problem, expand_roots, select
    from pypim.wiring import open_stack, open_store, request_of, run

    found = session.place(place)
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
