"""Sentences that say why nothing satisfies a rule: which filter, tag, Python bound or version stands in the way."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from pypim.core.filenames import parse_version
from pypim.core.selection import ProblemKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet

    from pypim.core.candidates import Candidate, Candidates, Chooser, Release
    from pypim.core.rules import Rule

_MOST = 3  # so many versions or rules are named in one sentence; a person wants the gist


def explain_unsatisfied(candidates: Candidates, rule: Rule, environment: int) -> tuple[ProblemKind, str]:
    """Why no release satisfies `rule` in one environment (a mask of one bit): the kind, a sentence without full stop.

    Pre-releases are never the reason, for they are taken where nothing else matches.
    """
    if candidates.withheld:
        kind = ProblemKind.EXCLUDED if candidates.is_excluded else ProblemKind.UNSATISFIED
        return kind, candidates.withheld
    matching = [release for release in candidates.releases if matches(rule.specifier, release)]
    if matching:
        return ProblemKind.UNSATISFIED, "; ".join(_obstacles(matching, rule, environment))
    taken_away = Counter(
        exclusion.reason for exclusion in candidates.exclusions if _text_matches(rule.specifier, exclusion.version)
    )
    if taken_away:
        most_frequent = sorted(taken_away, key=lambda reason: (-taken_away[reason], reason))
        reasons = "; ".join(most_frequent[:_MOST])
        return ProblemKind.EXCLUDED, f"every file that matches is taken away: {reasons}"
    under = f" under the constraint {rule.constraint}" if rule.constraint else ""
    if candidates.releases:
        return ProblemKind.UNSATISFIED, f"no release matches{under}; the newest is {candidates.releases[0].text}"
    if candidates.exclusions:
        return ProblemKind.UNSATISFIED, f"no release matches{under}, and filters take away all there are"
    return ProblemKind.UNSATISFIED, "the project lists no distribution file"


def _obstacles(matching: list[Release], rule: Rule, environment: int) -> list[str]:
    """What keeps one environment from releases that match; each of them is in one of three lists."""
    yanked: list[Release] = []
    legacy: list[Release] = []
    unfit: list[Release] = []
    for release in matching:
        fitting = [candidate for candidate in release.candidates if candidate.listed & environment]
        if not rule.is_pin and fitting and all(candidate.file.is_yanked for candidate in fitting):
            yanked.append(release)
        elif release.version is None and release.mask(with_yanked=False) & environment:
            legacy.append(release)
        else:
            unfit.append(release)
    sentences = []
    if unfit:
        sentences.append(f"no file of {_versions(unfit)} fits (wheel tags or Requires-Python)")
    if yanked:
        sentences.append(f"{_versions(yanked)}: yanked, and only an exact pin takes a yanked file")
    if legacy:
        sentences.append(f"{_versions(legacy)}: not a valid version, and only the rule * takes those")
    return sentences


class FileVerdict(msgspec.Struct, frozen=True):
    """What `why-not` says of one file: the reason is empty where nothing keeps it out."""

    filename: str
    version: str
    reason: str
    remedy: str = ""
    """What lets it in, where something can; without capital and full stop."""


def explain_files(
    candidates: Candidates, specifier: SpecifierSet, chooser: Chooser, learned: Mapping[str, str | None] | None = None
) -> list[FileVerdict]:
    """For every file of a matching release: what keeps it out of every environment.

    `learned`: identity → Requires-Python of the core metadata, of the files that the candidates were narrowed by.
    """
    bounds = learned or {}
    found = [
        FileVerdict(exclusion.filename, exclusion.version, exclusion.reason)
        for exclusion in candidates.exclusions
        if _text_matches(specifier, exclusion.version)
    ]
    matching = [release for release in candidates.releases if matches(specifier, release)]
    has_final = any(not release.is_prerelease and release.mask(with_yanked=False) for release in matching)
    takes_prereleases = bool(chooser.policy.prereleases or specifier.prereleases or not has_final)
    return found + [
        FileVerdict(
            candidate.file.filename,
            release.text,
            _unfit(candidate, chooser, bounds.get(candidate.identity))
            or _unchosen(candidate, release, takes_prereleases=takes_prereleases),
        )
        for release in matching
        for candidate in release.candidates
    ]


def _unfit(candidate: Candidate, chooser: Chooser, learned: str | None) -> str:
    """Why no environment can use a file; empty where one can, or nobody would: legacy kinds are only carried."""
    if candidate.mask or not (candidate.is_wheel or candidate.is_sdist):
        return ""
    if candidate.listed:
        return f"no target that accepts it has a Python that its core metadata's Requires-Python {learned!r} allows"
    bound = candidate.file.requires_python
    if not chooser.tag_mask(candidate.parsed):
        return "no target accepts its wheel tags"
    if not chooser.python_mask(bound):
        return f"no target has a Python that its Requires-Python {bound!r} allows"
    return f"no target accepts both its wheel tags and its Requires-Python {bound!r}"


def _unchosen(candidate: Candidate, release: Release, *, takes_prereleases: bool) -> str:
    """Why rules pass over a file that some environment can use; empty where they do not."""
    if candidate.file.is_yanked:
        told = f": {candidate.file.yanked}" if isinstance(candidate.file.yanked, str) else ""
        return f"it is yanked{told}; only an exact pin takes it"
    if release.version is None:
        return "its version is not a valid one; only the rule * takes it"
    if release.is_prerelease and not takes_prereleases:
        return "it is a pre-release; pin it, name one in the specifier, or set filters.prereleases"
    return ""


def matches(specifier: SpecifierSet, release: Release) -> bool:
    """Whether the release satisfies it; pre-releases count, and legacy versions satisfy no specifier (PEP 440)."""
    if release.version is None:
        return not specifier
    return specifier.contains(release.version, prereleases=True)


def _text_matches(specifier: SpecifierSet, text: str) -> bool:
    version = parse_version(text)
    return not specifier if version is None else specifier.contains(version, prereleases=True)


def _versions(releases: list[Release]) -> str:
    shown = ", ".join(release.text for release in releases[:_MOST])
    return f"{shown} and {len(releases) - _MOST} more" if len(releases) > _MOST else shown
