"""Proves that what is asked for can be installed from one index and nothing else, on every target.

The built-in resolver is given what the index holds; another judge may be asked in its place. What fails is explained.
"""

from __future__ import annotations

import asyncio
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import NotFound
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.names import normalize_extra
from pypim.core.universe import Reading
from pypim.sync.blame import Blame, Blamer, Cause
from pypim.sync.doubts import with_doubts
from pypim.sync.held import Held
from pypim.sync.opinions import Judge, Opinion, Proof, State
from pypim.sync.prove_written import as_written, judged_as_written
from pypim.sync.refusing import describe_problem
from pypim.sync.run import matching_roots
from pypim.sync.trials import Surroundings, attempt, files_of, together, trials_of, unfiltered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.closure import Root
    from pypim.core.selection import Selection
    from pypim.core.target import Environment
    from pypim.sync.model import Request, Stack
    from pypim.sync.trials import Attempt, Result, Trial

BUILTIN = "builtin"
_BY_NAME = "Ask by name for what it says is lacking, and run `pypim sync`."
_MEND = "Mend what it says, and run it again."


class ProveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `prove` found in one index."""

    index: str
    judge: str
    """"builtin", or the program that was asked, with its version."""
    proofs: tuple[Proof, ...]
    notes: tuple[str, ...] = ()
    """What cannot be built from what is held, and whether the upstream could be asked."""
    lock_files: tuple[str, ...] = ()
    """Paths of those that were written."""

    @property
    def is_judged(self) -> bool:
        """Whether the judge could say anything at all, if anything was asked."""
        return not self.proofs or any(proof.state is not State.NOT_JUDGED for proof in self.proofs)

    @property
    def is_proved(self) -> bool:
        """Whether nothing fails that the upstream can satisfy."""
        return self.is_judged and not any(proof.is_failure for proof in self.proofs)


class Proving:
    """One proof of one index. `results` and `held` serve whoever writes lock files of it."""

    def __init__(self, stack: Stack, request: Request) -> None:
        """Raises NotFound for an index that holds nothing yet."""
        selection = stack.generations.current_selection(request.index)
        if selection is None:
            raise NotFound(f"index {request.index} holds nothing yet", hint="Run `pypim sync` first.")
        self._stack = stack
        self._request = request
        self.selection: Selection = selection
        self.held = Held(request.index, selection, dict(stack.holdings.own()), stack.blobs, stack.tree)
        self.results: tuple[Result, ...] = ()

    @property
    def roots(self) -> list[Root]:
        """Those of the request; of its patterns, every project that is held."""
        names = sorted({release.project for release in self.selection.releases})
        return [*self._request.roots, *matching_roots(self._request.patterns, names)]

    def surroundings(self) -> Surroundings:
        """What is held, without filters: it passed them when it came."""
        request = self._request
        return Surroundings(
            index=self.held,
            metadata=self.held,
            sizes=self._stack.sizes,
            environments=request.environments,
            policy=unfiltered(request.policy),
            follow=request.follow,
            constraints=request.constraints,
            now=self._stack.clock.now(),
        )

    async def run(self, judge: Judge | None = None, elsewhere: Judge | None = None) -> ProveReport:
        """Try every root release on every environment, and each requirements file as a whole. Raises StoreFault.

        `elsewhere` is the same judge before the upstream: what it refuses there as well is no fault of the index.
        """
        trials = trials_of(self.roots, self._request.environments, self.selection)
        self._stack.reporter.stage("prove", total=len(trials))
        found = await attempt(self.surroundings(), trials, self.held)
        self._stack.reporter.advance(len(trials))
        self.results = tuple(self._told_of_locks(result) for result in found.results)
        joined = await attempt(self.surroundings(), self._files(len(trials)), self.held)
        results = (*self.results, *joined.results)
        opinions = await self._opinions(judge, results) if judge is not None else {}
        blamer = Blamer(self._stack, self._request, self.selection, self.held)
        judges = _Judges(blamer, judge, elsewhere)
        told: list[tuple[Result, Proof]] = []
        if failing := sum(not result.is_installable for result in results):
            self._stack.reporter.stage("explain", total=failing)
        for result in results:
            proved = await self._proofs(result, opinions, judges)
            told += [(result, proof) for proof in proved]
            if not result.is_installable:
                self._stack.reporter.advance()
        if judge is None:
            told = await with_doubts(
                told, (*found.selections, *joined.selections), self.held, self._request.environments
            )
        bits = {environment.name: bit for bit, environment in self._environments(-1)}
        proofs = await judged_as_written(told, bits, partial(self._blamed_as_written, judges))
        order = {one.name: n for n, one in enumerate(self._request.environments)}
        proofs.sort(
            key=lambda proof: (
                not proof.project,
                proof.project,
                proof.origin,
                proof.root,
                proof.version,
                order[proof.environment],
            )
        )
        notes = [*(judge.notes if judge is not None else ()), *self._open_lacks(trials, found)]
        if blamer.unreachable:
            notes.append(f"the upstream could not be asked: {blamer.unreachable}; what fails counts")
        return ProveReport(
            index=self._request.index,
            judge=BUILTIN if judge is None else judge.name,
            proofs=tuple(proofs),
            notes=tuple(dict.fromkeys(notes)),
        )

    def _files(self, number: int) -> list[Trial]:
        """The requirements files whose lines are installed together, as trials from a number on."""
        files = files_of(self.roots, self._request.environments).items()
        return [together(n, file, lines, mask) for n, (file, (lines, mask)) in enumerate(files, number)]

    def _open_lacks(self, trials: Sequence[Trial], found: Attempt) -> Iterator[str]:
        """What is lacking without making a root fail: mostly what builds an sdist, which an installer may have."""
        failing: dict[int, int] = {}
        for result in self.results:
            if not result.is_installable:
                number = result.trial.number
                failing[number] = failing.get(number, 0) | result.mask
        bits = {one.name: 1 << n for n, one in enumerate(self._request.environments)}
        for problem in (problem for selection in found.selections for problem in selection.problems):
            trial = trials[int(problem.chain[0])]
            mask = sum(bits[name] for name in problem.environments)
            if not problem.is_root and mask & ~failing.get(trial.number, 0):
                chain = (trial.root.origin, *problem.chain[1:])
                yield describe_problem(msgspec.structs.replace(problem, chain=chain))

    def _told_of_locks(self, result: Result) -> Result:
        """A lock that is not held completely, with the files that lack."""
        locked = result.trial.root.locked
        if locked is None or result.is_installable:
            return result
        page = self.held.page(locked.project)
        there = {file.filename: file.sha256 for file in page.files} if page else {}
        lacking = [
            file.filename or " or ".join(sorted(file.hashes))
            for file in locked.files
            if (file.filename not in there if file.filename else not _has_one(file.hashes, there.values()))
        ]
        failure = f"of what the lock names this index does not hold {', '.join(lacking)}" if lacking else result.failure
        return msgspec.structs.replace(result, failure=failure)

    # --- another judge ----------------------------------------------------------------------------------------------
    async def _opinions(self, judge: Judge, results: Iterable[Result]) -> dict[tuple[int, str, int], Opinion]:
        """What it says of every result in every environment; locks and what is not there need no judge."""
        asked = [
            (result, bit, environment)
            for result in results
            if result.trial.lines or (result.version and result.trial.root.locked is None)
            for bit, environment in self._environments(result.mask)
        ]
        self._stack.reporter.stage("judge", total=len(asked))

        async def ask(result: Result, environment: Environment) -> Opinion:
            opinion = await judge.judge(await self._requirements(result, judge.reading), environment)
            self._stack.reporter.advance()
            return opinion

        opinions = await asyncio.gather(*(ask(result, environment) for result, _, environment in asked))
        keys = [(result.trial.number, result.version, bit) for result, bit, _ in asked]
        return dict(zip(keys, opinions, strict=True))

    async def _requirements(self, result: Result, reading: Reading) -> list[str]:
        if not result.trial.lines:
            return [await self.requirement(result, reading)]
        return [_as_requirement(line, line.extras, str(line.rule.specifier)) for line in result.trial.lines]

    async def requirement(self, result: Result, reading: Reading = Reading.BOTH) -> str:
        """A root release as a requirement: "project[extra]==version".

        For uv a pin admits yanked files beside others, which the rule of most roots does not: it is asked in a way
        that is none.
        """
        root, version = result.trial.root, parse_version(result.version)
        extras = root.extras | await self._more_extras(root.project, result.version)
        is_pin = result.trial.is_pin or reading is not Reading.UV or version is None or version.local is not None
        specifier = f"=={result.version}" if is_pin else f">={version},<={version}"
        return _as_requirement(msgspec.structs.replace(root, marker=None), extras, specifier)

    async def _more_extras(self, project: NormalizedName, version: str) -> frozenset[NormalizedName]:
        if self._request.follow.root_extras is not None:
            return self._request.follow.root_extras
        page = self.held.page(project)
        found: set[NormalizedName] = set()
        for file in page.files if page else ():
            parsed = parse_filename(file.filename, project)
            if parsed.version is not None and parsed.version == parse_version(version):
                try:
                    metadata = await self.held.metadata(project, file)
                except NotFound:
                    continue
                found.update(map(normalize_extra, metadata.provides_extra))
        return frozenset(found)

    # --- verdicts ---------------------------------------------------------------------------------------------------
    async def _proofs(
        self, result: Result, opinions: dict[tuple[int, str, int], Opinion], judges: _Judges
    ) -> list[Proof]:
        """Those of one result; what fails is blamed together for all environments in which it does."""
        proofs: list[Proof] = []
        failing = 0
        told: dict[int, Opinion] = {}
        for bit, environment in self._environments(result.mask):
            opinion = opinions.get((result.trial.number, result.version, bit))
            if opinion is None:
                opinion = Opinion(State.INSTALLABLE if result.is_installable else State.FAILS, result.failure)
            if opinion.state in {State.FAILS, State.UNDECIDED}:
                failing |= bit
                told[bit] = opinion
            else:
                proofs.append(self._proof(result, environment, opinion))
        blames = await self._refused_elsewhere(result, told, judges)
        for refused in blames:
            failing &= ~refused.mask
        blames += await self._blames(result, failing, judges.blamer, judges.judge)
        for bit, environment in self._environments(reduce(or_, told, 0)):
            blame = next((blame for blame in blames if blame.mask & bit), None)
            proofs.append(self._proof(result, environment, told[bit], blame))
        return proofs

    async def _refused_elsewhere(self, result: Result, said: dict[int, Opinion], judges: _Judges) -> list[Blame]:
        """Where the judge refuses it from the upstream, too; and where it alone finds something lacking here."""
        elsewhere = judges.elsewhere
        refused = [bit for bit, opinion in said.items() if opinion.state is State.FAILS]
        if elsewhere is None or not refused or not await judges.blamer.is_reachable(result.trial):
            return []
        requirements = await self._requirements(result, elsewhere.reading)
        environments = dict(self._environments(reduce(or_, refused)))
        opinions = await asyncio.gather(*(elsewhere.judge(requirements, environments[bit]) for bit in refused))
        told = f"{elsewhere.name} cannot install it from the upstream either"
        alone = f"{elsewhere.name} installs it from the upstream; the built-in resolver finds it installable from here"
        blames = []
        for bit, opinion in zip(refused, opinions, strict=True):
            if opinion.state is State.FAILS:
                blames.append(Blame(bit, Cause.UPSTREAM, told))
            elif opinion.state is State.INSTALLABLE and result.is_installable and _is_read_by(result, elsewhere):
                blames.append(Blame(bit, Cause.NOT_HELD, alone, _BY_NAME))
        return blames

    async def _blamed_as_written(self, judges: _Judges, trial: Trial) -> list[Blame]:
        """Why what is held does not satisfy a root as it is written, where it does not."""
        if judges.judge is None:
            found = await attempt(self.surroundings(), [trial], self.held)
            rest = trial.mask & ~found.good(trial)
            return await judges.blamer.blame(msgspec.structs.replace(trial, mask=rest)) if rest else []
        elsewhere = judges.elsewhere
        if elsewhere is None or not await judges.blamer.is_reachable(trial):
            return []
        text = as_written(trial)
        told = f"{elsewhere.name} installs {text} from the upstream, by releases that this index does not hold"
        blames: list[Blame] = []
        for bit, environment in self._environments(trial.mask):
            opinion = await judges.judge.judge([text], environment)
            if opinion.state is State.FAILS:
                opinion = await elsewhere.judge([text], environment)
                if opinion.state is State.INSTALLABLE:
                    blames.append(
                        Blame(
                            bit,
                            Cause.NOT_HELD,
                            told,
                            "`pypim sync` fetches what is new there; what is lacking even then, ask for by name.",
                        )
                    )
        return blames

    async def _blames(self, result: Result, failing: int, blamer: Blamer, judge: Judge | None) -> list[Blame]:
        if not failing:
            return []
        trial: Trial = msgspec.structs.replace(result.trial, mask=failing)
        if trial.root.locked is None:
            trial = msgspec.structs.replace(trial, version=result.version or None)
        if result.is_installable:
            is_disputed = judge is not None and not _is_read_by(result, judge)
            return await blamer.blame_reading(trial, judge.reading) if judge is not None and is_disputed else []
        return await blamer.blame(trial)

    def _proof(self, result: Result, environment: Environment, opinion: Opinion, blame: Blame | None = None) -> Proof:
        root = result.trial.root
        state = State.UNDECIDED if result.is_undecided and opinion.state is State.FAILS else opinion.state
        explanation, remedy = (blame.explanation, blame.remedy) if blame else ("", "")
        if blame is not None and blame.cause is Cause.UPSTREAM:
            state = State.IMPOSSIBLE
        elif opinion.state is State.INSTALLABLE and not result.is_installable:
            explanation = f"the built-in resolver says: {result.failure}"
        elif opinion.state in {State.FAILS, State.UNDECIDED} and result.is_installable and blame is None:
            explanation = "the built-in resolver finds it installable"
            remedy = _BY_NAME if state is State.FAILS else _MEND
        return Proof(
            root=root.text,
            origin=root.origin,
            project="" if result.trial.lines else root.project,
            version=result.version,
            environment=environment.name,
            target=environment.target,
            state=state,
            reading=result.reading,
            reason=opinion.reason,
            cause=blame.cause if blame else (Cause.UNKNOWN if state in {State.FAILS, State.UNDECIDED} else None),
            explanation=explanation,
            remedy=remedy,
        )

    def _environments(self, mask: int) -> Iterator[tuple[int, Environment]]:
        return ((1 << n, one) for n, one in enumerate(self._request.environments) if mask >> n & 1)


class _Judges(msgspec.Struct, frozen=True):
    """Who explains what fails."""

    blamer: Blamer
    judge: Judge | None
    elsewhere: Judge | None


def _is_read_by(result: Result, judge: Judge) -> bool:
    """Whether what is held can be installed as this judge reads it."""
    return result.reading in {Reading.BOTH, judge.reading}


def _as_requirement(root: Root, extras: frozenset[NormalizedName], specifier: str) -> str:
    named = f"[{','.join(sorted(extras))}]" if extras else ""
    marker = f" ; {root.marker}" if root.marker is not None else ""
    return f"{root.project}{named}{specifier}{marker}"


def _has_one(hashes: frozenset[str], digests: Iterable[str | None]) -> bool:
    return any(f"sha256:{digest}" in hashes for digest in digests)
