"""The contestants: for each the command that does the job, with its configuration written first.

Other mirroring tools live in virtual environments of their own under bench/out/, installed there by name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.upstream import Upstream

OUT = Path(__file__).parent.resolve() / "out"
BIN = Path(sys.executable).parent
CONNECTIONS = 16
_INSTALLED = {
    "bandersnatch": ["bandersnatch==6.8.0"],
    "morgan": ["morgan==0.15.0"],
    "devpi-server": ["devpi-server==6.20.3"],
    "proxpi": ["proxpi==1.3.1", "gunicorn==27.0.1"],
}
_PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

Command = list[str]


def tool(name: str, command_name: str = "") -> str:
    """Return the path of a peer's command, installing it first if need be."""
    folder = OUT / "peers" / name
    command = folder / "bin" / (command_name or name)
    if not command.exists():
        print(f"installing {', '.join(_INSTALLED[name])} into {folder}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *_INSTALLED[name]], check=True)
    return str(command)


def bandersnatch(root: str, folder: Path) -> Command:
    """Mirror everything with 10 workers by the Simple API."""
    return [tool("bandersnatch"), "-c", _written(folder, "bandersnatch.conf", _BANDERSNATCH, root=root), "mirror"]


_BANDERSNATCH = """
[mirror]
directory = {folder}/mirror
master = {root}
allow-non-https = true
api-method = simple
workers = 10
timeout = 60
json = false
hash-index = false
stop-on-error = true
"""


def pypim_sync(root: str, folder: Path) -> Command:
    """Mirror everything: every release of every project, wheels and sdists."""
    config = _written(folder, "pypim.toml", _PYPIM_ALL, root=root)
    return [str(BIN / "pypim"), "-c", config, "sync", "--no-progress"]


_PYPIM_ALL = """
[store]
path = "data"
files = "public"

[upstreams.bench]
url = "{root}/simple/"

[indexes.main]
kind = "mirror"
upstream = "bench"
publish = "public"

[indexes.main.patterns]
".*" = ">=0"

[indexes.main.dependencies]
follow = false

[indexes.main.filters]
formats = ["wheel", "sdist"]
prereleases = true
"""


def pypim_dependencies(root: str, folder: Path, roots: Sequence[str]) -> Command:
    """Mirror the newest release of each root, and what it needs on this Python."""
    packages = "\n".join(f'{name} = "latest"' for name in roots)
    config = _written(folder, "pypim.toml", _PYPIM_ROOTS, root=root, packages=packages, python=_PYTHON_VERSION)
    return [str(BIN / "pypim"), "-c", config, "sync", "--no-progress"]


_PYPIM_ROOTS = """
[store]
path = "data"
files = "public"

[upstreams.bench]
url = "{root}/simple/"

[targets.here]
python = ["{python}"]
platforms = ["linux"]

[indexes.main]
kind = "mirror"
upstream = "bench"
targets = ["here"]
publish = "public"

[indexes.main.packages]
{packages}

[indexes.main.dependencies]
follow = true
versions = "newest"
"""


def pypim_plan(
    root: str, folder: Path, roots: Sequence[str], pythons: Iterable[str], platforms: Iterable[str]
) -> Command:
    """Plan the newest release of each root and all that each needs by itself, from a file like the one uv is given."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    _written(folder, "roots.txt", "\n".join(roots) + "\n")
    pythons, platforms = _listed(pythons), _listed(platforms)
    config = _written(folder, "pypim.toml", _PYPIM_PLAN, root=root, pythons=pythons, platforms=platforms)
    return [str(BIN / "pypim"), "-c", config, "plan", "--no-progress"]


_PYPIM_PLAN = """
[store]
path = "data"

[upstreams.bench]
url = "{root}/simple/"

[targets.here]
python = [{pythons}]
platforms = [{platforms}]

[indexes.main]
kind = "mirror"
upstream = "bench"
targets = ["here"]
requirements = ["roots.txt"]
"""


def pypim_verify(folder: Path) -> Command:
    """Check every file that a finished sync in this folder holds."""
    return [str(BIN / "pypim"), "-c", str(folder / "pypim.toml"), "verify", "--no-progress"]


def pypim_help() -> Command:
    """Start and say how it is used."""
    return [str(BIN / "pypim"), "--help"]


def curl(root: str, folder: Path, upstream: Upstream) -> Command:
    """Fetch every file by its known URL over 16 connections: what the machine can do without any decision."""
    lines = (f'url = "{root}/{file.path}"\noutput = "{folder}/{file.path}"\n' for file in upstream.files)
    config = folder / "curl.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("".join(lines))
    options = ["--parallel", "--parallel-max", str(CONNECTIONS), "--create-dirs", "--no-progress-meter", "--fail"]
    return [_found("curl"), *options, "--config", str(config)]


def morgan(root: str, folder: Path, roots: Sequence[str]) -> Command:
    """Mirror the roots and what they need for one environment."""
    version = f"{_PYTHON_VERSION}.0"
    requirements = "\n".join(f"{name} =" for name in roots)
    config = _written(folder, "morgan.ini", _MORGAN, python=_PYTHON_VERSION, full=version, requirements=requirements)
    options = ["--index-path", str(folder), "--index-url", f"{root}/simple/", "--config", config, "--skip-server-copy"]
    return [tool("morgan"), *options, "mirror"]


_MORGAN = """
[env.here]
python_version = {python}
python_full_version = {full}
os_name = posix
sys_platform = linux
platform_machine = x86_64
platform_python_implementation = CPython
platform_system = Linux
platform_version = 1
platform_release = 6.1.0
platform_tag = manylinux_2_28_x86_64
implementation_name = cpython
implementation_version = {full}

[requirements]
{requirements}
"""


def pip_download(root: str, folder: Path, roots: Sequence[str]) -> Command:
    """Resolve the roots and download the one wheel of each project."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--disable-pip-version-check", "--no-cache-dir", "--no-input"]
    where = ["--index-url", f"{root}/simple/", "--dest", str(folder)]
    return [sys.executable, "-m", "pip", *options, "download", *where, *roots]


