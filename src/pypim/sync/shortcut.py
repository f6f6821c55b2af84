"""The short way of a sync: where serials show that nothing has changed since the last complete one, no page is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.plan import Plan
from pypim.core.records import Finding
from pypim.core.unchanged import digest_of
from pypim.sync.model import Report
from pypim.sync.publish import HTML_NAME, JSON_NAME
from pypim.sync.remove import remove_unlisted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.closure import Root
    from pypim.sync.model import Request, Selected, Stack


def unchanged(
    stack: Stack, request: Request, roots: Sequence[Root], listed: Mapping[NormalizedName, int | None]
) -> Report | None:
    """The report of a sync that has nothing to do but to delete what has waited long enough; None where pages tell.

    `listed` are the serials of the upstream's list, empty where it was not asked for.
    """
    finding = stack.findings.finding(request.index)
    if finding is None or not listed or request.policy.min_age:
        return None
    if stack.generations.is_interrupted(request.index):
        return None
    tree = stack.tree
    if tree is not None and any(tree.read(f"simple/{part}") is None for part in (HTML_NAME, JSON_NAME)):
        return None  # somebody has emptied the folder
    names = {*finding.consulted, *(root.project for root in roots)}
    if digest_of(request.digest, listed, names) != finding.digest:
        return None
    outline = stack.generations.outline(request.index)
    return Report(
        index=request.index,
        outcome="unchanged",
        plan=Plan(
            fetch=(),
            removed=(),
            releases=outline.releases,
            fetch_bytes=0,
            unknown_sizes=0,
            total_files=finding.total_files,
            total_bytes=finding.total_bytes,
            removed_bytes=0,
        ),
        problems=outline.problems,
        faults=(),
        warnings=outline.warnings,
        deleted_files=remove_unlisted(stack, request.index, (), request.on_removal),
    )


def finding_of(
    request: Request, roots: Sequence[Root], listed: Mapping[NormalizedName, int | None], selected: Selected, plan: Plan
) -> Finding | None:
    """What a complete sync was computed from; None where serials cannot tell whether it would be the same again."""
    consulted = {*selected.serials, *(root.project for root in roots)}
    if not listed or any(listed.get(name) != serial for name, serial in selected.serials.items()):
        return None  # a page was older or newer than the list: the next sync looks again
    digest = digest_of(request.digest, listed, consulted)
    if digest is None:
        return None
    return Finding(
        digest=digest,
        consulted=tuple(sorted(consulted)),
        total_files=plan.total_files,
        total_bytes=plan.total_bytes,
    )
