"""The configuration of a mirror that was made without one: what `--to DIR` was told, kept in `DIR/.pypim/`.

It is an ordinary configuration with a requirements file beside it. Nothing is written here: the texts are handed back.
"""

from __future__ import annotations

import shlex
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec
from packaging.utils import canonicalize_name

from pypim.config import toml
from pypim.core.errors import InvalidConfig, InvalidRequirement, InvalidUsage, NotFound
from pypim.core.requirements import parse_requirement_argument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pypim.core.target import TargetSpec

FOLDER = ".pypim"
CONFIG_NAME = "pypim.toml"
REQUIREMENTS_NAME = "requirements.txt"
INDEX = "main"
TARGET = "machines"
UPSTREAM = "upstream"
COMMAND_LINE = "command line"
"""Where a requirement comes from that was given as an argument, now or before."""

_REQUIREMENTS_HEAD = "# What this mirror was asked for on the command line, one requirement per line.\n"
_HEAD = """\
# What this mirror was told on the command line. `pypim sync --to DIR` repeats it; `pypim sync REQ... --to DIR` adds to
# it; with --replace it starts anew. You may edit this file: it is an ordinary configuration, and from then on options
# that would change it are refused.
"""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of `sync` and `plan` said; what was not given is empty, False or None."""

    requirements: tuple[str, ...] = ()
    requirement_files: tuple[str, ...] = ()
    """Absolute paths."""
    python: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    upstream: str | None = None
    """"pypi", a URL or an absolute path."""
    exclude: tuple[str, ...] = ()
    exclude_dependents: bool = False
    formats: tuple[str, ...] = ()
    include_prereleases: bool = False
    keep_latest: int | None = None
    no_deps: bool = False
    max_depth: int | None = None
    extras: str | None = None
    jobs: int | None = None
    max_rate: str | None = None


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The two files of a mirror as they shall be."""

    path: Path
    """Of the configuration."""
    texts: dict[Path, str]
    """Both files, complete."""
    changed: dict[Path, str]
    """Those of them that are not yet so on disk; a sync writes them, a plan does not."""


def config_path(directory: Path) -> Path:
    """Where the mirror in that folder keeps its configuration."""
    return directory / FOLDER / CONFIG_NAME


def no_mirror(directory: Path) -> NotFound:
    """What to say of a folder that was told nothing: a sync that got no plan together leaves no memory of itself."""
    example = f"pypim sync flask --to {shlex.quote(str(directory))}"
    if (directory / FOLDER).is_dir():
        return NotFound(
            f"{directory}: nothing was mirrored here yet: no sync got as far as a plan, and what it was asked for was "
            "not kept",
            hint=f"Say again what it shall hold, as in: {example}",
        )
    return NotFound(f"{directory}: pypim keeps no mirror here", hint=f"Say what it shall hold, as in: {example}")


def is_memory(path: Path) -> bool:
    """Whether a requirements file is the one in which a mirror without a configuration keeps what it was asked for."""
    return (path.parent.name, path.name) == (FOLDER, REQUIREMENTS_NAME)


def remember(
    directory: Path, told: Told, *, replace: bool, machine: Callable[[], TargetSpec], may_begin: bool = False
) -> Remembered:
    """Add what was told now to what was told before; the texts are stable, the same input gives the same bytes.

    With `may_begin` a mirror may begin without anything that is asked for.
    Raises NotFound where there is nothing to repeat, InvalidUsage where an option would undo what a person wrote,
    InvalidRequirement for a requirement that cannot be read.
    """
    path = config_path(directory)
    requirements = path.with_name(REQUIREMENTS_NAME)
    on_disk = {file: _read(file, is_needed=not replace) for file in (path, requirements)}
    before = None if replace else on_disk[path]
    lines_before = (None if replace else on_disk[requirements]) or _REQUIREMENTS_HEAD
    if before is None and not (told.requirements or told.requirement_files or may_begin):
        raise no_mirror(directory)
    texts = {
        path: _config_text(path, before, told, machine),
        requirements: _merge_lines(lines_before, told.requirements),
    }
    changed = {file: text for file, text in texts.items() if on_disk[file] != text}
    return Remembered(path=path, texts=texts, changed=changed)


