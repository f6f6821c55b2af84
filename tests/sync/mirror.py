"""A mirror in a folder, driven through the command line: its configuration, its runs and what stands on disk.

mirror.configure(server.url, packages={"app": "latest"}, filters={"formats": ["wheel"]})
report = mirror.sync()                     # the document of the one index
assert mirror.published() == {"app": ["app-1.0-py3-none-any.whl"]}
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypim.cli.main import run
from tests.clients.clients import clean_environ

Document = dict[str, Any]

LINUX: Document = {"linux": {"python": ["3.12"], "platforms": ["linux"]}}
"""The targets of a mirror unless a test says otherwise."""
LINUX_OPTIONS = ("--python", "3.12", "--platform", "linux")
"""The same on the command line."""

_TIMEOUT_S = 120


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    arguments: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Document:
        """The one JSON document on standard output."""
        document: Document = json.loads(self.stdout)
        return document

    @property
    def error(self) -> Document:
        """The error of a document that is one."""
        error: Document = self.document["error"]
        assert set(error) == {"code", "message", "hint", "exit_status", "faults"}
        assert error["exit_status"] == self.status
        return error

    def expect(self, status: int = 0) -> Outcome:
        """Return itself if it ended with that status, or fail with all that was said. Never is there a traceback."""
        said = f"pypim {' '.join(self.arguments)}: {self.status}\n{self.stdout}\n{self.stderr}"
        assert self.status == status, said
        assert "Traceback" not in self.stderr, said
        assert "bug in pypim" not in self.stderr, said
        if status:
            assert "pypim: error: " in self.stderr or status in {1, 7, 8}, said
        return self


def pypim(*arguments: str | Path) -> Outcome:
    """Run the program in this process."""
    texts = tuple(str(argument) for argument in arguments)
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        status = run(texts)
    return Outcome(texts, status, stdout.getvalue(), stderr.getvalue())


def pypim_process(*arguments: str | Path, cwd: Path, **variables: str) -> Outcome:
    """Run the program as its own process, in surroundings that know no index, no proxy and no configuration."""
    texts = tuple(str(argument) for argument in arguments)
    done = subprocess.run(
        [sys.executable, "-m", "pypim", *texts],
        env={**clean_environ(str(cwd)), **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return Outcome(texts, done.returncode, done.stdout, done.stderr)


class Mirror:
    """One index, `main`, with a configuration file, a store and a published tree in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "pypim.toml"
        self.tree = folder / "public"
        self.store = folder / "data"

    def configure(
        self, url: str, *, upstream: Document | None = None, targets: Document | None = None, **index: Any
    ) -> Mirror:
        """Write the configuration; an underscore in a key stands for a hyphen, and {} for no targets."""
        chosen = LINUX if targets is None else targets
        document = {
            "upstreams": {"world": {"url": url, "retries": 0, **(upstream or {})}},
            "targets": chosen,
            "indexes": {"main": {"targets": list(chosen), "publish": "public", **_hyphenated(index)}},
        }
        self.write(as_toml(document))
        return self

    def write(self, text: str) -> None:
        """Write the configuration as it is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(text)

    def run(self, *arguments: str | Path) -> Outcome:
        """Run a command with the configuration, in this process."""
        return pypim("-c", self.config, *arguments)

    def sync(self, *arguments: str, status: int = 0) -> Document:
        """Run `sync --json`; the report of the index."""
        return report_of(self.run("sync", "--json", *arguments).expect(status))

    def plan(self, *arguments: str, status: int = 0) -> Document:
        """Run `plan --json`; the report of the index."""
        return report_of(self.run("plan", "--json", *arguments).expect(status))

    def refuses(self, *arguments: str, status: int) -> Document:
        """Run `sync --json`, which ends with an error; the error."""
        return self.run("sync", "--json", *arguments).expect(status).error

    def page(self, project: str) -> Document:
        """A published page, from its JSON."""
        return page_in(self.tree, project)

    def published(self) -> dict[str, list[str]]:
        """Project → the file names that its page lists, sorted."""
        return published_in(self.tree)

    @property
    def url(self) -> str:
        """The published index as a `file:` URL."""
        return f"{self.tree.resolve().as_uri()}/simple/"


def report_of(outcome: Outcome) -> Document:
    """The report of the one index of a `sync` or `plan`."""
    (report,) = outcome.document["indexes"]
    assert isinstance(report, dict)
    return report


def added(report: Mapping[str, Any]) -> list[str]:
    """The names of the files that a plan adds, sorted."""
    return sorted(name for release in report["plan"]["releases"] for name in release["added"])


def removed(report: Mapping[str, Any]) -> list[str]:
    """The names of the files that a plan removes, sorted."""
    return sorted(name for release in report["plan"]["releases"] for name in release["removed"])


def releases_in(report: Mapping[str, Any]) -> list[str]:
    """`project version` of every release of a plan that stays or comes."""
    return [
        f"{release['project']} {release['version']}"
        for release in report["plan"]["releases"]
        if release["added"] or release["kept"]
    ]


def page_in(tree: Path, project: str) -> Document:
    """A published page, from its JSON."""
    page: Document = json.loads((tree / "simple" / project / "index.v1_json").read_bytes())
    return page


def published_in(tree: Path) -> dict[str, list[str]]:
    """Project → the file names that its page lists, sorted; every project of the list has a page and vice versa."""
    listing = json.loads((tree / "simple" / "index.v1_json").read_bytes())
    names = sorted(project["name"] for project in listing["projects"])
    assert names == sorted(path.name for path in (tree / "simple").iterdir() if path.is_dir())
    return {name: sorted(file["filename"] for file in page_in(tree, name)["files"]) for name in names}


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path → content of every file below a folder, except pypim's own state in `.pypim`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".pypim" not in path.relative_to(folder).parts
    }


def stamps_below(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Relative path → (inode, modification time, size) of everything below a folder, except `.pypim`."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if ".pypim" not in path.relative_to(folder).parts:
            facts = path.stat()
            found[str(path.relative_to(folder))] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
    return found


# --- TOML -----------------------------------------------------------------------------------------------------------
def as_toml(document: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """A document of tables, strings, numbers, truth values and lists as TOML."""
    lines = [f"{_key(name)} = {_value(item)}" for name, item in document.items() if not isinstance(item, dict)]
    head = [f"[{'.'.join(map(_key, path))}]"] if path and (lines or not document) else []
    tables = [as_toml(item, (*path, name)) for name, item in document.items() if isinstance(item, dict)]
    return "\n".join([*head, *lines, *tables]) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def _value(item: object) -> str:
    if isinstance(item, (list, tuple)):
        return f"[{', '.join(_value(inner) for inner in item)}]"
    return json.dumps(item)


def _hyphenated(index: Mapping[str, Any]) -> Document:
    """Keys of an index and of its tables as TOML writes them; names of projects stay as they are."""
    return {
        key.replace("_", "-"): _hyphenated(item) if key in {"filters", "dependencies"} else item
        for key, item in index.items()
    }


def wheels(*names_and_versions: str) -> list[str]:
    """The names of wheels for everybody: `wheels("app 1.0")`."""
    return sorted(f"{text.replace(' ', '-')}-py3-none-any.whl" for text in names_and_versions)


def sentences(findings: Iterable[Mapping[str, Any]]) -> str:
    """What findings, files or problems say, in one text to search in."""
    return "\n".join(json.dumps(dict(finding)) for finding in findings)
