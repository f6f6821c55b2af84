"""The commands that explain: why and why-not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import offline_option, workspace_options
from pypim.cli.output import counted
from pypim.core.errors import NotFound, ProjectNotFound
from pypim.core.freshness import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from packaging.utils import NormalizedName

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import MirrorIndex
    from pypim.core.chains import Chain, IndexKept, Kept
    from pypim.core.explain import FileVerdict
    from pypim.core.requirements import RequirementLine
    from pypim.sync.model import Stack
    from pypim.sync.why_not import Objections

_MOST_OF_A_ROOT = 3
_MOST_CHAINS = 20
_MOST_ENVIRONMENTS = 4
_MOST_FILES = 20
_MOST_REASONS = 12
_MOST_OF_A_REASON = 3


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim why asgiref", "Every reason that keeps it."),
        ("pypim why django==4.2.16 --to ./mirror", "One release of it."),
        ("pypim why urllib3 --all", "Every chain there is, however many."),
        ("pypim why acme-tool --index all", "Which member of the group `all` answers for it."),
    ),
)
@workspace_options
@click.option("--all", "is_exhaustive", is_flag=True, help="Show every chain, however many there are.")
@click.argument("project", metavar="PROJECT[==VERSION]")
@click.pass_obj
def why(session: Session, workspace: WorkspaceArguments, project: str, *, is_exhaustive: bool) -> int:
    """Show the chains of requirements and rules that keep a project, shortest first, with the targets each is for.

    A chain begins at what you asked for; each further link is a requirement of the release before it, with the extra
    that brings it in, or what builds it. Of every root the three shortest are shown. --json has all that were found,
    and --all looks for every one, which may take long where thousands of projects need it.

    With --index and the name of a group: which member of it answers for the project, and what the others have.
    """
    from pypim.core.names import parse_name

    if (status := _in_group(session, workspace, project)) is not None:
        return status
    found = session.workspace(workspace)
    text, _, version = project.partition("==")
    name = parse_name(text.strip())
    kept, held = _kept(found, name, version.strip() or None, is_exhaustive=is_exhaustive)
    if not kept:
        raise _not_held(found, name, project, held)

    def prose() -> None:
        for one in kept:
            session.say(f"{one.release.project} {one.release.version} is in {one.index} because of")
            for line in _chain_lines(one.release, shows_all=is_exhaustive):
                session.say(f"  {line}")
            if not one.is_asked_for:
                session.say(f"  None of this is asked for any more: it stays until {_until(found, one.index)}.")

    return session.emit({"command": "why", "kept": kept, "groups": ()}, prose)


def _in_group(session: Session, workspace: WorkspaceArguments, project: str) -> int | None:
    """The answer where --index names a group."""
    from pypim.config.model import GroupIndex

    if workspace.index is None:
        return None
    config = session.workspace(msgspec.structs.replace(workspace, index=None), is_about_mirrors=False).config
    if not isinstance(config.indexes.get(workspace.index), GroupIndex):
        return None
    from pypim.cli.why_group import why_in_group

    return why_in_group(session, config, workspace.index, project)


def _kept(
    found: Workspace, name: NormalizedName, version: str | None, *, is_exhaustive: bool
) -> tuple[list[IndexKept], list[str]]:
    """(what the mirrors keep of it, the versions of it that they hold)."""
    from pypim.sync.why import chosen_for, kept_of
    from pypim.wiring import open_store

    kept: list[IndexKept] = []
    held: list[str] = []
    with open_store(found.config, writable=False) as store:
        for index in found.indexes:
            selection = chosen_for(index, store.catalog.generations, name)
            if selection is not None:
                held += [release.version for release in selection.releases if release.project == name]
                kept += kept_of(index, selection, store.of(index).metadata, name, version, is_exhaustive=is_exhaustive)
    return kept, held


def _until(found: Workspace, name: str) -> str:
    (index,) = (index for index in found.indexes if index.name == name)
    if index.on_removal.keeps_listed:
        return 'you take it out, for on-removal is "keep"'
    return "the next sync"


def _not_held(found: Workspace, name: NormalizedName, asked: str, held: list[str]) -> NotFound:
    """The error for what is not held: the project at all, or the release that was asked for."""
    hint = f"Ask `pypim why-not {asked!r}` for what keeps it out."
    if held:
        return NotFound(f"{asked} is not held; {name} is in {', '.join(dict.fromkeys(held))}", hint=hint)
    error = ProjectNotFound(name, ", ".join(index.name for index in found.indexes))
    error.hint = f"It is not held. {hint}"
    return error


def _chain_lines(release: Kept, *, shows_all: bool) -> Iterator[str]:
    """The shortest of every root, and how many others there are."""
    shown = 0
    of_root: dict[tuple[str, str], int] = {}
    for chain in release.chains:
        root = (chain.links[0].by, chain.links[0].requirement)
        of_root[root] = of_root.get(root, 0) + 1
        if shows_all or (shown < _MOST_CHAINS and of_root[root] <= _MOST_OF_A_ROOT):
            shown += 1
            yield _chain_text(chain)
    rest = len(release.chains) - shown
    if not release.is_complete:
        yield f"… and more than {rest:,} other chains (--all looks for every one)"
    elif rest:
        yield f"… and {rest:,} more (all of them with --all)"


def _chain_text(chain: Chain) -> str:
    return f"{' → '.join(map(str, chain.links))}  {_environments_text(chain.environments)}"


def _environments_text(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MOST_ENVIRONMENTS} more" if len(names) > _MOST_ENVIRONMENTS else ""
    return f"[{', '.join(names[:_MOST_ENVIRONMENTS])}{more}]"


@click.command(
    "why-not",
    cls=Command,
    epilog=examples(
        ("pypim why-not 'django<5'", "What keeps older releases out."),
        ("pypim why-not torch --to ./mirror", "Why it is not mirrored at all."),
    ),
)
@workspace_options
@offline_option
@click.option("--all", "shows_all", is_flag=True, help="Name every file, however many there are.")
@click.argument("requirement", metavar="REQ")
@click.pass_obj
def why_not(
    session: Session, workspace: WorkspaceArguments, requirement: str, *, offline: bool, shows_all: bool
) -> int:
    """Show the rule, filter, tag, Python bound, hash, age or conflict that keeps a requirement out, and what to change.

    Where nothing keeps it out and yet it is not held, the plan of a sync is made, to see what is taken instead and
    which requirements would contradict each other if it were forced in. Nothing on disk changes. The exit status is 3
    where the upstream has no such project. Of more than twenty files only some are named for each reason; --all and
    --json name every one.
    """
    from pypim.cli.workspace import Needs
    from pypim.core.requirements import parse_requirement_argument
    from pypim.wiring import open_stack, open_store, run

    found = session.workspace(workspace, Needs.USED)
    line = parse_requirement_argument(requirement, "REQ")
    reporter = session.reporter()

    try:
        with open_store(found.config, writable=False) as store:
            trust = Trust.KEPT if offline else Trust.FRESH
            answers = run(_object_to(session, found, line, partial(open_stack, store, reporter=reporter, trust=trust)))
    finally:
        reporter.close()

    def prose() -> None:
        for answer in answers:
            session.say(f"{answer.index}: {answer.verdict}")
            for text in _file_lines(answer.files, shows_all=shows_all):
                session.say(f"  {text}")
            for one in answer.conflicts:
                names = _environments_text(one.environments)
                session.say(
                    f"  {one.release} ({one.root}) cannot be installed with it: {'; '.join(one.causes)}  {names}"
                )
            if answer.remedy:
                session.say(f"  {answer.remedy}")

    return session.emit({"command": "why-not", "indexes": answers}, prose)


def _file_lines(files: Sequence[FileVerdict], *, shows_all: bool) -> Iterator[str]:
    """What keeps each file out; of very many files only some for each reason, the most frequent reasons first."""
    if shows_all or len(files) <= _MOST_FILES:
        yield from (f"{row.filename}: {row.reason or 'nothing keeps it out'}" for row in files)
        return
    names: dict[str, list[str]] = {}
    for row in files:
        names.setdefault(row.reason or "nothing keeps it out", []).append(row.filename)
    reasons = sorted(names, key=lambda reason: -len(names[reason]))
    for reason in reasons[:_MOST_REASONS]:
        found = names[reason]
        more = f" and {len(found) - _MOST_OF_A_REASON:,} more" if len(found) > _MOST_OF_A_REASON else ""
        yield f"{reason}: {', '.join(found[:_MOST_OF_A_REASON])}{more}"
    rest = f" for {len(reasons) - _MOST_REASONS:,} other reasons" if len(reasons) > _MOST_REASONS else ""
    yield f"… {counted(len(files), 'file')} in all{rest} (every one of them with --all)"


async def _object_to(
    session: Session,
    found: Workspace,
    line: RequirementLine,
    open_stack: Callable[[MirrorIndex], AbstractAsyncContextManager[Stack]],
) -> list[Objections]:
    """What each index says. Raises ProjectNotFound where the upstream of none has the project."""
    from pypim.sync.why_not import Objections, object_to
    from pypim.wiring import request_of

    answers: list[Objections] = []
    unknown: list[ProjectNotFound] = []
    for index in found.indexes:
        async with open_stack(index) as stack:
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
