"""Volumes that are full, read-only, or gone: told in one message, and the run afterwards goes on where it was.

The full ones are real file systems of a few megabytes, in a namespace of their own; nobody else sees them.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.faults.invariants import Mirror, violations
from tests.sync.mirror import LINUX_OPTIONS, pypim
from tests.web.serving import RunningServer
from tests.web.uploading import CONFIG, listed, send, wheel
from tests.worlds.world import World, project, release
from tests.worlds.world import wheel as built

if TYPE_CHECKING:
    from tests.conftest import ServeWorld

MEGABYTE = 1_000_000
WORLD = World.of(*(project(f"p{n}", release("1.0", built(payload=MEGABYTE))) for n in range(6)))
NAMES = [f"p{n}" for n in range(6)]
ROOT = Path(__file__).parents[2]
SCRIPT = """
set -eu
mount -t tmpfs -o size={size} none "{folder}"
status=0
{python} -m pypim sync {names} --to "{folder}/m" --upstream {url} {options} > "{out}/1" 2>&1 || status=$?
echo $status > "{out}/status"
mount -o remount,size=40m "{folder}"
status=0
{python} -m pypim sync --to "{folder}/m" > "{out}/2" 2>&1 || status=$?
echo $status > "{out}/status-2"
cp -a "{folder}/m" "{out}/m"
"""


@cache
def can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    tried = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


def in_namespace(script: str) -> None:
    subprocess.run(["unshare", "-rm", "sh", "-c", script], check=True, cwd=ROOT)


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
@pytest.mark.parametrize("size", ["200k", "300k", "1500k", "4m", "5500k", "6400k", "6700k"])
def test_a_disk_that_is_full_is_told_and_what_was_fetched_is_kept(serve: ServeWorld, tmp_path: Path, size: str) -> None:
    """Full at the first write, in the catalog, among the files, at the pages: exit 8; with room it goes on."""
    server = serve(WORLD, sizes=False)  # nobody can know before how much it will be
    folder, out = tmp_path / "disk", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    options = " ".join(LINUX_OPTIONS)
    in_namespace(
        SCRIPT.format(
            size=size,
            folder=folder,
            python=sys.executable,
            names=" ".join(NAMES),
            url=server.url,
            options=options,
            out=out,
        )
    )
    told = (out / "1").read_text()
    assert (out / "status").read_text().strip() == "8", told
    assert told.count("pypim: error: ") == 1
    assert "no space left" in told
    again = (out / "2").read_text()
    if "nothing was mirrored here yet" in again:  # not even its configuration could be written
        return
    assert (out / "status-2").read_text().strip() == "0", again
    assert violations(Mirror.inline(out / "m"), is_finished=True) == []
    pypim("verify", "--to", out / "m").expect()
    fetched = [request for request in server.asked("/packages/*.whl") if request.status == 200]
    assert len(fetched) <= len(NAMES) + 16, "what was whole is not fetched again"


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_the_room_is_looked_at_before_anything_is_fetched(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(WORLD)
    folder, out = tmp_path / "disk", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    options = " ".join(LINUX_OPTIONS)
    in_namespace(
        SCRIPT.format(
            size="4m",
            folder=folder,
            python=sys.executable,
            names=" ".join(NAMES),
            url=server.url,
            options=options,
            out=out,
        )
    )
    assert (out / "status").read_text().strip() == "8"
    assert "bytes needed" in (out / "1").read_text()
    assert (out / "status-2").read_text().strip() == "0"
    assert len(server.asked("/packages/*.whl")) == len(NAMES)


READ_ONLY = """
set -eu
mount --bind "{folder}" "{folder}"
mount -o remount,bind,ro "{folder}"
for command in "sync" "prune" "verify --repair" "doctor --rebuild"
do
  status=0
  {python} -m pypim $command --to "{folder}" > "{out}/told" 2>&1 || status=$?
  echo "$status $(cat "{out}/told" | tr '\\n' ' ')" >> "{out}/refused"
done
for command in "list" "status" "verify" "plan --offline" "doctor --offline" "prune --dry-run"
do
  status=0
  {python} -m pypim $command --to "{folder}" > "{out}/told" 2>&1 || status=$?
  echo "$status $command $(cat "{out}/told" | tr '\\n' ' ')" >> "{out}/read"
