"""The `pypim` program: the table of commands, and the one place where an error becomes a message and a status."""

from __future__ import annotations

import gc
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypim import __version__
from pypim.cli.command import LazyCommands, LazyGroup, examples
from pypim.cli.output import Session
from pypim.cli.surroundings import discard, fault_of, open_closed_streams, results
from pypim.config.environment import environment, wants_color
from pypim.core.errors import InvalidConfig, PypimError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "pypim"
COMPLETION_VARIABLE = "_PYPIM_COMPLETE"

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130
BROKEN_PIPE_STATUS = 141
"""What a shell reports for a program that SIGPIPE ended: `pypim list | head` is nobody's fault."""

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Mirror": {
        "sync": ("pypim.cli.sync:sync", "Make the index match what you asked for."),
        "plan": ("pypim.cli.sync:plan", "Show what a sync would add and remove, and change nothing."),
        "update": ("pypim.cli.update:update", "Learn what has changed at the upstreams, and fetch nothing else."),
        "metadata": ("pypim.cli.metadata:metadata", "Fetch pages and core metadata, and download no file."),
    },
    "Ask": {
        "list": ("pypim.cli.inspect:list_held", "List what is held, or who requires whom."),
        "status": ("pypim.cli.inspect:status", "Show state and size of each index, and its last sync."),
        "why": ("pypim.cli.why:why", "Show the chains of requirements and rules that keep a project."),
        "why-not": ("pypim.cli.why:why_not", "Show the rule, filter or conflict that keeps a requirement out."),
    },
    "Keep": {
        "prove": ("pypim.cli.prove:prove", "Prove that all that is asked for installs from the index alone."),
        "verify": ("pypim.cli.maintain:verify", "Read what is held again and compare it with its hashes."),
        "prune": ("pypim.cli.maintain:prune", "Drop what nothing refers to any more."),
        "adopt": ("pypim.cli.adopt:adopt", "Take over the files of another tool's mirror, by hash, without fetching."),
    },
    "Serve": {
        "serve": ("pypim.cli.serve:serve", "Serve mirrors, proxies, hosted indexes and groups."),
        "user": ("pypim.cli.access:user", "Add, list and remove users of the server, and set their passwords."),
        "token": ("pypim.cli.access:token", "Make, list and revoke tokens, which programs show to the server."),
    },
    "Set up": {
        "init": ("pypim.cli.init:init", "Write a commented pypim.toml, or convert another tool's configuration."),
        "config": ("pypim.cli.config:config", "Check, show or describe the configuration."),
        "doctor": ("pypim.cli.doctor:doctor", "Look for what is wrong on this machine."),
        "completion": ("pypim.cli.completion:completion", "Print the completion script for your shell."),
    },
}


@click.command(
    PROGRAM,
    cls=LazyGroup,
    commands=LazyCommands(SECTIONS),
    epilog=examples(
        ("pypim sync flask 'django>=5,<6' --to ./mirror", "Mirror two projects and all they need, for this machine."),
        ("pypim init && pypim plan && pypim sync", "Keep what you want in a configuration file instead."),
    ),
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def program() -> None:
    """Mirror a chosen part of any Python package index, with everything it needs to install.

    Name what you want and the machines it is for. pypim follows the dependencies, copies what those machines
    can use, checks every hash, and publishes an index that pip and uv install from with no other index in reach.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the program with the process's arguments and leave with its exit status."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the program; every error becomes one message on standard error and the status that is returned."""
    open_closed_streams()
    session = Session()
    # A run makes very many values that live to its end, and few cycles: to look for those often takes a third of it.
    gc.set_threshold(100_000, 20, 100)
    _stop_in_good_order()
    try:
        status = _invoke(list(arguments), session)
        with results():
            sys.stdout.flush()
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        return _report_usage(error, session, arguments)
    except PypimError as error:
        faults = error.faults if isinstance(error, InvalidConfig) else ()
        session.emit_error(error.code, error.message, error.hint, error.exit_status, faults)
        return error.exit_status
    except (KeyboardInterrupt, click.Abort) as stop:
        return _report_stop(stop, session)
    except BrokenPipeError:
        discard(sys.stdout)
        return BROKEN_PIPE_STATUS
    except Exception as error:  # noqa: BLE001 - the boundary: whatever it is, the user gets a sentence
        return _report_unforeseen(error, session)
    else:
        return status


def _stop_in_good_order() -> None:
    """SIGTERM, as service managers and containers send it, ends a run like Ctrl-C.

    So it does where Ctrl-C is ignored, as a shell has it for what runs in its background: then it is only held back.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    signal.raise_signal(signal.SIGINT)


def _invoke(arguments: list[str], session: Session) -> int:
    variables = environment()
    if instruction := variables.get(COMPLETION_VARIABLE):
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    with program.make_context(
        PROGRAM, arguments, obj=session, color=wants_color(variables), max_content_width=100
    ) as context:
        result: Any = program.invoke(context)
        return result if isinstance(result, int) else 0


def _report_stop(stop: BaseException, session: Session) -> int:
    """Somebody pressed Ctrl-C, or left a question unanswered."""
    hint = "What was fetched is kept; run it again to go on."
    if isinstance(stop, click.Abort):
        click.echo(err=True)  # the question still stands on the line
        hint = "Nothing was written."
    session.emit_error("interrupted", "interrupted", hint, INTERRUPTED_STATUS)
    return INTERRUPTED_STATUS


def _report_usage(error: click.ClickException, session: Session, arguments: Sequence[str]) -> int:
    """Arguments that click refused; it did so before the global options were read, so look for --json here."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return USAGE_STATUS
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"Try '{error.ctx.command_path} --help'."
    if "--json" in arguments:
        session.options = session.options.merged(type(session.options)(writes_json=True))
    session.emit_error("invalid-usage", error.format_message(), hint, USAGE_STATUS)
    return USAGE_STATUS


def _report_unforeseen(error: Exception, session: Session) -> int:
    """What is a fault of the machine is told as one; all else is a bug of ours."""
    if (fault := fault_of(error)) is not None:
        session.emit_error(fault.code, fault.message, fault.hint, fault.exit_status)
        return fault.exit_status
    return _report_bug(error, session)


def _report_bug(error: Exception, session: Session) -> int:
    """Something nobody foresaw: name it in one line; the traceback is for those who ask with -v."""
    if session.options.is_verbose:
        import traceback

        traceback.print_exception(error)
    session.emit_error(
        "unexpected",
        f"unexpected {type(error).__name__}: {error}",
        "This is a bug in pypim. Run the command again with -v and report what it prints.",
        1,
    )
    return 1
