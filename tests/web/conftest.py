"""Fixtures of the server's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.web.serving import RunningServer

Running = Callable[..., RunningServer]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """`running(config_text)` serves a configuration until the test ends; its store is below `folder`."""
    with ExitStack() as stack:

        def start(config_text: str, folder: Path | None = None) -> RunningServer:
            place = folder or tmp_path / "server"
            place.mkdir(parents=True, exist_ok=True)
            path = place / "pypim.toml"
            path.write_text(config_text, "utf-8")
            return stack.enter_context(RunningServer(path))

        yield start
