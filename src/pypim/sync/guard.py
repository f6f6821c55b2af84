"""Proves a sync before it publishes: what could be installed from the index and still is asked for must stay so.

Only what changed is proved. In a complete resolution the roots were proved while they were chosen, except where files
could not be had or say something else than was believed; elsewhere every root that reaches a changed project is.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import msgspec

from pypim.core.candidates import Chooser
from pypim.core.errors import Unresolvable
from pypim.core.selection import ProblemKind
from pypim.sync.held import Held
from pypim.sync.reach import Reach
from pypim.sync.trials import (
    NOTHING_HELD,
    Surroundings,
    Trial,
    asked_for,
    attempt,
    chosen_for,
    end_bits,
    files_of,
    key_of,
    together,
    unfiltered,
    widened,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.apart import Apart
    from pypim.core.closure import Root
    from pypim.core.model import Holding, Page
    from pypim.core.outcomes import Pair
    from pypim.core.selection import ChosenRelease, Selection
    from pypim.sync.model import Request, Stack
    from pypim.sync.trials import Attempt, Result, RootKey

_UNASKED = "nothing asks for it any more"
_MOST = 4  # so many lost releases are named for one root
_MOST_EXPLAINED = 20  # so many broken roots are resolved once more for an explanation


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a sync is about to publish, and what it knows of it."""

    roots: Sequence[Root]
    before: Selection
    after: Selection
    holdings: Mapping[str, Holding]
    pairs: Sequence[Pair]
    """What was resolved while releases were chosen."""
    suspects: frozenset[NormalizedName]
    """Projects with files that could not be had, or whose core metadata is not what was believed."""
    pages: Mapping[NormalizedName, Page]
    """Of the upstream."""
    apart: Sequence[Apart] | None = None
    """The files whose lines were found not to fit together while releases were chosen; None: nobody has tried."""


class _Watched(msgspec.Struct, kw_only=True):
    """A root that is asked for as it was before; masks by version, None for all that a lock names."""

    root: Root
    before: dict[str | None, int]
    after: dict[str | None, int]
    good: dict[str | None, int]
    """Where it is known that it can be installed afterwards."""
    failures: dict[str | None, str]

    def broken(self, good_before: Mapping[str | None, int]) -> dict[str | None, int]:
        """The versions that could be installed, still are listed and cannot be; and None where none can be any more."""
        found: dict[str | None, int] = {}
        for version, mask in self.lost_versions().items():
            if bits := mask & good_before.get(version, 0):
                found[version] = bits
        rest = self.lost() & _union(good_before) & ~_union(found)
        return found | ({None: rest} if rest else {})

    def lost_versions(self) -> dict[str | None, int]:
        """The versions that still are listed and cannot be installed, with where that is so."""
        return {
            version: bits
            for version, mask in self.before.items()
            if (bits := mask & self.after.get(version, 0) & ~self.good.get(version, 0))
        }

    def lost(self) -> int:
        """Where no version can be installed. A project that only a pattern names may offer nothing."""
        mask = _union(self.before) & ~_union(self.good)
        return mask if self.root.is_named else mask & _union(self.after)


async def broken_roots(stack: Stack, request: Request, change: Change) -> list[str]:
    """A sentence for every root that can be installed now and could not be any more, with the cause.

    Raises StoreFault.
    """
    watched = _watched(request, change)
    files = _watched_files(request, change)
    if not watched and not files:
        return []
    after = Held(request.index, change.after, change.holdings, stack.blobs)
    before = Held(request.index, change.before, dict(stack.holdings.own()), stack.blobs)
    explained = _Explained(stack, request, change, before, after)
    sentences = await _broken_files(stack, request, files, (before, after), explained)
    await _learn_good(stack, request, after, watched)
    suspicious = [one for one in watched if one.lost_versions() or one.lost()]
    good_before = await _good_before(stack, request, before, suspicious)
    broken = [
        await explained.sentence(one, version, bits)
        for one, good in zip(suspicious, good_before, strict=True)
        for version, bits in one.broken(good).items()
    ]
    return [*broken, *sentences]


async def _learn_good(stack: Stack, request: Request, after: Held, watched: Iterable[_Watched]) -> None:
    """Try what is not known to be installable afterwards."""
    asked = [
        (one, version, rest)
        for one in watched
        for version, mask in one.after.items()
        if (rest := mask & ~one.good.get(version, 0))
    ]
    if asked:
        stack.reporter.stage("prove", total=len(asked))
    for one, version, result in await _try(stack, request, after, asked):
        stack.reporter.advance()
        if result.is_installable:
            one.good[version] = one.good.get(version, 0) | result.mask
        else:
            one.failures.setdefault(version, result.failure)


