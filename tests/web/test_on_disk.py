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
    assert bodies.content(path) is None, "perhaps nobody asks again"
    assert bodies.content(path) == b"content"
    path.unlink()
    for number in range(20):
        other = tmp_path / str(number)
        other.write_bytes(bytes(1 << 20))
        assert bodies.content(other) is None
        assert bodies.content(other) == bytes(1 << 20)
        assert bodies.content(path) == b"content"
    (tmp_path / "0").unlink()
    assert bodies.content(tmp_path / "0") is None, "it was dropped"
    with pytest.raises(StoreUnreadable):
        bodies.content(tmp_path / "0")


def test_a_long_one_is_left_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"12345")
    for longest, found in ((4, None), (5, b"12345")):
        bodies = Bodies(longest)
        assert bodies.content(path) is None
        assert bodies.content(path) == found


def test_of_many_that_are_asked_for_once_each_none_is_in_memory(tmp_path: Path) -> None:
    bodies = Bodies(1 << 20)
    for _ in range(3):
        for number in range(100):
            path = tmp_path / str(number)
            path.write_bytes(b"x")
            assert bodies.content(path) is None
