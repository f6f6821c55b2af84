"""What each kind of index holds, as `list` and `status` show it: of a mirror its generation, of others their files."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from pypim.config.model import GroupIndex, HostedIndex, MirrorIndex, ProxyIndex
from pypim.core.filenames import parse_filename

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from pypim.config.model import Index
    from pypim.core.hosted import HostedFile
    from pypim.core.model import DistFile, Holding
    from pypim.core.records import CachedFile
    from pypim.wiring import OpenStore


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


def releases_of(store: OpenStore, index: Index, held: dict[str, Holding]) -> list[ListedRelease]:
    """Every release of which an index holds or lists a file; of a group none, for its members have them."""
    match index:
        case MirrorIndex():
            selection = store.catalog.generations.current_selection(index.name)
            return [
                ListedRelease(
                    index=index.name,
                    project=release.project,
                    version=release.version,
                    files=tuple(_listed(file, held.get(file.identity)) for file in release.files),
                )
                for release in (selection.releases if selection else ())
            ]
        case HostedIndex():
            return _grouped(index.name, ((file.project, file.holding) for file in _hosted(store, index.name)))
        case ProxyIndex():
            kept = _kept(store, index.name)
            return _grouped(index.name, ((one.project, held[one.identity]) for one in kept if one.identity in held))
        case GroupIndex():
            return []


def held_files(store: OpenStore, index: Index, held: dict[str, Holding]) -> dict[str, Holding]:
    """Identity → holding of what only the server fills: nothing of a mirror, which `verify` knows by its generation."""
    match index:
        case HostedIndex():
            return {file.entry().identity: file.holding for file in _hosted(store, index.name)}
        case ProxyIndex():
            return {one.identity: held[one.identity] for one in _kept(store, index.name) if one.identity in held}
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
