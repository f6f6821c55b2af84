"""What is on its way from a document to an answer is bounded by its length, and nobody is kept out for long."""

from __future__ import annotations

import asyncio

from pypim.index.room import Room

MOST = 1000


async def test_no_more_is_on_its_way_than_has_room() -> None:
    room = Room(MOST)
    most_seen = 0

    async def answer(size: int) -> None:
        nonlocal most_seen
        with room.lease():
            await room.weigh(size)
            most_seen = max(most_seen, room.taken_bytes)
            await asyncio.sleep(0)

    await asyncio.gather(*(answer(size) for size in [100, 400, 300, 250] * 50))
    assert 700 < most_seen <= MOST
    assert room.taken_bytes == 0


async def test_one_that_is_larger_than_all_room_goes_alone_and_in_its_turn() -> None:
    room = Room(MOST)
    order: list[int] = []

    async def answer(size: int) -> None:
        with room.lease():
            await room.weigh(size)
            order.append(size)
            assert room.taken_bytes == size or room.taken_bytes <= MOST
            await asyncio.sleep(0)

    await asyncio.gather(*map(answer, [600, 5000, 10, 20]))
    assert order == [600, 5000, 10, 20]


async def test_what_a_request_begins_counts_for_it_and_needs_no_second_turn() -> None:
    """A page of a group is made of those of its members: none of them may wait for the room of another."""
    room = Room(MOST)
    with room.lease():
        await room.weigh(900)
        await asyncio.wait_for(asyncio.create_task(room.weigh(900)), 1)
        assert room.taken_bytes == 1800
    assert room.taken_bytes == 0


async def test_who_gives_up_leaves_no_room_taken() -> None:
    room = Room(MOST)
    entered = asyncio.Event()

    async def answer() -> None:
        with room.lease():
            entered.set()
            await room.weigh(800)

    with room.lease():
        await room.weigh(800)
        waiting = [asyncio.create_task(answer()) for _ in range(3)]
        await entered.wait()
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    with room.lease():
        await asyncio.wait_for(room.weigh(800), 1)
    assert room.taken_bytes == 0


async def test_work_that_outlives_its_request_takes_nothing() -> None:
    room = Room(MOST)
    go_on = asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        await room.weigh(800)

    with room.lease():
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    go_on.set()
    await task
    assert room.taken_bytes == 0


async def test_nobody_waits_for_ever() -> None:
    """Where an upstream is slow while a page that needs it has room, the others go on all the same."""
    room = Room(MOST, patience_seconds=0.05)
    with room.lease():
        await room.weigh(1000)
        await asyncio.wait_for(asyncio.create_task(_alone(room, 500)), 1)
    assert room.taken_bytes == 0


async def _alone(room: Room, size: int) -> None:
    with room.lease():
        await room.weigh(size)
        assert room.taken_bytes == MOST + size
