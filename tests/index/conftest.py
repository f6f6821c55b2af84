"""An upstream's ports for one test: a real fetcher, the store's twins in memory, and a store in a folder."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from pypim.core.followed import FollowRules
from pypim.core.records import FetchOptions
from pypim.core.urls import root_url
from pypim.index.conditional import Belief
from pypim.index.download import Downloads
from pypim.index.follower import Follower
from pypim.index.metadata import RemoteMetadata
from pypim.index.remote import RemoteIndex
from pypim.index.watching import PageWatch
from pypim.net.fetchers import open_fetcher
from pypim.store.blobs import LocalBlobs
from pypim.store.memory import MemoryCapabilities, MemoryMetadataCache, MemoryPages
from pypim.store.memory_following import MemoryBacklog, MemoryFollowing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pypim.ports import Fetcher, MetadataCache


class StoppedClock:
    """A Clock that the test moves."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


async def no_sleep(_: float) -> None:
    """Stands in for sleep between retries."""


class Kept:
    """What stays from run to run; every `run` is one."""

    def __init__(self, folder: Path) -> None:
        self.pages = MemoryPages()
        self.capabilities = MemoryCapabilities()
        self.cache: MetadataCache = MemoryMetadataCache()
        self.following = MemoryFollowing()
        self.backlog = MemoryBacklog()
        self.rules = FollowRules()
        self.clock = StoppedClock()
        self.blobs = LocalBlobs(folder / "files", folder / "staging")

    @asynccontextmanager
    async def fetcher(self, url: str) -> AsyncIterator[Fetcher]:
        options = FetchOptions(proxy="", retries=1, read_timeout=2)
        async with open_fetcher(url, options, sleep=no_sleep) as fetcher:
            yield fetcher

    def remote(self, url: str, fetcher: Fetcher) -> RemoteIndex:
        belief, rules = Belief(self.clock), msgspec.structs.replace(self.rules, pause_seconds=0.0)
        follower = Follower(root_url(url), fetcher, self.following, self.capabilities, belief, rules)
        watch = PageWatch("main", self.backlog, follower, self.capabilities, belief)
        return RemoteIndex("up", fetcher, self.pages, self.capabilities, belief, watch)

    @asynccontextmanager
    async def run(self, url: str) -> AsyncIterator[tuple[RemoteIndex, RemoteMetadata]]:
        async with self.fetcher(url) as fetcher:
            yield (
                self.remote(url, fetcher),
                RemoteMetadata("up", fetcher, self.cache, self.capabilities, Downloads(fetcher, self.blobs)),
            )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "store")
