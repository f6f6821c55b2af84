"""The tests whose outcome the HTTP server has a hand in, once more before `pypim serve` with granian.

Everywhere else uvicorn answers, in the process of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import pypim
from tests.web import test_files, test_simple_api, test_uploads
from tests.web.process import ServeProcess
from tests.web.test_simple_api import configuration
from tests.web.uploading import CONFIG

held = test_files.held
test_a_file_is_whole_and_lasts = test_files.test_a_file_is_whole_and_lasts
test_names_raw_and_encoded = test_files.test_names_raw_and_encoded
test_head = test_files.test_head
test_parts = test_files.test_parts
test_parts_that_are_not_there = test_files.test_parts_that_are_not_there
test_metadata_is_that_of_the_wheel = test_files.test_metadata_is_that_of_the_wheel

test_strange_paths_lead_nowhere = test_simple_api.test_strange_paths_lead_nowhere
test_head_tells_what_get_would_send = test_simple_api.test_head_tells_what_get_would_send
test_other_methods = test_simple_api.test_other_methods
test_each_form_and_encoding_has_its_own_validator = test_simple_api.test_each_form_and_encoding_has_its_own_validator

test_chunked_bodies_are_taken = test_uploads.test_chunked_bodies_are_taken
test_whoever_waits_to_be_asked_is_told_first = test_uploads.test_whoever_waits_to_be_asked_is_told_first
test_what_is_too_large_is_refused = test_uploads.test_what_is_too_large_is_refused
test_what_breaks_off_leaves_nothing = test_uploads.test_what_breaks_off_leaves_nothing

Running = Callable[..., ServeProcess]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """As the fixture of that name, with a process."""
    with ExitStack() as stack:

        def start(config_text: str, folder: Path | None = None) -> ServeProcess:
            return stack.enter_context(ServeProcess(folder or tmp_path / "server", config_text))

        yield start


@pytest.fixture
def server(running: Running, serve: ServeWorld, tmp_path: Path, request: pytest.FixtureRequest) -> ServeProcess:
    """What the module that a test comes from has under this name."""
    if request.function.__module__ == test_uploads.__name__:
        return running(CONFIG)
    found = running(configuration(serve(test_simple_api.WORLD).url, test_simple_api.PACKAGES))
    pypim("-c", tmp_path / "server" / "pypim.toml", "sync", "--keep-going")
    return found
