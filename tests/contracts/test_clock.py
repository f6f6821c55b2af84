"""The contract of Clock: the time now, in UTC, aware."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pypim.wiring import SystemClock

if TYPE_CHECKING:
    from pypim.ports import Clock


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


def test_the_time_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().tzinfo is not None
    assert clock.now().utcoffset() == timedelta()


def test_it_is_now(clock: Clock) -> None:
    before = datetime.now(UTC)
    found = clock.now()
    assert before - timedelta(seconds=1) <= found <= datetime.now(UTC) + timedelta(seconds=1)


def test_it_goes_on(clock: Clock) -> None:
    times = [clock.now() for _ in range(100)]
    assert times == sorted(times)
