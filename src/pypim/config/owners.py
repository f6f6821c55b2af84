"""Who an index is to the store: what came to it and what its upstream said counts for it, and not for everybody."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pypim.config.model import MirrorIndex, ProxyIndex, Read
from pypim.core.records import Owner
from pypim.core.urls import root_url, split_user_info

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.config.model import Config, Upstream

_DIGEST_LETTERS = 16


def owner_of(config: Config, index: MirrorIndex | ProxyIndex) -> Owner:
    """The index as one that has files of its upstream.

    A proxy gives out, too, what came to other indexes that anyone may read. A mirror does not count that as held: it
    would lose files when one of those is closed.
    """
    others = config.indexes.values() if isinstance(index, ProxyIndex) else ()
    return Owner(
        index=index.name,
        upstream=root_url(index.upstream.url),
        credentials=credentials_of(index.upstream),
        also=tuple(
            other.name
            for other in others
            if isinstance(other, MirrorIndex | ProxyIndex) and other.read is Read.ANYONE and other.name != index.name
        ),
    )


def credentials_of(upstream: Upstream) -> str:
    """A digest that tells whose credentials an upstream is asked with; empty without any.

    It is made of names, not of secrets: passwords and tokens are changed from time to time, and stay somebody's.
    """
    info = split_user_info(upstream.url)[1]
    told = (
        info[0] if info is not None else None,
        upstream.username.written if upstream.username is not None else None,
        upstream.token is not None or None,
        sorted(name.lower() for name in upstream.headers) or None,
        str(upstream.client_certificate) if upstream.client_certificate is not None else None,
    )
    if not any(one is not None for one in told):
        return ""
    return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:_DIGEST_LETTERS]


def at_odds(upstreams: Iterable[Upstream]) -> list[tuple[str, str]]:
    """Pairs of upstreams that are one server's, asked with different credentials: (name, that of an earlier one)."""
    earlier: dict[str, Upstream] = {}
    found = []
    for upstream in (one for one in upstreams if one.url):  # one that cannot be read is a fault by itself
        first = earlier.setdefault(root_url(upstream.url), upstream)
        if _secrets_of(first) != _secrets_of(upstream):
            found.append((upstream.name, first.name))
    return found


def _secrets_of(upstream: Upstream) -> tuple[object, ...]:
    """All that tells the upstream who asks, as it is written."""
    secrets = (upstream.username, upstream.password, upstream.token)
    return (
        split_user_info(upstream.url)[1],
        *(secret.written if secret is not None else None for secret in secrets),
        {name.lower(): value.written for name, value in upstream.headers.items()},
        upstream.client_certificate,
        upstream.client_key,
    )
