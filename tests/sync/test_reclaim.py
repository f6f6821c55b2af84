"""What stands in the store without a record is found again by its hash: after a kill, or when the catalog was lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from pypim.cli.main import run
from pypim.store import atomic
from tests.sync.mirror import pypim
from tests.worlds.world import project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import ServeWorld


def test_files_are_reclaimed_when_the_catalog_was_lost(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(project("app", "1.0", requires=["lib"]), project("lib", "1.0", "2.0"))
    mirror = str(tmp_path / "m")
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", mirror]) == 0
    (tmp_path / "m/.pypim/catalog.sqlite").unlink()
    server.forget_requests()
    assert run(["-q", "sync", "--to", mirror]) == 0
    assert not server.asked("*.whl"), "no file is downloaded again"
    assert run(["-q", "verify", "--to", mirror]) == 0
    assert run(["-q", "doctor", "--offline", "--to", mirror]) == 0


def test_what_is_reclaimed_is_durable_before_it_is_recorded(serve: ServeWorld, tmp_path: Path) -> None:
    """A killed run may have left bytes and names to the system; a record of them must outlive a power cut."""
    server = serve(project("app", "1.0"))
    mirror = tmp_path / "m"
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", str(mirror)]) == 0
    (mirror / ".pypim/catalog.sqlite").unlink()
    is_recorded: list[bool] = []

    def observer(operation: str, path: str) -> None:
        if (operation, path) == ("sync", str(mirror)):
            with closing(sqlite3.connect(mirror / ".pypim/catalog.sqlite")) as catalog:
                is_recorded.append(bool(catalog.execute("SELECT * FROM holdings").fetchall()))

    with atomic.observed(observer):
        assert run(["-q", "sync", "--to", str(mirror)]) == 0
    assert is_recorded[:1] == [False]


def test_a_file_with_other_bytes_is_not_reclaimed(serve: ServeWorld, tmp_path: Path) -> None:
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


def test_a_file_that_cannot_be_read_is_a_fault_of_the_store(serve: ServeWorld, tmp_path: Path) -> None:
    """Exit 8 with the path, and no traceback; a link that leads nowhere is no file at all."""
    server = serve(project("app", "1.0"))
    mirror = tmp_path / "m"
    assert run(["-q", "sync", "app", "--upstream", server.url, "--to", str(mirror)]) == 0
    (mirror / ".pypim/catalog.sqlite").unlink()
    (wheel,) = (mirror / "packages").rglob("*.whl")
    wheel.unlink()
    wheel.symlink_to(wheel.name)
    error = pypim("sync", "--json", "--to", mirror).expect(8).error
    assert error["code"] == "store-unreadable"
    assert str(wheel) in error["message"]
    wheel.unlink()
    wheel.symlink_to("nowhere")
    pypim("sync", "--to", mirror).expect()
    assert wheel.is_file()
    assert not wheel.is_symlink()
