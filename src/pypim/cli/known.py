"""What `status` tells of the catalog: how much is known of an upstream, added up when it was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.cli.output import counted, format_size
from pypim.config.model import MirrorIndex, ProxyIndex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.config.model import Index
    from pypim.wiring import OpenStore


class KnownStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What pages of an upstream that were read say, of more than is held; sizes in bytes."""

    projects: int
    releases: int
    files: int
    file_bytes: int
    """As far as the upstream says sizes."""
    first_upload: str | None
    """Of all those files, as the upstream wrote it; null where it says none."""
    last_upload: str | None


def known_of(store: OpenStore, index: Index) -> KnownStatus | None:
    """None where the index has no upstream, or nothing of it was read."""
    if not isinstance(index, MirrorIndex | ProxyIndex):
        return None
    known = store.catalog.counts.upstream(index.upstream.name)
    return KnownStatus(**known._asdict()) if known.projects else None


def known_lines(known: KnownStatus | None) -> Iterator[str]:
    """One line for people."""
    if known is not None:
        newest = f", the newest of {known.last_upload[:10]}" if known.last_upload else ""
        amounts = f"{counted(known.projects, 'project')}, {counted(known.releases, 'release')}"
        size = format_size(known.file_bytes)
        yield f"  known of the upstream: {amounts}, {counted(known.files, 'file')} of {size}{newest}"
