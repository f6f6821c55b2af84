"""The commands that ask: list, status, why and why-not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import place_options
from pypim.cli.output import counted, format_size
from pypim.core.errors import NotFound, ProjectNotFound

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.cli.options import PlaceArguments
    from pypim.cli.output import Session
    from pypim.cli.place import Place
    from pypim.config.model import Index
    from pypim.core.chains import Chain
    from pypim.core.model import DistFile, Holding
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
@place_options
@click.argument("project", required=False)
@click.pass_obj
def list_held(session: Session, place: PlaceArguments, project: str | None) -> int:
    """List the releases that are held, or the files of one project."""
    from pypim.core.names import parse_name
    from pypim.wiring import open_store

    found = session.place(place)
    wanted = parse_name(project) if project else None
    rows: list[ListedRelease] = []
    with open_store(found.config, writable=False) as store:
        held = dict(store.catalog.holdings.holdings())
        for index in found.indexes:
            generation = store.catalog.generations.current(index.name)
            releases = store.catalog.generations.selection(generation.number).releases if generation else ()
            for release in releases:
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
    path: str | None
    """The published tree."""


@click.command(
    cls=Command, epilog=examples(("pypim status", "All indexes."), ("pypim status --json", "For monitoring."))
)
@place_options
@click.pass_obj
def status(session: Session, place: PlaceArguments) -> int:
    """Show state and size of each index, its last sync and its upstream's last known serial."""
    from pypim.wiring import open_store

    found = session.place(place)
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
@place_options
@click.argument("project", metavar="PROJECT[==VERSION]")
@click.pass_obj
def why(session: Session, place: PlaceArguments, project: str) -> int:
    """Show the chains of requirements and rules that keep a project, shortest first."""
    from pypim.core.chains import Kept, chains_of
    from pypim.core.names import parse_name
    from pypim.wiring import open_store

    found = session.place(place)
    text, _, version = project.partition("==")
    name = parse_name(text.strip())
    kept: list[tuple[str, Kept]] = []
    with open_store(found.config, writable=False) as store:
        for index in found.indexes:
            generation = store.catalog.generations.current(index.name)
            if generation is not None:
                selection = store.catalog.generations.selection(generation.number)
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


def _not_held(found: Place, name: NormalizedName, asked: str) -> NotFound:
    """The error for what is not held: the project at all, or the release that was asked for."""
    from pypim.core.chains import chains_of
    from pypim.wiring import open_store

    versions: list[str] = []
    with open_store(found.config, writable=False) as store:
        for index in found.indexes:
            if (generation := store.catalog.generations.current(index.name)) is not None:
                selection = store.catalog.generations.selection(generation.number)
                versions += [release.version for release in chains_of(selection, name)]
    hint = f"Ask `pypim why-not {asked!r}` for what keeps it out."
    if versions:
        return NotFound(f"{asked} is not held; {name} is in {', '.join(versions)}", hint=hint)
    error = ProjectNotFound(name, ", ".join(index.name for index in found.indexes))
    error.hint = f"It is not held. {hint}"
    return error


def _chain_text(chain: Chain) -> str:
    steps = " → ".join(f"{link.by}: {link.requirement}" for link in chain.links)
    return f"{steps}  [{', '.join(chain.environments)}]"


@click.command(
    "why-not",
    cls=Command,
    epilog=examples(
        ("pypim why-not 'django<5'", "What keeps older releases out."),
        ("pypim why-not torch --to ./mirror", "Why it is not mirrored at all."),
    ),
)
@place_options
@click.argument("requirement", metavar="REQ")
@click.pass_obj
def why_not(session: Session, place: PlaceArguments, requirement: str) -> int:
    """Show the rule, filter, tag, Python bound, hash or age that keeps a requirement out, and what to change.

    The upstream is asked for the project's page; nothing on disk changes.
    """
    from pypim.core.requirements import parse_requirement_argument
    from pypim.sync.why_not import object_to
    from pypim.wiring import open_stack, open_store, request_of, run

    found = session.place(place)
    line = parse_requirement_argument(requirement, "REQ")
    reporter = session.reporter()

    async def work() -> list[Objections]:
        answers = []
        for index in found.indexes:
            async with open_stack(store, index, reporter) as stack:
                answers.append(await object_to(stack, request_of(found.config, index), line))
        return answers

    try:
        with open_store(found.config, writable=False) as store:
            answers = run(work())
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


def _status_of(store: OpenStore, index: Index) -> IndexStatus:
    catalog = store.catalog
    generation = catalog.generations.current(index.name)
    releases = catalog.generations.selection(generation.number).releases if generation else ()
    held = dict(catalog.holdings.holdings())
    files = {file.identity for release in releases for file in release.files} & held.keys()
    state = "published" if generation else "empty"
    if catalog.generations.is_interrupted(index.name):
        state = "interrupted"
    run = catalog.runs.last_run(index.name)
    listing = catalog.pages.response(index.upstream.url)
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
        last_serial=listing.serial if listing else None,
        path=str(index.publish) if index.publish else None,
    )


def describe_time(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
