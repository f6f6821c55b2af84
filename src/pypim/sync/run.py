"""The flow of a sync, straight down: list → collect → plan → transfer → prove → publish → remove → report.

No download before the plan, nothing visible before publish, and a rerun of a finished plan does nothing.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.allowed import admits
from pypim.core.candidates import Chooser
from pypim.core.closure import Closure, Root
from pypim.core.errors import NotFound, OutOfSpace, PypimError, Refused, Unresolvable
from pypim.core.plan import make_plan, planned_files
from pypim.core.resolve import Resolution
from pypim.core.retention import carried_over
from pypim.core.selection import ProblemKind
from pypim.sync.adopt import adopt
from pypim.sync.collect import Collector
from pypim.sync.guard import Change, broken_roots, refusal
from pypim.sync.model import Report, Selected
from pypim.sync.publish import Publisher, pages_of
from pypim.sync.recall import remember
from pypim.sync.remove import note_unlisted, remove_unlisted
from pypim.sync.shortcut import finding_of, unchanged
from pypim.sync.transfer import Transfer, TransferFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.core.plan import Plan
    from pypim.core.selection import Problem, Selection
    from pypim.sync.model import Pattern, Request, Stack


SETTLED = frozenset({"done", "partial", "unchanged"})
"""Outcomes of runs that left nothing behind."""


async def expand_roots(stack: Stack, request: Request) -> tuple[list[Root], dict[NormalizedName, int | None]]:
    """All roots, those of patterns included, and the serials of the upstream's list where a pattern needed it."""
    if not request.patterns:
        return [*request.roots], {}
    stack.reporter.stage("list")
    serials = (await stack.index.project_list()).projects
    return [*request.roots, *matching_roots(request.patterns, sorted(serials))], serials


async def select(stack: Stack, request: Request, roots: Sequence[Root], *, keeps_going: bool) -> Selected:
    """Ask for what the roots need until the selection stands. Raises UpstreamFault, NotFound, Unresolvable, Refused."""
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    follow = request.follow
    # A limited depth leaves out what a resolver needs, on purpose.
    is_resolved = follow.is_resolved and follow.is_followed and not follow.max_depth
    computation = Resolution if is_resolved else Closure
    closure: Resolution | Closure = computation(chooser, follow, request.constraints)
    collector = Collector(
        stack.index, stack.metadata, stack.sizes, stack.reporter, keeps_going=keeps_going, known=stack.known
    )
    selection = await collector.collect(closure, roots)
    if not keeps_going:
        _refuse_problems(selection.problems)
    pairs = tuple(closure.pairs) if isinstance(closure, Resolution) else ()
    apart = tuple(closure.apart) if isinstance(closure, Resolution) else None
    return Selected(selection, tuple(collector.faults), collector.serials, closure.pages(), pairs, apart)


def matching_roots(patterns: Sequence[Pattern], names: Sequence[NormalizedName]) -> list[Root]:
    """Every project that a pattern names, with that pattern's rule."""
    return [
        Root(project=name, rule=pattern.rule, origin=pattern.origin, text=pattern.rule.text, is_named=False)
        for pattern in patterns
        for name in names
        if pattern.expression.fullmatch(name)
    ]


async def sync(
    stack: Stack,
    request: Request,
    *,
    keeps_going: bool = False,
    is_dry_run: bool = False,
    is_forced: bool = False,
    on_planned: Callable[[Selection], None] | None = None,
) -> Report:
    """Make an index hold and show what its request says. Raises a PypimError where it cannot, having lost nothing.

    `on_planned` gets what will be held, once the plan stands and before anything is carried out. With `is_forced` a
    generation is published that breaks what could be installed before.
    """
    started = stack.clock.now().timestamp()
    version = stack.plans.version()
    roots, listed = await expand_roots(stack, request)
    if not is_dry_run and (known := unchanged(stack, request, roots, listed)) is not None:
        return recorded(stack, stack.runs.begin_run("sync", request.index, started), started, known)
    selected = await select(stack, request, roots, keeps_going=keeps_going)
    current = stack.generations.current_selection(request.index)
    carry_over = partial(carried_over, selected.selection, current, request.on_removal, request.policy, selected.pages)
    selection = carry_over(is_partial=bool(selected.faults))
    holdings = _admitted(dict(stack.holdings.holdings()), selection)
    plan = make_plan(selection, current, holdings)
    adopted: dict[str, Holding] = {}
    if plan.fetch and not is_dry_run and stack.runs.newest_outcome(request.index) not in SETTLED:
        adopted = await adopt(stack, plan.fetch)
        holdings |= adopted
        plan = make_plan(selection, current, holdings)
    report = planned_report(request, selection, selected, plan)
    if on_planned is not None:
        on_planned(selection)
    if is_dry_run:
        return remember(stack, request, selected, report, version)
    run = stack.runs.begin_run("sync", request.index, started)
    try:
        stack.findings.keep_finding(request.index, None)
        carried = _Carried(
            selection=selection,
            selection_after_faults=carry_over(is_partial=True),
            current=current,
            holdings=holdings,
            selected=selected,
            roots=tuple(roots),
            adopted=frozenset(adopted),
            is_forced=is_forced,
        )
        report = await _carry_out(stack, request, carried, report, keeps_going=keeps_going)
    except BaseException as error:
        stack.runs.finish_run(run, stack.clock.now().timestamp(), outcome_of(error), b"{}")
        raise
    if report.is_complete and not report.corrected:
        stack.findings.keep_finding(request.index, finding_of(request, roots, listed, selected, plan))
    return recorded(stack, run, started, report)


