"""Every system call of a sync, a publish, a prune and an upload broken on purpose, one a run; then the next run.

For every numbered write, rename, fsync, read and socket call: failing just that one, or being killed at it, and
starting again leaves a store that `verify` finds whole. The calls are those of the kernel, so those that SQLite and the
HTTP client make for themselves count, too. A spread of them is run here, every one with `make slow`.
"""

from __future__ import annotations

import errno
import hashlib
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.runs import Driver, Outcome, complaints
from tests.faults.scenes import Scene
from tests.faults.system_calls import READS, SOCKETS, WRITES, can_announce
from tests.faults.uploads import made
from tests.web.uploading import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(not can_announce(), reason="this system does not tell a parent of its child's calls")

SCENES = ["second", "publish", "prune"]
KINDS = [READS, WRITES, SOCKETS]
FAULTS = {
    READS: (errno.EIO, errno.EACCES),
    WRITES: (errno.ENOSPC, errno.EIO, errno.EACCES),
    SOCKETS: (errno.ECONNRESET,),
}
PARTS = 4
KILLED = -9


def numbers(total: int, start: int, step: int) -> range:
    """Every `step`-th call from `start` on; a call more or less is the difference between two runs."""
    return range(start, total + 3, step)


# --- sync, publish, prune ---------------------------------------------------------------------------------------------
def broken(scene: Scene, name: str, kinds: list[str], number: int, error: int | None) -> Iterator[str]:
    """What is wrong after one run that met one fault, and after the next one."""
    folder = scene.copy(name)
    outcome = scene.run(folder, calls=kinds, calls_below=str(folder), call_at=number, call_error=error)
    where = f"{number} ({outcome.stopped_at}, {errno.errorcode.get(error or 0, 'killed')})"
    if error is not None:
        yield from (f"{where}: {one}" for one in complaints(outcome))
    elif outcome.stopped_at and outcome.status != KILLED:
        yield f"{where}: it was not killed but ended with {outcome.status}"
    yield from (f"{where}: {one}" for one in scene.finish(folder))
    yield from (f"{where}: {one}" for one in unsound(scene.driver, folder))
    shutil.rmtree(folder)


def unsound(driver: Driver, folder: Path) -> Iterator[str]:
    """What `pypim verify` has to say."""
    place = ["-c", str(folder / "pypim.toml")] if (folder / "pypim.toml").exists() else ["--to", str(folder)]
    outcome = driver.run(*(place if place[0] == "-c" else []), "verify", *(place if place[0] == "--to" else []))
    if outcome.status:
        yield f"verify ends with {outcome.status}: {outcome.stdout}{outcome.stderr}"


def break_calls(scene: Scene, kind: str, start: int, step: int) -> list[str]:
    """One run for each fault of each of these calls."""
    folder = scene.copy("counted")
    total = scene.run(folder, calls=[kind], calls_below=str(folder)).calls
    shutil.rmtree(folder)
    return [
        sentence
        for number in numbers(total, start, step)
        for error in FAULTS[kind]
        for sentence in broken(scene, f"{kind}-{number}-{error}", [kind], number, error)
    ]


def kill_at_calls(scene: Scene, start: int, step: int) -> list[str]:
    """One run that is killed for each of these calls."""
    folder = scene.copy("counted")
    total = scene.run(folder, calls=KINDS, calls_below=str(folder)).calls
    shutil.rmtree(folder)
    return [
        sentence
        for number in numbers(total, start, step)
        for sentence in broken(scene, f"killed-{number}", KINDS, number, None)
    ]


@pytest.mark.parametrize("name", SCENES)
def test_a_call_that_fails_is_told_in_one_message_and_loses_nothing(tmp_path: Path, name: str) -> None:
    with Scene(name, tmp_path) as scene:
        found = [
            one
            for kind, step in ((READS, 113), (WRITES, 149), (SOCKETS, 17))
            for one in break_calls(scene, kind, 5, step)
        ]
    assert found == []


@pytest.mark.parametrize("name", SCENES)
def test_a_process_that_is_killed_at_a_call_loses_nothing(tmp_path: Path, name: str) -> None:
    with Scene(name, tmp_path) as scene:
        assert kill_at_calls(scene, 7, 131) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*SCENES, "first", "linked"])
def test_every_single_call_that_fails(tmp_path: Path, name: str, kind: str, part: int) -> None:
    with Scene(name, tmp_path) as scene:
        assert break_calls(scene, kind, 1 + part, PARTS) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", [*SCENES, "first", "linked"])
