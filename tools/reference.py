"""Writes `docs/reference/` from the code: commands, configuration, errors, and the shapes of --json documents.

`make docs` runs it; a test compares what it would write with what is there.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypim.cli.command import GLOBAL_NAMES
from pypim.cli.main import INTERRUPTED_STATUS, SECTIONS, program
from pypim.config.describe import REQUIRED, TABLES, keys
from pypim.core import errors
from tools.documents import json_page
from tools.samples import SAMPLES, kinds
from tools.wording import Notation, type_words

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import msgspec

    from pypim.config.describe import Key

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
_MARK = "<!-- Written by `make docs` from the code. Change the code, not this file. -->"

EXIT_STATUSES = {
    0: "All is done.",
    1: "Done, but with `--keep-going` something is missing: the report names it. Also: a bug in pypim.",
    2: "The input cannot be used: arguments, configuration, a requirement. The message names the file and the line.",
    3: "It is not there: a project, a release, a mirror in that folder.",
    4: "Refused: by a filter, or by an upstream that wants (other) credentials.",
    5: "Two things claim one place: a file that is already there.",
    6: "The upstream cannot be reached, or does not answer as an index should.",
    7: "Bytes are not what they were promised to be: a wrong hash or size, a damaged file.",
    8: "The store cannot be used: not writable, disk full, locked by another run, or written by a newer pypim.",
    9: "It cannot be resolved or proved: no file of any release satisfies what was asked for.",
    INTERRUPTED_STATUS: "Interrupted, by Ctrl-C. What was fetched is kept.",
}
"""What a caller can tell from the status alone."""

OTHER_CODES = {
    "interrupted": ("Ctrl-C ended the run.", INTERRUPTED_STATUS),
    "unexpected": ("A bug in pypim; run the command again with `-v` and report what it prints.", 1),
}
"""Codes of --json that belong to no class of errors."""


def pages() -> dict[str, str]:
    """File name → text of every page of the reference."""
    return {
        "commands.md": _page(commands_page()),
        "configuration.md": _page(configuration_page()),
        "errors.md": _page(errors_page()),
        "json.md": _page(json_page()),
    }


def main() -> None:
    """Write the pages that differ."""
    for name, text in pages().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def _page(lines: Iterator[str]) -> str:
    text = "\n".join([_MARK, "", *lines])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


# --- commands -------------------------------------------------------------------------------------------------------
def commands_page() -> Iterator[str]:
    """Every command with its options and examples, the global options, the exit statuses."""
    yield from (
        "# Commands",
        "",
        "    pypim [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]",
        "",
        "`python -m pypim` does the same. Results go to standard output, everything else to standard error.",
        "",
    )
    for heading, entries in SECTIONS.items():
        links = ", ".join(f"[`{name}`](#pypim-{name})" for name in entries)
        yield f"- **{heading}:** {links}"
    yield from ("", "## Global options", "", "They stand before the name of a command or after it.", "")
    with click.Context(program, info_name="pypim") as context:
        for parameter in program.get_params(context):
            if parameter.name in GLOBAL_NAMES:
                yield from _option(parameter, context)
    yield from (
        "",
        "`pypim --version` prints the version, and `--help`, for pypim and for every command, what it can do.",
        "",
        "The configuration is the file of `-c`, else that of `$PYPIM_CONFIG`, else `./pypim.toml`, else the one in",
        "your configuration folder (`~/.config/pypim/pypim.toml` on Linux). `--to DIR` names a mirror that was made",
        "without one; what it was told is kept in `DIR/.pypim/pypim.toml`.",
        "",
        "Colours are left out where output is no terminal, or when `NO_COLOR` is set.",
        "",
        "## Exit status",
        "",
        "| status | meaning |",
        "| --- | --- |",
        *(f"| {status} | {meaning} |" for status, meaning in EXIT_STATUSES.items()),
        "",
        "[Errors](errors.md) lists every error with its status. A run that failed half-way has lost nothing: the next",
        "one goes on from there.",
        "",
    )
    with click.Context(program, info_name="pypim") as root:
        for name in program.list_commands(root):
            command = program.get_command(root, name)
            assert command is not None
            yield from _command(command, name, root)


def _command(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent) as context:
        usage = " ".join(part for part in command.collect_usage_pieces(context) if part != "[OPTIONS]")
        yield from ("", f"## {context.command_path}", "", f"    {context.command_path} {usage}".rstrip(), "")
        yield inspect.cleandoc(command.help or "")
        own = [
            line for option in command.params if option.name not in GLOBAL_NAMES for line in _option(option, context)
        ]
        if own:
            yield from ("", *own)
        lines = (command.epilog or "").splitlines()
        if lines:
            yield from ("", "Examples:", "", "```sh")
            for line, meaning in zip(lines[::2], lines[1::2], strict=True):
                yield from (f"# {meaning}", line)
            yield "```"
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                inner = command.get_command(context, child)
                assert inner is not None
                yield from _command(inner, child, context)


def _option(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    record = parameter.get_help_record(context)
    if record is not None and not isinstance(parameter, click.Argument):
        names, meaning = record
        yield f"- `{names}`: {meaning.replace('  [x>=', ' [at least ')}"


# --- configuration --------------------------------------------------------------------------------------------------
_HEADERS = {
    "store": ("[store]", "Where pypim keeps its state and the files."),
    "upstreams": (
        "[upstreams.NAME]",
        "An index that is read. Without any such table there is one named `pypi`, the preset.",
    ),
    "targets": (
        "[targets.NAME]",
        (
            "A family of machines: every Python, times every platform, times every implementation. A file is kept\n"
            "when one of them can use it. An index without targets is for every environment."
        ),
    ),
    "mirror": (
        "[indexes.NAME]",
        "A mirror: a chosen part of an upstream, with everything that it needs to install, copied by `pypim sync`.",
    ),
    "dependencies": (
        "[indexes.NAME.dependencies]",
        "Of a mirror: whether and how far requirements are followed.",
    ),
    "filters": ("[indexes.NAME.filters]", "Of a mirror or a proxy: what is kept out. A filter only ever takes away."),
    "proxy": (
        "[indexes.NAME] of a proxy",
        (
            "A proxy has the whole upstream; what clients ask for is fetched then and kept. It may have `filters`.\n"
            "Only `pypim serve` needs it, and this is so for the kinds below as well."
        ),
    ),
    "hosted": ("[indexes.NAME] of a hosted index", "The index of your own projects: clients upload to it."),
    "group": (
        "[indexes.NAME] of a group",
        (
            "A group shows several indexes as one. The first member that has a project answers for it: files of two\n"
            "sources are never mixed unless `merge` names the project."
        ),
    ),
    "server": ("[server]", "How `pypim serve` listens, and what it grants its clients."),
    "access": (
        "[access]",
        "Who may do what on the server. Users and tokens are kept in the store, not here.",
    ),
    "rights": (
        "[[access.rights]]",
        (
            "What some users may do with some projects. Without any such table every user may read, upload, yank and\n"
            "delete, and nobody administers."
        ),
    ),
    "publishers": (
        "[access.publishers.NAME]",
        (
            "A build that uploads without a password, because its CI service vouches for it (Trusted Publishing). It\n"
            "has all of `issuer`, `claims`, `index` and `projects`."
        ),
    ),
}

_RULES = """\
## [indexes.NAME.packages] and [indexes.NAME.patterns]

