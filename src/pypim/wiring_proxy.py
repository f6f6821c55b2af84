"""What the configuration says of a proxy, in the words of the index that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.config.model import GroupIndex
from pypim.core.freshness import Limits
from pypim.core.policy import Policy
from pypim.index.proxy import ProxySettings

if TYPE_CHECKING:
    from pypim.config.model import Config, Index, ProxyIndex


def proxy_settings(index: ProxyIndex) -> ProxySettings:
    """Everything that a proxy is told."""
    upstream = index.upstream
    return ProxySettings(
        upstream=upstream.name,
        url=upstream.url,
        page_url=upstream.page_url,
        layout=upstream.layout.value,
        limits=limits_of(index),
        policy=Policy.compile(index.filters, f"indexes.{index.name}.filters"),
        max_size=index.max_size_bytes,
        pinned=index.pinned,
        is_offline=index.is_offline,
        learns_metadata=index.computes_metadata,
    )


def limits_of(index: ProxyIndex) -> Limits:
    """How long what it has kept counts."""
    return Limits(
        max_age=index.max_age_seconds,
        stale_while_revalidate=index.stale_while_revalidate_seconds,
        stale_if_error=index.stale_if_error_seconds,
        negative_max_age=index.negative_max_age_seconds,
    )


def all_members(config: Config, index: Index) -> list[Index]:
    """The index itself, or of a group all that are no groups."""
    if not isinstance(index, GroupIndex):
        return [index]
    return [member for name in index.members for member in all_members(config, config.indexes[name])]
