"""Whether anything that a selection depends on has changed, told by the upstream's serials without reading a page."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.utils import NormalizedName

_ABSENT = -1  # a project that the list does not name; serials begin with 0


def digest_of(
    configuration: str, serials: Mapping[NormalizedName, int | None], consulted: Iterable[NormalizedName]
) -> str | None:
    """One digest of the configuration's digest and the serials of the projects that were looked at.

    None where a listed project has no serial: then only its page tells. A project that the list does not name counts,
    too, so that its arrival is a change.
    """
    facts: list[tuple[str, int]] = []
    for name in sorted(set(consulted)):
        serial = serials.get(name, _ABSENT)
        if serial is None:
            return None
        facts.append((name, serial))
    return hashlib.sha256(msgspec.json.encode((configuration, facts))).hexdigest()
