"""How long an answer is fresh (RFC 9111, 4.2), and that nothing is guessed where the upstream says nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypim.core.freshness import MOST_FRESH_SECONDS, Limits, Standing, fresh_seconds, is_fresh, standing


@pytest.mark.parametrize(
    ("cache_control", "seconds"),
    [
        ("max-age=600", 600),
        ("public, max-age=600", 600),
        ("MAX-AGE = 600 , must-revalidate", 600),
        ('max-age="600"', 600),
        ("max-age=60, max-age=600", 60),
        ("max-age=99999999999999999999", MOST_FRESH_SECONDS),
        ("max-age=0", 0),
        ("max-age=600, no-cache", 0),
        ("max-age=600, No-Store", 0),
        ('no-cache="set-cookie", max-age=600', 0),
        ("max-age=-5", 0),
        ("max-age=soon", 0),
        ("s-maxage=600", 0),
        ("", 0),
    ],
)
def test_only_a_maximum_age_makes_an_answer_fresh(cache_control: str, seconds: int) -> None:
    assert fresh_seconds({"cache-control": cache_control}) == seconds


def test_an_upstream_that_says_nothing_is_asked_again() -> None:
    assert fresh_seconds({}) == 0
    assert fresh_seconds({"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"}) == 0


def test_time_that_was_spent_in_other_caches_counts() -> None:
    """RFC 9111, 5.1: Age."""
    assert fresh_seconds({"cache-control": "max-age=600", "age": "100"}) == 500
    assert fresh_seconds({"cache-control": "max-age=600", "age": "6000"}) == 0
    assert fresh_seconds({"cache-control": "max-age=600", "age": "old"}) == 600


def test_what_varies_with_everything_is_never_fresh() -> None:
    """RFC 9111, 4.1: a Vary of "*" always fails to match."""
    assert fresh_seconds({"cache-control": "max-age=600", "vary": "*"}) == 0
    assert fresh_seconds({"cache-control": "max-age=600", "vary": "Accept"}) == 600


@given(st.dictionaries(st.sampled_from(["cache-control", "age", "vary"]), st.text()))
def test_no_header_is_too_odd(headers: dict[str, str]) -> None:
    assert 0 <= fresh_seconds(headers) <= MOST_FRESH_SECONDS


def test_an_answer_is_fresh_from_when_it_came_until_it_ends() -> None:
    assert is_fresh(100.0, 200.0, 100.0)
    assert is_fresh(100.0, 200.0, 199.9)
    assert not is_fresh(100.0, 200.0, 200.0)
    assert not is_fresh(100.0, None, 150.0)


def test_a_clock_that_was_set_back_makes_nothing_fresh() -> None:
    assert not is_fresh(100.0, 200.0, 99.0)


# --- proxies --------------------------------------------------------------------------------------------------------
some_seconds = st.floats(min_value=0, max_value=1e6)


@given(
    max_age=some_seconds,
    revalidate=some_seconds,
    if_error=some_seconds,
    negative=some_seconds,
    age=st.floats(-1e6, 1e7),
    gone=st.booleans(),
)
def test_nothing_is_answered_past_its_limits(
    max_age: float, revalidate: float, if_error: float, negative: float, age: float, *, gone: bool
) -> None:
    limits = Limits(
        max_age=max_age, stale_while_revalidate=revalidate, stale_if_error=if_error, negative_max_age=negative
    )
    found = standing(1e9, 1e9 + age, limits, is_absence=gone)
    passed = 1e9 + age - 1e9
    match found:
        case Standing.FRESH:
            assert 0 <= passed < (negative if gone else max_age)
        case Standing.REVALIDATE:
            assert not gone
            assert max_age <= passed < max_age + revalidate
        case Standing.STALE:
            assert not gone
            assert passed < max_age + if_error
        case Standing.OVER:
            assert gone or passed >= max_age + if_error
