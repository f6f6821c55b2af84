"""Run in a namespace of its own: a volume of 110 MB that is filled to the last byte, and then freed with pypim alone.

`python -m tests.faults.full_disk FOLDER URL`, where FOLDER is to become the volume, and URL an upstream of projects
p0 to p5.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

from pypim.store.spare import SPARE_BYTES, SPARE_NAME
from tests.sync.mirror import Mirror, Outcome, pypim
from tests.web.serving import RunningServer
from tests.web.uploading import CONFIG, listed, send, wheel

VERSIONS = ("1.0", "2.0", "3.0", "4.0")
PAYLOAD = 300_000


def fill(folder: Path) -> None:
    """Whatever is left is taken; nothing more can be written."""
    with (folder / "ballast").open("ab", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            return


def delete(server: RunningServer, version: str) -> int:
    filename = wheel(version=version, payload=PAYLOAD).filename
    url = f"{server.url}/api/v1/indexes/private/projects/ours/files/{filename}?reason=full"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=20) as answer:
        return int(answer.status)


def free_what_was_uploaded(folder: Path) -> None:
    """DELETE while the server runs, and after it was started on a full disk; then prune, beside it."""
    config = folder / "pypim.toml"
    folder.mkdir()
    config.write_text(CONFIG)

    def run(*arguments: str) -> Outcome:
        return pypim("-c", config, *arguments).expect()

    with RunningServer(config) as server:
        for version in VERSIONS:
            assert send(server, wheel(version=version, payload=PAYLOAD)).status == 200
        fill(folder)
        assert delete(server, "1.0") == 200
        fill(folder)
        assert delete(server, "2.0") == 200
    fill(folder)
    with RunningServer(config) as server:
        assert delete(server, "3.0") == 200
        fill(folder)
        assert "deleted 3 files" in run("prune").stdout
        assert list(listed(server)) == [wheel(version="4.0", payload=PAYLOAD).filename]
    run("verify")
    actions = [line for line in (folder / "data" / "audit.jsonl").read_text().splitlines() if '"delete"' in line]
    assert len(actions) == 3
    (folder / "ballast").unlink()
    run("prune")
    assert (folder / "data" / SPARE_NAME).stat().st_size == SPARE_BYTES, "with room there is a spare again"


def free_what_is_mirrored(mirror: Mirror, url: str) -> None:
    """The rules are made smaller; sync shows that, fetching nothing, and prune frees."""
    mirror.configure(url, packages=dict.fromkeys(("p0", "p1", "p2"), "latest"))
    mirror.run("sync").expect()
    mirror.configure(url, packages=dict.fromkeys(("p0", "p3"), "latest"))
    fill(mirror.folder)
    assert "no space left" in mirror.run("sync").expect(8).stderr
    mirror.configure(url, packages={"p0": "latest"})
    mirror.run("sync").expect()
    assert list(mirror.published()) == ["p0"]
    assert "deleted 2 files" in mirror.run("prune").expect().stdout
    mirror.run("verify").expect()
    (mirror.folder / "ballast").unlink()


def told_without_a_spare(mirror: Mirror) -> None:
    """Where even that room is gone, there is one message, which names the volume."""
    mirror.run("prune").expect()
    (mirror.store / SPARE_NAME).unlink()
    fill(mirror.folder)
    told = mirror.run("prune").expect(8).stderr
    assert told.count("pypim: error: ") == 1
    assert "no space left" in told


def main(folder: Path, url: str) -> None:
    """All of it, one after the other."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=110m", "none", str(folder)], check=True)
    free_what_was_uploaded(folder / "hosted")
    mirror = Mirror(folder / "mirror")
    free_what_is_mirrored(mirror, url)
    told_without_a_spare(mirror)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
