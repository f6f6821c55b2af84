"""What a command says: results as JSON or prose on standard output, everything else on standard error."""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

import click
import msgspec

from pypim.cli.surroundings import results, unheard_is_no_fault
from pypim.core.errors import InvalidUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pypim.cli.options import SyncArguments, WorkspaceArguments
    from pypim.cli.workspace import Needs, Workspace
    from pypim.core.faults import ConfigFault
    from pypim.ports import Reporter

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE = 60
_HOUR = 3600
_TENS = 10
_COMMAND = re.compile(
    r"`(pypim (?:adopt|config (?:check|show)|doctor|list|metadata|plan"
    r"|prove|prune|status|sync|update|verify|why|why-not)\b"
    r"[^`]*)`"
)


class GlobalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options that every command takes."""

    config_file: str | None = None
    is_verbose: bool = False
    is_quiet: bool = False
    writes_json: bool = False
    shows_progress: bool = True

    def merged(self, later: GlobalOptions) -> GlobalOptions:
        """Those given before the command's name with those given after it, which may add but not take away."""
        merged = GlobalOptions(
            config_file=later.config_file or self.config_file,
            is_verbose=self.is_verbose or later.is_verbose,
            is_quiet=self.is_quiet or later.is_quiet,
            writes_json=self.writes_json or later.writes_json,
            shows_progress=self.shows_progress and later.shows_progress,
        )
        if merged.is_verbose and merged.is_quiet:
            raise InvalidUsage("-v and -q do not go together", hint="Leave one of them out.")
        return merged


class Session:
    """One run of the program: its global options, and the only way on which commands speak.

    It stands in click's context; a command gets it with `@click.pass_obj` as its first argument.
    """

    def __init__(self, options: GlobalOptions | None = None) -> None:
        self.options = options or GlobalOptions()
        self._has_emitted = False
        self._same_workspace = ""

    def emit(
        self, document: object, prose: str | Callable[[], None], *, is_summary: bool = False, exit_status: int = 0
    ) -> int:
        """Print the result, once: `document` with --json, else `prose` (a text, or what prints it with `say`).

        A summary that only closes a run is left out with -q. Returns `exit_status`, for `return session.emit(…)`.
        """
        self._has_emitted = True
        if self.options.writes_json:
            with results():
                sys.stdout.write(render_json(document))
        elif is_summary and self.options.is_quiet:
            pass
        elif isinstance(prose, str):
            self.say(prose)
        else:
            prose()
        return exit_status

    def say(self, text: str = "") -> None:
        """One line (or several) of prose on standard output; styles are dropped where they cannot be shown."""
        with results():
            click.echo(text)

    def note(self, text: str) -> None:
        """Something to know that is no result, on standard error; not with -q."""
        if not self.options.is_quiet:
            with unheard_is_no_fault(sys.stderr):
                click.echo(text, err=True)

    def emit_error(
        self, code: str, message: str, hint: str, exit_status: int, faults: Sequence[ConfigFault] = ()
    ) -> None:
        """The message and the remedy on standard error.

        With --json also as the one document on standard output, unless a result was printed already:
        `{"error": {"code", "message", "hint", "exit_status", "faults"}}`.
        """
        hint = self.pasteable(hint)
        label = click.style(f"pypim: {'error: ' if code != 'interrupted' else ''}", fg="red", bold=True)
        with unheard_is_no_fault(sys.stderr):
            click.echo(f"{label}{message}", err=True)
            if hint:
                click.echo(hint, err=True)
        if self.options.writes_json and not self._has_emitted:
            self._has_emitted = True
            error = {"code": code, "message": message, "hint": hint, "exit_status": exit_status, "faults": faults}
            with unheard_is_no_fault(sys.stdout):
                sys.stdout.write(render_json({"error": error}))
                sys.stdout.flush()

    def reporter(self) -> Reporter:
        """Who shows the progress of this run: live on a terminal, plain lines otherwise, nobody with -q."""
        from pypim.cli.progress import choose_reporter
        from pypim.config.environment import environment

        return choose_reporter(self.options, sys.stderr, environment())

    def workspace(
        self,
        arguments: SyncArguments | WorkspaceArguments,
        needs: Needs | None = None,
        *,
        looks_beyond: bool = True,
        is_about_mirrors: bool = True,
    ) -> Workspace:
        """The configuration and the indexes that a command is about. Raises InvalidConfig, InvalidUsage, NotFound.

        Without `looks_beyond` the files that it names are not looked at yet; without `is_about_mirrors` there need be
        none.
        """
        from pypim.cli.workspace import Needs, find_workspace, same_workspace

        self._same_workspace = same_workspace(self.options.config_file, arguments)
        return find_workspace(
            self.options.config_file,
            arguments,
            needs or Needs.NOTHING,
            looks_beyond=looks_beyond,
            is_about_mirrors=is_about_mirrors,
        )

    def pasteable(self, text: str) -> str:
        """The text, its commands in backquotes completed by the --to, -c and --index that this run was given."""
        return _COMMAND.sub(lambda found: f"`{found[1]}{self._same_workspace}`", text)


def render_json(document: object) -> str:
    """The document as indented JSON with a line feed at the end; structs by their (renamed) fields."""
    encoded = msgspec.json.encode(document, enc_hook=_plain, order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def _plain(value: object) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def format_size(size_bytes: float) -> str:
    """Bytes in decimal units with three digits at most: 999 B, 1.5 kB, 12.3 MB."""
    value, unit = float(size_bytes), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:  # noqa: PLR2004 - what would be shown as 1000 moves up a unit
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


def format_duration(seconds: float) -> str:
    """Seconds as people say it: 0.4 s, 12 s, 3 min 05 s, 2 h 07 min."""
    if seconds < _TENS:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"


def counted(number: int, singular: str, plural: str = "") -> str:
    """A number with its noun: 1 file, 1,200 files."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def table(rows: list[tuple[str, ...]], *, right: Mapping[int, bool] | None = None) -> str:
    """Rows as aligned columns, two spaces apart; columns named in `right` are aligned to the right."""
    aligned_right = right or {}
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if aligned_right.get(column) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
