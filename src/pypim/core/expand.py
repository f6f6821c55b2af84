"""What a release requires: the requirements of one file's metadata that hold with one extra in some environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.metadata import parse_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName

    from pypim.core.candidates import Chooser, Release
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata


def wanted_requirements(
    metadata: CoreMetadata, extra: NormalizedName | None, mask: int, chooser: Chooser
) -> Iterator[tuple[ParsedRequirement, int, int]]:
    """Each requirement with the environments in which it holds for certain, and those in which it is open.

    With an extra, only what that extra adds; `extra == "x"` is evaluated for one extra at a time, as installers do
    (PEP 508, PEP 685), because what holds without any was yielded without one.
    """
    extras = frozenset() if extra is None else frozenset((extra,))
    for text in metadata.requires_dist:
        requirement = parse_requirement(text)
        if requirement is None or (extra is not None and (requirement.marker is None or "extra" not in text)):
            continue
        certain, open_ = chooser.marker_masks(requirement.marker, extras)
        if (certain | open_) & mask:
            yield requirement, certain & mask, open_ & mask


def means_itself(requirement: ParsedRequirement, release: Release) -> bool:
    """Whether a release requires itself, usually with further extras: no other release can satisfy that."""
    if requirement.name != release.project or requirement.url is not None:
        return False
    if release.version is None:
        return not requirement.specifier
    return requirement.specifier.contains(release.version, prereleases=True)