def test_a_process_that_is_killed_at_every_single_call(tmp_path: Path, name: str, part: int) -> None:
    with Scene(name, tmp_path) as scene:
        assert kill_at_calls(scene, 1 + part, PARTS) == []


# --- uploads ----------------------------------------------------------------------------------------------------------
UPLOADS = ["wheel 1.0", "sdist 2.0"]


@dataclass
class Shelf:
    """A hosted index that has one release, many times over."""

    folder: Path
    driver: Driver

    def prepare(self) -> None:
        template = self.folder / "template"
        template.mkdir()
        (template / "pypim.toml").write_text(CONFIG)
        assert self.serve(template, ["wheel 0.1"]).operations == ["200"]

    def copy(self, name: str) -> Path:
        return shutil.copytree(self.folder / "template", self.folder / name)

    def serve(self, folder: Path, uploads: list[str], **disturbance: Any) -> Outcome:
        return self.driver.run(str(folder / "pypim.toml"), uploads=uploads, **disturbance)

    def broken(self, name: str, kinds: list[str], number: int, error: int | None) -> Iterator[str]:
        """What is wrong after one server that met one fault, and after the next one."""
        folder = self.copy(name)
        outcome = self.serve(folder, UPLOADS, calls=kinds, calls_below=str(folder), call_at=number, call_error=error)
        where = f"{number} ({outcome.stopped_at}, {errno.errorcode.get(error or 0, 'killed')}) {outcome.operations}"
        for answer in outcome.operations:
            if "Traceback" in answer or answer[:3] not in {"200", "non", "507", "503", "500"}:
                yield f"{where}: {answer}"
        kept = listed(folder)
        for upload, answer in zip(UPLOADS, outcome.operations, strict=False):
            if answer == "200" and made(upload).filename not in kept:
                yield f"{where}: {upload} was answered 200 and is lost"
        yield from (f"{where}: {one}" for one in (*wrong_files(folder), *unsound(self.driver, folder)))
        again = self.serve(folder, UPLOADS)
        if again.operations != ["200", "200"]:
            yield f"{where}: the next server answers {again.operations}: {again.stderr}"
        elif listed(folder).keys() != {made(upload).filename for upload in ["wheel 0.1", *UPLOADS]}:
            yield f"{where}: then it lists {listed(folder)}"
        yield from (f"{where}, then: {one}" for one in (*wrong_files(folder), *unsound(self.driver, folder)))
        shutil.rmtree(folder)


def listed(folder: Path) -> dict[str, tuple[str, str]]:
    """File name → its sha256 and its path, as the catalog says."""
    if not (folder / "data" / "catalog.sqlite").exists():
        return {}
    with closing(sqlite3.connect(folder / "data" / "catalog.sqlite")) as connection:
        rows = connection.execute("SELECT filename, sha256, blake2b_256 FROM hosted_files").fetchall()
    return {name: (sha, f"packages/{blake[:2]}/{blake[2:4]}/{blake[4:]}/{name}") for name, sha, blake in rows}


def wrong_files(folder: Path) -> Iterator[str]:
    """Listed files without their bytes."""
    for name, (sha256, path) in listed(folder).items():
        place = folder / "data" / path
        if not place.is_file() or hashlib.sha256(place.read_bytes()).hexdigest() != sha256:
            yield f"{name} is listed and is not there"


def spoil_uploads(folder: Path, kinds: list[str], faults: tuple[int | None, ...], start: int, step: int) -> list[str]:
    with Driver(folder / "home") as driver:
        shelf = Shelf(folder, driver)
        shelf.prepare()
        counted = shelf.copy("counted")
        total = shelf.serve(counted, UPLOADS, calls=kinds, calls_below=str(counted)).calls
        assert total > 10
        return [
            sentence
            for number in numbers(total, start, step)
            for error in faults
            for sentence in shelf.broken(f"{number}-{error}", kinds, number, error)
        ]


def test_a_server_that_meets_a_fault_loses_no_upload_that_it_answered(tmp_path: Path) -> None:
    """Every upload that was answered 200 is listed with its bytes, whatever failed; the others can be sent again."""
    assert spoil_uploads(tmp_path, KINDS, (errno.ENOSPC, errno.EIO, None), 9, 41) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_every_single_call_of_a_server_that_fails(tmp_path: Path, kind: str, part: int) -> None:
    assert spoil_uploads(tmp_path, [kind], FAULTS[kind], 1 + part, PARTS) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_server_that_is_killed_at_every_single_call(tmp_path: Path, part: int) -> None:
    assert spoil_uploads(tmp_path, KINDS, (None,), 1 + part, PARTS) == []
