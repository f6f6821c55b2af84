"""Trials: every root release with the environments in which it is to be resolved, and what comes of resolving them."""

from __future__ import annotations

import re
from functools import reduce
from itertools import repeat
from operator import or_
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.candidates import Chooser
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.markers import evaluate
from pypim.core.policy import Filters, Policy
from pypim.core.resolve import Resolution
from pypim.core.rules import requirement_rule
from pypim.core.target import FIRST_END, LAST_END, patch_ends
from pypim.core.universe import Reading
from pypim.sync.collect import Collector
from pypim.sync.silent import SilentReporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.closure import FollowOptions, Root
    from pypim.core.outcomes import Pair
    from pypim.core.selection import Problem, Selection
    from pypim.core.target import Environment
    from pypim.ports import Index, MetadataReader, SizeReader
    from pypim.sync.held import Held

RootKey = tuple[str, str, str]
"""Where a root stands (without the line), its project and its text: what stays the same from run to run."""

_LINE = re.compile(r":\d+\Z")
NOTHING_HELD = "no release of it is held"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One release of a root, or whatever its rule takes, and the environments in question as a mask."""

    number: int
    root: Root
    version: str | None
    """As the selection names it; None: the rule of the root chooses."""
    mask: int
    lines: tuple[Root, ...] = ()
    """What is installed together, where that is the question; the root then only stands for their file."""
    is_pin: bool = True
    """Whether yanked files of the release count, as for a root that pins it, or one that has no others of it."""
    is_one_enough: bool = False
    """Whether any one release will do, as for an installer; else every one that the rule takes must."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one release of a trial in some environments."""

    trial: Trial
    version: str
    """Empty where there is no release for these environments."""
    mask: int
    reading: Reading = Reading.BOTH
    failure: str = ""
    is_undecided: bool = False

    @property
    def is_installable(self) -> bool:
        """Whether it can be installed."""
        return not self.failure


class Attempt(msgspec.Struct, frozen=True):
    """The results of some trials, and what their resolutions chose."""

    results: tuple[Result, ...]
    selections: tuple[Selection, ...]

    def good(self, trial: Trial) -> int:
        """The environments in which a trial can be installed."""
        found = 0
        for result in self.results:
            found |= result.mask if result.trial.number == trial.number and result.is_installable else 0
        return found

    def failure(self, trial: Trial, bit: int) -> str:
        """Why it cannot be, in one environment."""
        return next((r.failure for r in self.results if r.trial.number == trial.number and r.mask & bit), "")


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked, under which rules."""

    index: Index
    metadata: MetadataReader
    sizes: SizeReader
    environments: tuple[Environment, ...]
    policy: Policy
    follow: FollowOptions
    constraints: Mapping[NormalizedName, SpecifierSet]
    now: datetime
    reading: Reading | None = None
    """Whose reading alone counts; None: that of pip and of uv."""


def unfiltered(policy: Policy) -> Policy:
    """What is held is allowed; whether pre-releases count like final ones is no filter."""
    return Policy.compile(Filters(prereleases=policy.prereleases), "")


# --- what is to be tried --------------------------------------------------------------------------------------------
def root_key(origin: str, project: str, text: str) -> RootKey:
    """What makes a root the same one in another run, though it may stand in another line."""
    return _LINE.sub("", origin), project, text


def key_of(root: Root) -> RootKey:
    """The same, of a root."""
    return root_key(root.origin, root.project, root.text)


def chosen_for(selection: Selection, environments: Sequence[Environment]) -> dict[RootKey, dict[str, int]]:
    """Root → the versions that a selection holds because of it, each with the environments.

    "3.12" is its first patch release here (see `_Reading`): what only the last one takes counts where that has nothing.
    """
    bits = {environment.name: 1 << n for n, environment in enumerate(environments)}
    found: dict[RootKey, dict[str, int]] = {}
    at_last: dict[RootKey, dict[str, int]] = {}
    for release in selection.releases:
        for reason, shares in zip(release.reasons, release.shares or repeat(()), strict=False):
            named = [name for share in shares for name in share.environments] or reason.environments
            for name in () if reason.parent_project else named:
                if bit := bits.get(whole_name(name), 0):
                    key = root_key(reason.origin, release.project, reason.requirement)
                    versions = (at_last if name.endswith(LAST_END) else found).setdefault(key, {})
                    versions[release.version] = versions.get(release.version, 0) | bit
    for key, later in at_last.items():
        versions = found.setdefault(key, {})
        rest = ~reduce(or_, versions.values(), 0)
        for version, mask in later.items():
            if mask & rest:
                versions[version] = versions.get(version, 0) | mask & rest
    return found


def whole_name(name: str) -> str:
    """The name of an environment of which a reason may name one end (see `target.end_names`)."""
    return name.removesuffix(FIRST_END).removesuffix(LAST_END)


def end_bits(environments: Sequence[Environment]) -> list[int]:
    """For each of the environments that a resolution counts (see `patch_ends`) the bit of the one it is an end of."""
    bits = {environment.name: 1 << n for n, environment in enumerate(environments)}
    return [bits[end.name] for end in patch_ends(environments)]


def widened(mask: int, bits: Sequence[int]) -> int:
    """A mask of some environments as a mask of others, by the bit of each."""
    return reduce(or_, (bit for n, bit in enumerate(bits) if mask >> n & 1), 0)


def trials_of(roots: Iterable[Root], environments: Sequence[Environment], selection: Selection) -> list[Trial]:
    """Every release that a selection holds for a root, and the root's rule where it holds none for an environment."""
    chosen = chosen_for(selection, environments)
    yanked = {(r.project, r.version) for r in selection.releases if all(file.is_yanked for file in r.files)}
    trials: list[Trial] = []
    for key, root in {key_of(root): root for root in roots}.items():
        asked = rest = asked_for(root, environments)
        for version, mask in chosen.get(key, {}).items() if root.locked is None else ():
            if mask & asked:
                is_pin = root.rule.is_pin or (root.project, version) in yanked
                trial = Trial(number=len(trials), root=root, version=version, mask=mask & asked, is_pin=is_pin)
                trials.append(trial)
                rest &= ~mask
        # It is no failure where a project that only a pattern names offers nothing.
        if rest and root.is_named:
            trials.append(Trial(number=len(trials), root=root, version=None, mask=rest))
    return trials


