"""Independent judges: real uv and real pip, which are asked whether they could install from an index alone.

Each runs as a process of its own that sees no configuration, no variables and no cache of this machine. Before what is
held it reaches no network: the index is a `file:` URL. What it refuses there it is asked once more before the upstream.
Like every installer they may run the build of an sdist, where its core metadata cannot be read without.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct, structs
from packaging.tags import Tag, platform_tags

from pypim.core.errors import InvalidUsage
from pypim.core.platforms import SHORT_NAMES, machine_platform, marker_values, parse_platform
from pypim.core.simple_html import render_page
from pypim.core.universe import Reading
from pypim.sync.opinions import Opinion, State
from pypim.sync.publish import HTML_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pypim.core.target import Environment
    from pypim.ports import Blobs
    from pypim.sync.held import Held

AT_ONCE = 3
"""So many processes run together."""
LONGEST_SECONDS = 600.0
"""After which a judge is stopped and has not decided."""

_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_NETWORK = ("NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_NOWHERE = "http://127.0.0.1:9"  # the discard port, as a proxy for whoever looks for anything outside the index
_MOST_CHARACTERS = 2000
_DRAWING = re.compile(r"[\s\u00d7\u2500-\u257f\u25b6]+")
_CONFLICT = re.compile(r"The conflict is caused by:\n(?:[^\n]+\n)+")  # pip tells it beside its errors
_MACOS = re.compile(r"macosx_(\d+)_(\d+)_(arm64|x86_64)")
_MAC_NAMES = {"arm64": "aarch64-apple-darwin", "x86_64": "x86_64-apple-darwin"}
_UV_NAMES = {tag: name for name, tag in SHORT_NAMES.items() if "-" in name}
_PIP_WITH_PYTHON = (22, 3)  # since when `pip --python` is there
_PIP_STRICT = (24, 1)
"""Since when pip refuses versions and requirements that are not valid."""
_NO_SOLUTION = 1  # the exit status of both, of pip for much else besides
_REFUSAL = re.compile(
    r"ResolutionImpossible|No matching distribution found|Could not find a version|metadata-generation-failed"
    r"|subprocess-exited-with-error"
)
_NO_ANSWER = re.compile(  # both go on without a page that they could not get, as if there were none
    r"Retrying \(Retry\(|Could not fetch URL (?![^\n]*: 404 )|ConnectionError|40[137] (Unauthorized|Forbidden|Proxy)"
)
_FACTS = """
import json, os, platform, sys, sysconfig
version = "{0.major}.{0.minor}.{0.micro}".format(sys.implementation.version)
print(json.dumps({
    "implementation_name": sys.implementation.name, "implementation_version": version, "os_name": os.name,
    "platform_machine": platform.machine(), "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(), "platform_system": platform.system(),
    "platform_version": platform.version(), "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]), "sys_platform": sys.platform,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
}))
"""


class Surrounding(Struct, frozen=True, kw_only=True):
    """What a judge is given."""

    index_url: str
    """A `file:` URL that ends in `/simple/`, or the URL of the upstream."""
    home: Path
    """An empty folder that is deleted afterwards; caches go there."""
    variables: Mapping[str, str]
    """Of this process, of which few are handed on."""
    constraints: Path | None
    prereleases: bool
    find: Callable[[str], Path | None]
    """Finds a program by its name."""
    has_network: bool = False
    """Whether it may go through the network of this machine, and its proxies."""


class Said(NamedTuple):
    """How a process ended: its exit status (None where it was stopped), standard output and standard error."""

    status: int | None
    output: str
    errors: str


class Runner:
    """Runs processes, a few at once."""

    def __init__(self, surrounding: Surrounding) -> None:
        kept = {name: surrounding.variables[name] for name in _KEPT_VARIABLES if name in surrounding.variables}
        home = str(surrounding.home)
        proxies = dict.fromkeys(_PROXIES, _NOWHERE)
        if surrounding.has_network:
            names = (*_PROXIES, *_NETWORK)
            proxies = {name: surrounding.variables[name] for name in names if name in surrounding.variables}
        own = {"HOME": home, "USERPROFILE": home, "PIP_CONFIG_FILE": os.devnull, "UV_CACHE_DIR": f"{home}/uv-cache"}
        self._variables = {**kept, **proxies, **own}
        self._home = home
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self, command: list[str], text: str = "", more: Mapping[str, str] | None = None) -> Said:
        """Run a command with a text on its standard input."""
        async with self._slots:
            process = self._start(command, more or {})
            try:
                # Beside the loop: uvloop fails where a process ends before it has read its input.
                output, errors = await asyncio.to_thread(process.communicate, text.encode(), LONGEST_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return Said(None, "", f"no answer within {LONGEST_SECONDS:.0f} seconds")
            finally:
                if process.poll() is None:  # this task was cancelled
                    process.kill()
        return Said(process.returncode, output.decode(errors="replace"), errors.decode(errors="replace"))

    def _start(self, command: list[str], more: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - a program that was found by its name, and no shell
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self._variables, **more},
            cwd=self._home,
        )


# --- uv -------------------------------------------------------------------------------------------------------------
class UvJudge:
    """`uv pip compile` for the Python and platform of an environment."""

    reading = Reading.UV
    notes = ()

    def __init__(self, program: Path, version: str, surrounding: Surrounding) -> None:
        self.name = version
        self._program = str(program)
        self._surrounding = surrounding
        self._runner = Runner(surrounding)

    @classmethod
    async def open(cls, program: Path, surrounding: Surrounding) -> UvJudge:
        """Ask it for its version."""
        said = await Runner(surrounding).run([str(program), "--version"])
        return cls(program, " ".join(said.output.split()[:2]) or "uv", surrounding)

    async def judge(self, requirements: Sequence[str], environment: Environment) -> Opinion:
        """Resolve them, and nothing else."""
        machine = _uv_machine(environment)
        if isinstance(machine, str):
            return Opinion(State.NOT_JUDGED, machine)
        options, variables = machine
        surrounding = self._surrounding
        command = [self._program, "pip", "compile", "-", "--no-config", "--no-python-downloads", "--color", "never"]
        command += ["--quiet", "--no-header", "--no-annotate", "--python", sys.executable]
        command += ["--default-index", surrounding.index_url, *options]
        if surrounding.constraints is not None:
            command += ["--constraints", str(surrounding.constraints)]
        if surrounding.prereleases:
            command += ["--prerelease", "allow"]
        said = await self._runner.run(command, "".join(f"{one}\n" for one in requirements), variables)
        return _opinion(said, is_certain=said.status == _NO_SOLUTION and _NO_ANSWER.search(said.errors) is None)


def _uv_machine(environment: Environment) -> tuple[list[str], dict[str, str]] | str:
    """The options and variables that make uv stand for an environment, or why it cannot."""
    platform = _platform_of(environment)
    if platform is None or environment.python is None or environment.tags is None:
        return "its Python or platform is open, and uv resolves for one machine"
    major, minor = environment.python
    interpreter = f"cp{major}{minor}"
    if environment.variables.get("implementation_name") != "cpython":
        return "uv resolves for CPython only"
    if Tag(interpreter, interpreter, platform) not in environment.tags:
        return "uv resolves for the usual build of CPython only"
    version = environment.variables.get("python_full_version", f"{major}.{minor}")
    own = {"implementation_name", "platform_python_implementation", "implementation_version"}
    own |= {"python_version", "python_full_version"}
    by_hand = {name: text for name, text in environment.variables.items() if name not in own}
    if environment.impossible or by_hand != dict(marker_values(platform)):
        return "its markers are set by hand"
    variables: dict[str, str] = {}
    if found := _MACOS.fullmatch(platform):
        name: str | None = _MAC_NAMES[found[3]]
        variables["MACOSX_DEPLOYMENT_TARGET"] = f"{found[1]}.{found[2]}"
    else:
        name = _UV_NAMES.get(platform)
    if name is None:
        return f"uv has no --python-platform for {platform}"
    return ["--python-version", version, "--python-platform", name], variables


def _platform_of(environment: Environment) -> str | None:
    """The wheel platform tag that stands for it; None where it is open."""
    if environment.tags is None:
        return None
    ranked = sorted(environment.tags, key=lambda tag: environment.tags[tag] if environment.tags else 0)
    return machine_platform(dict.fromkeys(tag.platform for tag in ranked))


# --- pip ------------------------------------------------------------------------------------------------------------
class _Interpreter(NamedTuple):
    path: str
    facts: dict[str, object]


class PipJudge:
    """`pip install --dry-run` by an interpreter of this machine, for pip judges markers by the one that runs it."""

    reading = Reading.PIP

    def __init__(self, program: Path, version: str, surrounding: Surrounding, notes: tuple[str, ...] = ()) -> None:
        self.name = version
        self.notes = notes
        self._program = str(program)
        self._surrounding = surrounding
        self._runner = Runner(surrounding)
        self._found: dict[tuple[int, int], asyncio.Task[_Interpreter | None]] = {}
        tags = list(platform_tags())
        known = parse_platform(machine_platform(tags))
        self._platforms = {*tags, *(known.tags if known else ()), "any"}

    @classmethod
    async def open(cls, program: Path, surrounding: Surrounding) -> PipJudge:
        """Ask it for its version. Raises InvalidUsage for one that is too old."""
        said = await Runner(surrounding).run([str(program), "--version"])
        version = " ".join(said.output.split()[:2]) or "pip"
        number = re.search(r"(\d+)\.(\d+)", version)
        if number is None or (int(number[1]), int(number[2])) < _PIP_WITH_PYTHON:
            raise InvalidUsage(f"{program}: {version} is too old to judge", hint="Update pip to 22.3 or newer.")
        is_lenient = (int(number[1]), int(number[2])) < _PIP_STRICT
        told = f"{version} reads some metadata otherwise than pip 24.1 and newer, which refuse what is not valid"
        return cls(program, version, surrounding, (told,) if is_lenient else ())

    async def judge(self, requirements: Sequence[str], environment: Environment) -> Opinion:
        """Resolve them, and install nothing."""
        interpreter = await self._interpreter(environment)
        if isinstance(interpreter, str):
            return Opinion(State.NOT_JUDGED, interpreter)
        surrounding = self._surrounding
        command = [self._program, "--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
        command += ["--no-color", "--python", interpreter.path, "install", "--dry-run", "--ignore-installed"]
        command += ["--index-url", surrounding.index_url]
        if surrounding.constraints is not None:
            command += ["--constraint", str(surrounding.constraints)]
        if surrounding.prereleases:
            command.append("--pre")
        if surrounding.has_network:
            command.append("-vv")  # only so it tells which pages it could not get
        said = await self._runner.run([*command, *requirements])
        told = said.status == _NO_SOLUTION and _REFUSAL.search(said.errors) is not None
        return _opinion(said, is_certain=told and _NO_ANSWER.search(said.output + said.errors) is None)

    async def _interpreter(self, environment: Environment) -> _Interpreter | str:
        """One that stands for an environment, or why there is none."""
        if environment.python is None or environment.tags is None:
            return "its Python or platform is open, and pip resolves for one machine"
        others = {tag.platform for tag in environment.tags} - self._platforms
        if others or environment.impossible:
            return "pip resolves only for the machine on which it runs"
        if environment.python not in self._found:
            self._found[environment.python] = asyncio.create_task(self._look_for(environment.python))
        found = await self._found[environment.python]
        text = ".".join(map(str, environment.python))
        if found is None:
            return f"pip needs an interpreter of Python {text}, and there is none on this machine"
        abi = f"cp{text.replace('.', '')}{'t' if found.facts['free_threaded'] else ''}"
        differing = [name for name, value in environment.variables.items() if found.facts.get(name) != value]
        if differing or (found.facts["implementation_name"] == "cpython" and not _has_abi(environment, abi)):
            return f"{found.path} differs from it in {', '.join(differing) or 'its build'}"
        return found

    async def _look_for(self, python: tuple[int, int]) -> _Interpreter | None:
        """That which runs this program where it fits, else the one of that name."""
        major, minor = python
        named = self._surrounding.find(f"python{major}.{minor}")
        own = [sys.executable] if sys.version_info[:2] == python else []
        for path in (*own, *([str(named)] if named else [])):
            said = await self._runner.run([path, "-I", "-c", _FACTS])
            if said.status == 0:
                return _Interpreter(path, json.loads(said.output))
        return None


def _has_abi(environment: Environment, abi: str) -> bool:
    return any(tag.abi == abi for tag in environment.tags or ())


def _opinion(said: Said, *, is_certain: bool) -> Opinion:
    """What a process has said; `is_certain`: that there is no solution, rather than that something went wrong."""
    if said.status == 0:
        return Opinion(State.INSTALLABLE)
    lines = [line for line in said.errors.splitlines() if not line.startswith(("WARNING:", "[notice]"))]
    if not is_certain:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = "was stopped" if said.status is None else f"ended with status {said.status}"
        return Opinion(State.UNDECIDED, f"the judge {how}{': ' if last else ''}{last[:_MOST_CHARACTERS]}")
    lines += [found[0] for found in _CONFLICT.finditer(said.output)]
    text = _DRAWING.sub(" ", " ".join(lines)).strip()[:_MOST_CHARACTERS]
    return Opinion(State.FAILS, text or f"it ended with status {said.status}")


# --- what they are shown --------------------------------------------------------------------------------------------
def shown_pages(held: Held, blobs: Blobs) -> dict[str, bytes]:
    """An index of what is held that needs no copies: pages in HTML whose links lead into the store."""
    pages: dict[str, bytes] = {}
    for name in held.names():
        page = held.page(name)
        if page is not None:
            files = (structs.replace(file, url=blobs.path(held.holding(file)).as_uri()) for file in page.files)
            shown = structs.replace(page, files=tuple(files))
            pages[f"simple/{name}/{HTML_NAME}"] = render_page(shown)
    return pages
