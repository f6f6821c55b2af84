"""`pypim prove`: whether what is asked for installs from the index and nothing else, as a table and as lock files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.command import Command, examples
from pypim.cli.options import offline_option, workspace_options
from pypim.cli.output import counted, table
from pypim.core.errors import InvalidUsage, NotFound
from pypim.core.freshness import Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pypim.cli.options import WorkspaceArguments
    from pypim.cli.output import Session
    from pypim.cli.workspace import Workspace
    from pypim.config.model import MirrorIndex
    from pypim.ports import Reporter
    from pypim.sync.model import Request
    from pypim.sync.opinions import Proof
    from pypim.sync.prove import ProveReport, Proving
    from pypim.wiring import OpenStore

BUILTIN = "builtin"
JUDGES = (BUILTIN, "uv", "pip")
_NOT_PROVED = 9
_WIDEST_HEADING = 90  # characters; beyond that the columns are numbered
_MARKS = {
    "installable": "ok",
    "fails": "FAILS",
    "undecided": "undecided",
    "impossible": "impossible",
    "not-judged": "not judged",
}
_COLORS = {"fails": "red", "undecided": "red"}


class ProveArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What `prove` was told besides the mirror."""

    requirements: tuple[str, ...]
    judge: str
    locks: Path | None
    """The folder for lock files, absolute."""
    is_offline: bool = False
    """Whether what fails is explained from the catalog alone."""


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim prove", "Everything that ./pypim.toml asks for, on every target."),
        ("pypim prove 'flask[async]' --with uv --to ./mirror", "One requirement; real uv is the judge."),
        ("pypim prove --format pylock locks", "And a lock file for each root and target."),
    ),
)
@workspace_options
@click.argument("requirements", metavar="[REQ]...", nargs=-1)
@click.option("--with", "judge", type=click.Choice(JUDGES), default=BUILTIN, help="Who resolves. Default: builtin.")
@click.option(
    "--format",
    "lock_format",
    type=(click.Choice(("pylock",)), click.Path(file_okay=False)),
    metavar="pylock DIR",
    help="Write a pylock.toml for each root and target into this folder.",
)
@offline_option
@click.pass_obj
def prove(
    session: Session,
    workspace: WorkspaceArguments,
    requirements: tuple[str, ...],
    judge: str,
    lock_format: tuple[str, str] | None,
    *,
    offline: bool,
) -> int:
    """Prove that everything asked for can be installed from the index and nothing else, on every target.

    Each release that the index holds for a root, or each REQ, is resolved on each target from what is held. What fails
    is explained; only for that the upstream is asked, and what cannot be installed from there either is told apart.
    The exit status is 9 when anything fails that the upstream can satisfy, or nothing could be judged. uv and pip run
    as processes of their own and may run the build of an sdist; nothing in the store changes.
    """
    from pypim.wiring import open_store, run

    found = session.workspace(workspace)
    locks = Path(lock_format[1]).absolute() if lock_format else None
    arguments = ProveArguments(requirements=requirements, judge=judge, locks=locks, is_offline=offline)
    if locks is not None and len(found.indexes) > 1:
        names = ", ".join(index.name for index in found.indexes)
        raise InvalidUsage("--format pylock is about one index", hint=f"Name it with --index: {names}.")
    requests = [_request_of(found, index, requirements) for index in found.indexes]
    reporter = session.reporter()
    try:
        with open_store(found.config, writable=False) as store:
            if requirements:
                _refuse_strangers(found, requests, store)
            reports = run(_prove_all(found, requests, store, reporter, arguments))
    finally:
        reporter.close()

    def prose() -> None:
        for report in reports:
            for line in _lines(report):
                session.say(session.pasteable(line))

    is_asked = not requirements or any(report.proofs for report in reports)
    status = 0 if is_asked and all(report.is_proved for report in reports) else _NOT_PROVED
    return session.emit({"command": "prove", "indexes": reports}, prose, exit_status=status)


def _request_of(found: Workspace, index: MirrorIndex, requirements: tuple[str, ...]) -> Request:
    """What the index is asked for, or these requirements in the place of all that."""
    from pypim.wiring import request_of

    request = request_of(found.config, index)
    if not requirements:
        return request
    asked = msgspec.structs.replace(index, roots=(), patterns=(), requirement_files=(), requirements=requirements)
    return msgspec.structs.replace(request, roots=request_of(found.config, asked).roots, patterns=())


def _refuse_strangers(found: Workspace, requests: Sequence[Request], store: OpenStore) -> None:
    """Raises NotFound for a requirement that no index is asked for and none holds, not even for the sake of others."""
    from pypim.wiring import request_of

    known: set[str] = set()
    patterns = []
    for index in found.indexes:
        configured = request_of(found.config, index)
        patterns += [pattern.expression for pattern in configured.patterns]
        known |= {root.project for root in configured.roots}
        selection = store.catalog.generations.current_selection(index.name)
        known |= {release.project for release in selection.releases} if selection is not None else set()
    for root in (root for request in requests for root in request.roots):
        if root.project not in known and not any(pattern.fullmatch(root.project) for pattern in patterns):
            names = ", ".join(index.name for index in found.indexes)
            raise NotFound(
                f"{root.text}: index {names} is not asked for {root.project}, and holds nothing of it",
                hint=f"Check the name, or mirror it first: pypim sync {shlex.quote(root.text)}",
            )


