"""What clients are told of errors, and what only the log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pypim.core import errors
from pypim.web.errors import fault_of
from tests.web.asking import ask
from tests.web.test_proxy import WORLD, configuration
from tests.worlds import faults

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld
    from tests.web.conftest import Running

PLACE = "/srv/pypim store/data"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (errors.StoreUnwritable(PLACE, "Read-only file system"), "the store: cannot be written: Read-only file system"),
        (errors.StoreUnreadable(PLACE, "see '/srv/x/y.db'"), "the store: cannot be read: see 'the store'"),
        (errors.StoreUnreadable("7", "the file ends"), "7: cannot be read: the file ends"),
        (errors.OutOfSpace(f"{PLACE}/a"), "the store: no space left on the device"),
        (errors.UpstreamTimeout("https://up.example:8443/simple/a/", "slow"), "<upstream>/simple/a/: slow"),
        (errors.UpstreamFault("the page of a: file:///srv/mirror/a", "cut"), "the page of a: <upstream>: cut"),
        (errors.ProjectNotFound("a", "http://10.0.0.7/simple/"), "<upstream>/simple/: no project named 'a'"),
        (errors.NotAuthorised("http://10.0.0.7/simple/"), "<upstream>/simple/: access is forbidden (403)"),
    ],
)
def test_nobody_is_told_where_the_store_is_or_who_the_upstream_is(
    error: errors.PypimError, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault = fault_of(error)
    assert fault.message == told
    if fault.status >= 500 and told != error.message:
        assert error.message in caplog.text, "the operator is"


def test_what_an_answer_says_of_an_upstream_that_fails(
    serve: ServeWorld, running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = serve(WORLD)
    server = running(configuration(upstream.url, "[indexes.all]\nkind = 'group'\nmembers = ['cache']\n"))
    upstream.misbehave("/simple/big/", faults.status(500))
    asked = {
        "big": (502, ask(f"{server.url}/simple/big/", Accept="application/json")),
        "nope": (404, ask(f"{server.url}/simple/nope/", Accept="application/json")),
        "why big": (200, ask(f"{server.url}/api/v1/indexes/all/why/big")),
        "big and nope beforehand": (200, ask(f"{server.url}/requirements.txt", "POST", b"big\nnope\n")),
    }
    for what, (status, answer) in asked.items():
        assert answer.status == status, what
        assert "<upstream>/simple/" in answer.text, what
        assert upstream.root not in answer.text
        assert str(tmp_path) not in answer.text
    assert upstream.root in caplog.text
