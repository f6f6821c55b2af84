"""The contract of Capabilities, on every implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.store.catalog import Catalog
from pypim.store.catalog_pages import CAPABILITY_SECONDS
from pypim.store.memory import MemoryCapabilities, OverlayCapabilities

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pypim.ports import Capabilities


class Hands:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(params=["catalog", "memory", "overlay"])
def capabilities(request: pytest.FixtureRequest, tmp_path: Path, hands: Hands) -> Iterator[Capabilities]:
    match request.param:
        case "catalog":
            with Catalog.open(tmp_path / "catalog.sqlite", now=hands) as catalog:
                yield catalog.capabilities
        case "memory":
            yield MemoryCapabilities(hands)
        case _:
            yield OverlayCapabilities(MemoryCapabilities(hands), hands)


def test_nobody_tried(capabilities: Capabilities) -> None:
    assert capabilities.capability("main", "ranges") is None


@pytest.mark.parametrize("is_offered", [True, False])
def test_an_answer_is_remembered(capabilities: Capabilities, *, is_offered: bool) -> None:
    capabilities.keep_capability("main", "ranges", is_offered=is_offered)
    assert capabilities.capability("main", "ranges") is is_offered
    assert capabilities.capability("main", "sidecar") is None
    assert capabilities.capability("other", "ranges") is None


def test_the_newest_answer_counts(capabilities: Capabilities) -> None:
    capabilities.keep_capability("main", "ranges", is_offered=False)
    capabilities.keep_capability("main", "ranges", is_offered=True)
    assert capabilities.capability("main", "ranges") is True


def test_an_answer_older_than_seven_days_is_not_believed(capabilities: Capabilities, hands: Hands) -> None:
    capabilities.keep_capability("main", "ranges", is_offered=True)
    hands.seconds += CAPABILITY_SECONDS
    assert capabilities.capability("main", "ranges") is True
    hands.seconds += 1
    assert capabilities.capability("main", "ranges") is None


def test_an_answer_of_the_future_is_not_believed(capabilities: Capabilities, hands: Hands) -> None:
    """It was found before the clock was set back, and would be believed for as long."""
    capabilities.keep_capability("main", "ranges", is_offered=True)
    hands.seconds -= 3600
    assert capabilities.capability("main", "ranges") is None


def test_an_overlay_reads_the_other_and_never_writes_to_it() -> None:
    under = MemoryCapabilities()
    under.keep_capability("main", "ranges", is_offered=True)
    overlay = OverlayCapabilities(under)
    assert overlay.capability("main", "ranges") is True
    overlay.keep_capability("main", "ranges", is_offered=False)
    assert overlay.capability("main", "ranges") is False
    assert under.capability("main", "ranges") is True
