"""The Generations in memory: the twin that the contract suite verifies beside the catalog's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.utils import NormalizedName

from pypim.core.errors import NotFound
from pypim.core.plan import Outline, outline_of
from pypim.core.portions import COMMON, joined, portions_of
from pypim.core.records import Generation, Tally, UnheldFile
from pypim.core.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pypim.core.model import DistFile, Holding
    from pypim.core.selection import Problem
    from pypim.ports import Holdings

_NOTHING = Selection()
_Portions = dict[str, Selection]


class MemoryGenerations:
    """Every generation as a whole, in dictionaries."""

    def __init__(self, holdings: Holdings) -> None:
        """`holdings` are those of the same store."""
        self._holdings = holdings
        self._generations: dict[int, Generation] = {}
        self._portions: dict[int, _Portions] = {}
        self._last_number = 0

    def current(self, index: str) -> Generation | None:
        """The newest finished generation."""
        finished = [one for one in self._generations.values() if one.index == index and one.finished_at is not None]
        return max(finished, key=lambda one: one.number, default=None)

    def indexes(self) -> list[str]:
        """Every index that has a finished generation, in order."""
        return sorted({one.index for one in self._generations.values() if one.finished_at is not None})

    def is_interrupted(self, index: str) -> bool:
        """Whether a generation was begun and never finished."""
        return self._begun(index) is not None

    def listed(self, *, besides: str | None = None) -> set[str]:
        """The identities of all files that the current or an unfinished generation of any other index names."""
        numbers = (number for number, one in self._generations.items() if one.index != besides)
        releases = (
            release for number in numbers for one in self._portions[number].values() for release in one.releases
        )
        return {file.identity for release in releases for file in release.files}

    def listed_among(self, identities: Iterable[str], *, besides: str | None = None) -> set[str]:
        """Those of them that `listed` would have."""
        return self.listed(besides=besides).intersection(identities)

    def selection(self, generation: int) -> Selection:
        """What it holds. Raises NotFound when there is no such generation."""
        self._check_known(generation)
        return joined(portion for _, portion in sorted(self._portions[generation].items(), key=_name))

    def current_selection(self, index: str) -> Selection | None:
        """What the newest finished generation of an index holds."""
        generation = self.current(index)
        return None if generation is None else self.selection(generation.number)

    def portion(self, index: str, project: NormalizedName) -> Selection:
        """What the current generation holds of one project."""
        return self._of(index).get(project, _NOTHING)

    def portions(self, index: str, after: str, most: int) -> list[tuple[NormalizedName, Selection]]:
        """The same of so many projects whose names come after one, in order."""
        found = [(NormalizedName(name), portion) for name, portion in sorted(self._of(index).items(), key=_name)]
        return [item for item in found if item[0] > after][:most]

    def names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name of which the current generation, or an unfinished one, has something."""
        return sorted(name for name in self._all(index) if name > after)[:most]

    def chosen_among(self, index: str, names: Iterable[NormalizedName]) -> set[NormalizedName]:
        """Those of some projects of which the current generation, or an unfinished one, has something."""
        return self._all(index).intersection(names)

    def named_among(self, index: str, identities: Iterable[str]) -> set[str]:
        """Those of some identities that the current generation of the index names."""
        return {file.identity for file in self._files(index)}.intersection(identities)

    def tally(self, index: str) -> Tally:
        """How much the current generation names, and how much of that is held."""
        counted = [self._tally(portion) for portion in self._of(index).values()]
        return Tally(*(sum(column) for column in zip(*counted, strict=True))) if counted else Tally(*(0,) * 7)

    def unheld(self, index: str, most: int) -> list[UnheldFile]:
        """Files that the current generation names and that are not held, so many at most, by project."""
        found = [
            UnheldFile(release.project, release.version, file.filename, file.size)
            for _, portion in sorted(self._of(index).items(), key=_name)
            for release in portion.releases
            for file in release.files
            if file.identity not in self._held()
        ]
        return found[:most]

    def problems(self, index: str) -> tuple[Problem, ...]:
        """What of the current generation was asked for and certainly cannot be had, sorted."""
        told = (problem for portion in self._of(index).values() for problem in portion.problems)
        return tuple(sorted({problem for problem in told if problem.is_certain}))

    def outline(self, index: str) -> Outline:
        """What the newest finished generation of an index holds, without the files."""
        selection = self.current_selection(index)
        return Outline() if selection is None else outline_of(selection)

    def begin(self, index: str, selection: Selection, started_at: float) -> Generation:
        """Record the next generation; an unfinished older one is replaced."""
        return self._begin(index, portions_of(selection), started_at, is_amended=False)

    def amend(
        self, index: str, portions: Mapping[NormalizedName, Selection] | Mapping[str, Selection], started_at: float
    ) -> Generation:
        """Record the next generation, which differs in these projects only."""
        amended: _Portions = {**self._of(index), **{str(name): portion for name, portion in portions.items()}}
        kept = {project: portion for project, portion in amended.items() if portion != _NOTHING}
        return self._begin(index, kept, started_at, is_amended=True)

    def finish(self, generation: Generation, finished_at: float) -> None:
        """The flip. Raises NotFound when the generation was replaced meanwhile."""
        self._check_known(generation.number)
        self._generations[generation.number] = msgspec.structs.replace(generation, finished_at=finished_at)
        self._drop(
            one
            for one in self._generations.values()
            if one.index == generation.index and one.number < generation.number
        )

    def unfinished(self, index: str) -> list[NormalizedName]:
        """The projects in which a generation that was begun and never finished differs, in order."""
        begun = self._begun(index)
        if begun is None:
            return []
        before, after = self._of(index), self._portions[begun.number]
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return [NormalizedName(name) for name in names if name != COMMON]

    def abandon(self, index: str) -> None:
        """Forget what was begun and never finished."""
        self._drop(one for one in self._generations.values() if one.index == index and one.finished_at is None)

    def _begin(self, index: str, portions: _Portions, started_at: float, *, is_amended: bool) -> Generation:
        self.abandon(index)
        self._last_number += 1
        number = self._last_number
        begun = Generation(number, index, started_at, finished_at=None, is_amended=is_amended)
        self._generations[number] = begun
        self._portions[number] = portions
        return begun

    def _held(self) -> dict[str, Holding]:
        return dict(self._holdings.holdings())

    def _files(self, index: str) -> list[DistFile]:
        releases = (release for portion in self._of(index).values() for release in portion.releases)
        return [file for release in releases for file in release.files]

    def _tally(self, portion: Selection) -> tuple[int, ...]:
        files = [file for release in portion.releases for file in release.files]
        held = [self._held()[file.identity] for file in files if file.identity in self._held()]
        return (
            int(bool(files)),
            int(bool(files) and len(held) == len(files)),
            len(portion.releases),
            len(files),
            sum(file.size or 0 for file in files),
            len(held),
            sum(holding.blob.size for holding in held),
        )

    def _all(self, index: str) -> set[NormalizedName]:
        begun = self._begun(index)
        portions = {**self._of(index), **(self._portions[begun.number] if begun is not None else {})}
        return {NormalizedName(name) for name in portions if name != COMMON}

    def _of(self, index: str) -> _Portions:
        generation = self.current(index)
        return {} if generation is None else self._portions[generation.number]

    def _begun(self, index: str) -> Generation | None:
        begun = (one for one in self._generations.values() if one.index == index and one.finished_at is None)
        return next(begun, None)

    def _drop(self, generations: Iterable[Generation]) -> None:
        for one in list(generations):
            del self._generations[one.number], self._portions[one.number]

    def _check_known(self, number: int) -> None:
        if number not in self._generations:
            raise NotFound(f"there is no generation {number}")


def _name(item: tuple[str, Selection]) -> str:
    return item[0]
