"""One Fetcher for an upstream, whatever the schemes of its URLs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from pypim.core.errors import UpstreamMalformed
from pypim.net.client import HttpFetcher
from pypim.net.files import FileFetcher

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from pypim.core.records import Fetched, FetchOptions
    from pypim.net.gate import Pace
    from pypim.ports import Fetcher, Incoming


class SchemeFetcher:
    """Sends http and https to one Fetcher and file to another; no other scheme is read.

    Without `files` a file: URL is refused: a page from the network must not make us read this machine's files.
    """

    def __init__(self, http: HttpFetcher, files: FileFetcher | None) -> None:
        self._http = http
        self._files = files

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.__aexit__()

    def open(
        self, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AbstractAsyncContextManager[Incoming]:
        """Stream an answer."""
        return self._fetcher_for(url).open(url, headers, body)

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """Read a whole answer."""
        return await self._fetcher_for(url).fetch(url, headers, limit_bytes=limit_bytes)

    def _fetcher_for(self, url: str) -> Fetcher:
        scheme = url.partition(":")[0].lower()
        if scheme in {"https", "http"}:
            return self._http
        if scheme != "file":
            raise UpstreamMalformed(url, "only http, https and file URLs can be read")
        if self._files is None:
            raise UpstreamMalformed(url, "refused: an upstream on the network may not name files of this machine")
        return self._files


def open_fetcher(
    upstream_url: str,
    options: FetchOptions,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    pace: Pace | None = None,
) -> SchemeFetcher:
    """A Fetcher for the upstream at that URL; credentials go to its origin only. Use it as a context manager.

    `pace` is shared by all fetchers of one upstream.
    Raises InvalidConfig when a certificate, a netrc file or the proxy cannot be used.
    """
    is_local = upstream_url[:5].lower() == "file:"
    http = HttpFetcher(upstream_url, options, sleep=sleep, pace=pace)
    return SchemeFetcher(http, FileFetcher() if is_local else None)
