"""What to change so that a release is held, as one sentence that can be followed word for word."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.closure import Root
from pypim.core.filenames import parse_version
from pypim.core.patterns import ProjectPatterns
from pypim.core.policy import Filters, Policy
from pypim.core.remedies import project_remedies
from pypim.core.rules import choose, parse_rule
from pypim.sync.refusing import describe_problem
from pypim.sync.run import select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.rules import Rule
    from pypim.sync.model import Request, Stack

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PACKAGES = "packages."
_EVERY_RELEASE = "*"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A release that shall be held."""

    stack: Stack
    request: Request
    roots: tuple[Root, ...]
    project: NormalizedName
    version: str

    @property
    def parsed(self) -> Version | None:
        """None where it is not a version of PEP 440."""
        return parse_version(self.version)

    @property
    def rule(self) -> str:
        """What asks for exactly it; a legacy version has no specifier that means it."""
        return _EVERY_RELEASE if self.parsed is None else f"=={self.version}"

    def parsed_rule(self) -> Rule:
        """The same, read."""
        return parse_rule(self.rule, f"{_PACKAGES}{self.project}")


def letting_in(wanted: Wanted, options: Sequence[Sequence[str]], others: Iterable[str]) -> str:
    """Any of the options lets its files in; then it is asked for, where no rule of a root takes it by itself.

    `others` are all versions of the project: what lets one of them in may let in any of them.
    """
    changes = list(dict.fromkeys(" and ".join(option) for option in options if option))
    first = "; or ".join(changes)
    if first and _is_taken(wanted, others):
        return sentence([first])
    known = {step for option in options for step in option}
    steps = [step for step in asking(wanted) if step not in known]
    may_be_required = not any(root.project == wanted.project for root in wanted.roots)
    if first and may_be_required and wanted.request.follow.is_followed:
        return f"{sentence([first])} Where nothing then takes it by itself: {'; and '.join(steps)}."
    return sentence([*([first] if first else ()), *steps])


def asking(wanted: Wanted) -> list[str]:
    """What asks for the release, and what must be changed besides so that this counts."""
    request = wanted.request
    steps = project_remedies(request.policy, wanted.project, is_dependency=False)
    constraint = request.constraints.get(wanted.project)
    if constraint is not None and not _admits(constraint, wanted):
        steps.append(f"let the constraint {wanted.project}{constraint} admit {wanted.version}")
    return [*steps, f"{_rule_words(wanted)}, or run `pypim sync {_requirement(wanted)}`"]


async def proviso(wanted: Wanted, *, has_filters: bool = True) -> str:
    """A further sentence where the release could not be installed if it were asked for; empty where it could.

    Without `has_filters`, none of them counts: some are to be changed.
    """
    request = wanted.request
    constraints = {name: one for name, one in request.constraints.items() if name != wanted.project}
    origin = f"{_PACKAGES}{wanted.project}"
    root = Root(project=wanted.project, rule=wanted.parsed_rule(), origin=origin, text=wanted.rule)
    policy = msgspec.structs.replace(request.policy, allow=ProjectPatterns.compile((), origin))
    if not has_filters:
        policy = Policy.compile(Filters(prereleases=policy.prereleases), origin)
    changed = msgspec.structs.replace(request, constraints=constraints, policy=policy)
    selected = await select(wanted.stack, changed, [root], keeps_going=True)
    told = [describe_problem(problem) for problem in selected.selection.problems if problem.is_certain]
    return f" It is held then with --keep-going only: {'; '.join(dict.fromkeys(told))}." if told else ""


def _is_taken(wanted: Wanted, others: Iterable[str]) -> bool:
    """Whether the rule of some root takes the release as soon as its files are let in."""
    version = wanted.parsed
    if version is None:
        return False
    versions = [version, *(found for text in others if (found := parse_version(text)) is not None)]
    policy = wanted.request.policy
    for root in wanted.roots:
        if root.project == wanted.project and root.locked is None:
            constraint = wanted.request.constraints.get(root.project, SpecifierSet())
            rule = msgspec.structs.replace(root.rule, specifier=root.rule.specifier & constraint)
            taken = choose(rule, versions, allow_prereleases=policy.prereleases)
            if rule.count is None and not rule.is_pin:
                taken = taken[: policy.keep_latest]
            if version in taken:
                return True
    return False


def _rule_words(wanted: Wanted) -> str:
    """The change of `packages`: one rule beside those that stand there."""
    table = f"[indexes.{wanted.request.index}.packages]"
    given: dict[str, list[str]] = {}
    for root in wanted.roots:
        if root.project == wanted.project and root.origin.startswith(_PACKAGES):
            given.setdefault(root.origin.removeprefix(_PACKAGES), []).append(root.text)
    if not given:
        return f'add {_key(wanted.project)} = "{wanted.rule}" to {table}'
    key, texts = next(iter(given.items()))
    return f"write {_key(key)} = {json.dumps([*texts, wanted.rule])} in {table}"


def _requirement(wanted: Wanted) -> str:
    return wanted.project if wanted.parsed is None else f"{wanted.project}{wanted.rule}"


def _key(text: str) -> str:
    return text if _BARE_KEY.fullmatch(text) else json.dumps(text)


def _admits(specifier: SpecifierSet, wanted: Wanted) -> bool:
    return wanted.parsed is not None and specifier.contains(wanted.parsed, prereleases=True)


def sentence(steps: Sequence[str]) -> str:
    """Instructions as one sentence."""
    text = "; and ".join(steps)
    return f"{text[:1].upper()}{text[1:]}." if text else ""