async def _good_before(
    stack: Stack, request: Request, before: Held, suspicious: Iterable[_Watched]
) -> list[dict[str | None, int]]:
    """Of each root, where its versions can be installed as long as nothing is published."""
    found: dict[int, dict[str | None, int]] = {id(one): {} for one in suspicious}
    asked = [
        (one, version, rest)
        for one in suspicious
        for version, mask in one.before.items()
        if (rest := mask & (one.lost() | one.lost_versions().get(version, 0)))
    ]
    for one, version, result in await _try(stack, request, before, asked):
        if result.is_installable:
            known = found[id(one)]
            known[version] = known.get(version, 0) | result.mask
    return list(found.values())


async def _try(
    stack: Stack, request: Request, held: Held, asked: Iterable[tuple[_Watched, str | None, int]]
) -> list[tuple[_Watched, str | None, Result]]:
    """What comes of it, with who asked."""
    known = list(asked)
    trials = [
        Trial(number=number, root=one.root, version=version, mask=mask)
        for number, (one, version, mask) in enumerate(known)
    ]
    found = await attempt(_surroundings(stack, request, held), trials, held)
    return [(*known[result.trial.number][:2], result) for result in found.results]


def _surroundings(stack: Stack, request: Request, held: Held) -> Surroundings:
    return Surroundings(
        index=held,
        metadata=held,
        sizes=stack.sizes,
        environments=request.environments,
        policy=unfiltered(request.policy),
        follow=msgspec.structs.replace(request.follow, is_build_followed=False),
        constraints=request.constraints,
        now=stack.clock.now(),
    )


# --- who is watched -------------------------------------------------------------------------------------------------
def _watched(request: Request, change: Change) -> list[_Watched]:
    """The roots that are in both requests and reach something that changes."""
    reach = Reach(request, change)
    if not reach.changed:
        return []
    before = chosen_for(change.before, request.environments)
    after = chosen_for(change.after, request.environments)
    proved = _proved(request, change, reach.doubtful)
    watched = []
    for key, root in {key_of(root): root for root in change.roots}.items():
        is_passed_over = not root.is_named and not _is_allowed(root, request)
        if key not in before or not reach.concerns([root]) or is_passed_over:
            continue
        asked = asked_for(root, request.environments)
        old: dict[str | None, int] = {version: mask & asked for version, mask in before[key].items()}
        new: dict[str | None, int] = {version: mask & asked for version, mask in after.get(key, {}).items()}
        if root.locked is not None:
            old = new = {None: _union(old)}
        good = {version: mask & proved.get((key, version), 0) for version, mask in new.items()}
        watched.append(_Watched(root=root, before=old, after=new, good=good, failures={}))
    return watched


def _is_allowed(root: Root, request: Request) -> bool:
    return request.policy.project_verdict(root.project, is_dependency=False).is_allowed


def _proved(request: Request, change: Change, doubtful: set[str]) -> dict[tuple[RootKey, str | None], int]:
    """What was resolved while it was chosen, from nothing but files that are held now as they were believed to be."""
    found: dict[tuple[RootKey, str | None], int] = {}
    failed: dict[tuple[RootKey, str | None], int] = {}
    ends = end_bits(request.environments)
    for pair in change.pairs:
        if pair.root.project not in doubtful:
            key = (key_of(pair.root), pair.release.text)
            masks = failed if pair.failure else found
            masks[key] = masks.get(key, 0) | widened(pair.mask, ends)
    return {key: mask & ~failed.get(key, 0) for key, mask in found.items()}


def _union(masks: Mapping[str | None, int]) -> int:
    return reduce(or_, masks.values(), 0)


# --- files that are installed as a whole ----------------------------------------------------------------------------
def _watched_files(request: Request, change: Change) -> list[Trial]:
    """The files of which all lines were asked for before, where it is not known yet that they still fit together."""
    reach = Reach(request, change)
    before = chosen_for(change.before, request.environments)
    ends = end_bits(request.environments)
    apart: dict[str, int] = {}
    for one in change.apart or ():
        apart[one.file] = apart.get(one.file, 0) | widened(one.mask, ends)
    found: list[Trial] = []
    for file, (lines, mask) in files_of(change.roots, request.environments).items():
        if not reach.concerns(lines) or any(key_of(line) not in before for line in lines):
            continue
        is_tried = change.apart is not None and not any(line.project in reach.doubtful for line in lines)
        rest = mask & apart.get(file, 0) if is_tried else mask
        if rest:
            found.append(together(len(found), file, lines, rest))
    return found


