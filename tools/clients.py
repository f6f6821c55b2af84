"""Foreign clients of a server, each in a virtual environment of its own below .clients/, with hashes from a lock.

`python -m tools.clients [NAME]…` makes those that are not there; `python -m tools.clients lock [NAME]…` locks the
newest again. The variable CLIENT_PYTHON names the interpreter to make them with: the newest bandersnatch needs 3.12.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".clients"
LOCKS = ROOT / "tools" / "client-locks"
_UV = str(Path(sys.executable).parent / "uv")
_STAMP = "locked.txt"

CLIENTS: dict[str, str] = {
    "bandersnatch": "bandersnatch",
    "flit": "flit",
    "hatch": "hatch",
    "pdm": "pdm[locked]",  # with what its makers run it with: newer versions of that break it
    "pip-21.3": "pip==21.3.1",
    "pip-22.3": "pip==22.3.1",
    "pip-newest": "pip",
    "poetry": "poetry",
    "pypi-simple": "pypi-simple",
    "schemathesis": "schemathesis>=4,<5",
    "twine-6.1": "twine==6.1.0",
    "twine-newest": "twine",
}
"""Name of the lock and of the environment → what is in it, besides what that needs."""


def python_of(client: str) -> Path:
    """The interpreter of a client's environment, which may not be there."""
    return FOLDER / client / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_installed(client: str) -> bool:
    """Whether the environment is there as the lock wants it."""
    stamp = FOLDER / client / _STAMP
    return stamp.is_file() and stamp.read_bytes() == _lock(client).read_bytes()


def _lock(client: str) -> Path:
    return LOCKS / f"{client}.lock"


def lock(client: str) -> None:
    """Resolve anew, for any platform, with the hashes of all files."""
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    command = [_UV, "pip", "compile", "-", *options, "--no-emit-index-url", "--quiet", "-o", str(_lock(client))]
    subprocess.run(command, input=CLIENTS[client].encode(), check=True)


def install(client: str) -> None:
    """Make the environment anew."""
    folder = FOLDER / client
    shutil.rmtree(folder, ignore_errors=True)
    interpreter = os.environ.get("CLIENT_PYTHON", sys.executable)
    subprocess.run([_UV, "venv", "--quiet", "--python", interpreter, str(folder)], check=True)
    command = [_UV, "pip", "install", "--quiet", "--require-hashes", "--python", str(python_of(client))]
    subprocess.run([*command, "-r", str(_lock(client))], check=True)
    (folder / _STAMP).write_bytes(_lock(client).read_bytes())


def main(arguments: list[str]) -> None:
    """All of them, or those that are named behind `lock` or alone."""
    is_locking = arguments[:1] == ["lock"]
    for client in arguments[is_locking:] or CLIENTS:
        if is_locking:
            lock(client)
        elif not is_installed(client):
            print(f"{client}: {CLIENTS[client]}", flush=True)
            install(client)


if __name__ == "__main__":
    main(sys.argv[1:])
