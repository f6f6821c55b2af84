"""The contract of Background."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from pypim.wiring_server import BackgroundThread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypim.ports import Background


@pytest.fixture
def background() -> Iterator[Background]:
    writer = BackgroundThread("writer")
    yield writer
    writer.close()


async def test_one_after_the_other_and_never_on_the_loop(background: Background) -> None:
    seen: list[tuple[int, int]] = []

    def work(number: int) -> int:
        seen.append((number, threading.get_ident()))
        return number * 2

    results = await asyncio.gather(*(background.run(lambda n=n: work(n)) for n in range(20)))  # type: ignore[misc]
    assert results == [n * 2 for n in range(20)]
    assert [number for number, _ in seen] == list(range(20))
    assert len({thread for _, thread in seen}) == 1
    assert seen[0][1] != threading.get_ident()


async def test_what_the_work_raises_is_raised(background: Background) -> None:
    with pytest.raises(ZeroDivisionError):
        await background.run(lambda: 1 // 0)
    assert await background.run(lambda: "still there") == "still there"
