"""Many who ask for one thing at once share one answer."""

from __future__ import annotations

import asyncio

import pytest

from pypim.index.sharing import SingleFlight, end


async def test_the_work_is_done_once_for_all_who_ask_meanwhile() -> None:
    flights, begun = SingleFlight[int](), 0

    async def work() -> int:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0)
        return begun

    assert await asyncio.gather(*(flights.value("a", work) for _ in range(5))) == [1] * 5
    assert await flights.value("a", work) == 2, "what is done is not remembered here"


async def test_an_error_reaches_all_of_them() -> None:
    flights = SingleFlight[int]()

    async def work() -> int:
        await asyncio.sleep(0)
        raise LookupError

    outcomes = await asyncio.gather(*(flights.value("a", work) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError] * 3


async def test_work_ends_when_nobody_waits_for_it_any_more() -> None:
    flights, ended = SingleFlight[int](), asyncio.Event()

    async def work() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    waiting = [asyncio.create_task(flights.value("a", work)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting[0]
    assert not ended.is_set(), "the other one still waits"
    waiting[1].cancel()
    async with asyncio.timeout(5):
        await ended.wait()


async def test_tasks_end_also_when_they_let_a_cancellation_pass_by() -> None:
    passed = 0

    async def stubborn() -> None:
        nonlocal passed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                passed += 1
                if passed == 2:
                    raise

    async def failing() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(failing())]
    await asyncio.sleep(0)
    await end(tasks)
    assert passed == 2
    assert all(task.done() for task in tasks)
