"""Lists of projects that are sent from the disk as they stand there: no worker ever has one of them in memory.

They are made by a process of its own, which ends afterwards, and believed as long as the pages of their index are.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import StoreUnreadable, UpstreamUnavailable
from pypim.core.list_stream import JsonListReader
from pypim.core.negotiate import JSON_TYPE
from pypim.core.ready import ReadyList
from pypim.core.xml_rpc import Serials
from pypim.index.believing import Documents
from pypim.index.sources import Kept
from pypim.web.on_disk import send_ready

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.index.believing import BeliefRules
    from pypim.web.answers import Receive, Scope, Send

READY_NAME = "ready.json"
_PIECE_BYTES = 1 << 17
_REASON_BYTES = 2000


class ReadyLists:
    """The list of one index, in its folder."""

    def __init__(
        self,
        index: str,
        folder: Path,
        make: Callable[[str], Awaitable[None]],
        rules: BeliefRules,
        state: Callable[[], str] = lambda: "",
    ) -> None:
        """`make` writes the list anew, with the state that it is told: a list of another `state` does not count."""
        self._folder = folder
        self._make = make
        self._state = state
        self._documents: Documents[None, ReadyList] = Documents(
            self._recall, self._read, lambda _: f"list of {index}", lambda _: 1, rules, most_weight=10
        )

    async def current(self) -> ReadyList:
        """What may be answered now. Raises UpstreamFault or StoreFault."""
        found = (await self._documents.belief(None)).value
        if found is not None and found.state != self._state():
            found = (await self._documents.renewed(None)).value
        assert found is not None, "a list that cannot be made is a fault"
        return found

    async def serials(self) -> Serials:
        """Its projects with their serials, read from the disk whenever they are gone through. Raises as `current`."""
        ready = await self.current()
        path = self._folder / ready.forms[JSON_TYPE].plain.file
        return Serials(ready.last_serial, lambda: _serials_in(path))

    async def answer(self, scope: Scope, receive: Receive, send: Send, content_type: str) -> None:
        """Send the list in a media type of the Simple API."""
        await send_ready(scope, receive, send, self._folder, (await self.current()).forms[content_type])

    async def close(self) -> None:
        """Stop making it."""
        await self._documents.close()

    async def _read(self, _: None) -> ReadyList:
        await self._make(self._state())
        kept = await self._recall(None)
        if kept is None or kept.value is None:
            raise StoreUnreadable(str(self._folder / READY_NAME), "it was to be written, and is not there")
        return kept.value

    async def _recall(self, _: None) -> Kept[ReadyList] | None:
        try:
            ready = msgspec.json.decode((self._folder / READY_NAME).read_bytes(), type=ReadyList)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
            return None
        return Kept(ready, ready.made_at)


async def make_in_process(module: str, config: bytes, index: str, folder: Path, state: str) -> None:
    """Run a module that makes the list of an index, and wait for its end. It reads the pickled configuration.

    Raises UpstreamUnavailable with the last line that it said.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, index, str(folder), state),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await process.communicate(config)
    if process.returncode:
        lines = told[-_REASON_BYTES:].decode(errors="replace").strip().splitlines()
        raise UpstreamUnavailable(f"the list of {index}", lines[-1] if lines else "it could not be made")


def _serials_in(path: Path) -> Iterator[tuple[NormalizedName, int]]:
    """What a list in JSON tells, which has a serial for every project; a piece of it at a time."""
    reader = JsonListReader(str(path))
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield from ((name, serial or 1) for name, serial in reader.feed(piece))
        yield from ((name, serial or 1) for name, serial in reader.finish())
    except OSError as error:
        raise StoreUnreadable(str(path), error.strerror or "it cannot be read") from error