async def _prove_all(
    found: Workspace, requests: Sequence[Request], store: OpenStore, reporter: Reporter, arguments: ProveArguments
) -> list[ProveReport]:
    from pypim.sync.prove import Proving
    from pypim.wiring import open_judge, open_stack

    reports = []
    for index, request in zip(found.indexes, requests, strict=True):
        trust = Trust.KEPT if arguments.is_offline else Trust.NOTHING
        async with open_stack(store, index, reporter, trust) as stack:
            proving = Proving(stack, request)
            if arguments.judge == BUILTIN:
                report = await proving.run()
            else:
                async with open_judge(arguments.judge, store, index, request, proving.held) as (judge, elsewhere):
                    report = await proving.run(judge, None if arguments.is_offline else elsewhere)
            if arguments.locks is not None:
                written = await _write_locks(proving, store, index, request, arguments.locks)
                report = msgspec.structs.replace(report, lock_files=tuple(written))
        reports.append(report)
    return reports


async def _write_locks(
    proving: Proving, store: OpenStore, index: MirrorIndex, request: Request, folder: Path
) -> list[str]:
    """The paths of the lock files that were written."""
    from pypim.sync.prove_locks import Places, lock_texts
    from pypim.wiring import write_text

    files = index.publish or store.config.store.files
    places = Places(files=files, locks=folder, is_public=index.publish is not None)
    texts = await lock_texts(proving, places, request.environments)
    for name, text in texts.items():
        write_text(folder / name, text)
    return [str(folder / name) for name in texts]


# --- the table ------------------------------------------------------------------------------------------------------
def _lines(report: ProveReport) -> Iterator[str]:
    environments = list(dict.fromkeys(proof.environment for proof in report.proofs))
    rows: dict[tuple[str, str, str], dict[str, Proof]] = {}
    for proof in report.proofs:
        version = proof.version or ("none" if proof.project else "together")
        rows.setdefault((_root(proof), version, proof.origin), {})[proof.environment] = proof
    numbered = sum(map(len, environments)) > _WIDEST_HEADING
    headings = [str(n) for n in range(1, len(environments) + 1)] if numbered else environments
    cells = [
        (root, version, *(_mark(found[name]) if name in found else "" for name in environments))
        for (root, version, _), found in rows.items()
    ]
    yield f"Index {report.index}, judged by {report.judge}"
    if cells:
        for line in table([("root", "release", *headings), *cells]).splitlines():
            yield f"  {line}"
    if numbered:
        yield from (f"  {n}: {name}" for n, name in enumerate(environments, 1))
    yield from _reasons(report.proofs)
    yield from (f"  {click.style('note', fg='yellow')}: {note}" for note in report.notes)
    yield from (f"  wrote {path}" for path in report.lock_files)
    yield f"  {_conclusion(report)}"


def _mark(proof: Proof) -> str:
    return "ok?" if proof.open_sdists else _MARKS[proof.state]


def _root(proof: Proof) -> str:
    """The root as written; a rule after the name of its project, with the extras that are asked for."""
    if proof.origin.startswith("packages."):
        return f"{proof.origin.removeprefix('packages.')} {proof.root}"
    return f"{proof.project} {proof.root}" if proof.origin.startswith("patterns.") else proof.root


def _conclusion(report: ProveReport) -> str:
    failures = sum(proof.is_failure for proof in report.proofs)
    proved = sum(proof.state == "installable" for proof in report.proofs)
    if failures:
        return f"{failures:,} of {counted(len(report.proofs), 'proof')} failed"
    if not report.is_judged:
        return f"nothing is proved: {report.judge} could judge nothing of it"
    if not report.proofs:
        return "nothing of it is asked for on any target"
    if guessed := sum(bool(proof.open_sdists) for proof in report.proofs):
        return f"{counted(proved, 'proof')}; {guessed:,} of them only if some sdists require no more than they say"
    if proved == len(report.proofs):
        return f"all that is asked for can be installed from this index alone ({counted(proved, 'proof')})"
    return f"{counted(proved, 'proof')}; nothing else can be installed from the upstream, or was judged"


def _reasons(proofs: Iterable[Proof]) -> Iterator[str]:
    """Every reason once, with what it is about."""
    about: dict[tuple[str, ...], list[str]] = {}
    for proof in proofs:
        what = f"{proof.project} {proof.version}".strip() or proof.root
        key: tuple[str, ...] = (proof.state, what, proof.reason, proof.explanation, proof.remedy)
        if proof.state == "installable":
            if proof.reading == "both" and not proof.explanation:
                continue
            note = proof.explanation or f"only {proof.reading} accepts all the releases that it needs"
            key = ("note", what, note, "", proof.remedy)
        elif proof.state == "not-judged":
            key = (proof.state, "", proof.reason, "", "")  # it is the same for every root
        about.setdefault(key, []).append(proof.environment)
    for (state, what, reason, explanation, remedy), names in about.items():
        label = click.style(_MARKS.get(state, state), fg=_COLORS.get(state, "yellow"))
        where = ", ".join(dict.fromkeys(names))
        yield f"  {label}: {what + ' ' if what else ''}[{where}]: {reason}"
        if explanation:
            yield f"    {explanation}"
        if remedy:
            yield f"    {remedy}"