def planned_report(request: Request, selection: Selection, selected: Selected, plan: Plan) -> Report:
    """What a run found, before anything of it is carried out."""
    return Report(
        index=request.index,
        outcome="planned",
        plan=plan,
        problems=selection.problems,
        faults=selected.faults,
        warnings=selection.warnings,
    )


def outcome_of(error: BaseException) -> str:
    """The outcome of a run that an error has ended."""
    if isinstance(error, PypimError):
        return error.code
    # Ctrl-C arrives in here as a cancelled task.
    return "interrupted" if isinstance(error, KeyboardInterrupt | asyncio.CancelledError) else "unexpected"


def _admitted(holdings: dict[str, Holding], selection: Selection) -> dict[str, Holding]:
    """Those whose bytes no requirement forbids now; the others are asked for anew, and not shown as they are."""
    for planned in planned_files(selection):
        holding = holdings.get(planned.file.identity)
        if holding is not None and not admits(planned.file, holding):
            del holdings[planned.file.identity]
    return holdings


def recorded(stack: Stack, run: int, started: float, report: Report) -> Report:
    """The report of a run that has ended, as it stands in the history."""
    finished = stack.clock.now().timestamp()
    report = msgspec.structs.replace(report, seconds=round(finished - started, 3))
    stack.runs.finish_run(run, finished, report.outcome, msgspec.json.encode(summary(report)))
    return report


