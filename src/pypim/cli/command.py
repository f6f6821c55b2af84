"""Commands and groups that share the global options, load late, and explain themselves with examples."""

from __future__ import annotations

import inspect
from collections.abc import MutableMapping
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import click
from click.formatting import wrap_text

from pypim.cli.output import GlobalOptions, Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from click.shell_completion import CompletionItem

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

    def __init__(self, *arguments: object, **attributes: object) -> None:
        super().__init__(*arguments, **attributes)  # type: ignore[arg-type]  # whatever click's decorators give it
        self.params.extend(_shared_options())

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
            formatter.write(_wrapped(inspect.cleandoc(self.help), formatter))

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
                    formatter.write(_wrapped(meaning, formatter, "    "))


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


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name that are imported when they are looked up, so that `--help` stays fast.

    `sections` maps headings to commands, each name → (`module:attribute`, one-line summary).
    """

    def __init__(self, sections: Mapping[str, Mapping[str, tuple[str, str]]]) -> None:
        self.sections = sections
        self._modules = {name: module for entries in sections.values() for name, (module, _) in entries.items()}
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, attribute = self._modules[name].partition(":")
            self._loaded[name] = getattr(import_module(module), attribute)
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._modules[name] = ""
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._modules[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules


class LazyGroup(Group):
    """A group with LazyCommands, whose help page is made from their table alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        del ctx
        return list(self.commands)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands with their whole summaries, from the table alone, then the options."""
        from click.shell_completion import CompletionItem

        assert isinstance(self.commands, LazyCommands)
        rows = (
            (name, summary) for entries in self.commands.sections.values() for name, (_, summary) in entries.items()
        )
        found = [CompletionItem(name, help=summary) for name, summary in rows if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, from the table alone."""
        assert isinstance(self.commands, LazyCommands)
        for heading, entries in self.commands.sections.items():
            write_rows(formatter, heading, [(name, summary) for name, (_, summary) in entries.items()])
        _Described.format_options(self, ctx, formatter)


def write_rows(formatter: click.HelpFormatter, title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A heading with a two-column list below it; nothing when there are no rows."""
    if rows:
        with formatter.section(_heading(title)):
            formatter.write_dl([(click.style(left, fg="cyan"), right) for left, right in rows])


def _wrapped(text: str, formatter: click.HelpFormatter, indent: str = "") -> str:
    """Paragraphs within the width of the page."""
    wrapped = wrap_text(
        text, formatter.width, initial_indent=indent, subsequent_indent=indent, preserve_paragraphs=True
    )
    return f"{wrapped}\n"


def _heading(text: str) -> str:
    return click.style(text, bold=True)
