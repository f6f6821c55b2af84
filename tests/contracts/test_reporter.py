"""The contract of the port Reporter: any order of calls is taken, notes arrive, nothing is left open after close."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TextIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.cli.progress import PlainReporter, TerminalReporter
from pypim.ports import Reporter
from pypim.sync.silent import SilentReporter
from pypim.wiring_ready import LogReporter

_MAKERS: dict[str, Callable[[TextIO], Reporter]] = {
    "silent": lambda _: SilentReporter(),
    "log": lambda _: LogReporter(),
    "plain": PlainReporter,
    "terminal": TerminalReporter,
}
_COUNTS = st.none() | st.integers(0, 10**12)
_CALLS = st.lists(
    st.tuples(st.just("stage"), st.sampled_from(["list", "metadata", "transfer", "other"]), _COUNTS, _COUNTS)
    | st.tuples(st.just("advance"), st.integers(0, 1000), st.integers(0, 10**12), _COUNTS)
    | st.tuples(st.just("note"), st.text(st.characters(exclude_categories=["C"])), st.none(), st.none()),
    max_size=8,
)


@pytest.mark.parametrize("kind", _MAKERS)
@settings(max_examples=25, deadline=None)
@given(calls=_CALLS)
def test_any_order_of_calls_is_taken(kind: str, calls: list[tuple[str, object, int | None, int | None]]) -> None:
    stream = io.StringIO()
    reporter = _MAKERS[kind](stream)
    for call, subject, first, second in calls:
        if call == "stage":
            reporter.stage(str(subject), total=first, total_bytes=second)
        elif call == "advance":
            assert isinstance(subject, int)
            reporter.advance(subject, size_bytes=first or 0, total=second)
        else:
            reporter.note(str(subject))
    reporter.close()
    written = stream.getvalue()
    reporter.close()
    assert stream.getvalue() == written
    assert (kind == "silent") <= (written == "")


@pytest.mark.parametrize("kind", ["plain", "terminal"])
def test_a_note_arrives_as_it_is_before_during_and_after_a_stage(kind: str) -> None:
    stream = io.StringIO()
    reporter = _MAKERS[kind](stream)
    reporter.note("first [red]note[/red]")
    reporter.stage("transfer", total=1)
    reporter.note("second :smile: note")
    reporter.advance()
    reporter.close()
    for text in ("first [red]note[/red]", "second :smile: note"):
        assert text in stream.getvalue()
