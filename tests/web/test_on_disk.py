"""What is asked for again and again is not read again, and what is kept for that has a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core.errors import StoreUnreadable
from pypim.web.on_disk import Bodies

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_read_once_as_long_as_it_is_asked_for(tmp_path: Path) -> None:
    bodies, path = Bodies(1 << 20), tmp_path / "hot"
    path.write_bytes(b"content")
    assert bodies.content(path) == b"content"
    path.unlink()
    for number in range(20):
        other = tmp_path / str(number)
        other.write_bytes(bytes(1 << 20))
        assert bodies.content(other) == bytes(1 << 20)
        assert bodies.content(path) == b"content"
    (tmp_path / "0").unlink()
    with pytest.raises(StoreUnreadable):
        bodies.content(tmp_path / "0")


def test_a_long_one_is_left_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"12345")
    assert Bodies(4).content(path) is None
    assert Bodies(5).content(path) == b"12345"
