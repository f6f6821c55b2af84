"""`pypim init`: write a commented pypim.toml, from a few questions, from defaults, or from another tool's file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pypim.cli.command import Command, examples
from pypim.cli.output import Session
from pypim.config.load import FILE_NAME, load_text
from pypim.config.machine import this_machine
from pypim.config.template import Draft, render
from pypim.core.errors import Conflict, InvalidConfig
from pypim.core.requirements import parse_requirement_argument


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
    text, tool, lost = _text(session, origin)
    load_text(text, path)
    write_text(path, text)
    document = {"path": str(path), "converted_from": tool, "not_carried_over": lost}
    lines = [f"{path}: written{f', converted from {tool}' if tool else ''}"]
    lines += [f"not carried over: {line}" for line in lost]
    lines.append(f"Next: edit it, then run `pypim{'' if directory == '.' else f' -c {path}'} plan`.")
    return session.emit(document, "\n".join(lines))


def _text(session: Session, origin: str | None) -> tuple[str, str | None, tuple[str, ...]]:
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
    converted = convert(text, origin)
    return converted.text, converted.tool, converted.lost


def _default() -> Draft:
    """A mirror for this machine that holds nothing yet."""
    return Draft(targets={"machines": _target((), ())}, index={"publish": "public"})


def _asked() -> Draft:
    """The few things that nobody can guess; the questions go to standard error, like all prose."""
    here = this_machine()
    click.echo("Press Enter to take what stands in brackets.", err=True)
    upstream = click.prompt("Index to mirror (pypi, or a URL)", default="pypi", err=True)
    publish = click.prompt("Folder to publish into", default="public", err=True)
    python = click.prompt("Python versions", default=" ".join(here.python), err=True)
    platforms = click.prompt("Platforms (linux, windows, macos, or tags)", default=" ".join(here.platforms), err=True)
    projects = click.prompt("Projects to begin with (as in: flask django>=5)", default="", show_default=False, err=True)
    return Draft(
        upstream={"url": upstream},
        targets={"machines": _target(_words(python), _words(platforms))},
        index={"publish": publish},
        packages=_packages(_words(projects)),
    )


def _target(python: tuple[str, ...], platforms: tuple[str, ...]) -> dict[str, object]:
    here = this_machine()
    target: dict[str, object] = {"python": python or here.python, "platforms": platforms or here.platforms}
    if here.implementations != ("cpython",):
        target["implementations"] = here.implementations
    return target


def _words(answer: str) -> tuple[str, ...]:
    """Answers are separated by blanks; so are versions, for a comma may belong to a specifier."""
    return tuple(word.strip(",") for word in answer.split() if word.strip(","))


def _packages(requirements: tuple[str, ...]) -> dict[str, list[str]]:
    """The newest release of each that matches. Raises InvalidRequirement."""
    packages: dict[str, list[str]] = {}
    for text in requirements:
        requirement = parse_requirement_argument(text, "projects").requirement
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        packages.setdefault(f"{requirement.name}{extras}", []).append(f"latest{requirement.specifier}")
    return packages
