"""What depends on an excluded project goes with it, where `exclude-dependents` says so (PyPIM's rule).

It goes project by project: if a chosen release of a project needs something that filters keep out, directly or
through others, nothing of that project is held, and no older release takes its place.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import msgspec
from packaging.version import Version

from pypim.core.filenames import parse_version
from pypim.core.names import parse_name
from pypim.core.patterns import ProjectPatterns
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.closure import Root
    from pypim.core.policy import Policy
    from pypim.core.selection import Selection
    from pypim.ports import Facts, Generations
    from pypim.sync.model import Request, Selected

    Choose = Callable[[Policy, Sequence[Root]], Awaitable[Selected]]

_EXTRA = re.compile(r"\bextra\b")


async def without_dependents(choose: Choose, policy: Policy, roots: Sequence[Root]) -> Selected:
    """What `choose` selects once everything that depends on what the policy keeps out is kept out, too.

    Roots that go are no failure: each is a warning that says why.
    """
    excluded = {
        root.project for root in roots if not policy.project_verdict(root.project, is_dependency=False).is_allowed
    }
    sentences = [f"{name}: left out, for filters keep it out" for name in sorted(excluded)]
    serials: dict[NormalizedName, int | None] = {}
    while True:
        remaining = [root for root in roots if root.project not in excluded]
        selected = await choose(_excluding(policy, excluded), remaining)
        serials |= selected.serials
        found = _dependents(selected.selection)
        if not found.keys() - excluded:
            break
        excluded |= found.keys()
        sentences += [f"{name}: left out, for {reason}" for name, reason in sorted(found.items())]
    selection = msgspec.structs.replace(selected.selection, warnings=(*selected.selection.warnings, *sentences))
    # What went is looked at again by the next run: it may need it no more.
    return msgspec.structs.replace(selected, selection=selection, serials=serials, left_out=frozenset(excluded))


def _excluding(policy: Policy, names: Iterable[NormalizedName]) -> Policy:
    if not names:
        return policy
    more = ProjectPatterns.compile(sorted(names), "filters.exclude-dependents").patterns
    texts = [pattern.text for pattern in (*policy.exclude.patterns, *more)]
    return msgspec.structs.replace(policy, exclude=ProjectPatterns.compile(texts, "filters.exclude"))


def _dependents(selection: Selection) -> dict[NormalizedName, str]:
    """The projects that need what is excluded, each with the reason in words."""
    parents = _parents(selection)
    reasons: dict[NormalizedName, str] = {}
    for problem in selection.problems:
        if problem.kind is ProblemKind.EXCLUDED and not problem.is_root and problem.chain:
            # The last link of a chain is the release that requires it, as "project version".
            parent = parse_name(problem.chain[-1].partition(" ")[0])
            reasons.setdefault(parent, f"it requires {problem.requirement}, which filters keep out")
    waiting = list(reasons)
    while waiting:
        name = waiting.pop()
        for parent in parents.get(name, set()) - reasons.keys():
            reasons[parent] = f"it requires {name}, which is left out"
            waiting.append(parent)
    return reasons


def _parents(selection: Selection) -> dict[NormalizedName, set[NormalizedName]]:
    """Project → those of which a chosen release requires it."""
    parents: dict[NormalizedName, set[NormalizedName]] = {}
    for release in selection.releases:
        found = {parse_name(reason.parent_project) for reason in release.reasons if reason.parent_project}
        parents.setdefault(release.project, set()).update(found)
    return parents


def excluding_known_dependents(request: Request, facts: Facts) -> Request:
    """The request without what depends, by all that the catalog knows, on what its filters keep out.

    It is for an index that follows no dependencies: there a selection does not tell who needs whom, but the newest
    release of each project that the catalog knows does. What is needed only for an extra or a build does not count.
    """
    if not request.policy.excludes_dependents or request.follow.is_followed:
        return request
    names = _known_dependents(request.policy, facts)
    if not names:
        return request
    named = sorted({root.project for root in request.roots}.intersection(names))
    notes = tuple(f"{name}: left out, for {names[name]}" for name in named)
    return msgspec.structs.replace(
        request,
        policy=_excluding(request.policy, names),
        roots=tuple(root for root in request.roots if root.project not in names),
        digest=hashlib.sha256("\n".join([request.digest, *sorted(names)]).encode()).hexdigest(),
        notes=(*request.notes, *notes),
    )


def let_in_unknown(request: Request, facts: Facts, generations: Generations) -> list[str]:
    """Sentences on projects that a sync of that request let in, though what it has read since keeps them out."""
    if not request.policy.excludes_dependents or request.follow.is_followed:
        return []
    after = "the next sync leaves it out; `pypim metadata --all` before a sync learns such things first"
    names = {
        name: reason
        for name, reason in _known_dependents(request.policy, facts).items()
        if request.policy.project_verdict(name, is_dependency=False).is_allowed
    }
    chosen = generations.chosen_among(request.index, sorted(names))
    return [
        f"{name}: let in, for nothing was known of what it requires: {reason}; {after}"
        for name, reason in sorted(names.items())
        if name in chosen
    ]


def _known_dependents(policy: Policy, facts: Facts) -> dict[NormalizedName, str]:
    """The projects that go, each with the reason in words."""
    required = facts.required_names()
    waiting = [name for name in required if not policy.project_verdict(name, is_dependency=True).is_allowed]
    excluded = frozenset(waiting)
    reasons: dict[NormalizedName, str] = {}
    while waiting:
        name = waiting.pop()
        word = "filters keep out" if name in excluded else "is left out"
        for project in sorted({one.project for one in facts.requiring(name)} - reasons.keys()):
            if project not in excluded and name in _needs(facts, project):
                reasons[project] = f"it requires {name}, which {word}"
                waiting.append(project)
    return reasons


def _needs(facts: Facts, project: NormalizedName) -> set[NormalizedName]:
    """What the newest release of a project that is known requires to run, whatever the environment."""
    known = facts.required_by(project)
    newest = max((one.version for one in known), key=_age)
    return {
        one.required
        for one in known
        if one.version == newest and not one.is_build and not (one.marker and _EXTRA.search(one.marker))
    }


def _age(version: str) -> tuple[bool, Version]:
    parsed = parse_version(version)
    return parsed is not None, parsed or Version("0")
