"""The releases of one project as the states of a variable: which are usable where, and which a specifier admits."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from pypim.core.rules import requirement_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.candidates import Candidates, Release
    from pypim.core.model import DistFile


_UPPER_BOUND = re.compile(r"<|!=|==|~=")


class Reading(StrEnum):
    """Whose reading of the standards counts; a release that `BOTH` accepts is installable by pip and by uv.

    They differ in pre-releases, transitive pins of yanked files, upper bounds of Requires-Python and requirements
    that are not valid; see `docs/clients.md`.
    """

    BOTH = "both"
    UV = "uv"
    PIP = "pip"


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
            known.sort(key=_is_prerelease)  # stable: each half stays newest first
        self.releases: list[Release] = known
        self.index: dict[str, int] = {release.text: n for n, release in enumerate(known)}
        self._reading = reading
        self._mixes = mixes_prereleases
        self._usable = [release.mask(with_yanked=reading is Reading.PIP) for release in known]
        self._refused = [0] * len(known)
        self.is_disputed = any(map(_is_disputed, known))
        """Whether another reading might have made something else of it."""
        self._versions: list[Version] = [release.version for release in known if release.version is not None]
        self._allowed: dict[str, int] = {}
        self._admits: dict[tuple[int, str], bool] = {}
        self._same: dict[int, tuple[int, int]] = {}
        self.every = (1 << (len(known) + 1)) - 1
        """All states, "not needed" included."""

    def allowed(self, specifier: SpecifierSet) -> int:
        """The states that a specifier admits, wherever they may be usable."""
        key = str(specifier)
        found = self._allowed.get(key)
        if found is None:
            matching = set(specifier.filter(self._versions, prereleases=True))
            found = sum(2 << n for n, version in enumerate(self._versions) if version in matching)
            if self._reading is not Reading.UV and not self._mixes:
                finals = found & self._final_states()
                takes_both = self._reading is Reading.PIP and specifier.prereleases
                found = found if takes_both or not finals else finals
            if self._reading is Reading.PIP and not requirement_rule(specifier, "").is_pin:
                found &= ~self._yanked_states()
            self._allowed[key] = found
        return found

    def admits(self, specifier: SpecifierSet, number: int) -> bool:
        """Whether a specifier admits one release: the cheap question of a walk that takes the newest of everything."""
        if not specifier:
            return True
        key = (number, str(specifier))
        found = self._admits.get(key)
        if found is None:
            found = self._admits[key] = specifier.contains(self._versions[number], prereleases=True)
        return found

    def usable(self, environment: int) -> tuple[int, int]:
        """The states that an environment (a mask of one bit) can use, and the environments that can use the same."""
        found = self._same.get(environment)
        if found is None:
            states, same = 0, -1
            for n in range(len(self.releases)):
                mask = self.mask(n)
                if mask & environment:
                    states |= 2 << n
                    same &= mask
                else:
                    same &= ~mask
            found = self._same[environment] = (states, same)
        return found

    def mask(self, number: int) -> int:
        """The environments that can use a release, as far as is known."""
        return self._usable[number] & ~self._refused[number]

    def newest(self, mask: int) -> Iterator[tuple[int, int]]:
        """The number of the most wanted release of each environment of a mask; what is not named has none."""
        for n in range(len(self.releases)):
            if not mask:
                return
            if found := self.mask(n) & mask:
                yield n, found
                mask &= ~found

    def narrow(self, number: int, file: DistFile, mask: int) -> None:
        """The core metadata of a file says that only the environments of a mask can use it."""
        release = self.releases[number] = self.releases[number].narrowed(file, mask)
        self._usable[number] = release.mask(with_yanked=self._reading is Reading.PIP)
        self._same.clear()

    def refuse(self, number: int, mask: int) -> None:
        """The environments of a mask cannot use a release, whatever its files say."""
        self._refused[number] |= mask
        self.is_disputed = True
        self._same.clear()

    def _final_states(self) -> int:
        return sum(2 << n for n, version in enumerate(self._versions) if not version.is_prerelease)

    def _yanked_states(self) -> int:
        return sum(2 << n for n, release in enumerate(self.releases) if not release.mask(with_yanked=False))


def _is_disputed(release: Release) -> bool:
    """Whether pip and uv, or both of them together, may see a release differently."""
    if _is_prerelease(release):
        return True
    files = [candidate.file for candidate in release.candidates]
    return any(file.is_yanked or _UPPER_BOUND.search(file.requires_python or "") for file in files)


def _is_prerelease(release: Release) -> bool:
    return release.version is not None and release.version.is_prerelease