def files_of(roots: Iterable[Root], environments: Sequence[Environment]) -> dict[str, tuple[tuple[Root, ...], int]]:
    """File → its lines, which are installed together, and where any of them is asked for; files of several lines."""
    lines: dict[str, list[Root]] = {}
    for root in roots:
        if root.file and root.locked is None and asked_for(root, environments):
            lines.setdefault(root.file, []).append(root)
    masks = {file: reduce(or_, (asked_for(root, environments) for root in found)) for file, found in lines.items()}
    return {file: (tuple(found), masks[file]) for file, found in lines.items() if len(found) > 1}


def together(number: int, file: str, lines: tuple[Root, ...], mask: int) -> Trial:
    """The trial of a file, named as on the command line of an installer."""
    root = msgspec.structs.replace(lines[0], origin=file, text=f"-r {file}")
    return Trial(number=number, root=root, version=None, mask=mask, lines=lines)


def asked_for(root: Root, environments: Sequence[Environment]) -> int:
    """The environments in which the marker of a root is not false for certain."""
    return sum(1 << n for n, one in enumerate(environments) if evaluate(root.marker, one) is not False)


# --- trying ---------------------------------------------------------------------------------------------------------
async def attempt(surroundings: Surroundings, trials: Iterable[Trial], held: Held | None = None) -> Attempt:
    """Resolve every trial, those for the same environments together; `held` where that is what is asked.

    Raises UpstreamFault, IntegrityFault or Refused.
    """
    groups: dict[tuple[int, int | None], list[Trial]] = {}
    for trial in trials:
        groups.setdefault((trial.mask, trial.number if trial.lines else None), []).append(trial)
    results: list[Result] = []
    selections: list[Selection] = []
    for (mask, _), members in groups.items():
        bits = [1 << n for n in range(mask.bit_length()) if mask >> n & 1]
        chosen = [one for n, one in enumerate(surroundings.environments) if mask >> n & 1]
        chooser = Chooser(chosen, surroundings.policy, surroundings.now, surroundings.reading)
        # Of the lines of a file, some environments may know a single one.
        resolution = Resolution(chooser, surroundings.follow, surroundings.constraints, least_lines=1)
        collector = Collector(
            surroundings.index, surroundings.metadata, surroundings.sizes, SilentReporter(), keeps_going=False
        )
        asked = [root for trial in members for root in trial.lines or (_asked(trial, held),)]
        selections.append(await collector.collect(resolution, asked))
        reading = _Reading(chooser, bits, resolution, selections[-1].problems)
        for trial in members:
            results += reading.together(trial) if trial.lines else reading.results(trial, held)
    return Attempt(tuple(results), tuple(selections))


