"""What every part of the server is given: the indexes, and who may do what with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from packaging.utils import NormalizedName

    from pypim.core.chains import IndexKept
    from pypim.core.index_state import IndexState
    from pypim.ports import Accounts, Background, Clock, Hosted, Served
    from pypim.web.auth import Doorkeeper
    from pypim.web.forwarded import Networks
    from pypim.web.lists import ReadyLists
    from pypim.web.long_pages import LongPages
    from pypim.web.publishing import Publishing
    from pypim.web.upload import Uploads


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What the API tells of the store, and the accounts that administrators see and change."""

    kinds: Mapping[str, str]
    """Index → its kind, in the order of the configuration."""
    state: Callable[[str], IndexState]
    """Of the index with that name; in `reading` only."""
    projects: Callable[[str, str, int], tuple[list[NormalizedName], str | None]]
    """Of which an index holds something: those whose names come after one, so many at most; in `reading` only.

    With them the name after which there are more; None at the end.
    """
    why: Callable[[str, NormalizedName, str | None], list[IndexKept]]
    """What keeps a project, or one release of it, in a mirror; in `reading` only. Raises ProjectNotFound."""
    reading: Background
    """Where reads go that take long, so that neither the event loop nor writes wait for them."""
    accounts: Accounts
    """To be read on the event loop."""
    written: Accounts
    """The same ones, for the context's background."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Made once by wiring, for as long as a worker lives."""

    indexes: Mapping[str, Served]
    """By name, of every kind."""
    uploads: Mapping[str, Uploads]
    """Of the indexes that take them, by name."""
    default: str
    """The index that answers at /simple/, /packages/ and /legacy/; empty where there is none."""
    cache_controls: Mapping[str, str]
    """Index → the Cache-Control of its pages."""
    doorkeeper: Doorkeeper
    background: Background
    check_store: Callable[[], None]
    """Reads and writes a little of the store. Raises StoreFault."""
    clock: Clock
    hosted: Mapping[str, Hosted] = {}
    """Of the hosted indexes, by name: what they have, and how it came to be."""
    provenance: Mapping[str, Callable[[str], Awaitable[bytes]]] = {}
    """Index → what reads the provenance object at an address of its upstream (PEP 740), for those that can."""
    telling: Telling | None = None
    """None where there is no API."""
    publishing: Publishing | None = None
    """None where no publisher is configured."""
    request_timeout: float = 60.0
    """So long, in seconds, may a body stand still that is being received."""
    trusted_proxies: Networks = ()
    lists: Mapping[str, ReadyLists] = {}
    """The lists of projects that stand ready on the disk, of indexes that may have very many."""
    long_pages: LongPages | None = None
    """What makes pages that are too long for a worker; None where any page may be in memory."""
    root_path: str = ""
    """Where a proxy in front has put the server: "" or "/pypi"; answers that name an address of ours begin with it."""
    accelerated: str = ""
    """Location under which nginx finds the store's files (X-Accel-Redirect); empty: the server sends them itself."""
