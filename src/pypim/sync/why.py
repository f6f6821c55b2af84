"""Says what keeps a project in an index: the chains of its selection, read with what its files are known to require."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pypim.core.chains import Background, IndexKept, chains_of
from pypim.core.expand import means_itself
from pypim.core.filenames import parse_version
from pypim.core.markers import evaluate
from pypim.core.metadata import parse_requirement
from pypim.core.steps import OwnRequirement, extras_needed
from pypim.core.target import end_names, environments, patch_ends
from pypim.core.ways import MOST_STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.config.model import MirrorIndex
    from pypim.core.chains import Kept
    from pypim.core.closure import FollowOptions
    from pypim.core.metadata import ParsedRequirement
    from pypim.core.model import DistFile
    from pypim.core.selection import Selection
    from pypim.core.steps import ReleaseKey
    from pypim.core.target import Environment
    from pypim.ports import Generations, MetadataCache


def chosen_for(index: MirrorIndex, generations: Generations, project: NormalizedName) -> Selection | None:
    """What tells why an index keeps a project: all that it has, or where nothing is followed, what it has of that.

    None where there is nothing.
    """
    if index.follow.is_followed:
        return generations.current_selection(index.name)
    portion = generations.portion(index.name, project)
    return portion if portion.releases else None


def kept_of(
    index: MirrorIndex,
    selection: Selection,
    metadata: MetadataCache,
    project: NormalizedName,
    version: str | None = None,
    *,
    is_exhaustive: bool = False,
) -> list[IndexKept]:
    """What an index keeps of a project, or of one release of it, and why: empty where it keeps none."""
    answerer = WhyAnswerer(selection, metadata, environments(index.targets), index.follow, is_exhaustive=is_exhaustive)
    return [
        IndexKept(index=index.name, release=release, is_asked_for=_is_asked_for(index, release))
        for release in answerer.kept(project, version)
    ]


def _is_asked_for(index: MirrorIndex, release: Kept) -> bool:
    """Whether some chain begins at what the configuration may still say; the text of files is not looked at."""
    rules = {(one.origin, one.text) for one in index.roots}
    rules |= {(one.origin, one.rule.text) for one in index.patterns}
    firsts = [(chain.links[0].by, chain.links[0].requirement) for chain in release.chains]
    return any(first in rules or not first[0].startswith(("packages.", "patterns.")) for first in firsts)


class WhyAnswerer:
    """Answers for one index."""

    def __init__(
        self,
        selection: Selection,
        metadata: MetadataCache,
        environments: Sequence[Environment],
        follow: FollowOptions,
        *,
        is_exhaustive: bool = False,
    ) -> None:
        """`is_exhaustive`: every chain is looked for, however many there are."""
        self._selection = selection
        self._metadata = metadata
        ends = patch_ends(environments)
        self._ends = tuple(zip(end_names(ends), ends, strict=True))
        self._files: dict[ReleaseKey, tuple[DistFile, ...]] = {
            (release.project, release.version): release.files for release in selection.releases
        }
        self._most_steps = None if is_exhaustive else MOST_STEPS
        self._background = Background(own=self._own, root_extras=follow.root_extras)

    def kept(self, project: NormalizedName, version: str | None = None) -> list[Kept]:
        """The releases of a project, or one of them, with the chains that keep each."""
        return chains_of(self._selection, project, version, self._background, most_steps=self._most_steps)

    def _own(self, key: ReleaseKey) -> Iterator[OwnRequirement]:
        project, version = key[0], parse_version(key[1])
        texts: dict[str, ParsedRequirement] = {}
        for file in self._files[key]:
            metadata = self._metadata.metadata(file.sha256 or file.url)
            for text in metadata.requires_dist if metadata is not None else ():
                parsed = parse_requirement(text) if "[" in text else None
                if parsed is not None and means_itself(parsed, project, version):
                    texts[parsed.text] = parsed
        for text, parsed in texts.items():
            names = [name for name, environment in self._ends if self._may_hold(parsed, environment)]
            yield OwnRequirement(text, tuple(names))

    def _may_hold(self, requirement: ParsedRequirement, environment: Environment) -> bool:
        holds = partial(evaluate, requirement.marker, environment)
        extras = extras_needed(requirement.text)
        return any(holds(frozenset(filter(None, (extra,)))) is not False for extra in extras)