class _Carried(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a sync at its half: what shall be listed, what is listed, what is held (identity → holding)."""

    selection: Selection
    selection_after_faults: Selection
    """With all that is listed now: an upstream that fails is never read as "deleted"."""
    current: Selection | None
    holdings: dict[str, Holding]
    selected: Selected
    roots: tuple[Root, ...]
    adopted: frozenset[str]
    """The identities of files that were found in the store: what they require may be another than was believed."""
    is_forced: bool


async def _carry_out(stack: Stack, request: Request, carried: _Carried, report: Report, *, keeps_going: bool) -> Report:
    plan = report.plan
    refuse_lack_of_space(stack, plan)
    transfer = Transfer(stack, request)
    if plan.fetch:
        stack.reporter.stage("transfer", total=len(plan.fetch), total_bytes=plan.fetch_bytes)
        await transfer.run(plan.fetch)
        if transfer.faults and not keeps_going:
            raise joined_error(transfer.faults)
    carried.holdings.update(transfer.held)
    removed = plan.removed
    if transfer.faults:
        carried = msgspec.structs.replace(carried, selection=carried.selection_after_faults)
        removed = make_plan(carried.selection, carried.current, carried.holdings).removed
    await _refuse_to_break(stack, request, carried, transfer)
    # Noted before the flip, so that a run that is stopped right after it leaves no file that nobody remembers.
    note_unlisted(stack, request.index, removed)
    pages_written = _publish(stack, request, carried)
    deleted = remove_unlisted(stack, request.index, removed, request.on_removal)
    faults = (*report.faults, *(fault.message for fault in transfer.faults))
    is_partial = bool(faults) or any(problem.is_certain for problem in report.problems)
    is_changed = bool(plan.fetch or pages_written or deleted or removed)
    held = [carried.holdings.get(planned.file.identity) for planned in planned_files(carried.selection)]
    total_bytes = sum(holding.blob.size for holding in held if holding is not None)  # the upstream may say no sizes
    total_files = sum(one is not None for one in held)
    plan = msgspec.structs.replace(plan, total_bytes=total_bytes, total_files=total_files, removed=removed)
    return msgspec.structs.replace(
        report,
        plan=plan,
        outcome="partial" if is_partial else ("done" if is_changed else "unchanged"),
        faults=faults,
        fetched_files=len(transfer.held),
        fetched_bytes=sum(holding.blob.size for holding in transfer.held.values()),
        pages_written=pages_written,
        deleted_files=deleted,
        corrected=tuple(planned.file.filename for planned in transfer.corrected),
    )


async def _refuse_to_break(stack: Stack, request: Request, carried: _Carried, transfer: Transfer) -> None:
    """Raises Unresolvable where something could be installed from the index and could not be any more."""
    before = carried.current
    if before is None or (before == carried.selection and not transfer.held):
        return
    doubtful = {*(planned.project for planned in transfer.corrected), *(one.planned.project for one in transfer.faults)}
    doubtful |= {one.project for one in planned_files(carried.selection) if one.file.identity in carried.adopted}
    change = Change(
        roots=carried.roots,
        before=before,
        after=carried.selection,
        holdings=carried.holdings,
        pairs=carried.selected.pairs,
        suspects=frozenset(doubtful),
        apart=carried.selected.apart,
        pages=carried.selected.pages,
    )
    sentences = await broken_roots(stack, request, change)
    if sentences and not carried.is_forced:
        raise refusal(sentences, is_corrected=bool(transfer.corrected))
    for sentence in sentences:
        stack.reporter.note(f"published by force, and it breaks what could be installed: {sentence}")


def _publish(stack: Stack, request: Request, carried: _Carried) -> int:
    """Write generation N+1, make the tree show it, flip. The number of files written."""
    selection, holdings = carried.selection, carried.holdings
    is_interrupted = stack.generations.is_interrupted(request.index)
    is_unchanged = not is_interrupted and selection == carried.current
    pages = pages_of(selection, holdings)
    held: dict[NormalizedName, list[Holding]] = {}
    for release in selection.releases:
        found = (holdings.get(file.identity) for file in release.files)
        held.setdefault(release.project, []).extend(holding for holding in found if holding is not None)
    now = stack.clock.now().timestamp()
    generation = None if is_unchanged else stack.generations.begin(request.index, selection, now)
    written = 0
    if stack.tree is not None:
        publisher = Publisher(request.index, stack.tree, stack.published, stack.reporter)
        written = publisher.publish(pages, held, trusts_record=not is_interrupted)
    if generation is not None:
        stack.generations.finish(generation, stack.clock.now().timestamp())
        stack.epochs.advance(request.index)
    return written


def _refuse_problems(problems: Sequence[Problem]) -> None:
    """Without --keep-going, what certainly cannot be had stops the run before anything is fetched."""
    certain = [problem for problem in problems if problem.is_certain]
    if not certain:
        return
    message = "\n".join(describe_problem(problem) for problem in certain)
    hint = "Change the requirement, the targets or the filters, or mirror the rest with --keep-going."
    kinds = {problem.kind for problem in certain}
    if kinds == {ProblemKind.MISSING}:
        raise NotFound(message, hint=hint)
    if kinds == {ProblemKind.EXCLUDED}:
        raise Refused(message, hint=hint)
    raise Unresolvable(message, hint=hint)


def describe_problem(problem: Problem) -> str:
    """One line for people: what was wanted, why it cannot be had, for which environments, and who wanted it."""
    where = f" [{', '.join(problem.environments)}]" if problem.environments != ("any",) else ""
    chain = f" (wanted by {' > '.join(problem.chain)})" if problem.chain else ""
    name = (
        problem.requirement
        if problem.requirement.startswith(problem.project)
        else (f"{problem.project} {problem.requirement}")
    )
    return f"{name}: {problem.reason}{where}{chain}"


def refuse_lack_of_space(stack: Stack, plan: Plan) -> None:
    """Raises OutOfSpace before anything is fetched."""
    free_bytes = stack.blobs.free_bytes()
    if plan.fetch and free_bytes is not None and plan.fetch_bytes > free_bytes:
        raise OutOfSpace("the store", plan.fetch_bytes, free_bytes)


def joined_error(faults: Sequence[TransferFault]) -> PypimError:
    """All the files that could not be had in one error, of the family of the first."""
    first = faults[0].cause
    first.message = "\n".join(fault.message for fault in faults)
    first.hint = first.hint or "Run the command again; what was fetched is kept. --keep-going publishes the rest."
    return first


def summary(report: Report) -> dict[str, object]:
    """What the history keeps of a report: the counts and the faults, not the plan."""
    return {
        "outcome": report.outcome,
        "fetched_files": report.fetched_files,
        "fetched_bytes": report.fetched_bytes,
        "pages_written": report.pages_written,
        "deleted_files": report.deleted_files,
        "total_files": report.plan.total_files,
        "total_bytes": report.plan.total_bytes,
        "faults": report.faults,
        "problems": [describe_problem(problem) for problem in report.problems if problem.is_certain],
        "seconds": report.seconds,
    }
