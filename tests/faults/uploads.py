"""A server in a process of its own that is sent uploads, one after the other, while something breaks."""

from __future__ import annotations

import http.client
import os
import signal
from typing import TYPE_CHECKING, NoReturn

from tests.web.serving import RunningServer
from tests.web.uploading import Upload, sdist, send, wheel

if TYPE_CHECKING:
    from pathlib import Path


def made(name: str) -> Upload:
    """By `wheel 1.0` or `sdist 1.0`; the larger the version, the larger the file."""
    kind, _, version = name.partition(" ")
    make = {"wheel": wheel, "sdist": sdist}[kind]
    return make(version=version, payload=int(float(version)) * 30_000)


def serve(config: Path, report: int) -> NoReturn:
    """Serve until killed; the address is told first."""
    with RunningServer(config) as server:
        os.write(report, server.url.encode() + b"\n")
        while True:
            signal.pause()


def send_all(url: str, names: list[str]) -> list[str]:
    """What became of each: `200`, another status with its body, or the fault of the connection."""
    answers = []
    for name in names:
        try:
            answer = send(url, made(name))
            answers.append(f"{answer.status}" if answer.status == 200 else f"{answer.status} {answer.body}")
        except (OSError, http.client.HTTPException) as error:
            answers.append(f"none: {error!r}")
    return answers