def uv_compile(root: str, folder: Path, roots: Sequence[str], name: str = "roots") -> Command:
    """Resolve the roots without fetching a file: the least that planning can cost."""
    source = _written(folder, f"{name}.in", "\n".join(roots) + "\n")
    options = ["--no-config", "--no-python-downloads", "--cache-dir", str(folder / "cache"), "--quiet"]
    where = ["--default-index", f"{root}/simple/", "--python", sys.executable]
    return [str(BIN / "uv"), *options, "pip", "compile", source, *where, "--output-file", str(folder / f"{name}.txt")]


def pypim_adopt(root: str, folder: Path, tree: Path) -> Command:
    """Take over every file of a tree into a store beside it, by links."""
    config = _written(folder, "pypim.toml", _PYPIM_ALL, root=root)
    return [str(BIN / "pypim"), "-c", config, "adopt", str(tree), "--no-progress"]


def sha256sum(folder: Path, packages: str = "public/packages") -> Command:
    """Hash every file that a finished sync in this folder has published; of ours where nothing else is said."""
    listing = folder / "files0"
    files = sorted(str(path) for path in (folder / packages).rglob("*") if path.is_file())
    listing.write_bytes(b"\0".join(name.encode() for name in files))
    return [_found("xargs"), "-0", "-a", str(listing), _found("sha256sum"), "--zero"]


def held(folder: Path) -> int:
    """Count the distribution files that a contestant has brought home."""
    suffixes = (".whl", ".tar.gz")
    found = {path.name: path for path in folder.rglob("*") if path.name.endswith(suffixes) and path.is_file()}
    return len(found)


def _found(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        sys.exit(f"The measurements need {name}, which is not installed. As root: sh tools/debian.sh")
    return found


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)


def _written(folder: Path, name: str, text: str, **values: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text.format(folder=folder, **values))
    return str(path)
