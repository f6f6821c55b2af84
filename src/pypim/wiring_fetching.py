"""How an upstream and the file hosts before it are asked: the clients of one configuration, at one pace together."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from pypim.config.access import fetch_options, file_host_options
from pypim.config.environment import environment
from pypim.core.freshness import Trust
from pypim.core.urls import split_user_info
from pypim.index.file_hosts import FileHosts
from pypim.index.offline import OfflineFetcher
from pypim.net.fetchers import open_fetcher
from pypim.net.gate import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.config.model import Upstream
    from pypim.core.records import FetchOptions
    from pypim.ports import Fetcher, Reporter


_SERVING_PATIENCE_SECONDS = 5.0
"""So long may an upstream tell those to wait who have clients waiting; what comes after it, they are told."""


def serving_options(upstream: Upstream) -> FetchOptions:
    """How the server asks an upstream."""
    return msgspec.structs.replace(fetch_options(upstream, environment()), longest_wait=_SERVING_PATIENCE_SECONDS)


@asynccontextmanager
async def open_fetching(
    upstream: Upstream, trust: Trust, reporter: Reporter
) -> AsyncIterator[tuple[Fetcher, FileHosts | None]]:
    """The clients of a sync. Raises InvalidConfig where they cannot be set up.

    With `Trust.KEPT` nobody is asked, but for a folder of this machine.
    """
    if trust is Trust.KEPT and not upstream.url.startswith("file:"):
        yield OfflineFetcher(), None
        return
    options = fetch_options(upstream, environment())
    pace = Pace(options)
    async with (
        open_fetcher(upstream.url, options, pace=pace) as fetcher,
        open_file_hosts(upstream, options, pace, reporter) as hosts,
    ):
        yield fetcher, hosts


@asynccontextmanager
async def open_file_hosts(
    upstream: Upstream, options: FetchOptions, pace: Pace, reporter: Reporter
) -> AsyncIterator[FileHosts | None]:
    """The file hosts of an upstream; None where it has none."""
    if not upstream.file_hosts:
        yield None
        return
    # The address is needed for nothing but to say whose credentials would go along, and none do.
    address = split_user_info(upstream.url)[0]
    async with open_fetcher(address, file_host_options(options), pace=pace) as fetcher:
        yield FileHosts(upstream.file_hosts, fetcher, reporter)


class Paces:
    """The pace of each upstream in one process of the server, whichever of its proxies asks."""

    def __init__(self, processes: int) -> None:
        """`processes` share what the configuration allows."""
        self._processes = processes
        self._known: dict[str, Pace] = {}

    def pace(self, upstream: Upstream, options: FetchOptions) -> Pace:
        """That of the upstream."""
        if upstream.name not in self._known:
            self._known[upstream.name] = Pace(self._share(options))
        return self._known[upstream.name]

    def _share(self, options: FetchOptions) -> FetchOptions:
        requests, size = options.requests_per_second, options.bytes_per_second
        return msgspec.structs.replace(
            options,
            requests_per_second=requests / self._processes if requests else None,
            most_requests_saved=max(1.0, options.most_requests_saved / self._processes),
            bytes_per_second=size / self._processes if size else None,
        )
