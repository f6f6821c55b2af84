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
from pypim.core.errors import PypimError
from pypim.core.plan import make_plan, planned_files
from pypim.core.resolve import Resolution
from pypim.sync.collect import Collector
from pypim.sync.dependents import without_dependents
from pypim.sync.guard import Change, broken_roots, refusal
from pypim.sync.limits import Limits
from pypim.sync.model import Report, Selected
from pypim.sync.publish import Publisher, pages_of
from pypim.sync.recall import remember
from pypim.sync.reclaim import reclaim
from pypim.sync.refusing import describe_problem, joined_error, refuse_lack_of_space, refuse_problems
from pypim.sync.remove import note_unlisted, remove_unlisted
from pypim.sync.removed import carrying_over
from pypim.sync.shortcut import finding_of, unchanged
from pypim.sync.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.core.plan import Plan
    from pypim.core.policy import Policy
    from pypim.core.selection import Selection
    from pypim.sync.model import Pattern, Request, Stack


CORRECTED = "corrected"
"""The outcome of a run that found wheels to say other things than their index, and has the next one choose again."""
SETTLED = frozenset({"done", "partial", "unchanged", CORRECTED})
"""Outcomes of runs that left nothing behind."""
_MOST_ROUNDS = 5
"""What is chosen again may require other things than told, too."""


async def expand_roots(stack: Stack, request: Request) -> tuple[list[Root], dict[NormalizedName, int | None]]:
    """All roots, those of patterns included, and the serials of the upstream's list where a pattern needed it."""
    if not request.patterns:
        return [*request.roots], {}
    stack.reporter.stage("list")
    serials = (await stack.index.project_list()).projects
    return [*request.roots, *matching_roots(request.patterns, sorted(serials))], serials


async def select(
    stack: Stack, request: Request, roots: Sequence[Root], *, keeps_going: bool, is_forced: bool = False
) -> Selected:
    """Ask for what the roots need until the selection stands. Raises UpstreamFault, NotFound, Unresolvable, Refused.

    With `keeps_going` or `is_forced` what cannot be had is told, and no error.
    """
    choose = partial(_choose, stack, request, keeps_going=keeps_going)
    if request.policy.excludes_dependents:
        selected = await without_dependents(choose, request.policy, roots)
    else:
        selected = await choose(request.policy, roots)
    if not (keeps_going or is_forced):
        refuse_problems(selected.selection.problems)
    return selected


