"""A Fetcher that asks nobody: with `--offline`, what the catalog does not know is an error that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core.errors import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from pypim.core.records import Fetched
    from pypim.ports import Incoming

_REASON = "it is not known, and --offline asks nobody"
_HINT = "Run the command without --offline."


class OfflineFetcher:
    """Every question raises UpstreamUnavailable."""

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:  # noqa: ARG002 - the port's
        """Say that this would have to be asked for."""
        raise UpstreamUnavailable(url, _REASON, hint=_HINT)

    def open(
        self,
        url: str,
        headers: Mapping[str, str],  # noqa: ARG002 - the port's
        body: bytes | None = None,  # noqa: ARG002 - the port's
    ) -> AbstractAsyncContextManager[Incoming]:
        """Say that this would have to be asked for."""
        raise UpstreamUnavailable(url, _REASON, hint=_HINT)
