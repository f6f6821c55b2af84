"""Real pip and real uv, run in a clean surrounding: no configuration, no cache, no other index.

Index URLs may be `http://…/simple/` or `file://…/simple/`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-cache-dir", "--no-color"]
_UV = [str(Path(sys.executable).parent / "uv"), "--no-config", "--no-python-downloads", "--color", "never"]
_TIMEOUT_S = 120

Requirements = str | Sequence[str]


@dataclass(frozen=True)
class ClientResult:
    """What a client said and how it ended."""

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.returncode == 0

    def expect_ok(self) -> ClientResult:
        """Return itself, or fail with all that the client said."""
        assert self.ok, f"{' '.join(self.command)}\n{self.stdout}\n{self.stderr}"
        return self


@dataclass(frozen=True)
class Environment:
    """A virtual environment without anything in it."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @classmethod
    def create(cls, folder: Path) -> Environment:
        """Make one from the Python that runs the tests (about 30 ms)."""
        run([*_UV, "venv", "--quiet", "--offline", "--python", sys.executable, str(folder)]).expect_ok()
        return cls(folder)

    def installed(self) -> dict[str, str]:
        """Return what is installed: normalised project name → version."""
        command = [*_UV, "pip", "list", "--offline", "--format", "json", "--python", str(self.python)]
        listing = json.loads(run(command).expect_ok().stdout)
        return {entry["name"]: entry["version"] for entry in listing}

    def run(self, *arguments: str) -> ClientResult:
        """Run its interpreter, with nothing but what is installed in it."""
        return run([str(self.python), "-I", *arguments])

    def version_of(self, module: str) -> str:
        """Return `__version__` of an installed module of a generated world."""
        return self.run("-c", f"import {module}; print({module}.__version__)").expect_ok().stdout.strip()


def clean_environ(home: str) -> dict[str, str]:
    """Return variables for a subprocess that knows no index, no proxy and no configuration of this machine."""
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": home,
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "NO_PROXY": "*",
    }


def run(command: Sequence[str], *, more_environ: dict[str, str] | None = None) -> ClientResult:
    """Run a command in a clean surrounding and return what it said."""
    with tempfile.TemporaryDirectory(prefix="client-") as home:
        environ = {**clean_environ(home), "UV_CACHE_DIR": f"{home}/uv-cache", **(more_environ or {})}
        done = subprocess.run(
            list(command), env=environ, cwd=home, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    return ClientResult(tuple(command), done.returncode, done.stdout, done.stderr)


def _listed(requirements: Requirements) -> list[str]:
    return [requirements] if isinstance(requirements, str) else list(requirements)


def pip_install(index_url: str, requirements: Requirements, environment: Environment, *options: str) -> ClientResult:
    """Install with pip from this index alone."""
    chosen = ["--python", str(environment.python), "install", "--no-compile", "--index-url", index_url]
    return run([*_PIP, *chosen, *options, *_listed(requirements)])


def pip_resolve(index_url: str, requirements: Requirements) -> ClientResult:
    """Let pip find out what it would install on this machine from this index alone, and install nothing."""
    options = ["--dry-run", "--ignore-installed", "--only-binary", ":all:", "--index-url", index_url]
    return run([*_PIP, "install", *options, *_listed(requirements)])


def pip_download(index_url: str, requirements: Requirements, folder: Path, *options: str) -> ClientResult:
    """Download with pip from this index alone into a folder."""
    return run([*_PIP, "download", "--index-url", index_url, "--dest", str(folder), *options, *_listed(requirements)])


def pip_install_from_folder(
    folder: Path, requirements: Requirements, environment: Environment, *options: str
) -> ClientResult:
    """Install with pip from a folder of files (`--no-index --find-links`)."""
    chosen = ["--python", str(environment.python), "install", "--no-compile", "--no-index", "--find-links", str(folder)]
    return run([*_PIP, *chosen, *options, *_listed(requirements)])


def uv_install(index_url: str, requirements: Requirements, environment: Environment, *options: str) -> ClientResult:
    """Install with uv from this index alone."""
    chosen = ["pip", "install", "--python", str(environment.python), "--default-index", index_url]
    return run([*_UV, *chosen, *options, *_listed(requirements)])


def uv_compile(
    index_url: str,
    requirements: Requirements,
    *options: str,
    python_version: str | None = None,
    python_platform: str | None = None,
) -> ClientResult:
    """Resolve with uv from this index alone; `stdout` holds one `name==version` a line (see `pins`)."""
    chosen = ["pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--default-index", index_url]
    chosen += ["--python", sys.executable]
    chosen += ["--python-version", python_version] if python_version else []
    chosen += ["--python-platform", python_platform] if python_platform else []
    with tempfile.NamedTemporaryFile("w", suffix=".in") as source:
        source.write("\n".join(_listed(requirements)) + "\n")
        source.flush()
        chosen[2] = source.name
        return run([*_UV, *chosen, *options])


def pins(compiled: ClientResult) -> dict[str, str]:
    """Return what `uv_compile` chose: normalised project name → version."""
    lines = (line.split(";")[0].strip() for line in compiled.expect_ok().stdout.splitlines())
    return {name.partition("[")[0]: version for name, _, version in (line.partition("==") for line in lines if line)}
