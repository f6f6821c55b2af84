"""The choice of releases: which candidates of one project a rule takes, for each environment of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.rules import Rule, choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from pypim.core.candidates import Candidates, Release
    from pypim.core.policy import Policy


class Choice:
    """Takes releases from the candidates of a project, and remembers, for many requirements ask the same."""

    def __init__(self, candidates: Candidates, policy: Policy) -> None:
        self.candidates = candidates
        self._policy = policy
        self._taken: dict[tuple[SpecifierSet, int | None, bool, int], dict[Release, int]] = {}

    def take(self, rule: Rule, mask: int) -> Mapping[Release, int]:
        """Release → the environments of `mask` for which the rule takes it.

        Each environment has its own newest release, for what one machine cannot use another may. Yanked files count
        only for an exact pin (PEP 592). `filters.keep-latest` caps rules that take every match, never a pin.
        """
        key = (rule.specifier, rule.count, rule.is_pin, mask)
        found = self._taken.get(key)
        if found is None:
            found = self._newest(rule, mask)
        if found is None:
            found = {}
            usable = [(release, release.mask(with_yanked=rule.is_pin)) for release in self.candidates.releases]
            for releases, bits in _by_environment(usable, mask):
                for release in self._choose_alike(releases, rule):
                    found[release] = found.get(release, 0) | bits
        self._taken[key] = found
        return found

    def _newest(self, rule: Rule, mask: int) -> dict[Release, int] | None:
        """What most rules take: the newest final release of each environment; None where that is not the question."""
        if rule.specifier or rule.count != 1 or rule.is_pin or self._policy.prereleases:
            return None
        found: dict[Release, int] = {}
        for release in self.candidates.releases:
            if not mask:
                break
            if release.version is None or release.is_prerelease:
                continue
            if bits := release.mask(with_yanked=False) & mask:
                found[release] = bits
                mask &= ~bits
        return None if mask else found

    def _choose_alike(self, releases: Sequence[Release], rule: Rule) -> list[Release]:
        """What the rule takes of the releases that some environments can use alike, newest first."""
        by_version: dict[Version, Release] = {r.version: r for r in releases if r.version is not None}
        versions = choose(rule, list(by_version), allow_prereleases=self._policy.prereleases)
        if not rule.is_pin and rule.count is not None and rule.specifier.prereleases:
            # pip takes the pre-release that a specifier names, uv the newest final one: hold what either needs.
            finals = choose(rule, [v for v in by_version if not v.is_prerelease], allow_prereleases=False)
            versions = [*versions, *(v for v in finals if v not in versions)]
        taken = [by_version[version] for version in versions]
        if rule.count is None and not rule.is_pin:
            if not rule.specifier:
                # Legacy versions satisfy no specifier (PEP 440); "every release" means them too.
                taken += [r for r in releases if r.version is None]
            taken = taken[: self._policy.keep_latest]
        return taken


def _by_environment(usable: Sequence[tuple[Release, int]], mask: int) -> list[tuple[list[Release], int]]:
    """Group the environments of a mask by the releases they can use, so that alike ones are decided once."""
    groups: list[tuple[list[Release], int]] = [([], mask)] if mask else []
    for release, bits in usable:
        split: list[tuple[list[Release], int]] = []
        for releases, members in groups:
            can, cannot = members & bits, members & ~bits
            if can and cannot:
                split += [([*releases, release], can), (releases, cannot)]
            else:
                if can:
                    releases.append(release)
                split.append((releases, members))
        groups = split
    return groups
