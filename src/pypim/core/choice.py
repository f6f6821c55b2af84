"""The choice of releases: which candidates of one project a rule takes, for each environment of a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.rules import Rule, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from pypim.core.candidates import Candidates, Release


def choose_releases(
    candidates: Candidates, rule: Rule, mask: int, *, allow_prereleases: bool, keep_latest: int | None
) -> dict[Release, int]:
    """Release → the environments of `mask` for which the rule takes it.

    Each environment has its own newest release, for what one machine cannot use another may. Yanked files count only
    for an exact pin (PEP 592). `keep_latest` caps rules that take every match, never a pin.
    """
    chosen: dict[Release, int] = {}
    usable = [(release, release.mask(with_yanked=rule.is_pin)) for release in candidates.releases]
    for releases, bits in _by_environment(usable, mask).items():
        for release in _choose_alike(releases, rule, allow_prereleases=allow_prereleases, keep_latest=keep_latest):
            chosen[release] = chosen.get(release, 0) | bits
    return chosen


def _by_environment(usable: Sequence[tuple[Release, int]], mask: int) -> dict[tuple[Release, ...], int]:
    """Group the environments of a mask by the releases they can use, so that alike ones are decided once."""
    groups: list[tuple[int, list[Release]]] = [(mask, [])] if mask else []
    for release, bits in usable:
        split: list[tuple[int, list[Release]]] = []
        for members, releases in groups:
            can, cannot = members & bits, members & ~bits
            if can and cannot:
                split += [(can, [*releases, release]), (cannot, releases)]
            elif can:
                releases.append(release)
                split.append((members, releases))
            else:
                split.append((members, releases))
        groups = split
    found: dict[tuple[Release, ...], int] = {}
    for members, releases in groups:
        key = tuple(releases)
        found[key] = found.get(key, 0) | members
    return found


def _choose_alike(
    releases: tuple[Release, ...], rule: Rule, *, allow_prereleases: bool, keep_latest: int | None
) -> list[Release]:
    by_version: dict[Version, Release] = {r.version: r for r in releases if r.version is not None}
    versions = choose(rule, list(by_version), allow_prereleases=allow_prereleases)
    if not rule.is_pin and rule.count is not None and any(v.is_prerelease for v in versions):
        # pip takes the pre-release that a specifier names, uv the newest final one: hold what either needs.
        finals = choose(rule, [v for v in by_version if not v.is_prerelease], allow_prereleases=False)
        versions = [*versions, *(v for v in finals if v not in versions)]
    taken = [by_version[version] for version in versions]
    if rule.count is None and not rule.is_pin:
        if not rule.specifier:
            # Legacy versions satisfy no specifier (PEP 440); "every release" means them too.
            taken += [r for r in releases if r.version is None]
        if keep_latest is not None:
            taken = taken[:keep_latest]
    return taken
