"""What each kind of index holds, as `list` and `status` show it: of a mirror its generation, of others their files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from pypim.config.model import GroupIndex, HostedIndex, MirrorIndex, ProxyIndex
from pypim.core.filenames import parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.config.model import Index
    from pypim.core.hosted import HostedFile
    from pypim.core.model import DistFile, Holding
    from pypim.core.records import CachedFile
    from pypim.core.selection import ChosenRelease
    from pypim.wiring import OpenStore


_AT_ONCE = 500
"""Projects of a mirror that are read together."""
_FILES_AT_ONCE = 5_000


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of `list`; size in bytes, None while it is not held and the upstream does not say."""

    filename: str
    size: int | None
    sha256: str | None
    is_held: bool
    path: str | None
    """Relative to the folder that holds `packages/`."""


class ListedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """One release of `list`."""

    index: str
    project: str
    version: str
    files: tuple[ListedFile, ...]


def releases_of(store: OpenStore, index: Index, project: NormalizedName | None) -> Iterator[ListedRelease]:
    """Every release (of a project) of which an index holds or lists a file; of a group none: its members have them."""
    match index:
        case MirrorIndex():
            yield from _mirrored(store, index, project)
        case HostedIndex():
            files = ((file.project, file.holding) for file in _hosted(store, index.name))
            yield from _grouped(index.name, ((name, held) for name, held in files if project in {None, name}))
        case ProxyIndex():
            kept = [one for one in _kept(store, index.name) if project in {None, one.project}]
            held = store.catalog.holdings.holdings_of(one.identity for one in kept)
            yield from _grouped(index.name, ((one.project, held[one.identity]) for one in kept if one.identity in held))
        case GroupIndex():
            return


def _mirrored(store: OpenStore, index: MirrorIndex, project: NormalizedName | None) -> Iterator[ListedRelease]:
    for chosen, held in some_at_a_time(store, index, project):
        for release in chosen:
            files = tuple(_listed(file, held.get(file.identity)) for file in release.files)
            yield ListedRelease(index=index.name, project=release.project, version=release.version, files=files)


def some_at_a_time(
    store: OpenStore, index: MirrorIndex, project: NormalizedName | None = None
) -> Iterator[tuple[list[ChosenRelease], dict[str, Holding]]]:
    """The releases of a mirror (of a project), some projects at a time, with what is held of their files."""
    generations, after = store.catalog.generations, ""
    own = store.of(index).holdings
    while True:
        if project is not None:
            portions = [(project, generations.portion(index.name, project))]
        else:
            portions = generations.portions(index.name, after, _AT_ONCE)
        chosen = [release for _, portion in portions for release in portion.releases]
        yield chosen, own.own_of(file.identity for one in chosen for file in one.files)
        if project is not None or len(portions) < _AT_ONCE:
            return
        after = portions[-1][0]


def held_files(store: OpenStore, index: Index) -> dict[str, Holding]:
    """Identity → holding of what only the server fills: nothing of a mirror, which `verify` knows by its generation."""
    match index:
        case HostedIndex():
            return {file.entry().identity: file.holding for file in _hosted(store, index.name)}
        case ProxyIndex():
            held: dict[str, Holding] = {}
            kept = _kept(store, index.name)
            for start in range(0, len(kept), _FILES_AT_ONCE):
                some = kept[start : start + _FILES_AT_ONCE]
                held |= store.catalog.holdings.holdings_of(one.identity for one in some)
            return held
        case _:
            return {}


def _hosted(store: OpenStore, index: str) -> Iterable[HostedFile]:
    hosted = store.catalog.hosted
    for project in hosted.projects(index):
        yield from hosted.standing(index, project.name).files


def _kept(store: OpenStore, index: str) -> list[CachedFile]:
    return store.catalog.cached.oldest(index, math.inf)


def _grouped(index: str, files: Iterable[tuple[NormalizedName, Holding]]) -> list[ListedRelease]:
    """Files by project and version."""
    releases: dict[tuple[str, str], list[ListedFile]] = {}
    for project, holding in files:
        parsed = parse_filename(holding.filename, project)
        version = str(parsed.version or parsed.version_text or "")
        releases.setdefault((project, version), []).append(_held(holding))
    return [
        ListedRelease(index=index, project=project, version=version, files=tuple(found))
        for (project, version), found in sorted(releases.items())
    ]


def _held(holding: Holding) -> ListedFile:
    return ListedFile(
        filename=holding.filename,
        size=holding.blob.size,
        sha256=holding.blob.sha256,
        is_held=True,
        path=holding.path,
    )


def _listed(file: DistFile, holding: Holding | None) -> ListedFile:
    if holding is not None:
        return msgspec.structs.replace(_held(holding), filename=file.filename)
    return ListedFile(filename=file.filename, size=file.size, sha256=file.sha256, is_held=False, path=None)
