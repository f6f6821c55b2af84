"""A run that is told to stop ends in good order: one message, status 130, and what was fetched is kept."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.worlds import faults
from tests.worlds.world import project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sync_in_good_order(serve: ServeWorld, tmp_path: Path, number: signal.Signals) -> None:
    server = serve(project("app", "1.0"))
    server.misbehave("*.whl", faults.drip(64, 0.2))
    command = [sys.executable, "-m", "pypim", "sync", "app", "--upstream", server.url, "--to", str(tmp_path / "m")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("transfer"):
                break
        process.send_signal(number)
        told = process.stderr.read()
        assert process.wait(30) == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    server.behave()
    subprocess.run([*command[:4], "--to", str(tmp_path / "m")], check=True, capture_output=True)
    assert list((tmp_path / "m/packages").rglob("*.whl"))


def test_sigterm_ends_what_runs_in_the_background_of_a_shell(serve: ServeWorld, tmp_path: Path) -> None:
    """There Ctrl-C is ignored, and stays so."""
    server = serve(project("app", "1.0"))
    server.misbehave("*.whl", faults.drip(64, 0.2))
    sync = f"{sys.executable} -m pypim sync app --upstream {server.url} --to {tmp_path / 'm'}"
    script = f"trap '' INT; exec {sync}"
    with subprocess.Popen(["sh", "-c", script], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("transfer"):
                break
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        told = process.stderr.read()
        assert process.wait(30) == 130, told
    assert "interrupted" in told