done
"""


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_a_read_only_volume_can_be_read_and_is_named_by_what_would_write(serve: ServeWorld, tmp_path: Path) -> None:
    server = serve(WORLD)
    folder, out = tmp_path / "m", tmp_path / "out"
    out.mkdir()
    pypim("sync", *NAMES, "--to", folder, "--upstream", server.url, *LINUX_OPTIONS).expect()
    in_namespace(READ_ONLY.format(folder=folder, python=sys.executable, out=out))
    refused = (out / "refused").read_text().splitlines()
    assert len(refused) == 4
    for line in refused[:3]:
        assert line.startswith("8 "), line
        assert "Read-only file system" in line or "readonly" in line, line
    assert refused[3].startswith("2 "), "the catalog is whole"
    for line in (out / "read").read_text().splitlines():
        status, command = line.split()[:2]
        assert status == ("8" if command == "doctor" else "0"), line
    pypim("sync", "--to", folder).expect()


@pytest.mark.parametrize("stage", ["/staging/", "rename", "sync ", "/simple/"])
def test_a_volume_that_vanishes_is_told_and_the_run_afterwards_goes_on(
    serve: ServeWorld, tmp_path: Path, stage: str
) -> None:
    """The folder is moved away in the middle of a run, as an unmounted one goes, and comes back later."""
    from pypim.cli.main import run
    from pypim.store import atomic

    server = serve(WORLD)
    folder, elsewhere = tmp_path / "m", tmp_path / "elsewhere"
    is_gone = False

    def observer(operation: str, path: str) -> None:
        nonlocal is_gone
        if not is_gone and stage in f"{operation} {path}" and "/m/" in path + "/" and (folder / "packages").exists():
            is_gone = True
            folder.rename(elsewhere)
            folder.write_text("a volume that is not mounted leaves no folder")

    assert run(["-q", "sync", "p0", "--upstream", server.url, "--to", str(folder), *LINUX_OPTIONS]) == 0
    with atomic.observed(observer):
        status = run(["-q", "sync", *NAMES, "--to", str(folder)])
    assert is_gone
    assert status == 8
    folder.unlink()
    elsewhere.rename(folder)
    assert violations(Mirror.inline(folder)) == []
    assert run(["-q", "sync", *NAMES, "--to", str(folder)]) == 0
    assert violations(Mirror.inline(folder), is_finished=True) == []
    assert run(["-q", "verify", "--to", str(folder)]) == 0


def test_a_server_whose_volume_vanishes_refuses_and_comes_back(tmp_path: Path) -> None:
    """No upload is answered 200 that is not kept; when the volume is back the server goes on."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "pypim.toml").write_text(CONFIG)
    with RunningServer(folder / "pypim.toml") as server:
        assert send(server, wheel()).status == 200
        (folder / "data").rename(folder / "away")
        refused = send(server, wheel(version="2.0"))
        assert refused.status in {503, 507}, refused.body
        assert "Traceback" not in refused.body
        shutil.rmtree(folder / "data", ignore_errors=True)
        (folder / "away").rename(folder / "data")
        assert send(server, wheel(version="2.0")).status == 200
        assert listed(server) == {one.filename: one.sha256 for one in (wheel(), wheel(version="2.0"))}
    pypim("-c", folder / "pypim.toml", "verify").expect()


def test_what_the_system_says_of_a_full_disk_is_out_of_space() -> None:
    from pypim.core.errors import OutOfSpace
    from pypim.store.atomic import as_store_fault

    for number in (errno.ENOSPC, errno.EDQUOT):
        assert isinstance(as_store_fault(OSError(number, "x"), "/srv"), OutOfSpace)


FULL = """
mount -t tmpfs -o size=400k none "{folder}"
{python} -c '
import sys
from pathlib import Path
from pypim.core.errors import OutOfSpace
from pypim.store.catalog import Catalog
from pypim.store.ready import try_store
folder = Path("{folder}")
with Catalog.open(Path("{out}/catalog.sqlite")) as catalog:
    try_store(catalog, [folder])
    assert not list(folder.iterdir())
    try:
        (folder / "much").write_bytes(bytes(1 << 20))
    except OSError:
        pass
    try:
        try_store(catalog, [folder])
    except OutOfSpace:
        sys.exit(0)
sys.exit("a full disk was not found out")
'
"""


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_a_full_disk_is_found_out_before_anybody_writes(tmp_path: Path) -> None:
    """What /readyz asks: not whether the store is there, but whether it takes anything."""
    folder, out = tmp_path / "m", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    in_namespace(FULL.format(folder=folder, python=sys.executable, out=out))


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_a_full_disk_is_freed_with_pypim_alone(serve: ServeWorld, tmp_path: Path) -> None:
    """Deleting writes, too; what is kept back for that is enough, each time that the disk is full again."""
    server = serve(WORLD)
    in_namespace(f'"{sys.executable}" -m tests.faults.full_disk "{tmp_path}" "{server.url}"')


def test_what_the_database_says_beyond_its_codes_is_a_fault_of_the_store(tmp_path: Path) -> None:
    """No bare 500 and no word of the driver's classes; a mistake of our own stays what it is."""
    import sqlite3

    from pypim.core.errors import StoreFault
    from pypim.store.database import as_store_fault

    fault = as_store_fault(sqlite3.OperationalError("locking protocol"), tmp_path / "catalog.sqlite")
    assert type(fault) is StoreFault
    assert "locking protocol" in fault.message
    assert "OperationalError" not in str(fault)
    with pytest.raises(sqlite3.ProgrammingError):
        as_store_fault(sqlite3.ProgrammingError("wrong number of bindings"), tmp_path)
