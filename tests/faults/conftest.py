"""Fixtures of the tests that break things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sync.mirror import Mirror

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A mirror that is not yet configured."""
    return Mirror(tmp_path / "mirror")