`packages` says what is wanted by name: project = rule, or a list of rules. Extras stand in brackets, and then the key
is quoted. `patterns` does so by regular expression: it must match the whole normalised name, and asks for the
upstream's list of all projects.

```toml
[indexes.main.packages]
django = ["latest", "latest<5"]
requests = ">=2.31"
"apache-airflow[postgres]" = "2 latest"
six = "1.16.0"

[indexes.main.patterns]
"zope-.*" = "latest"
```

| rule | what it takes |
| --- | --- |
| `latest` | the newest release that each target can use |
| `3 latest` | the three newest |
| `latest<5`, `2 latest<3.0` | the newest of those that match |
| `>=1.2,<3` | every release that matches |
| `1.2` | that release, also when it is yanked or a pre-release |
| `*` | every release |

A line of a requirements file means the newest release that matches.

"""

_PLACES = """\
## Paths and secrets

Relative paths are relative to the folder of the file; `~` is your home. `username`, `password`, `token`, `proxy` and
the values of `headers` may be written as `"env:NAME"` (an environment variable) or `"file:PATH"` (the text of a file);
they are read when they are used, and never printed. Credentials for a host are also taken from `$NETRC`, `~/.netrc`
or `~/_netrc`, and proxies from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

## Platforms

`linux`, `windows` and `macos` mean x86_64 with glibc 2.28, AMD64, and arm64. A wheel platform tag
(`manylinux_2_28_x86_64`, `musllinux_1_2_aarch64`, `win_amd64`, `macosx_14_0_arm64`) means that machine and everything
it accepts. A name of uv's `--python-platform` (`aarch64-unknown-linux-gnu`, `x86_64-manylinux_2_17`) does, too.

