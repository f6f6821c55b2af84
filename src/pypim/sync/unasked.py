"""Why nothing asks for a project: the requirements of chosen releases that name it, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.candidates import Chooser
from pypim.core.errors import IntegrityFault, NotFound, Refused, UpstreamFault
from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.closure import FollowOptions
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata, DistFile
    from pypim.core.selection import ChosenRelease, Selection
    from pypim.sync.model import Request, Stack

_LOCKED = "and of a lock only the files that it names are held"
_MOST = 3  # requirements that are quoted; a person wants the gist


async def describe_unasked(stack: Stack, request: Request, selection: Selection | None, name: NormalizedName) -> str:
    """One sentence, for a project that no rule names and that is not chosen."""
    if not request.follow.is_followed:
        return f"no rule names {name}, and dependencies are not followed (dependencies.follow is false)"
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    found: dict[str, None] = {}
    locked = {(root.origin, root.text) for root in request.roots if root.locked is not None}
    for release in selection.releases if selection else ():
        is_followed = any((reason.origin, reason.requirement) not in locked for reason in release.reasons)
        for file in release.files:
            metadata = await metadata_of(stack, release.project, file)
            if metadata is None:
                continue
            for requirement in _naming(name, metadata.requires_dist):
                obstacle = _obstacle(requirement, metadata, chooser, request.follow.max_depth)
                obstacle = obstacle if is_followed else _LOCKED
                found[f"{release.project} {release.version} requires {requirement.text!r}, {obstacle}"] = None
            for requirement in _naming(name, metadata.build_requires):
                obstacle = _build_obstacle(requirement, release, chooser, request.follow) if is_followed else _LOCKED
                found[f"{file.filename} requires {requirement.text!r} to be built, {obstacle}"] = None
    if not found:
        return f"nothing asks for {name}: no rule names it and no chosen release requires it"
    sentences = list(found)
    more = f"; and {len(sentences) - _MOST} more" if len(sentences) > _MOST else ""
    return f"nothing asks for {name}: {'; '.join(sentences[:_MOST])}{more}"


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
    return _not_yet(follow.max_depth)


def _not_yet(max_depth: int) -> str:
    return f"which is deeper than dependencies.max-depth = {max_depth}" if max_depth else "which is new: sync again"


def _obstacle(requirement: ParsedRequirement, metadata: CoreMetadata, chooser: Chooser, max_depth: int) -> str:
    certain, open_ = chooser.marker_masks(requirement.marker, frozenset())
    if certain | open_:
        return _not_yet(max_depth)
    for extra in metadata.provides_extra:
        certain, open_ = chooser.marker_masks(requirement.marker, frozenset((normalize_extra(extra),)))
        if certain | open_:
            return f"and nobody asks for its extra {extra!r}"
    return "and that holds in no target"
