"""`pypim config`: check, show and describe the configuration."""

from __future__ import annotations

import click

from pypim.cli.command import Group, examples
from pypim.cli.options import WorkspaceArguments, workspace_options
from pypim.cli.output import Session, counted, render_json


@click.group(
    "config",
    cls=Group,
    epilog=examples(
        ("pypim config check", "Name every fault of ./pypim.toml, each with its line."),
        ("pypim config schema > pypim.schema.json", "Give your editor something to check against."),
    ),
)
def config() -> None:
    """Check, show or describe the configuration.

    A configuration is read as a whole: every fault is named at once, with its line and the nearest thing that exists.
    """


@config.command(
    "check",
    epilog=examples(
        ("pypim config check", "Check ./pypim.toml."),
        ("pypim -c other.toml config check --json", "Check another file, for a program to read."),
    ),
)
@workspace_options
@click.pass_obj
def check(session: Session, workspace: WorkspaceArguments) -> int:
    """Name every fault of the configuration.

    Looks at the file itself, at the requirements files and certificates it names, at the secrets it refers to, and at
    the proxy variables. Nothing is written, and no upstream is asked.
    """
    from pypim.cli.workspace import Needs

    found = session.workspace(workspace, Needs.EVERYTHING, is_about_mirrors=False).config
    names = list(found.indexes)
    prose = f"{found.source}: no fault found, {counted(len(names), 'index', 'indexes')} ({', '.join(names)})"
    return session.emit({"source": found.source, "is_valid": True, "indexes": names}, prose)


@config.command(
    "show",
    epilog=examples(
        ("pypim config show", "Print the effective configuration as TOML."),
        ("pypim config show --to ./mirror", "Print what a mirror without a configuration was told."),
    ),
)
@workspace_options
@click.pass_obj
def show(session: Session, workspace: WorkspaceArguments) -> int:
    """Print the effective configuration.

    Defaults are filled in, paths are absolute, and secrets are masked; references such as "env:NAME" are shown.
    """
    from pypim.config.show import shown, shown_as_toml

    found = session.workspace(workspace, is_about_mirrors=False).config
    return session.emit({"source": found.source, **shown(found)}, shown_as_toml(found).rstrip("\n"))


@config.command(
    "schema",
    epilog=examples(
        ("pypim config schema > pypim.schema.json", "Write the schema to a file."),
        ("pypim config schema | jq '.\"$defs\".MirrorTable'", "Look at the keys of a mirror."),
    ),
)
@click.pass_obj
def schema(session: Session) -> int:
    """Print the JSON Schema of pypim.toml.

    Editors with TOML support check and complete a configuration with it: put `#:schema ./pypim.schema.json` in its
    first line.
    """
    from pypim.config.schema import schema as make_schema

    made = make_schema()
    return session.emit(made, render_json(made).rstrip("\n"))
