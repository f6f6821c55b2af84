"""Why nothing asks for a project: the requirements of chosen releases that name it, and what stands before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.candidates import Chooser
from pypim.core.errors import IntegrityFault, NotFound, Refused, UpstreamFault
from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata, DistFile
    from pypim.core.selection import Selection
    from pypim.sync.model import Request, Stack

_MOST = 3  # requirements that are quoted; a person wants the gist


async def describe_unasked(stack: Stack, request: Request, selection: Selection | None, name: NormalizedName) -> str:
    """One sentence, for a project that no rule names and that is not chosen."""
    if not request.follow.is_followed:
        return f"no rule names {name}, and dependencies are not followed (dependencies.follow is false)"
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    found: dict[str, None] = {}
    for release in selection.releases if selection else ():
        for file in release.files:
            metadata = await _known(stack, release.project, file)
            for text in metadata.requires_dist if metadata else ():
                requirement = parse_requirement(text)
                if metadata and requirement is not None and requirement.name == name:
                    obstacle = _obstacle(requirement, metadata, chooser, request.follow.max_depth)
                    found[f"{release.project} {release.version} requires {text!r}, {obstacle}"] = None
    if not found:
        return f"nothing asks for {name}: no rule names it and no chosen release requires it"
    sentences = list(found)
    more = f"; and {len(sentences) - _MOST} more" if len(sentences) > _MOST else ""
    return f"nothing asks for {name}: {'; '.join(sentences[:_MOST])}{more}"


async def _known(stack: Stack, project: NormalizedName, file: DistFile) -> CoreMetadata | None:
    """What a sync has learned of a chosen file; a file of which nothing can be learned requires nothing."""
    try:
        return await stack.metadata.metadata(project, file)
    except (NotFound, UpstreamFault, IntegrityFault, Refused):
        return None


def _obstacle(requirement: ParsedRequirement, metadata: CoreMetadata, chooser: Chooser, max_depth: int) -> str:
    certain, open_ = chooser.marker_masks(requirement.marker, frozenset())
    if certain | open_:
        return f"which is deeper than dependencies.max-depth = {max_depth}" if max_depth else "which is new: sync again"
    for extra in metadata.provides_extra:
        certain, open_ = chooser.marker_masks(requirement.marker, frozenset((normalize_extra(extra),)))
        if certain | open_:
            return f"and nobody asks for its extra {extra!r}"
    return "and that holds in no target"
