"""The warehouse's XML-RPC as a client: what has changed since a serial, and the list of all projects with serials.

At least a second lies between two calls, as its operators ask for; a limit that they set is waited for or reported.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from pypim.core.errors import NotAuthenticated, NotAuthorised, UpstreamMalformed, UpstreamUnavailable
from pypim.core.followed import Way
from pypim.core.xml_rpc_reading import Fault, call, events_in, serial_in, value_of
from pypim.index.listing import kept_aside, received, unfolded

if TYPE_CHECKING:
    from typing import IO

    from pypim.core.xml_rpc_reading import Event
    from pypim.index.listing import Body
    from pypim.ports import Capabilities, Fetcher

CAPABILITY = str(Way.XML_RPC)
_OK = 200
_MOST_ANSWER_BYTES = 64 << 20
_LONGEST_WAIT_SECONDS = 60.0
_HEADERS = {"Content-Type": "text/xml", "Accept": "text/xml", "Accept-Encoding": "gzip"}


class NotOffered(Exception):  # noqa: N818 - a property of the upstream
    """The upstream has no XML-RPC, or not this call of it."""


class Changelog:
    """The XML-RPC beside a Simple API, at `/pypi` where that is at `/simple/`."""

    def __init__(
        self,
        root_url: str,
        fetcher: Fetcher,
        capabilities: Capabilities,
        pause_seconds: float,
    ) -> None:
        """`root_url` is that of the Simple API, without credentials; so long lies between two calls at least."""
        address = urlsplit(root_url)
        above = address.path.rstrip("/").rpartition("/")[0]
        self._root_url = root_url
        self.url = urlunsplit(address._replace(path=f"{above}/pypi"))
        self._fetcher = fetcher
        self._capabilities = capabilities
        self._pause_seconds = pause_seconds
        self._called_at: float | None = None

    @property
    def is_offered(self) -> bool | None:
        """None while nobody tried."""
        if not self._root_url.startswith("http"):
            return False
        return self._capabilities.capability(self._root_url, CAPABILITY)

    async def events(self, serial: int) -> list[Event]:
        """Everything after that serial, the oldest first; not more than the upstream gives at once.

        Raises NotOffered, UpstreamFault or Refused.
        """
        return events_in(await self._value("changelog_since_serial", serial), self.url)

    async def last_serial(self) -> int:
        """The serial of the newest change there is. Raises as `events`."""
        return serial_in(await self._value("changelog_last_serial"), self.url)

    async def serials(self, content: IO[bytes]) -> Body:
        """The answer that lists all projects, put into `content`; a Fault is found when it is read."""
        return await self._call("list_packages_with_serial", (), content)

    async def _value(self, method: str, *parameters: int) -> object:
        for is_last in (False, True):
            with kept_aside() as content:
                answer = joined(await self._call(method, parameters, content))
            try:
                value = value_of(answer, self.url)
            except Fault as fault:
                await self.obey(fault, is_last=is_last)
            else:
                self.remember(is_offered=True)
                return value
        raise AssertionError("the last turn returns or raises")

    async def _call(self, method: str, parameters: tuple[int, ...], content: IO[bytes]) -> Body:
        if self._called_at is not None:
            await asyncio.sleep(max(0.0, self._called_at + self._pause_seconds - monotonic()))
        try:
            async with self._fetcher.open(self.url, _HEADERS, call(method, *parameters)) as incoming:
                if incoming.status != _OK:
                    self.remember(is_offered=False)
                    raise NotOffered
                return await received(incoming, content)
        except (NotAuthorised, NotAuthenticated):  # some hosts say so of what is not there
            self.remember(is_offered=False)
            raise NotOffered from None
        finally:
            self._called_at = monotonic()

    async def obey(self, fault: Fault, *, is_last: bool) -> None:
        """Wait where the upstream wants that and it is not too long. Raises NotOffered or UpstreamUnavailable."""
        if not fault.is_too_many_requests:
            self.remember(is_offered=False)
            raise NotOffered
        wait = fault.seconds or _LONGEST_WAIT_SECONDS
        if is_last or wait > _LONGEST_WAIT_SECONDS:
            raise UpstreamUnavailable(
                self.url,
                f"too many requests: {fault.sentence[:200]}",
                is_transient=True,
                retry_after_seconds=wait,
                hint=f"Try again in {wait:.0f} seconds.",
            )
        await asyncio.sleep(wait)

    def remember(self, *, is_offered: bool) -> None:
        """Keep what was found."""
        if self.is_offered is not is_offered:
            self._capabilities.keep_capability(self._root_url, CAPABILITY, is_offered=is_offered)


def joined(body: Body) -> bytes:
    """A whole answer that is not long. Raises UpstreamMalformed where it is."""
    answer = bytearray()
    for chunk in unfolded(body):
        answer += chunk
        if len(answer) > _MOST_ANSWER_BYTES:
            raise UpstreamMalformed(body.url, f"the answer is longer than {_MOST_ANSWER_BYTES:,} bytes")
    return bytes(answer)
