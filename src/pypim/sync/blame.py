"""Why a root cannot be installed from an index: a file is gone, a filter took it away, or not even the upstream can.

What fails is resolved again with more and more of what it may lack: the files that are lost, what the upstream has,
each filter left out in turn. The first that makes it work is the cause. Only what fails asks the upstream at all.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.apart import told_apart
from pypim.core.candidates import Chooser
from pypim.core.errors import IntegrityFault, NotFound, PypimError, Refused, UpstreamFault
from pypim.core.patterns import ProjectPatterns
from pypim.core.remedies import project_remedies
from pypim.core.selection import ProblemKind
from pypim.core.universe import Reading
from pypim.sync.remedy import sentence
from pypim.sync.trials import Surroundings, Trial, attempt, key_of, root_key, unfiltered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.model import Page, ProjectList
    from pypim.core.policy import Policy
    from pypim.core.selection import ChosenRelease, Problem, Selection
    from pypim.ports import Index
    from pypim.sync.held import Held
    from pypim.sync.model import Request, Stack
    from pypim.sync.trials import Attempt

_MOST = 4  # so many releases or files are named; a person wants the gist


class Cause(StrEnum):
    """What is to blame, by who can change it."""

    MISSING_FILE = "missing-file"  # it is listed and not there
    NOT_HELD = "not-held"  # the upstream has what is needed, and no filter keeps it out
    FILTER = "filter"  # a filter of the configuration takes away what is needed
    UPSTREAM = "upstream"  # it cannot be installed from the upstream either
    UNKNOWN = "unknown"  # the upstream could not be asked


class Blame(msgspec.Struct, frozen=True):
    """The cause of one failure in the environments of a mask, as sentences for people."""

    mask: int
    cause: Cause
    explanation: str
    remedy: str = ""


class Blamer:
    """Explains failures one after the other; what was asked of the upstream is remembered."""

    def __init__(self, stack: Stack, request: Request, selection: Selection, held: Held) -> None:
        self._stack = stack
        self._request = request
        self._selection = selection
        self._held = held
        self._policy = taking_away(request.policy)
        self._with_lost = held.with_lost(stack.metadata)
        self._upstream = _Remembering(stack.index)
        self.unreachable = ""
        """Why the upstream could not be asked; empty where it could, or nobody had to."""

    async def blame(self, trial: Trial) -> list[Blame]:
        """The causes of a trial that failed over what is held, in all environments of its mask."""
        found: list[Blame] = []
        for step in (self._lost, self._missing, self._filtered, self._impossible):
            if not trial.mask:
                break
            try:
                blames = await step(trial)
            except (UpstreamFault, IntegrityFault, Refused) as fault:
                if not isinstance(fault, IntegrityFault):
                    self.unreachable = self.unreachable or fault.message
                blames = [self._unknown(trial, fault)]
            for blame in blames:
                found.append(blame)
                trial = msgspec.structs.replace(trial, mask=trial.mask & ~blame.mask)
        return found

    async def blame_reading(self, trial: Trial, reading: Reading) -> list[Blame]:
        """Why only the other installer accepts what is held, where that does not depend on the index."""
        try:
            found = await self._ask(trial, self._policy)
        except (UpstreamFault, IntegrityFault, Refused) as fault:
            self.unreachable = self.unreachable or fault.message
            return [Blame(trial.mask, Cause.UNKNOWN, "the upstream could not be asked whether it is so there")]
        told = f"{reading} accepts no releases with which it could be installed, from the upstream either"
        blames = []
        for result in found.results:
            is_better = result.is_installable and result.reading in {Reading.BOTH, reading}
            if is_better:
                explanation = f"the upstream has releases that {reading} accepts, and this index has not"
                blames.append(Blame(result.mask, Cause.NOT_HELD, explanation, self._way(trial)))
            else:
                blames.append(Blame(result.mask, Cause.UPSTREAM, told))
        return blames

    async def is_reachable(self, trial: Trial) -> bool:
        """Whether the upstream answers for what a trial names."""
        if self.unreachable:
            return False
        try:
            for name in sorted(_named(trial)):
                await self._upstream.project(name)
        except NotFound:
            return True
        except (UpstreamFault, IntegrityFault, Refused) as fault:
            self.unreachable = self.unreachable or fault.message
            return False
        return True

    def _surroundings(self, index: Index, policy: Policy) -> Surroundings:
        stack, request = self._stack, self._request
        return Surroundings(
            index=index,
            metadata=self._with_lost if index is self._with_lost else stack.metadata,
            sizes=stack.sizes,
            environments=request.environments,
            policy=policy,
            # What cannot be built is told apart: an installer may have what builds it from elsewhere.
            follow=msgspec.structs.replace(request.follow, is_build_followed=False),
            constraints=request.constraints,
            now=stack.clock.now(),
        )

    # --- the steps --------------------------------------------------------------------------------------------------
    async def _lost(self, trial: Trial) -> list[Blame]:
        """With the files that are listed and not there."""
        if not any(self._held.lost.values()):
            return []
        found = await attempt(
            self._surroundings(self._with_lost, unfiltered(self._request.policy)), [trial], self._with_lost
        )
        good = found.good(trial)
        if not good:
            return []
        lost = {file.file.identity: file for files in self._with_lost.lost.values() for file in files}
        names = [lost[one] for one in _identities(found) if one in lost]
        told = _listed(f"{one.file.filename} ({one.reason})" for one in names)
        is_damaged = all(one.was_fetched for one in names)
        remedy = f"`pypim {'verify --repair' if is_damaged else 'sync'}` fetches it again."
        return [Blame(good, Cause.MISSING_FILE, f"what it needs is not there any more: {told}", remedy)]

    async def _missing(self, trial: Trial) -> list[Blame]:
        """With all that the upstream has and no filter takes away."""
        found = await self._ask(trial, self._policy)
        good = found.good(trial)
        if not good:
            return []
        held = {(release.project, release.version) for release in self._selection.releases}
        lacking = [one for one in _releases(found) if (one.project, one.version) not in held]
        told = _listed(f"{one.project} {one.version}" for one in lacking) or "other files of what is held"
        explanation = f"the upstream has what it needs, and this index has not: {told}"
        return [Blame(good, Cause.NOT_HELD, explanation, self._way(trial))]

    def _way(self, trial: Trial) -> str:
        if trial.version is None and not trial.lines:
            return "Ask for it, and run `pypim sync`."
        follow = self._request.follow
        if not follow.is_followed:
            return "Dependencies are not followed: dependencies.follow is false."
        if follow.max_depth:
            return f"Dependencies are followed no deeper than dependencies.max-depth = {follow.max_depth}."
        if not follow.is_resolved:
            return 'Only dependencies.versions = "resolve" promises that it can be installed.'
        return "`pypim sync` fetches it."

    async def _filtered(self, trial: Trial) -> list[Blame]:
        """Without one of the filters, and then without any."""
        relaxed = [*relaxations(self._policy)]
        if len(relaxed) > 1:
            relaxed.append(("filters", unfiltered(self._request.policy)))
        blames: list[Blame] = []
        rest = trial.mask
        for key, policy in relaxed:
            if not rest:
                break
            found = await self._ask(msgspec.structs.replace(trial, mask=rest), policy)
            good = found.good(trial)
            if good:
                told = _listed(self._denied(found, _named(trial))) or f"{key} takes away what it needs"
                explanation = f"a filter takes away what it needs: {told}"
                blames.append(Blame(good, Cause.FILTER, explanation, self._letting_in(found, _named(trial))))
                rest &= ~good
        return blames

    def _letting_in(self, found: Attempt, named: set[NormalizedName]) -> str:
        """What to change where it is a whole project that is kept out; else the explanation names the filter."""
        steps: dict[str, None] = {}
        for release in _releases(found):
            is_dependency = release.project not in named
            steps |= dict.fromkeys(project_remedies(self._request.policy, release.project, is_dependency=is_dependency))
        return sentence(list(steps)) or "Change that filter."

    def _denied(self, found: Attempt, named: set[NormalizedName]) -> Iterator[str]:
        """The releases of a solution of which the request's policy takes away files, each with the first reason."""
        policy = self._request.policy
        chooser = Chooser(self._request.environments, policy, self._stack.clock.now())
        for release in _releases(found):
            verdict = policy.project_verdict(release.project, is_dependency=release.project not in named)
            page = self._upstream.pages.get(release.project)
            if not verdict.is_allowed:
                yield f"{release.project} ({verdict.reason})"
            elif page is not None:
                names = {file.filename for file in release.files}
                reasons = [one.reason for one in chooser.candidates(page).exclusions if one.filename in names]
                if reasons:
                    yield f"{release.project} {release.version} ({reasons[0]})"

    async def _impossible(self, trial: Trial) -> list[Blame]:
        """With all that the upstream has: what still fails cannot be installed at all."""
        found = await self._ask(trial, unfiltered(self._request.policy))
        blames = []
        for result in found.results:
            if result.is_undecided:
                told = f"nor was it decided for the upstream: {result.failure}"
                blames.append(Blame(result.mask, Cause.UNKNOWN, told))
            elif not result.is_installable:
                told = f"it cannot be installed from the upstream either: {result.failure}"
                blames.append(Blame(result.mask, Cause.UPSTREAM, told))
        return blames

    async def _ask(self, trial: Trial, policy: Policy) -> Attempt:
        if self.unreachable:
            raise UpstreamFault("the upstream", "it was found to be out of reach")
        return await attempt(self._surroundings(self._upstream, policy), [trial])

    # --- where nobody answers ---------------------------------------------------------------------------------------
    def _unknown(self, trial: Trial, fault: PypimError) -> Blame:
        """What the last sync has noted, where that is certain."""
        told = [problem for problem in self._selection.problems if self._is_about(problem, trial)]
        names = [one.name for n, one in enumerate(self._request.environments) if trial.mask >> n & 1]
        if told and all(any(name in problem.environments for problem in told) for name in names):
            reasons = _listed(dict.fromkeys(problem.reason for problem in told))
            kinds = {problem.kind for problem in told}
            if kinds == {ProblemKind.EXCLUDED}:
                return Blame(trial.mask, Cause.FILTER, f"a filter takes it away: {reasons}", "Change that filter.")
            if not kinds & {ProblemKind.FAULT, ProblemKind.EXCLUDED} and not [*relaxations(self._request.policy)]:
                told_then = f"nor could it be installed from the upstream when that was last asked: {reasons}"
                return Blame(trial.mask, Cause.UPSTREAM, told_then)
        if trial.lines and all(self._was_apart(trial.root.origin, name) for name in names):
            told_then = "nor did its lines fit together when the upstream was last asked"
            return Blame(trial.mask, Cause.UPSTREAM, told_then)
        asked = "the upstream could not be asked whether it can be installed from there"
        reason = "" if self.unreachable else f": {fault.message}"
        return Blame(trial.mask, Cause.UNKNOWN, asked + reason)

    def _was_apart(self, file: str, environment: str) -> bool:
        """Whether the last sync has told so of a file, and no filter may be to blame."""
        begin = told_apart(file, "")
        found = [one for one in self._selection.warnings if one.startswith(begin)]
        is_told = any(environment in one.removeprefix(begin).partition(":")[0].split(", ") for one in found)
        return is_told and not [*relaxations(self._request.policy)]

    def _is_about(self, problem: Problem, trial: Trial) -> bool:
        if trial.lines:
            lines = (msgspec.structs.replace(trial, root=line, lines=()) for line in trial.lines)
            return problem.is_root and any(self._is_about(problem, line) for line in lines)
        root, release = trial.root, f"{trial.root.project} {trial.version}"
        if not problem.is_root:  # something below it
            return key_of(root)[0] == root_key(problem.chain[0], "", "")[0] and release in problem.chain
        is_same = root_key(problem.chain[0], problem.project, problem.requirement) == key_of(root)
        return is_same and (trial.version is None or problem.reason.startswith(f"{release} "))