async def _choose(
    stack: Stack, request: Request, policy: Policy, roots: Sequence[Root], *, keeps_going: bool
) -> Selected:
    chooser = Chooser(request.environments, policy, stack.clock.now())
    follow = request.follow
    # A limited depth leaves out what a resolver needs, on purpose.
    is_resolved = follow.is_resolved and follow.is_followed and not follow.max_depth
    computation = Resolution if is_resolved else Closure
    closure: Resolution | Closure = computation(chooser, follow, request.constraints)
    collector = Collector(
        stack.index, stack.metadata, stack.sizes, stack.reporter, keeps_going=keeps_going, known=stack.known
    )
    selection = await collector.collect(closure, roots)
    pairs = tuple(closure.pairs) if isinstance(closure, Resolution) else ()
    apart = tuple(closure.apart) if isinstance(closure, Resolution) else None
    return Selected(selection, tuple(collector.faults), collector.serials, closure.pages(), pairs, apart=apart)


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
    generation is published that breaks what could be installed before. Where a wheel turns out to require other things
    than its index told, it is chosen again before anything is published.
    """
    options = {"keeps_going": keeps_going, "is_dry_run": is_dry_run, "is_forced": is_forced}
    rounds: list[Report] = []
    for left in reversed(range(_MOST_ROUNDS)):
        once = _Once(**options, on_planned=on_planned, may_choose_again=left > 0)
        rounds.append(await _sync_once(stack, request, once))
        if rounds[-1].outcome != CORRECTED:
            break
        stack.reporter.note("wheels require other things than their index told: what is needed is chosen again")
    return joined_report(rounds)


class _Once(msgspec.Struct, frozen=True, kw_only=True):
    """How one round of a sync is to be run."""

    keeps_going: bool
    is_dry_run: bool
    is_forced: bool
    on_planned: Callable[[Selection], None] | None
    may_choose_again: bool


def joined_report(rounds: Sequence[Report]) -> Report:
    """That of the last round, with what the ones before it have fetched."""
    return msgspec.structs.replace(
        rounds[-1],
        fetched_files=sum(one.fetched_files for one in rounds),
        fetched_bytes=sum(one.fetched_bytes for one in rounds),
        corrected=tuple(name for one in rounds for name in one.corrected),
        seconds=round(sum(one.seconds for one in rounds), 3),
    )


async def _sync_once(stack: Stack, request: Request, once: _Once) -> Report:
    started, version, limits = stack.clock.now().timestamp(), stack.plans.version(), Limits(stack, request)
    roots, listed = await expand_roots(stack, request)
    if not once.is_dry_run and (known := unchanged(stack, request, roots, listed)) is not None:
        return recorded(stack, stack.runs.begin_run("sync", request.index, started), started, known)
    selected = await select(stack, request, roots, keeps_going=once.keeps_going, is_forced=once.is_forced)
    current = stack.generations.current_selection(request.index)
    carry_over = carrying_over(stack, request, selected, current)
    selection = carry_over(is_partial=bool(selected.faults))
    holdings = admitted(dict(stack.holdings.own()), selection)
    plan = make_plan(selection, current, holdings)
    reclaimed = {} if once.is_dry_run else await _reclaimed(stack, request, plan)
    if reclaimed:
        holdings |= reclaimed
        plan = make_plan(selection, current, holdings)
    report = planned_report(request, selection, selected, plan)
    if once.on_planned is not None:
        once.on_planned(selection)
    if once.is_dry_run:
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
            roots=tuple(root for root in roots if root.project not in selected.left_out),
            reclaimed=frozenset(reclaimed),
            once=once,
            limits=limits,
        )
        report = await _carry_out(stack, request, carried, report)
    except BaseException as error:
        stack.runs.finish_run(run, stack.clock.now().timestamp(), outcome_of(error), b"{}")
        raise
    if report.is_complete and not report.corrected and report.outcome in SETTLED:
        stack.findings.keep_finding(request.index, finding_of(request, roots, listed, selected, plan))
        # Who judges pages settles the to-do of those that are asked for; nothing asks for the others any more.
        asked_for = selected.pages.keys() | {root.project for root in roots}
        todo = stack.backlog.todo(request.index)
        waiting = {name for name, item in todo.items() if item.is_accepted and not item.is_due(started)}
        stack.backlog.settle(request.index, todo.keys() - asked_for - waiting)
    return recorded(stack, run, started, report)


async def _reclaimed(stack: Stack, request: Request, plan: Plan) -> dict[str, Holding]:
    """What stands in the store without a record, where the last run may have left something behind."""
    is_left = stack.runs.newest_outcome(request.index) not in SETTLED
    return await reclaim(stack, plan.fetch) if plan.fetch and is_left else {}


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


def admitted(holdings: dict[str, Holding], selection: Selection) -> dict[str, Holding]:
    """Those whose bytes no requirement forbids now; the others are asked for anew, and not shown as they are."""
    for planned in planned_files(selection) if holdings else ():
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
    reclaimed: frozenset[str]
    """The identities of files that were found in the store: what they require may be another than was believed."""
    once: _Once
    limits: Limits


async def _carry_out(stack: Stack, request: Request, carried: _Carried, report: Report) -> Report:
    plan = report.plan
    refuse_lack_of_space(stack, plan)
    transfer = Transfer(stack, request)
    if plan.fetch:
        stack.reporter.stage("transfer", total=len(plan.fetch), total_bytes=plan.fetch_bytes)
        await carried.limits.transfer(transfer, plan.fetch)
        if transfer.faults and not carried.once.keeps_going:
            raise joined_error(transfer.faults)
        if carried.limits.reason and len(transfer.held) + len(transfer.faults) < len(plan.fetch):
            return _stopped(report, transfer, carried.limits)
        if transfer.corrected and request.follow.is_followed and carried.once.may_choose_again:
            return _unpublished(report, transfer, CORRECTED)
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
        file_hosts=stack.file_hosts.reports() if stack.file_hosts is not None and plan.fetch else (),
        pages_written=pages_written,
        deleted_files=deleted,
        corrected=tuple(planned.file.filename for planned in transfer.corrected),
    )


def _stopped(report: Report, transfer: Transfer, limits: Limits) -> Report:
    """What was fetched is held, and nothing is published: half of what belongs together would not install."""
    left = len(report.plan.fetch) - len(transfer.held)
    told = f"{limits.reason}: {left} of {len(report.plan.fetch)} files are left for the next run, which publishes them"
    return _unpublished(msgspec.structs.replace(report, warnings=(told, *report.warnings)), transfer, "stopped")


def _unpublished(report: Report, transfer: Transfer, outcome: str) -> Report:
    """What was fetched, though nothing of it is shown yet."""
    return msgspec.structs.replace(
        report,
        outcome=outcome,
        fetched_files=len(transfer.held),
        fetched_bytes=sum(holding.blob.size for holding in transfer.held.values()),
        corrected=tuple(planned.file.filename for planned in transfer.corrected),
    )


async def _refuse_to_break(stack: Stack, request: Request, carried: _Carried, transfer: Transfer) -> None:
    """Raises Unresolvable where something could be installed from the index and could not be any more."""
    before = carried.current
    if before is None or (before == carried.selection and not transfer.held):
        return
    doubtful = {*(planned.project for planned in transfer.corrected), *(one.planned.project for one in transfer.faults)}
    doubtful |= {one.project for one in planned_files(carried.selection) if one.file.identity in carried.reclaimed}
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
    if sentences and not carried.once.is_forced:
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
