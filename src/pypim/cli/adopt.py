"""`pypim adopt`: take over the files of another tool's mirror, or of a cache, instead of downloading them again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import SyncArguments, upstream_option, upstream_text, workspace_options
from pypim.cli.output import counted, format_size
from pypim.config.inline import Told
from pypim.core.adoption import AdoptReport, Mismatch
from pypim.core.errors import InvalidUsage
from pypim.core.freshness import Trust

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import Config
    from pypim.core.adoption import Unmatched
    from pypim.ports import Reporter
    from pypim.sync.adopt import Adoption
    from pypim.wiring import OpenStore

_MOST_SHOWN = 10
_SENTENCES = {
    Mismatch.NO_NAME: "without the name of a distribution file",
    Mismatch.NO_FILE: "no regular file",
    Mismatch.NOT_LISTED: "not listed by the upstream",
    Mismatch.OTHER_HASH: "with other bytes than the upstream lists",
    Mismatch.TRUNCATED: "shorter than the upstream lists",
    Mismatch.NO_HASH: "listed without any hash",
    Mismatch.UNREADABLE: "that cannot be read",
    Mismatch.CHANGED: "changed while read",
    Mismatch.UNKNOWN: "of which nobody says the hash",
}


class AdoptDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `adopt` prints with --json."""

    command: str
    report: AdoptReport


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim adopt /srv/bandersnatch/web && pypim sync", "Take over what bandersnatch mirrored, then follow it."),
        ("pypim adopt ~/wheels --to ./mirror --dry-run", "What of a folder of files an upstream lists."),
        ("pypim adopt ~/.cache/pip/wheels --copy", "Take copies of what pip keeps."),
    ),
)
@click.argument("directory", metavar="DIR", type=click.Path())
@workspace_options
@click.option("--dry-run", is_flag=True, help="Read and compare everything, and take nothing over.")
@click.option(
    "--copy",
    "copies",
    is_flag=True,
    help="Copy instead of linking: for folders whose files are rewritten in place by others.",
)
@upstream_option
@click.option("--offline", is_flag=True, help="Ask nobody: what the catalog and the pages in DIR say counts.")
@click.pass_obj
def adopt(  # noqa: PLR0913 - one for each option
    session: Session,
    workspace: WorkspaceArguments,
    directory: str,
    *,
    dry_run: bool,
    copies: bool,
    upstream: str | None,
    offline: bool,
) -> int:
    """Take over files that another tool has downloaded: found by name, checked by hash, linked instead of fetched.

    DIR is any folder with distribution files at any depth: a mirror of bandersnatch, pypisync or simple-pypi-mirror,
    the folder of microrepo, minirepo or pypiserver, a prefix of pypicache, a cache of pip's wheels. A file is taken if
    its bytes are those that the upstream lists under its name. Nothing in DIR is changed. What is taken counts as
    held: a sync does not fetch it, and what no sync chooses stays until `pypim prune`.
    """
    from pypim.sync.adopt import Adoption, How
    from pypim.sync.foreign import ForeignFolder
    from pypim.wiring import open_store, run, write_text

    told = Told(upstream=upstream_text(upstream))
    found = session.workspace(_arguments(workspace, told))
    folder = ForeignFolder(Path(directory).absolute())
    _refuse_own_folder(found.config, folder.path)
    how = How(copies=copies, is_dry_run=dry_run, is_offline=offline, jobs=max(one.jobs for one in found.indexes))
    adoption = Adoption(folder, how)
    reporter = session.reporter()
    try:
        with open_store(found.config, writable=not dry_run) as store:
            if not dry_run:
                for path, text in found.changed_files.items():
                    write_text(path, text)
            report = run(_adopt(found, store, reporter, adoption))
    finally:
        reporter.close()
    for fault in report.faults:
        session.note(fault)
    status = 0 if report.is_complete else 1
    document = AdoptDocument(command="adopt", report=report)
    return session.emit(document, "\n".join(_lines(report)), exit_status=status)


def _arguments(workspace: WorkspaceArguments, told: Told) -> SyncArguments:
    return SyncArguments(workspace=workspace, told=told, is_beginning=True)


def _refuse_own_folder(config: Config, folder: Path) -> None:
    """Raises InvalidUsage where a folder of somebody else's is our own as well, or one is in the other."""
    own = [config.store.path, config.store.files, *(index.publish for index in config.mirrors if index.publish)]
    for path in (one.resolve() for one in own):
        if path.is_relative_to(folder) or folder.is_relative_to(path):
            raise InvalidUsage(
                f"{folder}: this folder and {path}, where pypim keeps what it holds, are not apart",
                hint="Keep the mirror in a folder beside it: on the same file system links take no room.",
            )


async def _adopt(found: Workspace, store: OpenStore, reporter: Reporter, adoption: Adoption) -> AdoptReport:
    """By each index whose upstream none before it has."""
    from pypim.sync.adopt import Taker
    from pypim.wiring import open_stack

    indexes = list({index.upstream.url: index for index in reversed(found.indexes)}.values())
    trust = Trust.KEPT if adoption.how.is_offline else Trust.NOTHING
    async with AsyncExitStack() as stack:
        takers = []
        for index in reversed(indexes):
            opened = await stack.enter_async_context(open_stack(store, index, reporter, trust, needs_pages_once=True))
            takers.append(Taker(index.name, opened, store.of(index).cached if index.fills_proxy else None))
        return await adoption.run(takers)


def _lines(report: AdoptReport) -> Iterator[str]:
    verb = "would take over" if report.is_dry_run else "took over"
    yield f"{report.folder}: {counted(report.found_files, 'distribution file')}, {format_size(report.found_bytes)}"
    copied = report.adopted_files - report.linked_files
    ways = [f"{report.linked_files:,} linked"] * bool(report.linked_files) + [f"{copied:,} copied"] * bool(copied)
    how = f": {', '.join(ways)}" if ways and not report.is_dry_run else ""
    yield f"  {verb} {counted(report.adopted_files, 'file')} ({format_size(report.adopted_bytes)}){how}"
    if report.held_files:
        yield f"  {counted(report.held_files, 'file')} held already"
    by_reason = sorted(report.unmatched, key=lambda one: (list(_SENTENCES).index(one.reason), one.path))
    for reason, group in groupby(by_reason, key=lambda one: one.reason):
        yield from _left(reason, list(group))


def _left(reason: Mismatch, ones: Sequence[Unmatched]) -> Iterator[str]:
    yield f"  left out {counted(len(ones), 'file')} {_SENTENCES[reason]}:"
    for one in ones[:_MOST_SHOWN]:
        yield f"    {one.path}" + (f": {one.detail}" if one.detail else "")
    if len(ones) > _MOST_SHOWN:
        yield f"    and {len(ones) - _MOST_SHOWN:,} more; --json lists them all"
