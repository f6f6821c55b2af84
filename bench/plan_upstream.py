"""A generated upstream for planning: ten thousand projects as pages and core metadata, and no bytes behind them.

A project requires only earlier ones. What the newest releases require fits together, but for knots: small groups in
which somebody must step back. What older releases require does not always fit. It is made once and kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECTS = 10_000
KNOT_EVERY = 50
"""Every so many projects, the last three are a knot."""
POPULAR = 60
"""So many projects get a third of all requirements, as a few do everywhere."""
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
_PLATFORMS = ("manylinux_2_17_x86_64.manylinux2014_x86_64", "win_amd64", "macosx_11_0_arm64")
_RELEASES = (1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, 12)
_REQUIREMENTS = (0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 8)
_MARKERS = ('; python_version < "3.12"', '; sys_platform == "win32"', '; extra == "more"')
_LARGE = 300
"""So many projects the last one needs, itself included."""
_FORMAT = 5
"""Raised when other bytes are made, so that what lies in bench/out/ is made again."""


@dataclass(frozen=True)
class _Release:
    version: str
    requires: tuple[str, ...]
    requires_python: str = ">=3.8"


@dataclass(frozen=True)
class _Spec:
    """What nginx is told of a project."""

    serial: int = 1


class PlanUpstream:
    """The pages and the metadata on disk. Links are relative, so that the same pages serve every address."""

    serial = 1

    def __init__(self, folder: Path, projects: int = PROJECTS) -> None:
        self.folder = folder
        self._random = random.Random("upstream of plans")  # the same world every time
        self._releases: dict[str, list[_Release]] = {}
        self.tops: list[str] = []
        """The projects that cannot have the newest of everything."""
        for number in range(projects - 1):
            self._make_project(number)
        self.large = _name(projects - 1)
        """The project that needs 300 others."""
        self._releases[self.large] = [_Release("1.0", tuple(self._enough()))]
        done = folder / "format"
        if not done.exists() or done.read_text() != f"{_FORMAT} {projects}":
            shutil.rmtree(folder, ignore_errors=True)
            self._write()
            done.write_text(f"{_FORMAT} {projects}")

    @property
    def names(self) -> Sequence[str]:
        """Normalised, sorted."""
        return list(self._releases)

    def spec(self, name: str) -> _Spec:  # noqa: ARG002 -- as an Upstream has it
        """Return what is special about a project: nothing."""
        return _Spec()

    def write_pages(self, folder: Path, root: str, *, only: Sequence[str] | None = None) -> None:  # noqa: ARG002
        """Show the pages there; their links lead to any root."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to((self.folder / "pages").resolve())

    def sample(self, count: int) -> list[str]:
        """Return that many roots, a tenth of them above a knot; the same ones every time."""
        rng = random.Random("sample of roots")
        tops = rng.sample(self.tops, count // 10)
        rest = [name for name in self._releases if name not in tops]
        return sorted([*tops, *rng.sample(rest, count - len(tops))])

    def summary(self) -> str:
        """Say in one line what this upstream is."""
        releases = sum(map(len, self._releases.values()))
        return f"{len(self._releases)} projects, {releases} releases, {len(self.tops)} of them above a knot"

    # --- the world --------------------------------------------------------------------------------------------------
    def _make_project(self, number: int) -> None:
        name = _name(number)
        place = number % KNOT_EVERY - (KNOT_EVERY - 3)
        if place == 0:  # what somebody does not bear in its newest release
            self._releases[name] = [_Release(f"{n}.0", ()) for n in (1, 2, 3)]
        elif place == 1:
            low = _name(number - 1)
            self._releases[name] = [_Release("1.0", (low,)), _Release("2.0", (f"{low}<3",))]
        elif place == 2:
            both = (_name(number - 2), f"{_name(number - 1)}>=1", *self._requirements(number, is_newest=True))
            self._releases[name] = [_Release("1.0", both[:1]), _Release("1.1", both)]
            self.tops.append(name)
        else:
            count = self._random.choice(_RELEASES)
            versions = [f"{n // 4 + 1}.{n % 4}" for n in range(count)]
            self._releases[name] = [
                _Release(version, self._requirements(number, is_newest=version == versions[-1])) for version in versions
            ]

    def _requirements(self, number: int, *, is_newest: bool) -> tuple[str, ...]:
        found: dict[str, str] = {}
        for _ in range(min(number, self._random.choice(_REQUIREMENTS))):
            limit = min(number, POPULAR) if self._random.random() < 1 / 3 else number
            other = self._random.randrange(limit)
            if other % KNOT_EVERY >= KNOT_EVERY - 3:
                continue  # nobody else has to do with a knot
            text = _name(other) + self._specifier(self._releases[_name(other)], is_newest=is_newest)
            found[_name(other)] = text + (self._random.choice(_MARKERS) if self._random.random() < 1 / 4 else "")
        return tuple(found.values())

    def _specifier(self, releases: list[_Release], *, is_newest: bool) -> str:
        newest = releases[-1].version
        major = int(newest.partition(".")[0])
        choices = ["", "", f">={self._random.choice(releases).version}", f">={major}.0,<{major + 1}", f"~={newest}"]
        if len(releases) > 1:
            choices.append(f"!={releases[0].version}")
        if len(releases) > 1 and not is_newest:
            choices.append(f"<{newest}")
        return self._random.choice(choices)

    def _enough(self) -> Iterator[str]:
        """Yield requirements until all that they need, anywhere, is of the size that a large root has."""
        seen: set[str] = set()
        while len(seen) < _LARGE - 1:
            waiting = [self._random.choice(list(self._releases))]
            yield waiting[0]
            while waiting:
                name = waiting.pop()
                if name not in seen:
                    seen.add(name)
                    waiting += [text[: len(_name(0))] for text in self._releases[name][-1].requires]

    # --- on disk ----------------------------------------------------------------------------------------------------
    def _write(self) -> None:
        listed = json.dumps({"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in self._releases]})
        (self.folder / "pages" / "simple").mkdir(parents=True)
        (self.folder / "files" / "packages").mkdir(parents=True)
        (self.folder / "pages" / "simple" / "index.v1_json").write_text(listed)
        for number, (name, releases) in enumerate(self._releases.items()):
            entries = [entry for release in releases for entry in self._entries(number, name, release)]
            document = {
                "meta": {"api-version": "1.4", "_last-serial": 1},
                "name": name,
                "versions": [release.version for release in releases],
                "files": entries,
            }
            page = self.folder / "pages" / "simple" / name / "index.v1_json"
            page.parent.mkdir()
            page.write_text(json.dumps(document))
            if number % 2000 == 0:
                print(f"made {number} projects in {self.folder.name}", file=sys.stderr)

    def _entries(self, number: int, name: str, release: _Release) -> Iterator[dict[str, object]]:
        body = _metadata(name, release)
        metadata_sha256 = hashlib.sha256(body).hexdigest()
        folder = self.folder / "files" / "packages" / name / release.version
        folder.mkdir(parents=True)
        first: Path | None = None
        for tag in _tags(number):
            filename = f"{name.replace('-', '_')}-{release.version}-{tag}.whl"
            beside = folder / f"{filename}.metadata"
            if first is None:
                beside.write_bytes(body)
                first = beside
            else:
                os.link(first, beside)
            yield {
                "filename": filename,
                "url": f"../../packages/{name}/{release.version}/{filename}",
                "hashes": {"sha256": hashlib.sha256(filename.encode()).hexdigest()},
                "requires-python": release.requires_python,
                "size": 10_000 + number,
                "upload-time": f"2024-{number % 12 + 1:02}-{number % 28 + 1:02}T08:15:30.123456Z",
                "yanked": False,
                "core-metadata": {"sha256": metadata_sha256},
            }


def _name(number: int) -> str:
    return f"plan-{number:05}"


def _tags(number: int) -> list[str]:
    """Every eighth project has a wheel for each Python and platform."""
    if number % 8:
        return ["py3-none-any"]
    return [f"cp3{python[2:]}-cp3{python[2:]}-{platform}" for python in PYTHONS for platform in _PLATFORMS]


def _metadata(name: str, release: _Release) -> bytes:
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {release.version}",
        f"Summary: {name}, which is there to be planned with",
        f"Requires-Python: {release.requires_python}",
        "Provides-Extra: more",
        *(f"Requires-Dist: {text}" for text in release.requires),
        "Description-Content-Type: text/markdown",
        "",
        f"# {name}",
        "",
        *(f"Line {n} of what people read about it." for n in range(40)),
    ]
    return ("\n".join(lines) + "\n").encode()