async def _broken_files(
    stack: Stack, request: Request, files: Sequence[Trial], held: tuple[Held, Held], explained: _Explained
) -> list[str]:
    """A sentence for every file that could be installed as a whole `before`, and not `after`."""
    before, after = held
    sentences = []
    later = await attempt(_surroundings(stack, request, after), files, after) if files else None
    for result in later.results if later is not None else ():
        if result.is_installable:
            continue
        trial = msgspec.structs.replace(result.trial, mask=result.mask)
        earlier = await attempt(_surroundings(stack, request, before), [trial], before)
        if good := earlier.good(trial):
            sentences.append(explained.of_file(result, good, earlier))
    return sentences


# --- why ------------------------------------------------------------------------------------------------------------
class _Explained:
    """Says what a root has lost."""

    def __init__(self, stack: Stack, request: Request, change: Change, before: Held, after: Held) -> None:
        self._stack = stack
        self._request = request
        self._change = change
        self._before = before
        self._after = after
        self._explained = 0
        self._chooser = Chooser(request.environments, request.policy, stack.clock.now())

    async def sentence(self, one: _Watched, version: str | None, mask: int) -> str:
        """What is gone and why, then the root, the environments, and what contradicts itself now."""
        names = ", ".join(self._chooser.names(mask))
        failure = one.failures.get(version) or next(iter(one.failures.values()), NOTHING_HELD)
        what = one.root.text if one.root.text.startswith(one.root.project) else f"{one.root.project} {one.root.text}"
        release = f", {one.root.project} {version}" if version else ""
        gone = await self._gone(one, version, mask)
        because = f"gone is {gone}; so " if gone else ""
        return f"{because}{what} ({one.root.origin}{release}) [{names}] cannot be installed: {failure}"

    def of_file(self, result: Result, mask: int, before: Attempt) -> str:
        """The same of a file as a whole, with what it was installed with before."""
        names = ", ".join(self._chooser.names(mask))
        gone = self._told_of_gone(before)
        because = f"gone is {gone}; so " if gone else ""
        return f"{because}{result.trial.root.text} [{names}] cannot be installed as a whole: {result.failure}"

    async def _gone(self, one: _Watched, version: str | None, mask: int) -> str:
        """The releases that made it installable and are not held afterwards, each with the reason; or nothing."""
        self._explained += 1
        if self._explained > _MOST_EXPLAINED:
            return ""
        versions = [version] if version else [known for known, bits in one.before.items() if bits & mask]
        asked = [(one, known, one.before.get(known, mask) & mask) for known in versions]
        trials = [
            Trial(number=n, root=one.root, version=known, mask=bits) for n, (_, known, bits) in enumerate(asked) if bits
        ]
        found = await attempt(_surroundings(self._stack, self._request, self._before), trials, self._before)
        return self._told_of_gone(found)

    def _told_of_gone(self, found: Attempt) -> str:
        told: dict[str, str] = {}
        for selection in found.selections:
            for release in selection.releases:
                page = self._after.page(release.project)
                there = {file.filename for file in page.files} if page else set()
                if any(file.filename not in there for file in release.files):
                    told[f"{release.project} {release.version}"] = self._why_gone(release)
        causes = [f"{what} ({why})" for what, why in told.items() if why != _UNASKED]
        causes = causes or [f"{what} ({why})" for what, why in told.items()]
        more = f" and {len(causes) - _MOST} more" if len(causes) > _MOST else ""
        return f"{', '.join(causes[:_MOST])}{more}"

    def _why_gone(self, release: ChosenRelease) -> str:
        verdict = self._request.policy.project_verdict(release.project, is_dependency=True)
        if not verdict.is_allowed:
            return verdict.reason
        if any(lost.version == release.version for lost in self._after.lost.get(release.project, ())):
            return "it could not be fetched"
        page = self._change.pages.get(release.project)
        if page is None:
            missing = [one for one in self._change.after.problems if one.project == release.project]
            is_missing = any(one.kind is ProblemKind.MISSING for one in missing)
            return "the upstream no longer has the project" if is_missing else _UNASKED
        names = {file.filename for file in release.files}
        listed = [file for file in page.files if file.filename in names]
        if not listed:
            return "the upstream no longer lists it"
        if all(file.is_yanked for file in listed):
            return "it is yanked now"
        reasons = [one.reason for one in self._chooser.candidates(page).exclusions if one.filename in names]
        return reasons[0] if reasons else _UNASKED


def refusal(sentences: Sequence[str], *, is_corrected: bool) -> Unresolvable:
    """The error for a generation that would break something; `is_corrected`: wheels require other things than told."""
    told = "\n".join(f"  {sentence}" for sentence in sentences)
    hint = (
        "Nothing was published: the index is as it was, and what was fetched is kept. Let in what is needed, stop "
        "asking for what needs it, or publish all the same with --force."
    )
    if is_corrected:
        hint = f"Run it again: what the wheels really require is followed only then. {hint}"
    return Unresolvable(f"what could be installed before could not be any more:\n{told}", hint=hint)
