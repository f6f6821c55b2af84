"""Why a release that nothing keeps out is not chosen: what takes others instead, and what forcing it in contradicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.chains import Background, chains_of
from pypim.core.filenames import parse_version
from pypim.core.metadata import parse_requirement
from pypim.core.rules import requirement_rule
from pypim.core.together import Together
from pypim.sync.collect import Collector
from pypim.sync.trials import whole_name
from pypim.sync.unasked import describe_unasked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
    from pypim.core.chains import Chain
    from pypim.core.closure import Root
    from pypim.core.selection import Reason, Selection
    from pypim.core.together import Verdict
    from pypim.sync.model import Request, Stack

_MOST_WISHES = 4  # so many requirements are quoted; a person wants the gist
_MOST_ROOTS = 3


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """What a root asks for cannot be installed together with the release in question."""

    root: str
    """Where the root stands, and its rule or requirement."""
    release: str
    """"project version" of what it takes."""
    environments: tuple[str, ...]
    causes: tuple[str, ...]
    """The requirements that contradict each other."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A release that could be had, and what a sync would hold instead."""

    stack: Stack
    request: Request
    chooser: Chooser
    roots: tuple[Root, ...]
    planned: Selection
    release: Release

    @property
    def name(self) -> NormalizedName:
        """Its project."""
        return self.release.project

    @property
    def label(self) -> str:
        """As people name it."""
        return f"{self.name} {self.release.text}"

    @property
    def is_resolved(self) -> bool:
        """Whether each root is resolved by itself."""
        follow = self.request.follow
        return follow.is_resolved and follow.is_followed and not follow.max_depth


class _Wish(msgspec.Struct, frozen=True):
    """A rule or requirement that names the project, and the releases of it that it takes."""

    reason: Reason
    versions: tuple[str, ...]

    def admits(self, case: Case) -> bool:
        """Whether the release in question would do as well."""
        root = self._root(case)
        if root is not None:
            return _contains(root.rule.specifier, case.release)
        requirement = parse_requirement(self.reason.requirement)
        return (
            requirement is not None and requirement.name == case.name and _contains(requirement.specifier, case.release)
        )

    def _root(self, case: Case) -> Root | None:
        """The root whose rule it is; None for a requirement of a release."""
        key = (self.reason.origin, self.reason.requirement, case.name)
        roots = case.roots if not self.reason.parent_project else ()
        return next((root for root in roots if (root.origin, root.text, root.project) == key), None)

    def sentence(self, case: Case) -> str:
        """What it takes, and why not the release in question."""
        taken = f"{case.name} {', '.join(self.versions)}"
        reason = self.reason
        if not reason.parent_project:
            return f"{reason.requirement!r} ({reason.origin}) takes {taken}{self._preference(case)}"
        to_build = " to be built" if reason.is_build else ""
        parent = f"{reason.parent_project} {reason.parent_version}"
        return f"{parent} requires {reason.requirement!r}{to_build} and is satisfied by {taken}{self._preference(case)}"

    def _preference(self, case: Case) -> str:
        if not self.admits(case):
            return ""
        own, known = case.release.version, {text: parse_version(text) for text in self.versions}
        if own is None or None in known.values():
            return ""
        is_one = len(known) == 1
        if own.is_prerelease and not any(version.is_prerelease for version in known.values() if version is not None):
            return ", which is no pre-release" if is_one else ", which are no pre-releases"
        newer = [text for text, version in known.items() if version is not None and version > own]
        if not newer:
            return f", though it admits {case.release.text} too"
        some = "which" if len(newer) == len(known) else f"of which {', '.join(newer)}"
        return f", {some} {'is' if len(newer) == 1 else 'are'} newer{self._limit(case)}"

    def _limit(self, case: Case) -> str:
        """What caps a rule that takes every match; no other is capped (see `Choice.take`)."""
        root, keep = self._root(case), case.request.policy.keep_latest
        is_capped = root is not None and root.rule.count is None and not root.rule.is_pin
        return f" (filters.keep-latest = {keep})" if is_capped and keep is not None else ""


