"""What is cancelled half-way still ends what it began."""

from __future__ import annotations

import asyncio
import threading

import pytest

from pypim.web.unbroken import finished, in_thread


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(20)
        ended.set()

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 20)
    for _ in range(2):
        task.cancel()
        await asyncio.wait([task], timeout=0.01)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_results_and_errors_come_through() -> None:
    assert await in_thread(lambda: 7) == 7

    async def fail() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await finished(fail())


async def test_an_error_behind_a_cancellation_is_no_warning() -> None:
    may_fail = asyncio.Event()

    async def fail() -> None:
        await may_fail.wait()
        raise ValueError("x")

    task = asyncio.create_task(finished(fail()))
    await asyncio.wait([task], timeout=0.01)
    task.cancel()
    may_fail.set()
    with pytest.raises(asyncio.CancelledError):
        await task