def _read(path: Path, *, is_needed: bool) -> str | None:
    """The text of a file, None where there is none; one that cannot be read is a fault only when it is needed."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        if not is_needed:
            return None
        reason = (error.strerror or "cannot be read") if isinstance(error, OSError) else "this is not UTF-8 text"
        raise InvalidConfig(str(path), [(None, reason)], hint="Mend it, or start anew with --replace.") from None


def _config_text(path: Path, before: str | None, told: Told, machine: Callable[[], TargetSpec]) -> str:
    if before is None:
        here = machine()
        known = Told(upstream="pypi", python=here.python, platforms=here.platforms)
        return _render(_merge(known, told), here.implementations)
    try:
        data = tomllib.loads(before)
        known, implementations = _told_of(data)
        is_ours = tomllib.loads(_render(known, implementations)) == data
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError):
        is_ours, known, implementations = False, Told(), ()  # edited by hand; whoever loads it names the faults
    merged = _merge(known, told)
    if merged == known:
        return before
    if not is_ours:
        raise InvalidUsage(
            f"{path} was edited by hand, so options cannot change it",
            hint="Write the change into that file, or start anew with --replace.",
        )
    return _render(merged, implementations)


def _merge(known: Told, told: Told) -> Told:
    """Options that were given count, the others stay, files are added; requirements have a file of their own."""
    unset = Told()
    given = {
        name: item
        for name in told.__struct_fields__
        if name not in {"requirements", "requirement_files"} and (item := getattr(told, name)) != getattr(unset, name)
    }
    files = tuple(dict.fromkeys((*known.requirement_files, *told.requirement_files)))
    return msgspec.structs.replace(known, requirement_files=files, **given)


def _merge_lines(text: str, requirements: tuple[str, ...]) -> str:
    """New requirements take the place of older lines for the same project, extras and marker, or come last."""
    new: dict[object, list[str]] = {}
    for requirement in requirements:
        lines = new.setdefault(_subject(requirement, is_strict=True), [])
        if requirement.strip() not in lines:
            lines.append(requirement.strip())
    merged: list[str] = []
    placed: set[object] = set()
    for line in text.splitlines():
        subject = _subject(line, is_strict=False)
        if subject is None or subject not in new:
            merged.append(line)
        elif subject not in placed:
            merged += new[subject]
            placed.add(subject)
    merged += [line for subject, lines in new.items() if subject not in placed for line in lines]
    return "\n".join(merged) + "\n"


def _subject(line: str, *, is_strict: bool) -> object:
    """What a requirement is about, apart from its versions; None for a line that is none."""
    try:
        requirement = parse_requirement_argument(line, COMMAND_LINE).requirement
    except InvalidRequirement:
        if is_strict:
            raise
        return None
    extras = frozenset(canonicalize_name(extra) for extra in requirement.extras)
    return canonicalize_name(requirement.name), extras, str(requirement.marker)


def _render(told: Told, implementations: tuple[str, ...]) -> str:
    target: dict[str, Any] = {"python": told.python, "platforms": told.platforms}
    if implementations != ("cpython",):
        target["implementations"] = implementations
    index: dict[str, Any] = {
        "kind": "mirror",
        "upstream": UPSTREAM,
        "targets": (TARGET,),
        "requirements": (REQUIREMENTS_NAME, *told.requirement_files),
        "publish": "..",
        "jobs": told.jobs,
    }
    dependencies = {"follow": False if told.no_deps else None, "extras": told.extras, "max-depth": told.max_depth}
    filters = {
        "exclude": told.exclude or None,
        "exclude-dependents": told.exclude_dependents or None,
        "formats": told.formats or None,
        "prereleases": told.include_prereleases or None,
        "keep-latest": told.keep_latest,
    }
    sections: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("store",), {"path": ".", "files": ".."}),
        (("upstreams", UPSTREAM), {"url": told.upstream, "max-rate": told.max_rate}),
        (("targets", TARGET), target),
        (("indexes", INDEX), index),
        (("indexes", INDEX, "dependencies"), dependencies),
        (("indexes", INDEX, "filters"), filters),
    ]
    parts = [_HEAD]
    for names, table in sections:
        lines = [toml.pair(name, item) for name, item in table.items() if item is not None]
        if lines:
            parts.append("\n".join([toml.header(*names), *lines]) + "\n")
    return "\n".join(parts)


def _told_of(data: dict[str, Any]) -> tuple[Told, tuple[str, ...]]:
    """The reverse of `_render`. Raises KeyError, TypeError or AttributeError for a file of another shape."""
    index, target = data["indexes"][INDEX], data["targets"][TARGET]
    dependencies, filters = index.get("dependencies", {}), index.get("filters", {})
    upstream = data["upstreams"][UPSTREAM]
    told = Told(
        requirement_files=tuple(name for name in index["requirements"] if name != REQUIREMENTS_NAME),
        python=tuple(target["python"]),
        platforms=tuple(target["platforms"]),
        upstream=upstream["url"],
        exclude=tuple(filters.get("exclude", ())),
        exclude_dependents=filters.get("exclude-dependents", False),
        formats=tuple(filters.get("formats", ())),
        include_prereleases=filters.get("prereleases", False),
        keep_latest=filters.get("keep-latest"),
        no_deps=dependencies.get("follow") is False,
        max_depth=dependencies.get("max-depth"),
        extras=dependencies.get("extras"),
        jobs=index.get("jobs"),
        max_rate=upstream.get("max-rate"),
    )
    return told, tuple(target.get("implementations", ("cpython",)))
