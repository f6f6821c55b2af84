"""What is written in the background is seen at once by who reads through it, and the same once it is written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pypim.core.records import KeptPage, outline_of
from pypim.index.behind import Later, PagesBehind
from pypim.store.memory import MemoryPages
from pypim.sync.silent import SilentReporter
from pypim.wiring_server import BackgroundThread
from tests.store import values

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Gated(BackgroundThread):
    """A Background that does nothing before it may."""

    def __init__(self) -> None:
        super().__init__("gated")
        self.may = threading.Event()

    async def run(self, work: Callable[[], T]) -> T:
        def gated() -> T:
            self.may.wait(20)
            return work()

        return await super().run(gated)


async def test_a_touch_is_seen_before_it_is_written_and_after() -> None:
    pages, background = MemoryPages(), Gated()
    later = Later(background, SilentReporter())
    behind = PagesBehind(pages, pages, later)
    kept = values.response()
    pages.keep_response("main", kept, values.page())
    behind.touch_response(kept.url, 5000.5, 6000.0)
    touched = msgspec.structs.replace(kept, fetched_at=5000.5, fresh_until=6000.0)
    for is_written in (False, True):
        if is_written:
            background.may.set()
            await behind.settle()
            assert pages.response(kept.url) == touched
        assert behind.response(kept.url) == touched
        assert behind.outline(kept.url) == outline_of(touched)
        assert behind.kept_pages([kept.url]) == {kept.url: KeptPage(values.page(), 5000.5, 6000.0)}
        assert behind.fresh_until([kept.url]) == 6000.0
    background.close()


async def test_a_touch_of_what_is_still_to_be_written() -> None:
    pages, background = MemoryPages(), Gated()
    behind = PagesBehind(pages, pages, Later(background, SilentReporter()))
    kept = values.response()
    behind.keep_response("main", kept, values.page())
    behind.touch_response(kept.url, 5000.5, 6000.0)
    touched = msgspec.structs.replace(kept, fetched_at=5000.5, fresh_until=6000.0)
    assert behind.response(kept.url) == touched
    assert behind.outline(kept.url) == outline_of(touched)
    assert pages.response(kept.url) is None
    background.may.set()
    await behind.settle()
    assert pages.response(kept.url) == touched
    background.close()