class _Remembering:
    """An Index that asks another one for each project only once."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._unknown: dict[NormalizedName, NotFound] = {}
        self.pages: dict[NormalizedName, Page] = {}

    async def project_list(self) -> ProjectList:
        """As the other one says."""
        return await self._index.project_list()

    async def project(self, name: NormalizedName) -> Page:
        """As the other one said. Raises ProjectNotFound, UpstreamFault or Refused."""
        if name in self._unknown:
            raise self._unknown[name]
        if name not in self.pages:
            try:
                self.pages[name] = await self._index.project(name)
            except NotFound as error:
                self._unknown[name] = error
                raise
        return self.pages[name]


_FILTERS = (
    "exclude",
    "allow",
    "formats",
    "extensions",
    "python_tags",
    "exclude_tags",
    "keep_latest",
    "max_file_size_bytes",
    "min_age",
)


def relaxations(policy: Policy) -> Iterator[tuple[str, Policy]]:
    """Every filter that is set, with the policy that has all but that one."""
    open_policy = unfiltered(policy)
    for field in _FILTERS:
        if getattr(policy, field):
            key = field.removesuffix("_bytes").replace("_", "-")
            yield f"filters.{key}", msgspec.structs.replace(policy, **{field: getattr(open_policy, field)})


def taking_away(policy: Policy) -> Policy:
    """The same, but what is excluded as a whole is excluded release by release.

    A resolution leaves aside a requirement of a project that is excluded as a whole, for it may come from elsewhere.
    From the index alone it cannot be met.
    """
    every = SpecifierSet()
    patterns = (
        msgspec.structs.replace(pattern, specifier=every if pattern.specifier is None else pattern.specifier)
        for pattern in policy.exclude.patterns
    )
    return msgspec.structs.replace(policy, exclude=ProjectPatterns(tuple(patterns), policy.exclude.any_name))


def _named(trial: Trial) -> set[NormalizedName]:
    """The projects that are asked for by name."""
    return {line.project for line in trial.lines or (trial.root,)}


def _releases(found: Attempt) -> Iterator[ChosenRelease]:
    return (release for selection in found.selections for release in selection.releases)


def _identities(found: Attempt) -> Iterator[str]:
    return (file.identity for release in _releases(found) for file in release.files)


def _listed(texts: Iterable[str]) -> str:
    found = list(dict.fromkeys(texts))
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more
