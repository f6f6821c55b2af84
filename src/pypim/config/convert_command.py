"""The command lines of PyPIM and simple-pypi-mirror as a draft of a pypim.toml."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING, Any, NoReturn

from pypim.config.locate import simple_api_of
from pypim.config.template import Draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PYPIM_KEPT_RELEASES = 3
_OTHER_SYSTEMS = ["win*", "macosx_*", "freebsd*"]


class _Quiet(argparse.ArgumentParser):
    """Says what it does not like instead of leaving the program."""

    def error(self, message: str) -> NoReturn:
        """Raise what the caller of `convert` reports."""
        raise ValueError(message)


def from_pypim_command(line: str, moved: Callable[[str], str]) -> tuple[Draft, list[str]]:
    """Every project's newest releases, without what is for other systems; with -w only of those that are named.

    `moved` makes a path of the old file one of the new.
    """
    parser = _Quiet(prog="pypim", add_help=False, allow_abbrev=False)
    parser.add_argument("-a", action="append", default=[], dest="projects")
    parser.add_argument("-A", "-r", action="append", default=[], dest="files")
    parser.add_argument("-k", type=int, default=_PYPIM_KEPT_RELEASES, dest="keep")
    parser.add_argument("-w", action="store_true", dest="white_list")
    parser.add_argument("--web")
    parser.add_argument("--remove-orphans", "--remove-unwanted", action="store_true", dest="removes")
    for flag in ("-v", "-nv", "-n", "-u", "-m", "-p", "--raw", "--test", "--no-index", "--force"):
        parser.add_argument(flag, action="store_true", dest=f"flag{flag}")
    for option in ("-lf", "--db"):
        parser.add_argument(option, dest=f"option{option}")
    given, rest = parser.parse_known_args(_arguments(line))
    lost = [f"{text}: pypim has no such option" for text in rest]
    lost += [f"{flag}: give it on the command line, not in the file" for flag in ("-n", "-v") if _is_set(given, flag)]
    lost += [
        f"{flag}: pypim has no such option"
        for flag in ("--raw", "--test", "--no-index", "--force")
        if _is_set(given, flag)
    ]
    lost += [
        f"{name}: pypim keeps its catalog in the store, and logs to standard error"
        for name in _given(given, "-lf", "--db")
    ]
    lost.append(
        "the blacklist by classifiers and by what depends on it: write it as filters.exclude-classifiers, and set "
        "filters.exclude-dependents"
    )
    newest = "latest" if given.keep == 1 else f"{given.keep} latest"
    packages = {name: [rule or newest] for name, rule in map(_named, given.projects)}
    draft = Draft(
        index={
            "publish": moved(given.web) if given.web else "public",
            "requirements": [moved(file) for file in given.files],
            "on-removal": "prune" if given.removes else "keep",
        },
        packages=packages,
        patterns={} if given.white_list else {".*": [newest]},
        dependencies={"follow": False},
        filters={"exclude-tags": _OTHER_SYSTEMS},
    )
    return draft, lost


def from_simple_command(line: str, moved: Callable[[str], str]) -> tuple[Draft, list[str]]:
    """Projects, `project=version` and requirements files, followed one level deep unless told otherwise.

    `moved` makes a path of the old file one of the new.
    """
    parser = _Quiet(prog="simple-pypi-mirror", add_help=False, allow_abbrev=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--index", default="pypi")
    parser.add_argument("--local-folder")
    parser.add_argument("--max-depth", type=int, default=1)
    for flag in ("--ignore-errors", "--include-prereleases", "--binary-only", "--source-only"):
        parser.add_argument(flag, action="store_true", dest=f"flag{flag}")
    given, rest = parser.parse_known_args(_arguments(line))
    lost = [f"{text}: pypim has no such option" for text in rest]
    if _is_set(given, "--ignore-errors"):
        lost.append("--ignore-errors: give --keep-going on the command line")
    filters: dict[str, Any] = {}
    if _is_set(given, "--include-prereleases"):
        filters["prereleases"] = True
    if _is_set(given, "--binary-only") or _is_set(given, "--source-only"):
        filters["formats"] = ["wheel"] if _is_set(given, "--binary-only") else ["sdist"]
    files = [name for name in given.names if name.endswith(".txt")]
    draft = Draft(
        upstream={"url": simple_api_of(given.index)},
        index={
            "publish": moved(given.local_folder) if given.local_folder else "public",
            "requirements": [moved(file) for file in files],
        },
        packages={name: [rule or "latest"] for name, rule in map(_named, _without(given.names, files))},
        dependencies={"max-depth": given.max_depth} if given.max_depth else {},
        filters=filters,
    )
    return draft, lost


def _arguments(text: str) -> list[str]:
    """The words behind the program's name, of the first line that has one; lines may be continued with a backslash."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    line = next(line for line in lines if line.strip() and not line.lstrip().startswith("#"))
    words = shlex.split(line, comments=True)
    program = next((i for i, word in enumerate(words) if re.search(r"pypim|mirror", word, re.IGNORECASE)), 0)
    return words[program + 1 :]


def _named(text: str) -> tuple[str, str | None]:
    """`NAME[==VERSION]` as a name and a rule."""
    name, _, version = text.partition("=")
    return name.strip(), version.lstrip("=").strip() or None


def _is_set(given: argparse.Namespace, flag: str) -> bool:
    return bool(getattr(given, f"flag{flag}", False))


def _given(given: argparse.Namespace, *options: str) -> list[str]:
    return [option for option in options if getattr(given, f"option{option}")]


def _without(names: Iterable[str], left_out: Iterable[str]) -> list[str]:
    dropped = set(left_out)
    return [name for name in names if name not in dropped]
