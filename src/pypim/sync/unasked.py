"""Why nothing asks for a project: the requirements of chosen releases that name it, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.candidates import Chooser
from pypim.core.errors import IntegrityFault, NotFound, Refused, UpstreamFault
from pypim.core.explain import matches
from pypim.core.filenames import parse_filename
from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra
from pypim.sync.trials import whole_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Release
    from pypim.core.closure import FollowOptions
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata, DistFile
    from pypim.core.selection import ChosenRelease, Selection
    from pypim.sync.model import Request, Stack

_LOCKED = "and of a lock only the files that it names are held"
_MOST = 3  # requirements that are quoted; a person wants the gist


async def describe_unasked(stack: Stack, request: Request, planned: Selection, wanted: Release) -> str:
    """One sentence, for a release of a project that no rule names and of which a sync would hold nothing."""
    name = wanted.project
    if not request.follow.is_followed:
        return f"no rule names {name}, and dependencies are not followed (dependencies.follow is false)"
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    case = _Case(wanted=wanted, chooser=chooser, follow=request.follow)
    locked = {(root.origin, root.text) for root in request.roots if root.locked is not None}
    found: dict[str, None] = {}
    for release in planned.releases:
        is_followed = any((reason.origin, reason.requirement) not in locked for reason in release.reasons)
        for file in release.files:
            metadata = await metadata_of(stack, release.project, file)
            for told, obstacle in case.mentions(release, file, metadata) if metadata is not None else ():
                found[f"{told}, {obstacle if is_followed else _LOCKED}"] = None
    if not found:
        return f"nothing asks for {name}: no rule names it and no chosen release requires it"
    sentences = list(found)
    more = f"; and {len(sentences) - _MOST} more" if len(sentences) > _MOST else ""
    return f"nothing asks for {name}: {'; '.join(sentences[:_MOST])}{more}"


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """A release that nothing asks for."""

    wanted: Release
    chooser: Chooser
    follow: FollowOptions

    def mentions(self, release: ChosenRelease, file: DistFile, metadata: CoreMetadata) -> Iterator[tuple[str, str]]:
        """Each requirement of a chosen file that names the project, and why it brings nothing in."""
        parsed = parse_filename(file.filename, release.project)
        used = _used_in(release, self.chooser) & self.chooser.page_mask(file, parsed)
        for one in _naming(self.wanted.project, metadata.requires_dist):
            obstacle = _obstacle(one, metadata, self.chooser, used) or self._not_followed(one, release)
            yield f"{release.project} {release.version} requires {one.text!r}", obstacle
        for one in _naming(self.wanted.project, metadata.build_requires):
            obstacle = _build_obstacle(one, release, self.chooser, self.follow) or self._not_followed(one, release)
            yield f"{file.filename} requires {one.text!r} to be built", obstacle

    def _not_followed(self, requirement: ParsedRequirement, release: ChosenRelease) -> str:
        """Why a requirement that holds brings nothing in."""
        if not matches(requirement.specifier, self.wanted):
            return f"which {self.wanted.text} does not meet"
        if self.follow.max_depth:
            return f"which is deeper than dependencies.max-depth = {self.follow.max_depth}"
        told = f"and is not followed, for {release.project} {release.version} cannot be installed"
        return told if len(release.files) == 1 else f"{told}, or installers read another file of it"


async def metadata_of(stack: Stack, project: NormalizedName, file: DistFile) -> CoreMetadata | None:
    """What a sync has learned of a file, or would; None where nothing can be learned."""
    try:
        return await stack.metadata.metadata(project, file)
    except (NotFound, UpstreamFault, IntegrityFault, Refused):
        return None


def _naming(name: NormalizedName, texts: Iterable[str]) -> Iterator[ParsedRequirement]:
    return (found for found in map(parse_requirement, texts) if found is not None and found.name == name)


def _build_obstacle(
    requirement: ParsedRequirement, release: ChosenRelease, chooser: Chooser, follow: FollowOptions
) -> str:
    if not follow.is_build_followed:
        return "and build requirements are not followed (dependencies.build is false)"
    certain, open_ = chooser.marker_masks(requirement.marker, frozenset())
    if not certain | open_:
        return "and that holds in no target"
    if any(file.filename.endswith(".whl") for file in release.files):
        return "and no target has to build it"
    return ""


def _used_in(release: ChosenRelease, chooser: Chooser) -> int:
    """The environments in which a release is chosen, as a mask."""
    names = {whole_name(name) for reason in release.reasons for name in reason.environments}
    return sum(1 << n for n, environment in enumerate(chooser.environments) if environment.name in names)


def _obstacle(requirement: ParsedRequirement, metadata: CoreMetadata, chooser: Chooser, used: int) -> str:
    certain, open_ = chooser.marker_masks(requirement.marker, frozenset())
    if (certain | open_) & used:
        return ""
    is_elsewhere = bool(certain | open_)
    for extra in metadata.provides_extra:
        certain, open_ = chooser.marker_masks(requirement.marker, frozenset((normalize_extra(extra),)))
        if (certain | open_) & used:
            return f"and nobody asks for its extra {extra!r}"
        is_elsewhere = is_elsewhere or bool(certain | open_)
    return "and that holds in no target" + (" that uses this release" if is_elsewhere else "")
