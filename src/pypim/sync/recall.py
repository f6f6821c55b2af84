"""The short way of a plan: where nothing has changed since it was made, it is remembered and not made again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pypim.core.freshness import MOST_FRESH_SECONDS, Trust
from pypim.core.records import KeptPlan
from pypim.sync.model import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pypim.ports import Plans
    from pypim.sync.model import Request, Selected, Stack


class RecalledPlan(msgspec.Struct, frozen=True):
    """A report, and what the files that were read for it made one say."""

    report: Report
    notes: tuple[str, ...]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RecalledPlan).decode


def recall(
    plans: Plans, index: str, told: str, read: Callable[[str], str], trust: Trust, now: float
) -> RecalledPlan | None:
    """The plan of an index where it would be the same again.

    `told` is `Request.told` of the index; `read` reads an input, and raises what it may, for then it has changed.
    """
    kept = plans.plan(index)
    if kept is None or kept.request != told or kept.version != plans.version():
        return None
    # Nothing is fresh for longer than that: a later time was written before the clock was set back.
    is_fresh = now < kept.fresh_until <= now + MOST_FRESH_SECONDS
    if trust is not Trust.KEPT and not (trust is Trust.FRESH and is_fresh):
        return None
    if any(digest_of_input(read(path)) != digest for path, digest in kept.inputs):
        return None
    return _decode(kept.answer)


def remember(stack: Stack, request: Request, selected: Selected, report: Report, version: int | None) -> Report:
    """Keep a plan, where it will be known whether it would be the same again; `version` is that before it was made.

    Returns the report.
    """
    is_lasting = not request.policy.min_age and not report.faults and request.inputs is not None
    if not is_lasting or version is None or stack.plans.version() != version:
        return report
    assert request.inputs is not None, "it is lasting"
    names = [*selected.serials]
    kept = KeptPlan(
        request=request.told,
        inputs=request.inputs,
        version=version,
        fresh_until=stack.known.fresh_until(names, with_list=bool(request.patterns)) if names else 0.0,
        answer=_encode(RecalledPlan(report, request.notes)),
    )
    stack.plans.keep_plan(request.index, kept)
    return report


def inputs_of(texts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...] | None:
    """(path, sha256) of each text that was read; None where one has variables, whose values may change."""
    pairs = dict(texts)
    if any("${" in text for text in pairs.values()):
        return None
    return tuple((path, digest_of_input(text)) for path, text in pairs.items())


def digest_of_input(text: str) -> str:
    """As it is remembered."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
