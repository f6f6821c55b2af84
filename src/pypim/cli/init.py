"""`pypim init`: write a commented pypim.toml, from a few questions, from defaults, or from another tool's file."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from pypim.cli.command import Command, examples
from pypim.cli.output import Session
from pypim.config.load import FILE_NAME
from pypim.config.locate import upstream_url
from pypim.config.machine import this_machine
from pypim.config.template import Draft, render
from pypim.core.errors import Conflict, InvalidConfig, InvalidRequirement
from pypim.core.requirements import parse_requirement_argument
from pypim.core.rules import parse_rules
from pypim.core.target import TargetSpec, environments

if TYPE_CHECKING:
    from collections.abc import Callable

_Answer = TypeVar("_Answer")
_AROUND_OPERATOR = re.compile(r"\s*([<>=!~]=?=?)\s*")


@click.command(
    "init",
    cls=Command,
    epilog=examples(
        ("pypim init", "Ask a few questions, then write ./pypim.toml."),
        ("pypim init mirror --from bandersnatch.conf", "Write mirror/pypim.toml from another tool's configuration."),
    ),
)
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@click.option(
    "--from",
    "origin",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Convert this file: bandersnatch.conf, morgan.ini, pypisync's JSON5, microrepo's JSON, or a command line of "
    "PyPIM or simple-pypi-mirror as text.",
)
@click.pass_obj
def init(session: Session, directory: str, origin: str | None) -> int:
    """Write a commented pypim.toml, or convert another tool's configuration.

    On a terminal a few questions are asked; without one the answers are the defaults. The file explains every key. A
    configuration that is already there is never overwritten. What a conversion cannot carry over is listed.
    """
    from pypim.wiring import write_text

    path = Path(directory) / FILE_NAME
    if path.exists():
        raise Conflict(f"{path} is already there", hint="Edit it, move it aside, or name another folder.")
    text, tool, lost = _text(session, origin, Path(directory))
    write_text(path, text)
    document = {"path": str(path), "converted_from": tool, "not_carried_over": lost}
    lines = [f"{path}: written{f', converted from {tool}' if tool else ''}"]
    lines += [f"not carried over: {line}" for line in lost]
    lines.append(f"Next: edit it, then run `pypim{'' if directory == '.' else f' -c {shlex.quote(str(path))}'} plan`.")
    return session.emit(document, "\n".join(lines))


def _text(session: Session, origin: str | None, directory: Path) -> tuple[str, str | None, tuple[str, ...]]:
    if origin is None:
        is_interactive = sys.stdin.isatty() and sys.stderr.isatty() and not session.options.writes_json
        return render(_asked() if is_interactive else _default()), None, ()
    from pypim.config.convert import convert

    try:
        text = Path(origin).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidConfig(origin, [(None, "this is not UTF-8 text")], hint="Save it as UTF-8.") from None
    except OSError as error:
        raise InvalidConfig(origin, [(None, error.strerror or "cannot be read")]) from None
    converted = convert(text, Path(origin), directory)
    return converted.text, converted.tool, converted.lost


def _default() -> Draft:
    """A mirror for this machine that holds nothing yet."""
    return Draft(targets={"machines": _target((), ())}, index={"publish": "public"})


def _asked() -> Draft:
    """The few things that nobody can guess; the questions go to standard error, like all prose."""
    here = this_machine()
    click.echo("Press Enter to take what stands in brackets.", err=True)
    upstream = _answer("Index to mirror (pypi, or a URL)", "pypi", _index_url)
    publish = _answer("Folder to publish into", "public", str)
    python = _answer("Python versions", " ".join(here.python), _versions)
    platforms = _answer("Platforms (linux, windows, macos, or tags)", " ".join(here.platforms), _platforms)
    packages = _answer("Projects to begin with (as in: flask django>=5)", "", _packages)
    return Draft(
        upstream={"url": upstream},
        targets={"machines": _target(python, platforms)},
        index={"publish": publish},
        packages=packages,
    )


def _answer(question: str, default: str, read: Callable[[str], _Answer]) -> _Answer:
    """What the answer means; it is asked for again while it cannot be read."""

    def judged(text: str) -> _Answer:
        try:
            return read(text.strip())
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        except InvalidRequirement as error:
            raise click.UsageError(f"{error.text!r}: {error.reason}. {error.hint}".strip()) from None

    answer: _Answer = click.prompt(question, default=default, show_default=bool(default), value_proc=judged, err=True)
    return answer


def _index_url(text: str) -> str:
    """As it was written, when it can be one. Raises ValueError."""
    upstream_url(text, Path.cwd())
    return text


def _versions(text: str) -> tuple[str, ...]:
    """Raises InvalidRequirement."""
    versions = _words(text)
    environments({"answer": TargetSpec(python=versions)})
    return versions


def _platforms(text: str) -> tuple[str, ...]:
    """Raises InvalidRequirement."""
    platforms = _words(text)
    environments({"answer": TargetSpec(platforms=platforms)})
    return platforms


def _target(python: tuple[str, ...], platforms: tuple[str, ...]) -> dict[str, object]:
    here = this_machine()
    target: dict[str, object] = {"python": python or here.python, "platforms": platforms or here.platforms}
    if here.implementations != ("cpython",):
        target["implementations"] = here.implementations
    return target


def _words(answer: str) -> tuple[str, ...]:
    """Answers are separated by blanks; so are versions, for a comma may belong to a specifier."""
    return tuple(word.strip(",") for word in answer.split() if word.strip(","))


def _packages(answer: str) -> dict[str, list[str]]:
    """The newest release of each that matches. Raises InvalidRequirement or ValueError."""
    if ";" in answer:
        raise ValueError(
            "a marker has no place here; write the requirement into a file, and name that in the configuration"
        )
    packages: dict[str, list[str]] = {}
    for text in _words(_AROUND_OPERATOR.sub(r"\1", answer)):
        requirement = parse_requirement_argument(text, "projects").requirement
        parse_rules(f"latest{requirement.specifier}", "projects")
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        packages.setdefault(f"{requirement.name}{extras}", []).append(f"latest{requirement.specifier}")
    return packages
