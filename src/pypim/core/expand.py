"""What a release requires: the requirements of one file's metadata that hold with one extra in some environments."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName

from pypim.core.metadata import parse_requirement
from pypim.core.names import normalize_extra

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.version import Version

    from pypim.core.candidates import Chooser
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import CoreMetadata


_NAMED_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']*)["']""")


def wanted_requirements(
    metadata: CoreMetadata, extra: NormalizedName | None, mask: int, chooser: Chooser
) -> Iterator[tuple[ParsedRequirement, int, int]]:
    """Each requirement with the environments in which it holds for certain, and those in which it is open.

    With an extra, only what that extra adds; `extra == "x"` is evaluated for one extra at a time, as installers do
    (PEP 508, PEP 685), because what holds without any was yielded without one.
    """
    if extra is None:
        extras, lines = frozenset[NormalizedName](), metadata.requires_dist
    else:
        named, others = _lines_by_extra(metadata.requires_dist)
        extras, lines = frozenset((extra,)), (*named.get(extra, ()), *others)
    for text in lines:
        requirement = parse_requirement(text)
        if requirement is None or (extra is not None and requirement.marker is None):
            continue
        certain, open_ = chooser.marker_masks(requirement.marker, extras)
        if (certain | open_) & mask:
            yield requirement, certain & mask, open_ & mask


def build_requirements(
    metadata: CoreMetadata, mask: int, chooser: Chooser
) -> Iterator[tuple[ParsedRequirement, int, int]]:
    """Each requirement of a build (PEP 518) with the environments in which it holds for certain, or is open.

    What builds is the target itself, for installers build where they install.
    """
    for requirement in filter(None, map(parse_requirement, metadata.build_requires)):
        certain, open_ = chooser.marker_masks(requirement.marker, frozenset())
        if (certain | open_) & mask:
            yield requirement, certain & mask, open_ & mask


def lacks_extra(metadata: CoreMetadata, extra: NormalizedName) -> bool:
    """Whether a file is known to provide no such extra; what may still grow when it is built is not."""
    if metadata.is_lower_bound or extra in map(normalize_extra, metadata.provides_extra):
        return False
    return extra not in _lines_by_extra(metadata.requires_dist)[0]


@lru_cache(maxsize=1024)
def _lines_by_extra(lines: tuple[str, ...]) -> tuple[dict[NormalizedName, tuple[str, ...]], tuple[str, ...]]:
    """The lines that name an extra with "==", by that extra, and those that speak of extras in another way.

    Some metadata has thousands of extras; each of them must not cost a look at all the lines of the others.
    """
    named: dict[NormalizedName, list[str]] = {}
    others: list[str] = []
    for line in lines:
        _, _, marker = line.partition(";")
        found = _NAMED_EXTRA.findall(marker)
        if len(found) != marker.count("extra"):
            others.append(line)
        for name in {normalize_extra(text) for text in found}:
            named.setdefault(name, []).append(line)
    return {name: tuple(found) for name, found in named.items()}, tuple(others)


def means_itself(requirement: ParsedRequirement, project: str, version: Version | None) -> bool:
    """Whether a release requires itself, usually with further extras: no other release can satisfy that."""
    if requirement.name != project or requirement.url is not None:
        return False
    if version is None:
        return not requirement.specifier
    return requirement.specifier.contains(version, prereleases=True)
