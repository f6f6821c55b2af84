"""The commands that look after what is held: verify and prune."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pypim.cli.command import Command, examples
from pypim.cli.inventory import held_files
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_size
from pypim.config.model import GroupIndex, MirrorIndex, ProxyIndex

if TYPE_CHECKING:
    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import Index
    from pypim.ports import Reporter
    from pypim.sync.verify import VerifyReport
    from pypim.wiring import OpenStore

_CORRUPT = 7


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim verify --to ./mirror", "Read everything again."),
        ("pypim verify --repair", "And fetch again what is damaged."),
    ),
)
@workspace_options
@click.option("--repair", is_flag=True, help="Fetch damaged and missing files again from the upstream.")
@click.pass_obj
def verify(session: Session, workspace: WorkspaceArguments, *, repair: bool) -> int:
    """Read everything that is held again and compare it with the digests that were checked when it came.

    A tree that is published elsewhere is read as well: its pages, and files of which it has copies rather than links.
    Each damaged or missing file is named; the exit status is 7 when any remains. With --repair they are fetched again.
    """
    from pypim.wiring import open_store, run

    found = session.workspace(workspace, is_about_mirrors=False)
    indexes = [one for one in found.config.of_any_kind(workspace.index) if not isinstance(one, GroupIndex)]
    reporter = session.reporter()

    async def work() -> list[VerifyReport]:
        return [await _verified(store, index, reporter, repairs=repair) for index in indexes]

    try:
        with open_store(found.config, writable=repair) as store:
            reports = run(work())
    finally:
        reporter.close()

    def prose() -> None:
        for index, report in zip(indexes, reports, strict=True):
            session.say(f"{index.name}: read {counted(report.files, 'file')}, {format_size(report.file_bytes)}")
            for damage in report.damages:
                state = "repaired" if damage.is_repaired else "damaged"
                session.say(f"  {state}: {damage.filename}: {session.pasteable(damage.reason)}")
            if not report.damages:
                session.say("  all of them are as they were stored")
            elif not report.is_sound and not repair:
                session.say(session.pasteable("  fetch them again with `pypim verify --repair`"))

    documents = [{"index": index.name, "report": report} for index, report in zip(indexes, reports, strict=True)]
    status = 0 if all(report.is_sound for report in reports) else _CORRUPT
    return session.emit({"command": "verify", "indexes": documents}, prose, exit_status=status)


async def _verified(store: OpenStore, index: Index, reporter: Reporter, *, repairs: bool) -> VerifyReport:
    from pypim.sync.verify import verify as verify_mirror
    from pypim.sync.verify_kept import verify_kept
    from pypim.wiring import open_stack, request_of

    if isinstance(index, MirrorIndex):
        async with open_stack(store, index, reporter) as stack:
            return await verify_mirror(stack, request_of(store.config, index), repairs=repairs)
    held = held_files(store, index, dict(store.catalog.holdings.holdings()))
    cached = store.catalog.cached if isinstance(index, ProxyIndex) else None
    return await verify_kept(index.name, held, store.blobs, reporter, cached=cached, repairs=repairs)


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim prune --dry-run", "What would be deleted."),
        ("pypim prune --to ./mirror", "Delete it."),
    ),
)
@workspace_options
@click.option("--dry-run", is_flag=True, help="Show what would be deleted and change nothing.")
@click.pass_obj
def prune(session: Session, workspace: WorkspaceArguments, *, dry_run: bool) -> int:
    """Delete files that no index lists any more, and what interrupted runs left behind, at once.

    A sync does so by itself when the time that `on-removal` says has passed.
    """
    from pypim.sync.remove import prune as prune_store
    from pypim.sync.remove import refuse_cut_off
    from pypim.wiring import open_store, published_tree

    found = session.workspace(workspace, is_about_mirrors=False)
    with open_store(found.config, writable=not dry_run) as store:
        refuse_cut_off(store.catalog.generations, found.config.indexes)
        trees = {index.name: published_tree(found.config, index) for index in found.config.mirrors}
        report = prune_store(
            store.catalog.generations,
            store.catalog.holdings,
            store.blobs,
            store.catalog.published,
            {name: tree for name, tree in trees.items() if tree is not None},
            is_dry_run=dry_run,
        )

    def prose() -> None:
        verb = "would delete" if dry_run else "deleted"
        session.say(
            f"{verb} {counted(len(report.files), 'file')} ({format_size(report.file_bytes)}) that no index lists, and "
            f"{len(report.stray):,} strays ({format_size(report.stray_bytes)})"
        )
        for name in (*report.files, *report.stray):
            session.say(f"  {name}")

    return session.emit({"command": "prune", "report": report}, prose)
