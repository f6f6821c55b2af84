"""When a request is made again, and how long after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypim.core.errors import UpstreamUnavailable
from pypim.core.records import FetchOptions
from pypim.net.gate import Pace
from pypim.net.retry import LONGEST_WAIT_SECONDS, Retrier, backoff_seconds, retry_after_seconds

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(st.integers(0, 10**30))
def test_retry_after_may_be_a_number_of_seconds(seconds: int) -> None:
    assert retry_after_seconds(str(seconds), NOW) == float(str(seconds)[:9])


@given(st.integers(-86400, 86400))
def test_retry_after_may_be_a_date_and_one_in_the_past_means_now(seconds: int) -> None:
    moment = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_seconds(moment, NOW) == max(0, seconds)


@given(st.text())
def test_any_other_retry_after_says_nothing_and_never_raises(text: str) -> None:
    seconds = retry_after_seconds(text, NOW)
    assert seconds is None or seconds >= 0


@given(st.integers(0, 10**6), st.none() | st.floats(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_a_minute(attempt: int, retry_after: float | None, chance: float) -> None:
    assert 0 <= backoff_seconds(attempt, retry_after, chance) <= LONGEST_WAIT_SECONDS


def test_the_wait_doubles_and_half_of_it_is_left_to_chance() -> None:
    assert [backoff_seconds(attempt, None, 0.0) for attempt in range(4)] == [0.25, 0.5, 1.0, 2.0]
    assert backoff_seconds(3, None, 0.999) == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize(("is_transient", "attempt"), [(True, 2), (False, 0)])
async def test_the_fault_itself_is_raised_when_there_is_no_further_attempt(is_transient: bool, attempt: int) -> None:
    fault = UpstreamUnavailable("there", "down", is_transient=is_transient)
    with pytest.raises(UpstreamUnavailable) as caught:
        await Retrier(2).pause(fault, attempt)
    assert caught.value is fault


@pytest.mark.parametrize(("asked_for", "longest", "naps"), [(5.0, 5.0, [5.0]), (6.0, 5.0, None), (6.0, None, [6.0])])
async def test_nobody_waits_for_longer_than_is_allowed(
    asked_for: float, longest: float | None, naps: list[float] | None
) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    fault = UpstreamUnavailable("there", "busy", is_transient=True, retry_after_seconds=asked_for)
    retrier = Retrier(4, sleep, longest_wait=longest)
    if naps is None:
        with pytest.raises(UpstreamUnavailable):
            await retrier.pause(fault, 0)
    else:
        await retrier.pause(fault, 0)
    assert waited == (naps or [])


async def test_the_pace_is_kept_and_a_pause_is_no_credit() -> None:
    naps: list[float] = []
    moment = 100.0

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    pace = Pace(FetchOptions(requests_per_second=2.0), sleep, lambda: moment)
    await pace.begin()
    await pace.begin()
    moment += 60
    await pace.begin()
    await pace.begin()
    assert naps == [0.5, 0.5]
