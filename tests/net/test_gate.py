"""How fast an upstream is asked: a bucket with a given clock, and real bytes over a real socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.records import FetchOptions
from pypim.net.fetchers import open_fetcher
from pypim.net.gate import Bucket, Pace
from tests.net.server import Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AMOUNTS = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 1000)), min_size=1, max_size=60)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as running:
        yield running


class Moment:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(AMOUNTS, st.integers(1, 500), st.integers(1, 5000))
@settings(max_examples=100)
def test_no_span_lets_more_through_than_the_rate_and_what_was_saved(
    steps: list[tuple[float, int]], per_second: int, most_saved: int
) -> None:
    """Whoever takes waits as long as it is told, or longer; then in no span of time too much has been taken."""
    moment = Moment()
    bucket = Bucket(per_second, most_saved, moment)
    taken: list[tuple[float, int]] = []
    for pause, amount in steps:
        moment.now += pause
        taken.append((moment.now, amount))
        moment.now += bucket.take(amount)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            span = taken[last][0] - taken[first][0]
            through = sum(amount for _, amount in taken[first:last])
            assert through <= most_saved + span * per_second + 1e-3


@given(AMOUNTS, st.integers(1, 500), st.integers(1, 5000))
@settings(max_examples=100)
def test_nobody_waits_longer_than_needed(steps: list[tuple[float, int]], per_second: int, most_saved: int) -> None:
    """All that is taken takes at most its amount divided by the rate."""
    moment = Moment()
    bucket = Bucket(per_second, most_saved, moment)
    waited = 0.0
    for pause, amount in steps:
        moment.now += pause
        wait = bucket.take(amount)
        moment.now += wait
        waited += wait
    assert waited <= sum(amount for _, amount in steps) / per_second + 1e-6


async def test_a_rest_saves_requests_up_to_a_bound() -> None:
    """The polite default: many at once, and then so many a second."""
    moment = Moment()
    pace = Pace(FetchOptions(requests_per_second=100.0, most_requests_saved=2000.0), moment.sleep, moment)
    for _ in range(2000):
        await pace.begin()
    assert moment.now == 1000.0, "nobody waits for what was saved"
    for _ in range(500):
        await pace.begin()
    assert round(moment.now - 1000.0, 6) == 5.0
    moment.now += 3600
    before = moment.now
    for _ in range(2100):
        await pace.begin()
    assert round(moment.now - before, 6) == 1.0


async def test_without_a_bound_nobody_waits() -> None:
    moment = Moment()
    pace = Pace(FetchOptions(), moment.sleep, moment)
    for _ in range(1000):
        await pace.begin()
        await pace.received(1 << 30)
    assert moment.now == 1000.0
    assert not pace.bounds_bytes


async def test_bytes_come_no_faster_than_allowed(server: Server) -> None:
    """Real bytes of two downloads at once: together they keep to the rate, after what was saved."""
    server.files["/a"] = server.files["/b"] = b"x" * 500_000
    options = FetchOptions(proxy="", bytes_per_second=2_000_000.0)
    begun = time.monotonic()
    pace = Pace(options)
    received = 0
    async with open_fetcher(server.url, options, pace=pace) as one, open_fetcher(server.url, options, pace=pace) as two:
        for fetcher, path in ((one, "/a"), (two, "/b")):
            async with fetcher.open(server.url + path, {}) as incoming:
                async for chunk in incoming.chunks():
                    received += len(chunk)
    seconds = time.monotonic() - begun
    assert received == 1_000_000
    assert seconds >= 0.2, "half a second's worth less the quarter that was saved, less the last chunk"
