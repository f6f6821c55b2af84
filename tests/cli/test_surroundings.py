"""Standard streams that are closed or full, a folder that is gone, names that are no text: a message and a status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.clients import clean_environ
from tests.conftest import ServeWorld
from tests.faults.test_volumes import can_mount
from tests.sync.mirror import LINUX_OPTIONS, published_in, pypim
from tests.worlds.world import World, project

WORLD = World.of(project("app", "1.0"))
FULL = Path("/dev/full")
UNBUFFERED = [{}, {"PYTHONUNBUFFERED": "1"}]

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no file that is always full")


def shell(script: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of sh in which $pypim is the program."""
    environ = {**clean_environ(str(cwd)), "pypim": f"{sys.executable} -m pypim", **variables}
    return subprocess.run(
        ["sh", "-c", script], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("closing", ["2>/dev/full", "2>&-", "<&- 2>&-", "2>&1 | true"])
def test_a_sync_goes_on_where_nobody_can_be_told_how_far_it_is(serve: ServeWorld, tmp_path: Path, closing: str) -> None:
    """A log on a full disk, a terminal that is gone: what it does is worth more than what it says."""
    url = serve(WORLD).url
    asked = f"$pypim sync app --to m --upstream {url} {' '.join(LINUX_OPTIONS)}"
    done = shell(f"{{ {asked} >said; echo $? >status; }} {closing}", tmp_path)
    assert (tmp_path / "status").read_text().strip() == "0", done
    assert list(published_in(tmp_path / "m")) == ["app"]
    assert "fetched 1 file" in (tmp_path / "said").read_text()


@pytest.mark.parametrize("variables", UNBUFFERED, ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", ["init --json", "init", "config schema", "completion bash"])
def test_a_result_that_cannot_be_written_is_told(tmp_path: Path, command: str, variables: dict[str, str]) -> None:
    """Exit 8, as for any disk that is full; a document that is lost must not look like success."""
    done = shell(f"$pypim {command} >/dev/full", tmp_path, **variables)
    assert done.returncode == 8, done
    assert "standard output cannot be written: No space left on device" in done.stderr
    assert done.stderr.count("\n") == 2


@pytest.mark.parametrize("variables", UNBUFFERED, ids=["buffered", "unbuffered"])
def test_an_error_keeps_its_status_where_its_document_cannot_be_written(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    done = shell("$pypim config check --json >/dev/full", tmp_path, **variables)
    assert done.returncode == 2, done
    assert done.stderr.startswith("pypim: error: no configuration")
    assert done.stderr.count("\n") == 2


def test_a_standard_output_that_is_closed_is_wanted_by_nobody(tmp_path: Path) -> None:
    """And no file of ours gets its number."""
    done = shell("$pypim init >&- <&-", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "pypim.toml").read_text().startswith("# The configuration of pypim")


def test_a_working_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = shell("rmdir ../gone; $pypim list --to ../m", tmp_path / "gone")
    assert done.returncode == 2, done
    assert "the working folder is not there any more" in done.stderr


READ_ONLY = """
set -eu
for folder in /tmp /var/tmp /usr/tmp
do
  if [ -d $folder ]; then mount --bind $folder $folder; mount -o remount,bind,ro $folder; fi
done
cd /proc
for command in list status "why app" verify "prune --dry-run" "plan --offline" prove "prove --with uv"
do
  echo "$command: $($pypim -q $command --to "$mirror" 2>&1 >/dev/null | head -1)"
done
"""


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_a_system_that_is_read_only_as_a_whole_can_be_asked(serve: ServeWorld, tmp_path: Path) -> None:
    """A container without any folder for temporary files: only what needs one says so."""
    mirror = tmp_path / "m"
    pypim("sync", "app", "--to", mirror, "--upstream", serve(WORLD).url, *LINUX_OPTIONS).expect()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", READ_ONLY],
        env={**clean_environ("/proc"), "pypim": f"{sys.executable} -m pypim", "mirror": str(mirror)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    needing = told.pop("prove --with uv")
    assert needing == "pypim: error: no folder for temporary files can be written", done
    assert len(told) == 7
    assert set(told.values()) == {""}, told


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name of a file is text")
def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pypim", "sync", "app", "--to", b"m\xff"],
        cwd=tmp_path,
        env=clean_environ(str(tmp_path)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done
    assert b"is no text in UTF-8" in done.stderr
    assert list(tmp_path.iterdir()) == []
