"""The commands that look after what is held: verify and prune."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.inventory import held_files
from pypim.cli.options import workspace_options
from pypim.cli.output import counted, format_size
from pypim.config.model import GroupIndex, MirrorIndex, ProxyIndex
from pypim.core.errors import InvalidUsage
from pypim.core.measures import parse_duration, parse_size
from pypim.sync.reading import Pace, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.config.model import Config, Index
    from pypim.ports import Reporter
    from pypim.sync.verify import VerifyReport
    from pypim.wiring import OpenStore

_CORRUPT = 7


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim verify --to ./mirror", "Read everything again."),
        ("pypim verify --repair", "And fetch again what is damaged."),
        ("pypim verify --since '30 days' --rate '50 MB'", "Every night: what was not read for a month, gently."),
    ),
)
@workspace_options
@click.option("--repair", is_flag=True, help="Fetch damaged and missing files again from the upstream.")
@click.option("--rate", metavar="SIZE", help='Read at most so many bytes a second, as in "50 MB".')
@click.option(
    "--since",
    metavar="TIME",
    help='Read only files that were not read for so long ("30 days"), or since a date (2026-01-31), the oldest first.',
)
@click.pass_obj
def verify(
    session: Session, workspace: WorkspaceArguments, *, repair: bool, rate: str | None, since: str | None
) -> int:
    """Read everything that is held again and compare it with the digests that were checked when it came.

    A tree that is published elsewhere is read as well: its pages, and files of which it has copies rather than links.
    Each damaged or missing file is named; the exit status is 7 when any remains. With --repair they are fetched again.
    When each file was last found whole is remembered, also by a run that is stopped.
    """
    from pypim.wiring import open_store, run
    from pypim.wiring_upkeep import noting_reads

    now = time.time()
    pace, horizon = _pace(rate), _horizon(since, now)

    found = session.workspace(workspace, is_about_mirrors=False)
    indexes = [one for one in found.config.of_any_kind(workspace.index) if not isinstance(one, GroupIndex)]
    reporter = session.reporter()

    async def work(store: OpenStore, note: Callable[[Sequence[str]], None]) -> list[VerifyReport]:
        last_read = store.catalog.readings.last_read() if horizon is not None else {}
        reading = Reading(reporter, pace=pace, last_read=last_read, unread_since=horizon, note=note)
        return [await _verified(store, index, reporter, reading, repairs=repair) for index in indexes]

    try:
        with open_store(found.config, writable=repair) as store, noting_reads(store, reporter) as note:
            reports = run(work(store, note))
    finally:
        reporter.close()

    def prose() -> None:
        for index, report in zip(indexes, reports, strict=True):
            passed_over = f"; {report.passed_over:,} were read recently" if report.passed_over else ""
            size = format_size(report.file_bytes)
            session.say(f"{index.name}: read {counted(report.files, 'file')}, {size}{passed_over}")
            for damage in report.damages:
                state = "repaired" if damage.is_repaired else "damaged"
                session.say(f"  {state}: {damage.filename}: {session.pasteable(damage.reason)}")
            if not report.damages:
                session.say("  all of them are as they were stored" if report.files else "  nothing was due")
            elif not report.is_sound and not repair:
                session.say(session.pasteable("  fetch them again with `pypim verify --repair`"))

    documents = [{"index": index.name, "report": report} for index, report in zip(indexes, reports, strict=True)]
    status = 0 if all(report.is_sound for report in reports) else _CORRUPT
    return session.emit({"command": "verify", "indexes": documents}, prose, exit_status=status)


def _pace(rate: str | None) -> Pace:
    bytes_a_second = parse_size(rate, "--rate") if rate is not None else None
    if bytes_a_second == 0:
        raise InvalidUsage(
            "--rate is nothing: no file would ever be read", hint="Leave it out to read without a limit."
        )
    return Pace(bytes_a_second)


def _horizon(since: str | None, now: float) -> float | None:
    """Seconds since the epoch; what was read before is due. Raises InvalidRequirement."""
    if since is None:
        return None
    try:
        day = datetime.fromisoformat(since.strip())
    except ValueError:
        return now - parse_duration(since, "--since").total_seconds()
    return (day if day.tzinfo is not None else day.replace(tzinfo=UTC)).timestamp()


async def _verified(
    store: OpenStore, index: Index, reporter: Reporter, reading: Reading, *, repairs: bool
) -> VerifyReport:
    from pypim.sync.verify import verify as verify_mirror
    from pypim.sync.verify_kept import verify_kept
    from pypim.wiring import open_stack, request_of

    if isinstance(index, MirrorIndex):
        # What is asked for does not matter; its files may not even be there, as where a mirror was carried to.
        request = request_of(store.config, msgspec.structs.replace(index, requirement_files=()))
        async with open_stack(store, index, reporter) as stack:
            return await verify_mirror(stack, request, repairs=repairs, reading=reading)
    held = held_files(store, index)
    cached = store.of(index).cached if isinstance(index, ProxyIndex) else None
    return await verify_kept(index.name, held, store.blobs, reading, cached=cached, repairs=repairs)


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

    A sync does so by itself when the time that `on-removal` says has passed. What an index lists stays when it is taken
    out of the configuration, for another configuration may have the same store: then it is said what to do.
    """
    from pypim.sync.remove import prune as prune_store
    from pypim.sync.remove import refuse_cut_off
    from pypim.wiring import open_store, published_tree

    found = session.workspace(workspace, is_about_mirrors=False)
    with open_store(found.config, writable=not dry_run, frees=True) as store:
        refuse_cut_off(store.catalog.generations, store.catalog.published, found.config.indexes)
        trees = {index.name: published_tree(found.config, index) for index in found.config.mirrors}
        report = prune_store(
            store.catalog.generations,
            store.catalog.holdings,
            store.blobs,
            store.catalog.published,
            {name: tree for name, tree in trees.items() if tree is not None},
            is_dry_run=dry_run,
        )
        if not dry_run:
            store.catalog.pages.forget_absences(time.time())
        for sentence in _notes_on_others(store, found.config):
            session.note(sentence)

    def prose() -> None:
        verb = "would delete" if dry_run else "deleted"
        session.say(
            f"{verb} {counted(len(report.files), 'file')} ({format_size(report.file_bytes)}) that no index lists, and "
            f"{len(report.stray):,} strays ({format_size(report.stray_bytes)})"
        )
        for name in (*report.files, *report.stray):
            session.say(f"  {name}")

    return session.emit({"command": "prune", "report": report}, prose)


def _notes_on_others(store: OpenStore, config: Config) -> Iterator[str]:
    """Of each index that lists files in this store and is not in this configuration: what would delete them."""
    for name in store.catalog.generations.indexes():
        files = store.catalog.generations.tally(name).held_files if name not in config.indexes else 0
        if files:
            yield (
                f"index {name} is not in {config.source}, and {counted(files, 'file')} that it lists stay; to delete "
                f'them, put [indexes.{name}] back without packages and with on-removal = "prune", and run `pypim sync`'
            )
