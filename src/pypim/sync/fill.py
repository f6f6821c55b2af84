"""Fills a proxy beforehand: what requirements need is resolved and fetched as for a mirror, and kept like what passed.

Nothing is listed by it: the files are as any that a client asked for, and go when they are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.plan import make_plan, planned_files
from pypim.sync.refusing import joined_error, refuse_lack_of_space
from pypim.sync.run import expand_roots, outcome_of, planned_report, recorded, select
from pypim.sync.transfer import Transfer

if TYPE_CHECKING:
    from pypim.core.selection import Selection
    from pypim.ports import Cached
    from pypim.sync.model import Report, Request, Stack


async def fill(stack: Stack, request: Request, cached: Cached, *, keeps_going: bool) -> Report:
    """Fetch what the request needs and the store lacks, and keep all of it for the proxy that the request is for.

    Raises a PypimError where it cannot; what was fetched until then is kept for the next attempt.
    """
    started = stack.clock.now().timestamp()
    roots, _ = await expand_roots(stack, request)
    selected = await select(stack, request, roots, keeps_going=keeps_going)
    plan = make_plan(selected.selection, None, dict(stack.holdings.own()))
    report = planned_report(request, selected.selection, selected, plan)
    run = stack.runs.begin_run("sync", request.index, started)
    try:
        report = await _fetch(stack, request, report, keeps_going=keeps_going)
        _keep(stack, request.index, cached, selected.selection)
    except BaseException as error:
        stack.runs.finish_run(run, stack.clock.now().timestamp(), outcome_of(error), b"{}")
        raise
    return recorded(stack, run, started, report)


async def _fetch(stack: Stack, request: Request, report: Report, *, keeps_going: bool) -> Report:
    plan = report.plan
    refuse_lack_of_space(stack, plan)
    transfer = Transfer(stack, request)
    if plan.fetch:
        stack.reporter.stage("transfer", total=len(plan.fetch), total_bytes=plan.fetch_bytes)
        await transfer.run(plan.fetch)
        if transfer.faults and not keeps_going:
            raise joined_error(transfer.faults)
    faults = (*report.faults, *(fault.message for fault in transfer.faults))
    is_partial = bool(faults) or any(problem.is_certain for problem in report.problems)
    return msgspec.structs.replace(
        report,
        outcome="partial" if is_partial else ("done" if plan.fetch else "unchanged"),
        faults=faults,
        fetched_files=len(transfer.held),
        fetched_bytes=sum(holding.blob.size for holding in transfer.held.values()),
        file_hosts=stack.file_hosts.reports() if stack.file_hosts is not None and plan.fetch else (),
        corrected=tuple(planned.file.filename for planned in transfer.corrected),
    )


def _keep(stack: Stack, index: str, cached: Cached, selection: Selection) -> None:
    holdings = dict(stack.holdings.own())
    rows = [
        (planned.file.identity, planned.project, holdings[planned.file.identity])
        for planned in planned_files(selection)
        if planned.file.identity in holdings
    ]
    cached.record(index, rows, stack.clock.now().timestamp())
    stack.epochs.advance(index)
