"""What the server sends from the disk as it stands there, and the processes that write it: lists, and long pages."""

from __future__ import annotations

import logging
import pickle
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pypim.config.model import MirrorIndex
from pypim.config.model import ProxyIndex as ProxyConfig
from pypim.core.freshness import Limits
from pypim.index.behind import Later
from pypim.index.believing import BeliefRules
from pypim.index.long_pages import Bound
from pypim.index.room import Room
from pypim.sync.silent import SilentReporter
from pypim.wiring_proxy import all_members, limits_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from pypim.config.model import Config, Index
    from pypim.core.records import Owner
    from pypim.ports import Background, Clock, Epochs, Turns
    from pypim.web.lists import ReadyLists
    from pypim.web.long_pages import LongPages

_log = logging.getLogger("pypim.server")

LISTS_NAME = "lists"
PAGES_NAME = "pages"
ANSWERS_NAME = "answers"
_MOST_ON_THEIR_WAY_BYTES = 1 << 20
"""Of documents that become answers in a worker at a time; until then, each takes some eight times its length."""


class Shared(Protocol):
    """What of a worker's stack is needed here."""

    @property
    def path(self) -> Path:
        """The store's folder."""

    @property
    def epochs(self) -> Epochs:
        """Of all indexes."""

    @property
    def turns(self) -> Turns:
        """Of all processes on the store."""

    @property
    def background(self) -> Background:
        """Where what is learned is written."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def owners(self) -> dict[str, Owner]:
        """By the mirror or proxy."""

    @property
    def lists(self) -> dict[str, ReadyLists]:
        """By index."""


class LongPage(NamedTuple):
    """From when on a page is long: what more than that takes, a worker must not have in memory."""

    most_bytes: int = 128 << 10
    """Of an upstream's document."""
    most_files: int = 250
    """Of a page of our own."""
    most_read_bytes: int = 256 << 10
    """Of an upstream's document that a worker reads all the same: it asks for many at once, and makes nothing of it."""


class Long(NamedTuple):
    """What is long, and what makes it."""

    limit: LongPage
    pages: LongPages


class LogReporter(SilentReporter):
    """The Reporter of a server, which has no stages: what a person should read goes to its log."""

    def note(self, message: str) -> None:
        """A warning."""
        _log.warning("%s", message)


def prepare_lists(config: Config, shared: Shared, stack: AsyncExitStack) -> None:
    """A list of all that an upstream has is made by another process and sent from the disk, of groups as well.

    That process is given the configuration as this one has it: the file may have been changed since.
    """
    from pypim.web.lists import make_in_process

    given = pickle.dumps(config)
    for index in config.indexes.values():
        members = all_members(config, index)
        proxies = [member for member in members if isinstance(member, ProxyConfig) and not member.is_offline]
        if proxies or any(isinstance(member, MirrorIndex) and member.is_each_alone for member in members):
            others = [member.name for member in members if not isinstance(member, ProxyConfig)]
            folder = shared.path / LISTS_NAME / _folder_name(config, shared, index)
            limits = limits_of(proxies[0]) if proxies else Limits()
            make = partial(make_in_process, "pypim.wiring_list", given, index.name, folder)
            _prepare_list(index.name, make, folder, limits, others, (shared, stack))


def _prepare_list(
    name: str,
    make: Callable[[str], Awaitable[None]],
    folder: Path,
    limits: Limits,
    others: list[str],
    opened: tuple[Shared, AsyncExitStack],
) -> None:
    """`others` are those members whose changes are to be seen at once."""
    from pypim.web.lists import ReadyLists

    shared, stack = opened
    reporter = LogReporter()
    later = Later(shared.background, reporter)
    rules = BeliefRules(limits, shared.turns, shared.clock, reporter, later, is_offline=False)

    def state() -> str:
        return " ".join(f"{other}={shared.epochs.epoch(other)}" for other in others)

    shared.lists[name] = ReadyLists(name, folder, make, rules, state)
    stack.push_async_callback(shared.lists[name].close)


def long_pages(config: Config, shared: Shared, stack: AsyncExitStack, limit: LongPage) -> Long:
    """What makes long pages for one worker; its process starts with the first of them."""
    from pypim.web.long_pages import LongPages, Scribe

    def folder_of(index: str) -> Path:
        if not index:
            return shared.path / ANSWERS_NAME
        return shared.path / PAGES_NAME / _folder_name(config, shared, config.indexes[index])

    scribe = Scribe("pypim.wiring_long", pickle.dumps(config))
    pages = LongPages(scribe, folder_of, shared.turns, shared.clock, Room(_MOST_ON_THEIR_WAY_BYTES))
    stack.push_async_callback(pages.close)
    return Long(limit, pages)


def bound_of(long: Long, index: str) -> Bound:
    """What holds for the pages of a proxy."""
    limit = long.limit
    return Bound(limit.most_bytes, limit.most_read_bytes, partial(long.pages.renew, index), long.pages.room)


def _folder_name(config: Config, shared: Shared, index: Index) -> str:
    """What an upstream lists for one it does not list for all: another folder for other credentials."""
    members = (member for member in all_members(config, index) if isinstance(member, ProxyConfig))
    return index.name + "".join(f"@{one}" for member in members if (one := shared.owners[member.name].credentials))
