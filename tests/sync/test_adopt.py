"""What stands in the store without a record is found again by its hash: after a kill, or when the catalog was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.cli.main import run
from tests.worlds.world import project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld


def test_files_are_taken_over_when_the_catalog_was_lost(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(project("app", "1.0", requires=["lib"]), project("lib", "1.0", "2.0"))
    mirror = str(tmp_path / "m")
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", mirror]) == 0
    (tmp_path / "m/.pypim/catalog.sqlite").unlink()
    server.forget_requests()
    assert run(["-q", "sync", "--to", mirror]) == 0
    assert not server.asked("*.whl"), "no file is downloaded again"
    assert run(["-q", "verify", "--to", mirror]) == 0
    assert run(["-q", "doctor", "--offline", "--to", mirror]) == 0


def test_a_file_with_other_bytes_is_not_taken_over(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(project("app", "1.0"))
    mirror = str(tmp_path / "m")
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", mirror]) == 0
    (tmp_path / "m/.pypim/catalog.sqlite").unlink()
    (wheel,) = (tmp_path / "m/packages").rglob("*.whl")
    content = wheel.read_bytes()
    wheel.write_bytes(b"X" + content[1:])
    server.forget_requests()
    assert run(["-q", "sync", "--to", mirror]) == 0
    assert len(server.asked("*.whl")) == 1, "it is fetched"
    assert wheel.read_bytes() == content


def test_a_wheel_whose_metadata_was_changed_is_fetched(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(project("app", "1.0"))
    mirror = str(tmp_path / "m")
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", mirror]) == 0
    (tmp_path / "m/.pypim/catalog.sqlite").unlink()
    (beside,) = (tmp_path / "m/packages").rglob("*.metadata")
    beside.write_text("Metadata-Version: 2.1\nName: other\n")
    server.forget_requests()
    assert run(["-q", "sync", "--to", mirror]) == 0
    assert len(server.asked("*.whl")) == 1
    assert b"Name: app" in beside.read_bytes()
