"""Provenance objects of an upstream (PEP 740), handed on as they are: they may change, so nothing of them is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import NotFound, UpstreamMalformed
from pypim.core.provenance import PROVENANCE_TYPE
from pypim.index.sharing import SingleFlight

if TYPE_CHECKING:
    from pypim.ports import Fetcher

_LIMIT_BYTES = 4 << 20
_OK = 200
_ABSENT = frozenset({404, 410})


class RemoteProvenance:
    """Reads what a listed file's `provenance` leads to; many that ask at once share one request."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._flights = SingleFlight[bytes]()

    async def read(self, url: str) -> bytes:
        """Raises NotFound, UpstreamFault or Refused."""
        return await self._flights.value(url, lambda: self._read(url))

    async def _read(self, url: str) -> bytes:
        headers = {"Accept": f"{PROVENANCE_TYPE}, application/json;q=0.5"}
        fetched = await self._fetcher.fetch(url, headers, limit_bytes=_LIMIT_BYTES)
        if fetched.status in _ABSENT:
            raise NotFound(f"{url}: the upstream has no provenance there")
        if fetched.status != _OK or not fetched.body.lstrip().startswith(b"{"):
            raise UpstreamMalformed(url, "the answer is no provenance object")
        return fetched.body
