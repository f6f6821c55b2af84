"""`pypim metadata`: what upstreams say of projects: of those that are asked for and what they need, or of all."""

from __future__ import annotations

import re
from time import monotonic
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import workspace_options
from pypim.cli.output import counted
from pypim.core.errors import InvalidUsage, NotFound, PypimError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import MirrorIndex
    from pypim.index.gather import Gathering
    from pypim.ports import Reporter
    from pypim.sync.model import Stack
    from pypim.wiring import OpenStore


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


class GatheredDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `metadata` prints with --json for each upstream, with --all, --pattern or names."""

    upstream: str
    projects: int
    """Of which something new was learned."""
    unchanged: int
    """That are as they were, by their serial or the upstream's word."""
    files: int
    """On the pages that are new."""
    described: int
    """Projects whose description is new: author, summary, licence and so on."""
    absent: tuple[str, ...]
    """Projects without a page; what was known of them stays."""
    faults: tuple[str, ...]
    """A sentence for each project that could not be learned."""
    seconds: float


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which projects are to be learned."""

    names: tuple[NormalizedName, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    is_everything: bool = False

    @property
    def is_given(self) -> bool:
        """Whether anything was said; otherwise it is what the configuration asks for."""
        return bool(self.names or self.patterns or self.is_everything)


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim metadata", "Learn the pages and core metadata of all that is asked for."),
        ("pypim metadata --all --keep-going", "Learn every project that the upstream lists."),
        ("pypim metadata --pattern 'zope-.*' requests", "Those with such names, and one more."),
        ("pypim metadata && sqlite3 data/catalog.sqlite .tables", "Then ask the catalog."),
    ),
)
@workspace_options
@click.option("--all", "is_everything", is_flag=True, help="Every project that the upstream lists.")
@click.option(
    "--pattern",
    "patterns",
    multiple=True,
    metavar="REGEX",
    help="Every listed project whose whole normalised name matches this regular expression; may be repeated.",
)
@click.option("--keep-going", is_flag=True, help="Leave out what fails, name it at the end, and exit with 1.")
@click.argument("projects", nargs=-1, metavar="[PROJECT]…")
@click.pass_obj
def metadata(
    session: Session,
    workspace: WorkspaceArguments,
    *,
    projects: tuple[str, ...],
    patterns: tuple[str, ...],
    is_everything: bool,
    keep_going: bool,
) -> int:
    """Fetch the pages and the core metadata of everything that is asked for and of what it needs; download no file.

    What is learned stays in the catalog: the next plan or sync asks the upstream only whether it is still so.

    With --all, --pattern or names, whole projects are learned instead, whatever the configuration asks for: their
    pages, and where the upstream has them their descriptions (author, summary, licence, classifiers, requirements of
    the newest release). Projects that have not changed cost nothing, by their serials, or next to nothing. One that
    fails holds no other up: all that failed are named at the end.
    """
    from pypim.cli.workspace import Needs

    scope = _scope(projects, patterns, is_everything=is_everything)
    found = session.workspace(workspace, Needs.NOTHING if scope.is_given else Needs.USED)
    if scope.is_given:
        return _gathered(session, found, scope, keeps_going=keep_going)
    return _needed(session, found, keeps_going=keep_going)


def _scope(projects: Sequence[str], patterns: Sequence[str], *, is_everything: bool) -> Scope:
    """Raises InvalidName or InvalidUsage."""
    from pypim.core.names import parse_name

    expressions = []
    for text in patterns:
        try:
            expressions.append(re.compile(text))
        except re.error as error:
            message = f"--pattern {text}: this is not a regular expression: {error}"
            raise InvalidUsage(message, hint="It is one of Python's, such as 'zope-.*'.") from None
    names = tuple(dict.fromkeys(map(parse_name, projects)))
    return Scope(names=names, patterns=tuple(expressions), is_everything=is_everything)


# --- whole projects -------------------------------------------------------------------------------------------------
def _gathered(session: Session, found: Workspace, scope: Scope, *, keeps_going: bool) -> int:
    from pypim.wiring import open_store, run

    reporter = session.reporter()
    errors: list[PypimError] = []
    indexes = {index.upstream.name: index for index in found.indexes}.values()

    async def work() -> list[GatheredDocument]:
        return [await _gather(store, index, scope, reporter, errors) for index in indexes]

    try:
        with open_store(found.config, writable=True) as store:
            documents = run(work())
    finally:
        reporter.close()
    if errors and not keeps_going:
        for document in documents:
            session.note(next(_gathered_lines(document)))
        first = errors[0]
        first.message = "\n".join(error.message for error in errors)
        first.hint = first.hint or "Run the command again; what was learned is kept. --keep-going leaves these out."
        raise first

    def prose() -> None:
        for document in documents:
            session.say("\n".join(_gathered_lines(document)))

    emitted = {"command": "metadata", "indexes": (), "upstreams": documents}
    return session.emit(emitted, prose, exit_status=1 if errors else 0)


async def _gather(
    store: OpenStore, index: MirrorIndex, scope: Scope, reporter: Reporter, errors: list[PypimError]
) -> GatheredDocument:
    from pypim.wiring import gatherer_of, open_stack

    started = monotonic()
    async with open_stack(store, index, reporter) as stack:
        gatherer = gatherer_of(store, index, stack)
        gathering = await gatherer.gather(await _wanted(stack, scope), reporter)
    named = set(scope.names).intersection(gathering.absent)
    hint = "Check the name, and the upstream that the index reads."
    errors += [NotFound(f"{name}: {index.upstream.name} has no such project", hint=hint) for name in sorted(named)]
    errors += [error for _, error in gathering.faults]
    return _document(index.upstream.name, gathering, monotonic() - started)


async def _wanted(stack: Stack, scope: Scope) -> dict[NormalizedName, int | None]:
    """Name → serial, where the list was asked for: that is only done when it is needed."""
    if not scope.is_everything and not scope.patterns:
        return dict.fromkeys(scope.names)
    stack.reporter.stage("list")
    listed = (await stack.index.project_list()).projects
    if scope.is_everything:
        return {**dict.fromkeys(scope.names), **listed}
    matching = {
        name: serial
        for name, serial in listed.items()
        if any(expression.fullmatch(name) for expression in scope.patterns)
    }
    return {**{name: listed.get(name) for name in scope.names}, **matching}


def _document(upstream: str, gathering: Gathering, seconds: float) -> GatheredDocument:
    return GatheredDocument(
        upstream=upstream,
        projects=gathering.projects,
        unchanged=gathering.unchanged,
        files=gathering.files,
        described=gathering.described,
        absent=tuple(sorted(gathering.absent)),
        faults=tuple(f"{name}: {error.message}" for name, error in gathering.faults),
        seconds=round(seconds, 3),
    )


def _gathered_lines(document: GatheredDocument) -> Iterator[str]:
    yield (
        f"{document.upstream}: {counted(document.projects, 'project')} learned with {counted(document.files, 'file')}"
        f" and {counted(document.described, 'description')}, {document.unchanged:,} unchanged"
    )
    if document.absent:
        yield f"  {counted(len(document.absent), 'project')} without a page: {', '.join(document.absent[:10])}"
    for line in document.faults:
        yield f"  {line}"


# --- what is asked for, and what it needs ---------------------------------------------------------------------------
def _needed(session: Session, found: Workspace, *, keeps_going: bool) -> int:
    from pypim.wiring import open_store, run

    reporter = session.reporter()
    try:
        with open_store(found.config, writable=True) as store:
            documents = run(_need(store, found, reporter, keeps_going=keeps_going))
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
    return session.emit({"command": "metadata", "indexes": documents, "upstreams": ()}, prose, exit_status=status)


async def _need(store: OpenStore, found: Workspace, reporter: Reporter, *, keeps_going: bool) -> list[MetadataDocument]:
    from pypim.sync.refusing import describe_problem
    from pypim.sync.run import expand_roots, select
    from pypim.wiring import open_stack, request_of

    documents = []
    for index in found.indexes:
        async with open_stack(store, index, reporter) as stack:
            request = request_of(found.config, index)
            roots, _ = await expand_roots(stack, request)
            selected = await select(stack, request, roots, keeps_going=keeps_going)
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
