"""What stops a sync before anything is changed, each in one error: what cannot be had, what stands there, no space."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import Conflict, NotFound, OutOfSpace, PypimError, Refused, Unresolvable
from pypim.core.selection import ProblemKind
from pypim.sync.publish import is_of_others

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.core.plan import Plan
    from pypim.core.selection import Problem
    from pypim.sync.model import Stack
    from pypim.sync.transfer import TransferFault


def refuse_problems(problems: Sequence[Problem]) -> None:
    """Without --keep-going, what certainly cannot be had stops the run before anything is fetched."""
    certain = [problem for problem in problems if problem.is_certain]
    if not certain:
        return
    message = "\n".join(describe_problem(problem) for problem in certain)
    hint = (
        "Change the requirement, the targets or the filters, or mirror the rest with --keep-going, "
        "or with --force also where that breaks what could be installed."
    )
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


def refuse_tree_of_others(stack: Stack, index: str) -> None:
    """Raises Conflict before an index is published for the first time where another tool's pages stand.

    They would be replaced, and removed where the index has no such project.
    """
    tree = stack.tree
    if tree is None or stack.generations.current(index) is not None or stack.generations.is_interrupted(index):
        return
    if is_of_others(tree):
        raise Conflict(
            f"{tree.where}: the pages in its folder simple are not pypim's, and a sync would replace and remove them",
            hint="Publish into a folder of its own; adopt takes over the files of another tool's mirror there without "
            "fetching them. Where nobody needs these pages any more, delete them first.",
        )


def refuse_lack_of_space(stack: Stack, plan: Plan) -> None:
    """Raises OutOfSpace before anything is fetched; where there is none at all, also for files of unknown size."""
    free_bytes = stack.blobs.free_bytes()
    if plan.fetch and free_bytes is not None and (free_bytes == 0 or plan.fetch_bytes > free_bytes):
        raise OutOfSpace("the store", plan.fetch_bytes, free_bytes)


def joined_error(faults: Sequence[TransferFault]) -> PypimError:
    """All the files that could not be had in one error, of the family of the first."""
    first = faults[0].cause
    first.message = "\n".join(fault.message for fault in faults)
    first.hint = first.hint or "Run the command again; what was fetched is kept. --keep-going publishes the rest."
    return first
