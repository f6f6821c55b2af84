"""The releases of one project as the states of a variable: which are usable where, and which a specifier admits."""

from __future__ import annotations

from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

from pypim.core.filenames import parse_version
from pypim.core.readings import Reading, is_read_apart
from pypim.core.rules import requirement_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.candidates import Candidates, Release
    from pypim.core.model import DistFile


__all__ = ["Reading", "Universe"]

_IS_PRERELEASE = attrgetter("is_prerelease")


class Universe:
    """The releases of a project, the most wanted first: final ones before pre-releases, newer before older.

    State 1 << (n + 1) is release n; legacy versions satisfy no specifier (PEP 440) and have no state.
    """

    def __init__(self, candidates: Candidates, reading: Reading, *, mixes_prereleases: bool) -> None:
        """`mixes_prereleases` counts pre-releases like final ones (`filters.prereleases`)."""
        self.project: NormalizedName = candidates.project
        self.candidates = candidates
        known = [release for release in candidates.releases if release.version is not None]
        if not mixes_prereleases:
            known.sort(key=_IS_PRERELEASE)  # stable: each half stays newest first
        if reading is Reading.PIP:
            known.sort(key=_is_yanked)  # counts where another requirement pins it
        self._known = tuple(known)
        self.releases: list[Release] = known
        self._reading = reading
        self._mixes = mixes_prereleases
        self._usable: list[int | None] = [None] * len(known)
        self._refused = [0] * len(known)
        self.examined = [0] * len(known)
        """The environments for which it is known whether the metadata of each release speaks against it."""
        self._is_disputed: bool | None = None
        # Specifiers are told apart as objects, for to write them as texts takes longer: equal ones are mostly the same.
        self._allowed: dict[tuple[int, int, bool], tuple[int, SpecifierSet]] = {}
        self._matched: dict[str, int] = {}
        self._finals: dict[int, int] = {}
        self._yanked: dict[int, int] = {}
        self._admits: dict[tuple[int, int], tuple[bool, SpecifierSet]] = {}
        self._same: dict[int, tuple[int, int]] = {}
        self.every = (1 << (len(known) + 1)) - 1
        """All states, "not needed" included."""

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each release."""
        return {release.text: n for n, release in enumerate(self._known)}

    @cached_property
    def _versions(self) -> list[Version]:
        return [release.version for release in self._known if release.version is not None]

    @cached_property
    def _listed(self) -> list[tuple[int, int, int]]:
        """Who can use each release by the page, who at least sees it, and who needs no yanked file of it."""
        return list(map(self._listed_masks, self._known))

    def _listed_masks(self, release: Release) -> tuple[int, int, int]:
        seen, unyanked = release.mask(with_yanked=True), release.mask(with_yanked=False)
        return seen if self._reading is Reading.PIP else unyanked, seen, unyanked

    def _yanked_states(self, environment: int) -> int:
        """The releases of which an environment sees yanked files only, whatever there is for others."""
        found = self._yanked.get(environment)
        if found is None:
            masks = enumerate(self._listed)
            found = sum(2 << n for n, (_, seen, unyanked) in masks if seen & environment & ~unyanked)
            self._yanked[environment] = found
        return found

    @property
    def is_disputed(self) -> bool:
        """Whether another reading might have made something else of it."""
        if self._is_disputed is None:
            self._is_disputed = any(map(_is_disputed, self.releases))
        return self._is_disputed

    def allowed(self, specifier: SpecifierSet, environment: int = -1, *, is_strict: bool = True) -> int:
        """The states that a specifier admits, wherever they may be usable.

        For pip no pre-release counts beside a final release that it sees, yanked or not, in the environment (a mask),
        and no yanked release without a pin. It asks that of all requirements of a project together; `is_strict` asks
        it of each.
        """
        key = (id(specifier), environment, is_strict)
        known = self._allowed.get(key)
        if known is not None:
            return known[0]
        found = self._matching(specifier, str(specifier))
        if self._reading is not Reading.UV and is_strict:
            found = self._for_pip(specifier, found, environment)
        self._allowed[key] = (found, specifier)
        return found

    def is_taken(self, number: int, specifier: SpecifierSet, environment: int) -> bool:
        """Whether pip takes a release that a specifier admits where nothing else is asked of the project."""
        return bool(self._for_pip(specifier, self._matching(specifier, str(specifier)), environment) & 2 << number)

    def _for_pip(self, specifier: SpecifierSet, found: int, environment: int) -> int:
        if not self._mixes:
            finals = found & self._final_states(environment)
            takes_both = self._reading is Reading.PIP and specifier.prereleases
            found = found if takes_both or not finals else finals
        if self._reading is Reading.PIP and not requirement_rule(specifier, "").is_pin:
            found &= ~self._yanked_states(environment)
        return found

    def _matching(self, specifier: SpecifierSet, text: str) -> int:
        found = self._matched.get(text)
        if found is None:
            if self._reading is Reading.UV and "===" in text:
                matching = _matching_for_uv(specifier, self._versions)
            else:
                matching = set(specifier.filter(self._versions, prereleases=True))
            found = sum(2 << n for n, version in enumerate(self._versions) if version in matching)
            self._matched[text] = found
        return found

    def admits(self, specifier: SpecifierSet, number: int) -> bool:
        """Whether a specifier admits one release: the cheap question of a walk that takes the newest of everything."""
        is_prerelease = self.releases[number].is_prerelease
        if not specifier and not is_prerelease:
            return True
        key = (number, id(specifier))
        known = self._admits.get(key)
        if known is not None:
            return known[0]
        found = specifier.contains(self._versions[number], prereleases=True)
        if found and is_prerelease:
            found = bool(self.allowed(specifier) & 2 << number)
        self._admits[key] = (found, specifier)
        return found

    def usable(self, environment: int) -> tuple[int, int]:
        """The states that an environment (a mask of one bit) can use, and the environments that can use the same.

        As the page has it: what was learned of a file for one search must not change the course of another.
        """
        found = self._same.get(environment)
        if found is None:
            states, same = 0, -1
            for n, masks in enumerate(self._listed):
                states |= 2 << n if masks[0] & environment else 0
                for mask in masks:
                    same &= mask if mask & environment else ~mask
            found = self._same[environment] = (states, same)
        return found

    def mask(self, number: int) -> int:
        """The environments that can use a release, as far as is known."""
        usable = self._usable[number]
        if usable is None:
            usable = self._usable[number] = self.releases[number].mask(with_yanked=self._reading is Reading.PIP)
        return usable & ~self._refused[number]

    def newest(self, mask: int) -> Iterator[tuple[int, int]]:
        """The number of the most wanted release of each environment of a mask; what is not named has none."""
        for n in range(len(self.releases)):
            if not mask:
                return
            if found := self.mask(n) & mask:
                yield n, found
                mask &= ~found

    def narrow(self, number: int, file: DistFile, mask: int) -> None:
        """Only the environments of a mask can use a file, whoever asks: as if the page had said so."""
        release = self.releases[number] = self.releases[number].narrowed(file, mask)
        self.examined[number] = 0
        self._listed[number] = self._listed_masks(release)
        self._usable[number] = self._listed[number][0]
        for known in (self._allowed, self._finals, self._yanked, self._admits, self._same):
            known.clear()

    def refuse(self, number: int, mask: int) -> None:
        """The environments of a mask cannot use a release, whatever its files say."""
        if mask:
            self._refused[number] |= mask
            self._is_disputed = True

    def _final_states(self, environment: int) -> int:
        found = self._finals.get(environment)
        if found is None:
            pairs = zip(self._known, self._listed, strict=True)
            finals = (
                n for n, (release, (_, mask, _)) in enumerate(pairs) if mask & environment and not release.is_prerelease
            )
            found = sum(2 << n for n in finals)
            self._finals[environment] = found
        return found


def _matching_for_uv(specifier: SpecifierSet, versions: list[Version]) -> set[Version]:
    """With `===` between versions, not between texts: 1.0 is 1.0.0, and is not 1.0+local."""
    exact = [parse_version(part.version) for part in specifier if part.operator == "==="]
    rest = SpecifierSet(",".join(str(part) for part in specifier if part.operator != "==="))
    return {version for version in rest.filter(versions, prereleases=True) if all(version == one for one in exact)}


def _is_disputed(release: Release) -> bool:
    """Whether pip and uv, or both of them together, may see a release differently."""
    return release.is_prerelease or any(f.is_yanked or is_read_apart(f, parsed) for f, parsed in release.files)


def _is_yanked(release: Release) -> bool:
    return all(file.is_yanked for file, _ in release.files)
