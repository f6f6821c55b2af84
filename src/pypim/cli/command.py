"""Commands and groups that share the global options, load late, and explain themselves with examples."""

from __future__ import annotations

import inspect
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import click

from pypim.cli.output import GlobalOptions, Session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GLOBAL_NAMES = ("config_file", "verbose", "quiet", "json", "no_progress")
"""The parameter names of the global options; every command takes them, before its name or after it."""


@lru_cache(maxsize=1)
def _shared_options() -> tuple[click.Option, ...]:
    return (
        click.Option(
            ["-c", "--config", "config_file"],
            type=click.Path(),
            metavar="FILE",
            help="The configuration; else $PYPIM_CONFIG, ./pypim.toml, or the one in your configuration folder.",
        ),
        click.Option(["-v", "--verbose"], is_flag=True, help="Say more, and show the traceback of unexpected errors."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but results and errors."),
        click.Option(["--json"], is_flag=True, help="Print one JSON document on standard output and nothing else."),
        click.Option(["--no-progress"], is_flag=True, help="Show no progress."),
    )


def examples(*pairs: tuple[str, str]) -> str:
    """(command line, what it does) pairs as the `epilog=` of a command."""
    return "\n".join(f"{line}\n{meaning}" for line, meaning in pairs)


class _Described(click.Command):
    """What commands and groups have in common: global options, and the layout of the help page."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, the global options, and --help."""
        *own, helping = super().get_params(ctx)
        return [*own, *_shared_options(), helping]

    def invoke(self, ctx: click.Context) -> object:
        """Hand the global options to the session, then run."""
        session = ctx.find_object(Session)
        given = {name: ctx.params.pop(name) for name in GLOBAL_NAMES}
        if session is not None:
            session.options = session.options.merged(
                GlobalOptions(
                    config_file=given["config_file"],
                    is_verbose=given["verbose"],
                    is_quiet=given["quiet"],
                    writes_json=given["json"],
                    shows_progress=not given["no_progress"],
                )
            )
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The text at the left margin: it is read more often than the options."""
        del ctx
        if self.help:
            formatter.write_paragraph()
            formatter.write_text(inspect.cleandoc(self.help))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options first, those of every command after them."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and not isinstance(parameter, click.Argument):
                is_shared = parameter.name in GLOBAL_NAMES or parameter.name == "help"
                (shared if is_shared else own).append(record)
        for title, rows in (("Options", own), ("Global options", shared)):
            write_rows(formatter, title, rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples."""
        del ctx
        if self.epilog:
            with formatter.section(_heading("Examples")):
                lines = self.epilog.splitlines()
                for line, meaning in zip(lines[::2], lines[1::2], strict=True):
                    formatter.write(f"  {click.style(line, fg='cyan')}\n")
                    with formatter.indentation():
                        formatter.write_text(meaning)


class Command(_Described):
    """A command with the global options; use it as `cls=` of `click.command`."""


class Group(_Described, click.Group):
    """A group whose commands are of class Command."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Commands before options: a group is asked for its commands."""
        rows = [(name, command.get_short_help_str(100)) for name, command in sorted(self.commands.items())]
        write_rows(formatter, "Commands", rows)
        _Described.format_options(self, ctx, formatter)


class LazyGroup(Group):
    """A group that imports a command only when it is run, so that `--help` stays fast.

    A subclass sets `sections`: heading → command → (`module:attribute`, one-line summary).
    """

    sections: ClassVar[Mapping[str, Mapping[str, tuple[str, str]]]] = {}

    @property
    def table(self) -> dict[str, tuple[str, str]]:
        """Every command of every section."""
        return {name: entry for entries in self.sections.values() for name, entry in entries.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name of the table."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None when there is none of that name."""
        del ctx
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a mistyped name."""
        if args[0] not in self.table and not ctx.resilient_parsing:
            raise click.NoSuchCommand(args[0], possibilities=list(self.table), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, from the table alone."""
        for heading, entries in self.sections.items():
            write_rows(formatter, heading, [(name, summary) for name, (_, summary) in entries.items()])
        _Described.format_options(self, ctx, formatter)


def write_rows(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A heading with a two-column list below it; nothing when there are no rows."""
    if rows:
        with formatter.section(_heading(title)):
            formatter.write_dl([(click.style(left, fg="cyan"), right) for left, right in rows])


def _heading(text: str) -> str:
    return click.style(text, bold=True)
