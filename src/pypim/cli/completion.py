"""`pypim completion`: the script that teaches a shell to complete pypim's commands and options."""

from __future__ import annotations

import click

from pypim.cli.command import Command, examples
from pypim.cli.output import Session

SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    epilog=examples(
        (
            "pypim completion bash > ~/.local/share/bash-completion/completions/pypim",
            "For bash, from the next shell on.",
        ),
        ("pypim completion zsh > ~/.zfunc/_pypim", "For zsh, where ~/.zfunc is a folder of $fpath."),
        ("pypim completion fish > ~/.config/fish/completions/pypim.fish", "For fish."),
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the completion script for a shell.

    Put it where your shell looks for completions, or evaluate it in the shell's start-up file. For zsh, the file is
    named _pypim and lies in a folder of $fpath.
    """
    from click.shell_completion import ShellComplete, get_completion_class

    from pypim.cli.main import COMPLETION_VARIABLE, PROGRAM

    session = context.ensure_object(Session)
    found = get_completion_class(shell)
    assert found is not None
    completer = found(context.find_root().command, {}, PROGRAM, COMPLETION_VARIABLE)
    # Without the class's own `source`, which for bash starts one to ask for its version.
    script = ShellComplete.source(completer)
    if shell == "fish":
        # "type,word<tab>description": a description has commas of its own.
        script = script.replace('string split ","', 'string split --max 1 ","')
    return session.emit({"shell": shell, "script": script}, script.rstrip("\n"))
