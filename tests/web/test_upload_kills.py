"""Kill -9 at random moments while clients upload: what was answered 200 is there and whole, and no name is burned."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.web.uploading import CONFIG, Upload, listed, page, request, sdist, send, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Killed:
    """A server that is killed and started again, and the clients that bear with it."""

    config: Path
    uploads: list[Upload]
    answered: dict[str, str] = field(default_factory=dict)
    """File name → sha256 of every upload that was answered 200."""
    kills: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.is_up = threading.Event()
        self.queue: Iterator[Upload] = iter(self.uploads)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.web.upload_process", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url, "the server did not start"
        self.is_up.set()

    def kill(self) -> None:
        self.is_up.clear()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.kills += 1

    def client(self) -> None:
        """Upload one after the other, each once, answered or not; wait while the server is down."""
        while True:
            with self.lock:
                upload = next(self.queue, None)
            if upload is None:
                return
            self.is_up.wait(60)
            try:
                answer = send(self.url, upload)
            except (OSError, http.client.HTTPException):
                continue
            assert answer.status == 200, answer.body
            self.answered[upload.filename] = upload.sha256

    def run(self, clients: int, seed: int) -> None:
        moments = random.Random(seed)
        threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(moments.uniform(0.02, 0.3))  # the random moment; nothing is waited for
            self.kill()
            self.start()
        for thread in threads:
            thread.join()


def check(killed: Killed, data: Path) -> None:
    projects = sorted({upload.name for upload in killed.uploads})
    found: dict[str, str] = {}
    for project in projects:
        found |= listed(killed.url, project)
    assert killed.answered.items() <= found.items(), "what was answered 200 is listed"
    expected = {upload.filename: upload.sha256 for upload in killed.uploads}
    assert found.items() <= expected.items(), "nothing half is listed"
    for project in projects:
        answer = page(killed.url, project)
        document = answer.json() if answer.status == 200 else {"files": []}
        assert isinstance(document, dict)
        for file in document["files"]:
            path = data / file["url"].removeprefix("../../")
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file["hashes"]["sha256"]
            if file["core-metadata"]:
                beside = path.with_name(path.name + ".metadata").read_bytes()
                assert hashlib.sha256(beside).hexdigest() == file["core-metadata"]["sha256"]
    for upload in killed.uploads:
        assert send(killed.url, upload).status == 200, "no name is burned"
    for project in projects:
        serials = request(killed.url, "GET", f"/private/simple/{quote(project)}/").headers
        assert int(serials["x-pypi-last-serial"]) > 0
        assert listed(killed.url, project) == {u.filename: u.sha256 for u in killed.uploads if u.name == project}


def made(count: int) -> list[Upload]:
    uploads = []
    for number in range(count):
        make = sdist if number % 4 == 3 else wheel
        uploads.append(make(f"ours{number % 7}", f"1.{number}", payload=(number % 5) * 60_000))
    return uploads


def kill_while_uploading(folder: Path, count: int) -> None:
    folder.mkdir()
    config = folder / "pypim.toml"
    config.write_text(CONFIG)
    killed = Killed(config, made(count))
    try:
        killed.run(clients=8, seed=count)
        check(killed, folder / "data")
        assert killed.kills
        assert killed.answered
    finally:
        killed.kill()


def test_forty_uploads_from_eight_clients(tmp_path: Path) -> None:
    """Case 64: forty uploads from eight clients."""
    kill_while_uploading(tmp_path / "server", 40)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_uploads_from_eight_clients(tmp_path: Path) -> None:
    """Case 64: five hundred uploads from eight clients."""
    kill_while_uploading(tmp_path / "server", 500)