class _Reading:
    """Reads results out of one resolution, whose masks are about some of the environments only."""

    def __init__(self, chooser: Chooser, bits: list[int], resolution: Resolution, problems: Iterable[Problem]) -> None:
        self._chooser = chooser
        self._bits = bits
        known = {one.name: bit for one, bit in zip(chooser.environments, bits, strict=True)}
        self._ends = [known[end.name] if n < len(bits) else 0 for n, end in enumerate(resolution.environments)]
        self._apart, self._one_sided = resolution.apart, resolution.one_sided
        self._pairs: dict[str, list[Pair]] = {}
        for pair in resolution.pairs:
            self._pairs.setdefault(pair.root.origin, []).append(pair)
        self._problems: dict[str, list[Problem]] = {}
        for problem in problems:
            if problem.is_root:
                self._problems.setdefault(problem.chain[0], []).append(problem)

    def results(self, trial: Trial, held: Held | None) -> Iterator[Result]:
        """Those of one trial: of its pairs, and of the environments for which there is no release."""
        rest = trial.mask
        pairs = self._pairs.get(str(trial.number), [])
        if trial.version is not None:
            text = _text_of(trial.root, trial.version, held)
            pairs = [pair for pair in pairs if pair.release.text == text]
        for pair, reading, where in sorted(_as_readings(pairs), key=_importance, reverse=trial.is_one_enough):
            mask = self._wide(where) & rest
            rest &= ~mask
            if not mask:
                continue
            yield Result(
                trial=trial,
                version=trial.version or pair.release.text,
                mask=mask,
                reading=reading,
                failure=pair.failure,
                is_undecided=pair.is_undecided,
            )
        problems = self._problems.get(str(trial.number), ())
        for bit in (bit for bit in self._bits if rest & bit):
            name = self._chooser.environments[self._bits.index(bit)].name
            mine = [problem for problem in problems if name in problem.environments]
            locked = trial.root.locked
            version = trial.version or (locked.version if locked else "")
            if locked is not None and not mine:
                yield Result(trial=trial, version=version, mask=bit)
                continue
            failure = "; ".join(dict.fromkeys(problem.reason for problem in mine)) or NOTHING_HELD
            yield Result(trial=trial, version=version, mask=bit, failure=failure)

    def together(self, trial: Trial) -> Iterator[Result]:
        """Those of the lines of a file: where they can be installed together, and where not."""
        rest = trial.mask
        for apart in self._apart:
            mask = self._wide(apart.mask) & rest
            rest &= ~mask
            if mask:
                yield Result(trial=trial, version="", mask=mask, failure=apart.failure, is_undecided=apart.is_undecided)
        for one in self._one_sided:
            mask = self._wide(one.mask) & rest
            rest &= ~mask
            if mask:
                yield Result(trial=trial, version="", mask=mask, reading=one.reading)
        if rest:
            yield Result(trial=trial, version="", mask=rest)

    def _wide(self, mask: int) -> int:
        """The environments whose first patch release is in a mask: uv takes "3.12" for 3.12.0, and so does a proof."""
        return widened(mask, self._ends)


def _importance(row: tuple[Pair, Reading, int]) -> tuple[bool, bool]:
    pair, reading, _ = row
    return not pair.failure, reading is Reading.BOTH


def _as_readings(pairs: Sequence[Pair]) -> Iterator[tuple[Pair, Reading, int]]:
    """Pairs, each with a reading and where it holds: where pip and uv both have their own way, both can install it."""
    masks: dict[tuple[Release, Reading], int] = {}
    for pair in pairs:
        if not pair.failure:
            masks[pair.release, pair.reading] = masks.get((pair.release, pair.reading), 0) | pair.mask
    for pair in pairs:
        shared = 0
        if not pair.failure and pair.reading is not Reading.BOTH:
            shared = masks.get((pair.release, Reading.UV), 0) & masks.get((pair.release, Reading.PIP), 0)
        if shared & pair.mask and pair.reading is Reading.UV:
            yield pair, Reading.BOTH, shared & pair.mask
        if pair.mask & ~shared:
            yield pair, pair.reading, pair.mask & ~shared


def _asked(trial: Trial, held: Held | None) -> Root:
    """The root of a trial with its number as origin, limited to its release; yanked files count as they do for it."""
    root = msgspec.structs.replace(trial.root, origin=str(trial.number), is_named=True, file="")
    if trial.version is None or parse_version(trial.version) is None:  # no specifier admits what is no valid version
        return root
    specifier = SpecifierSet(f"==={_text_of(root, trial.version, held)}")
    text = f"{root.project}=={trial.version}"
    rule = msgspec.structs.replace(requirement_rule(specifier, text), is_pin=trial.is_pin)
    return msgspec.structs.replace(root, rule=rule, text=text)


def _text_of(root: Root, version: str, held: Held | None) -> str:
    """The version as the candidates of what is held write it: the shortest text of its files that are there."""
    known = parse_version(version)
    page = held.page(root.project) if held is not None else None
    if known is None or page is None:
        return version
    parsed = (parse_filename(file.filename, page.name).version for file in page.files)
    texts = {str(found) for found in parsed if found is not None and found == known}
    return min(texts, key=lambda text: (len(text), text), default=version)