async def describe_unchosen(case: Case) -> tuple[str, tuple[Conflict, ...]]:
    """One sentence without full stop, and the contradictions that forcing the release in would bring."""
    constraint = case.request.constraints.get(case.name)
    if constraint is not None and not _contains(constraint, case.release):
        return f"the constraint {case.name}{constraint} keeps {case.label} out", ()
    wishes = list(_wishes(case))
    if not wishes:
        rules = [f"{root.text!r} ({root.origin})" for root in case.roots if root.project == case.name]
        if rules:
            return f"nothing takes {case.label}: {', '.join(rules)} asks for other releases, and finds none", ()
        return await describe_unasked(case.stack, case.request, case.planned, case.release), ()
    sentences = [wish.sentence(case) for wish in wishes]
    more = f"; and {len(sentences) - _MOST_WISHES} more" if len(sentences) > _MOST_WISHES else ""
    conflicts = await _conflicts(case) if case.is_resolved else ()
    return f"nothing needs {case.label}: {'; '.join(sentences[:_MOST_WISHES])}{more}", conflicts


def _wishes(case: Case) -> Iterator[_Wish]:
    """Those that would take the release in question, too, first."""
    versions: dict[tuple[str, str, str, str, bool], tuple[Reason, list[str]]] = {}
    for release in case.planned.releases:
        for reason in release.reasons if release.project == case.name else ():
            key = (
                reason.origin,
                reason.parent_project,
                reason.parent_version,
                reason.requirement,
                reason.is_build,
            )
            versions.setdefault(key, (reason, []))[1].append(release.version)
    found = [_Wish(reason, tuple(texts)) for reason, texts in versions.values()]
    yield from sorted(found, key=lambda wish: (not wish.admits(case), wish.reason))


# --- forced in ------------------------------------------------------------------------------------------------------
async def _conflicts(case: Case) -> tuple[Conflict, ...]:
    """What contradicts the release, for the roots that are nearest to what they take of its project."""
    found: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
    tried: set[tuple[str, str, str]] = set()
    for chain in _chains(case):
        first = chain.links[0]
        root = next((one for one in case.roots if _is_begun(chain, one)), None)
        key = (first.by, first.requirement, first.version)
        if root is None or root.locked is not None or key in tried or any(link.is_build for link in chain.links):
            continue
        tried.add(key)
        rule = requirement_rule(SpecifierSet(f"=={first.version}"), root.text)
        pinned = msgspec.structs.replace(root, rule=rule)
        verdicts = await _verdicts(case, pinned, frozenset(map(whole_name, chain.environments)))
        for verdict in verdicts:
            if verdict.causes and not verdict.is_undecided:
                about = (f"{first.by}: {first.requirement}", f"{first.project} {first.version}", verdict.causes)
                found.setdefault(about, set()).update(verdict.environments)
        if len(tried) == _MOST_ROOTS:
            break
    return tuple(
        Conflict(root=root, release=release, environments=tuple(sorted(environments)), causes=causes)
        for (root, release, causes), environments in found.items()
    )


def _chains(case: Case) -> list[Chain]:
    background = Background(root_extras=case.request.follow.root_extras)
    kept = chains_of(case.planned, case.name, None, background)
    chains = [chain for release in kept for chain in release.chains if chain.links[0].project != case.name]
    return sorted(chains, key=lambda chain: len(chain.links))


def _is_begun(chain: Chain, root: Root) -> bool:
    first = chain.links[0]
    return (root.origin, root.text, root.project) == (first.by, first.requirement, first.project)


async def _verdicts(case: Case, root: Root, environments: frozenset[str]) -> list[Verdict]:
    stack, request = case.stack, case.request
    forced = [(case.name, SpecifierSet(f"=={case.release.text}"))]
    question = Together(case.chooser, request.follow, request.constraints, environments, forced)
    collector = Collector(stack.index, stack.metadata, stack.sizes, stack.reporter, keeps_going=True, known=stack.known)
    await collector.collect(question, [root])
    return question.verdicts


def _contains(specifier: SpecifierSet, release: Release) -> bool:
    if release.version is None:
        return not specifier
    return specifier.contains(release.version, prereleases=True)
