"""Real twine and real uv publish to a running server, and pip and uv install what they published."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.clients.clients import ClientResult, Environment, clean_environ, run
from tests.web.uploading import CONFIG, changed, listed, sdist, wheel

if TYPE_CHECKING:
    from tests.web.conftest import Running
    from tests.web.serving import RunningServer
    from tests.web.uploading import Upload

FILES = (wheel(payload=20_000), sdist(payload=20_000))
_BIN = Path(sys.executable).parent


@pytest.fixture
def server(running: Running) -> RunningServer:
    return running(CONFIG)


def written(folder: Path, *uploads: Upload) -> list[str]:
    folder.mkdir(exist_ok=True)
    for upload in uploads:
        (folder / upload.filename).write_bytes(upload.content)
    return [str(folder / upload.filename) for upload in uploads]


def client(folder: Path, *command: str) -> ClientResult:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=clean_environ(str(home)), cwd=folder, check=False
    )
    return ClientResult(command, done.returncode, done.stdout, done.stderr)


def twine(folder: Path, url: str, files: list[str]) -> ClientResult:
    options = ["--non-interactive", "--disable-progress-bar", "-u", "__token__", "-p", "x"]
    return client(folder, str(_BIN / "twine"), "upload", *options, "--repository-url", url, *files)


def uv_publish(folder: Path, url: str, files: list[str], *options: str) -> ClientResult:
    given = ["--no-config", "publish", "--publish-url", url, "-u", "someone", "-p", "x", *options]
    return client(folder, str(_BIN / "uv"), *given, *files)


def user_twine(folder: Path, url: str, files: list[str]) -> ClientResult:
    """Without a token, as on loopback: any name and password may be sent."""
    options = ["--non-interactive", "--disable-progress-bar", "-u", "someone", "-p", "x"]
    return client(folder, str(_BIN / "twine"), "upload", *options, "--repository-url", url, *files)


def test_twine_uploads_and_uploads_again(server: RunningServer, tmp_path: Path) -> None:
    files = written(tmp_path / "dist", *FILES)
    for _ in range(2):
        user_twine(tmp_path, server.url + "/private/legacy/", files).expect_ok()
    assert listed(server) == {upload.filename: upload.sha256 for upload in FILES}


def test_twine_says_why_not(server: RunningServer, tmp_path: Path) -> None:
    user_twine(tmp_path, server.url + "/private/legacy/", written(tmp_path / "dist", FILES[0])).expect_ok()
    again = written(tmp_path / "other", changed(FILES[0]))
    refused = user_twine(tmp_path, server.url + "/private/legacy/", again)
    assert not refused.ok
    assert "409" in refused.stdout + refused.stderr


def test_twine_with_a_wrong_token_is_refused(server: RunningServer, tmp_path: Path) -> None:
    refused = twine(tmp_path, server.url + "/private/legacy/", written(tmp_path / "dist", FILES[0]))
    assert not refused.ok
    assert "403" in refused.stdout + refused.stderr
    assert listed(server) == {}


def test_uv_publishes_and_publishes_again(server: RunningServer, tmp_path: Path) -> None:
    files = written(tmp_path / "dist", *FILES)
    for _ in range(2):
        uv_publish(tmp_path, server.url + "/private/legacy/", files).expect_ok()
    assert listed(server) == {upload.filename: upload.sha256 for upload in FILES}


def test_uv_follows_to_the_slash(server: RunningServer, tmp_path: Path) -> None:
    """Case 65: uv follows to the slash."""
    uv_publish(tmp_path, server.url + "/private/legacy", written(tmp_path / "dist", *FILES)).expect_ok()
    assert len(listed(server)) == 2


def test_uv_sees_what_is_there_by_its_check_url(server: RunningServer, tmp_path: Path) -> None:
    """`--check-url`: the same file is skipped, other bytes are an error, before anything is sent."""
    check = ("--check-url", server.url + "/private/simple/")
    files = written(tmp_path / "dist", *FILES)
    uv_publish(tmp_path, server.url + "/private/legacy/", files, *check).expect_ok()
    again = uv_publish(tmp_path, server.url + "/private/legacy/", files, *check).expect_ok()
    assert "already exists" in again.stderr
    other = uv_publish(
        tmp_path, server.url + "/private/legacy/", written(tmp_path / "other", changed(FILES[0])), *check
    )
    assert not other.ok


def test_uv_prints_the_reason(server: RunningServer, tmp_path: Path) -> None:
    uv_publish(tmp_path, server.url + "/private/legacy/", written(tmp_path / "dist", FILES[0])).expect_ok()
    refused = uv_publish(tmp_path, server.url + "/private/legacy/", written(tmp_path / "other", changed(FILES[0])))
    assert not refused.ok
    assert "File already exists" in refused.stderr
    assert '{"' not in refused.stderr


def test_what_was_uploaded_installs(server: RunningServer, tmp_path: Path) -> None:
    """Case 34: at once, with uv and with pip."""
    user_twine(tmp_path, server.url + "/private/legacy/", written(tmp_path / "dist", *FILES)).expect_ok()
    for number, installer in enumerate(("uv", "pip")):
        environment = Environment.create(tmp_path / f"environment{number}")
        index = ["--index-url", server.url + "/private/simple/", "ours"]
        if installer == "uv":
            run(
                [str(_BIN / "uv"), "--no-config", "pip", "install", "--no-cache", "--python", str(environment.python),
                 *index]
            ).expect_ok()  # fmt: skip
        else:
            pip = [sys.executable, "-m", "pip", "--python", str(environment.python), "--disable-pip-version-check"]
            run([*pip, "install", "--no-input", "--no-cache-dir", *index]).expect_ok()
        assert environment.version_of("ours") == "1.0"
