"""Ports whose writes are done in the background, in order, and are seen at once by who reads through them.

What they keep can be asked for again, so a write that fails costs nothing but a sentence to the reporter.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from msgspec.structs import replace

from pypim.core.errors import PypimError
from pypim.core.records import KeptPage, outline_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from pypim.core.model import CoreMetadata, Page
    from pypim.core.records import KeptOutline, StoredResponse
    from pypim.ports import Background, Capabilities, MetadataCache, Pages, Reporter

V = TypeVar("V")
Kept = TypeVar("Kept", "StoredResponse", KeptPage)


class Later:
    """Work that is handed to the background without waiting for it."""

    def __init__(self, background: Background, reporter: Reporter) -> None:
        self._background = background
        self._reporter = reporter
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Callable[[], None], done: Callable[[], None] | None = None) -> None:
        """Begin, and call `done` at the end, also after a fault."""
        task = asyncio.get_running_loop().create_task(self._work(work, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, work: Callable[[], None], done: Callable[[], None] | None) -> None:
        try:
            await self._background.run(work)
        except PypimError as error:
            self._reporter.note(f"what was learned could not be kept: {error.message}")
        finally:
            if done is not None:
                done()

    async def settle(self) -> None:
        """Wait until all is done that was begun by now."""
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    async def finish(self) -> None:
        """Wait until all of it is done."""
        while self._tasks:
            await asyncio.wait(self._tasks)


class _Pending(Generic[V]):
    """What is on its way to the disk."""

    def __init__(self, later: Later) -> None:
        self.values: dict[Hashable, V] = {}
        self._later = later

    def keep(self, key: Hashable, value: V, work: Callable[[], None]) -> None:
        self.values[key] = value
        self._later.run(work, partial(self._written, key, value))

    def _written(self, key: Hashable, value: V) -> None:
        if self.values.get(key) is value:
            del self.values[key]


class _Times(NamedTuple):
    """When an answer was found to be still valid, and until when it is fresh."""

    fetched_at: float
    fresh_until: float | None


class PagesBehind:
    """Pages that are read here and written in the background."""

    def __init__(self, read: Pages, write: Pages, later: Later) -> None:
        self._read = read
        self._write = write
        self._later = later
        self._pending = _Pending[tuple["StoredResponse", "Page | None"]](later)
        self._touched = _Pending[_Times](later)
        """Of answers that are kept already."""

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""
        pending = self._pending.values.get(url)
        return self._with_times(url, self._read.response(url)) if pending is None else pending[0]

    def outline(self, url: str) -> KeptOutline | None:
        """What is known of that answer without its body."""
        pending = self._pending.values.get(url)
        if pending is not None:
            return outline_of(pending[0])
        found, times = self._read.outline(url), self._touched.values.get(url)
        return found if found is None or times is None else replace(found, fetched_at=times.fetched_at)

    async def settle(self) -> None:
        """Wait until everything that was to be kept by now is."""
        await self._later.settle()

    def _with_times(self, url: str, kept: Kept | None) -> Kept | None:
        times = self._touched.values.get(url)
        if kept is None or times is None:
            return kept
        return replace(kept, fetched_at=times.fetched_at, fresh_until=times.fresh_until)

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer in place of any older one."""
        work = partial(self._write.keep_response, upstream, response, decoded)
        self._pending.keep(response.url, (response, decoded), work)

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """What those of many answers decoded to that can be had without decoding them again."""
        found: dict[str, KeptPage] = {}
        for url in urls:
            response, page = self._pending.values.get(url, (None, None))
            if response is not None and page is not None:
                found[url] = KeptPage(page, response.fetched_at, response.fresh_until)
        rest = self._read.kept_pages([url for url in urls if url not in self._pending.values])
        for url in rest.keys() & self._touched.values.keys():
            rest[url] = self._with_times(url, rest[url]) or rest[url]
        return {**rest, **found}

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh; 0 where one is not kept, or never is."""
        told = [pending[0].fresh_until or 0.0 for url in urls if (pending := self._pending.values.get(url))]
        told += [times.fresh_until or 0.0 for url in urls if (times := self._touched.values.get(url))]
        rest = [url for url in urls if url not in self._pending.values and url not in self._touched.values]
        return min([*told, *([self._read.fresh_until(rest)] if rest else [])], default=0.0)

    def last_serial(self, root_url: str) -> int | None:
        """The highest serial that any answer from below that URL told."""
        below = [one for url, one in self._pending.values.items() if isinstance(url, str) and url.startswith(root_url)]
        told = [self._read.last_serial(root_url), *(response.serial for response, _ in below)]
        told += [page.last_serial for _, page in below if page is not None]
        return max((serial for serial in told if serial is not None), default=None)

    def touch_response(self, url: str, fetched_at: float, fresh_until: float | None = None) -> None:
        """The kept answer was found to be still valid at that time."""
        work = partial(self._write.touch_response, url, fetched_at, fresh_until)
        pending = self._pending.values.get(url)
        if pending is None:
            self._touched.keep(url, _Times(fetched_at, fresh_until), work)
        else:
            response, page = pending
            touched = replace(response, fetched_at=fetched_at, fresh_until=fresh_until)
            self._pending.keep(url, (touched, page), work)


class MetadataBehind:
    """A MetadataCache that is read here and written in the background."""

    def __init__(self, read: MetadataCache, write: MetadataCache, later: Later) -> None:
        self._read = read
        self._write = write
        self._pending = _Pending["CoreMetadata"](later)

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""
        return self._pending.values.get(key) or self._read.metadata(key)

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""
        pending = {key: self._pending.values[key] for key in keys if key in self._pending.values}
        return {**self._read.metadata_of(keys), **pending}

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None, *, is_checked: bool = False) -> None:
        """Remember it."""
        work = partial(self._write.keep_metadata, key, metadata, body, is_checked=is_checked)
        self._pending.keep(key, metadata, work)

    def keep_checked(self, learned: Sequence[tuple[str, CoreMetadata, bytes]]) -> None:
        """The same of many files whose bytes were checked."""
        for key, metadata, body in learned:
            self.keep_metadata(key, metadata, body, is_checked=True)


class CapabilitiesBehind:
    """Capabilities that are read here and written in the background."""

    def __init__(self, read: Capabilities, write: Capabilities, later: Later) -> None:
        self._read = read
        self._write = write
        self._pending = _Pending[bool](later)

    def capability(self, upstream: str, name: str) -> bool | None:
        """What was found not too long ago."""
        pending = self._pending.values.get((upstream, name))
        return self._read.capability(upstream, name) if pending is None else pending

    def keep_capability(self, upstream: str, name: str, *, is_offered: bool) -> None:
        """Remember the answer."""
        work = partial(self._write.keep_capability, upstream, name, is_offered=is_offered)
        self._pending.keep((upstream, name), is_offered, work)
