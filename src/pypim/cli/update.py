"""`pypim update`: learn what has changed at the upstreams, and fetch nothing else."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import workspace_options
from pypim.cli.output import counted
from pypim.core.followed import Way

if TYPE_CHECKING:
    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import MirrorIndex
    from pypim.core.followed import Updated
    from pypim.sync.model import Request, Stack


class UpdateDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `update` prints with --json, one for each index."""

    index: str
    upstream: str
    way: str | None
    """"xml-rpc", "json", "html" or "projects": how the upstream was asked; null for a page that lists files."""
    outcome: str
    """"first", "changed", "unchanged"; "behind" where the upstream answered with something older than is known, which
    was not taken; "kept" where nobody was asked."""
    projects: int
    """How many are listed."""
    new: int
    changed: int
    removed: int
    """Gone for certain."""
    missing: int
    """Not there any more, and listed until that is certain."""
    last_serial: int | None
    seconds: float
    dropped: tuple[str, ...]
    """What of the list cannot be used, in sentences."""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim update", "What has changed since the last time, at every upstream."),
        ("pypim update --index main --json", "One of them, for a script."),
        ("pypim update --accept-removals", "After a look at the upstream: yes, all that is missing there is gone."),
    ),
)
@workspace_options
@click.option(
    "--accept-removals",
    is_flag=True,
    help="Believe at once that what is not there any more is gone, however many projects that are.",
)
@click.pass_obj
def update(session: Session, workspace: WorkspaceArguments, *, accept_removals: bool) -> int:
    """Learn which projects of the upstream are new, changed or removed, and fetch nothing else.

    The upstream is asked on the cheapest way that it offers: its changelog, its list with serials, or its plain list,
    all of them only for what is new where that is possible. A sync does the same by itself where a pattern needs it.
    A project that is missing counts as removed only after some confirmations, and never many at once: see `follow`,
    `removal-confirmations` and `most-removed` of an upstream. The exit status is 1 where an upstream answered with
    something older than is known.
    """
    from pypim.sync.walking import accept_other_upstream
    from pypim.wiring import open_stack, open_store, request_of, run

    found = session.workspace(workspace)
    reporter = session.reporter()

    async def work() -> list[UpdateDocument]:
        documents = []
        for index in found.indexes:
            reporter.stage("list")
            begun = monotonic()
            async with open_stack(store, index, reporter) as stack:
                if index.upstream.follow.way is Way.PROJECTS:
                    document = await _updated_projects(stack, index, request_of(found.config, index))
                else:
                    document = await _updated_list(stack, index, accepts_removals=accept_removals)
                    if accept_removals:
                        accept_other_upstream(stack, index.name)
            documents.append(msgspec.structs.replace(document, seconds=round(monotonic() - begun, 3)))
        return documents

    try:
        with open_store(found.config, writable=True) as store:
            documents = run(work())
    finally:
        reporter.close()

    def prose() -> None:
        for document in documents:
            session.say(_sentence(document))

    is_behind = any(document.outcome == "behind" for document in documents)
    return session.emit({"command": "update", "indexes": documents}, prose, exit_status=1 if is_behind else 0)


async def _updated_list(stack: Stack, index: MirrorIndex, *, accepts_removals: bool) -> UpdateDocument:
    found = None if stack.follows is None else await stack.follows.update(accepts_removals=accepts_removals)
    if found is not None:
        return _document(index, found)
    listed = await stack.index.project_list()  # a page of files
    return UpdateDocument(
        index=index.name,
        upstream=index.upstream.name,
        way=None,
        outcome="unchanged",
        projects=len(listed.projects),
        new=0,
        changed=0,
        removed=0,
        missing=0,
        last_serial=listed.last_serial,
        seconds=0.0,
        dropped=listed.dropped,
    )


async def _updated_projects(stack: Stack, index: MirrorIndex, request: Request) -> UpdateDocument:
    """Ask for the pages of the projects that the last sync looked at, or that are named, with their validators."""
    finding = stack.findings.finding(index.name)
    names = sorted({*(finding.consulted if finding else ()), *(root.project for root in request.roots)})
    assert stack.follows is not None
    return _document(index, await stack.follows.ask(names))


def _document(index: MirrorIndex, found: Updated) -> UpdateDocument:
    return UpdateDocument(
        index=index.name,
        upstream=index.upstream.name,
        way=str(found.way),
        outcome=found.outcome,
        projects=found.projects,
        new=found.new,
        changed=found.changed,
        removed=found.removed,
        missing=found.missing,
        last_serial=found.serial,
        seconds=0.0,
        dropped=found.dropped,
    )


def _sentence(document: UpdateDocument) -> str:
    way = f" ({document.way})" if document.way else ""
    serial = f", serial {document.last_serial}" if document.last_serial is not None else ""
    listed = f"{document.upstream} lists {counted(document.projects, 'project')}{serial}"
    text = f"{document.index}: {listed}{way}; {_told(document)} in {document.seconds:.1f} s"
    missing = f"; {counted(document.missing, 'project')} missing, not yet believed to be gone"
    return text + (missing if document.missing else "")


def _told(document: UpdateDocument) -> str:
    match document.outcome:
        case "first":
            return "listed for the first time"
        case "behind":
            return "it answered with something older than is known, and nothing of that was taken"
        case "kept":
            return "nobody was asked"
        case "unchanged":
            return "nothing new"
        case _:
            return f"{document.new:,} new, {document.changed:,} changed, {document.removed:,} removed"