"""


def configuration_page() -> Iterator[str]:
    """Every table and key with type, default and meaning."""
    yield from (
        "# Configuration",
        "",
        "`pypim.toml`, in TOML. It is read as a whole: every fault is named at once, each with its line. An unknown",
        "key is a fault. `pypim init` writes one with comments, `pypim config check` checks it, `pypim config show`",
        "prints what it amounts to, and `pypim config schema` prints a JSON Schema for your editor.",
        "",
        "```toml",
        *_example(),
        "```",
        "",
    )
    for table, kind in TABLES.items():
        header, meaning = _HEADERS[table]
        yield from (f"## {header}", "", meaning, "", "| key | type | default | meaning |", "| --- | --- | --- | --- |")
        yield from _rows(kind, REQUIRED.get(table, ()))
        yield ""
        if table == "mirror":
            yield _RULES
    yield _PLACES


def _rows(kind: type[msgspec.Struct], required: Collection[str]) -> Iterator[str]:
    from msgspec.structs import fields

    types = {field.encode_name: field.type for field in fields(kind)}
    for key in keys(kind):
        words = type_words(types.get(key.name, str), Notation.TOML)  # the kind of an index is no field
        default = "required" if key.name in required else _default(key)
        yield f"| `{key.name}` | {words} | {default} | {_cell(key.description)} |"


def _default(key: Key) -> str:
    from pypim.config import toml

    return "none" if key.default in (None, {}) else f"`{toml.value(key.default)}`"


def _cell(text: str) -> str:
    """Text for a table: what is quoted is shown as code."""
    return re.sub(r'"[^"|]+"', lambda found: f"`{found[0]}`", text).replace("|", "\\|")


def _example() -> list[str]:
    return [
        "[store]",
        'path = "data"',
        "",
        "[upstreams.pypi]",
        'url = "pypi"',
        "",
        "[targets.servers]",
        'python = ["3.12", "3.13"]',
        'platforms = ["manylinux_2_28_x86_64"]',
        "",
        "[indexes.main]",
        'upstream = "pypi"',
        'targets = ["servers"]',
        'publish = "public"',
        "",
        "[indexes.main.packages]",
        'django = ["latest", "latest<5"]',
        '"uvicorn[standard]" = "2 latest"',
        "",
        "[indexes.main.filters]",
        'exclude = ["torch>=3"]',
    ]


# --- errors ---------------------------------------------------------------------------------------------------------
def errors_page() -> Iterator[str]:
    """Every error: code, meaning, exit status, and an example."""
    examples = {type(sample): sample for sample in SAMPLES}
    yield from (
        "# Errors",
        "",
        "An error is one message that names the place, and mostly a second line that says what to do. With `--json` it",
        'is a document, too: `{"error": {"code", "message", "hint", "exit_status"}}`. Codes are stable. The family',
        "an error belongs to decides the exit status.",
        "",
    )
    for kind in kinds():
        meaning = (inspect.getdoc(kind) or "").splitlines()[0].replace("`", "")
        is_family = kind.__base__ is errors.PypimError or kind is errors.PypimError
        if kind is errors.PypimError:
            continue
        yield from ("", f"{'##' if is_family else '###'} `{kind.code}`", "", meaning, "")
        if is_family:
            yield from (f"Exit status {kind.exit_status}: {EXIT_STATUSES[kind.exit_status]}", "")
        else:
            yield from (f"Exit status {kind.exit_status}.", "")
        if sample := examples.get(kind):
            yield from ("```text", *(f"pypim: error: {sample}").splitlines(), "```", "")
    yield from ("", "## Other codes", "")
    for code, (meaning, status) in OTHER_CODES.items():
        yield f"- `{code}`: {meaning} Exit status {status}."
    yield f"- `{errors.PypimError.code}`: the root of all families; no command reports it."


if __name__ == "__main__":
    main()
