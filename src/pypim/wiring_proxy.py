"""What the configuration says of a proxy, in the words of the index that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.config.model import GroupIndex, MirrorIndex, ProxyIndex
from pypim.config.owners import owner_of
from pypim.core.freshness import Limits
from pypim.core.policy import Policy
from pypim.index.proxy import Catalogs, ProxySettings

if TYPE_CHECKING:
    from pypim.config.model import Config, Index
    from pypim.core.records import Owner
    from pypim.store.catalog import Catalog


def proxy_settings(index: ProxyIndex) -> ProxySettings:
    """Everything that a proxy is told."""
    upstream = index.upstream
    return ProxySettings(
        upstream=upstream.name,
        url=upstream.url,
        page_url=upstream.page_url,
        layout=upstream.layout.value,
        limits=limits_of(index),
        patience=upstream.follow.patience,
        policy=Policy.compile(index.filters, f"indexes.{index.name}.filters"),
        max_size=index.max_size_bytes,
        pinned=index.pinned,
        is_offline=index.is_offline,
        learns_metadata=index.computes_metadata,
    )


def owners_of(config: Config) -> dict[str, Owner]:
    """Who each mirror and proxy is to the store."""
    indexes = (index for index in config.indexes.values() if isinstance(index, MirrorIndex | ProxyIndex))
    return {index.name: owner_of(config, index) for index in indexes}


def catalogs_of(catalog: Catalog, owner: Owner) -> Catalogs:
    """The ports of a proxy on one connection."""
    own = catalog.of(owner)
    return Catalogs(own.pages, own.metadata, catalog.capabilities, own.cached, catalog.backlog)


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
