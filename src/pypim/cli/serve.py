"""`pypim serve`: the server of every index of a configuration."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pypim.cli.command import Command, examples
from pypim.config.environment import environment
from pypim.config.inline import config_path, no_mirror
from pypim.config.load import find_config

if TYPE_CHECKING:
    from pypim.cli.output import Session


@click.command(
    cls=Command,
    epilog=examples(
        ("pypim serve", "Serve the indexes of ./pypim.toml at http://127.0.0.1:8080/NAME/simple/."),
        ("pypim serve --to ./mirror --port 9000", "Serve a mirror that was made without a configuration."),
        ("pypim serve --host 0.0.0.0 --workers 4", "Serve a network, with four processes."),
    ),
)
@click.option("--to", metavar="DIR", type=click.Path(), help="Serve the mirror in this folder.")
@click.option("--host", metavar="ADDRESS", help="Listen at this address.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Listen at this port; 0 takes one that is free.  [default: 8080]"
)
@click.option("--workers", type=click.IntRange(1, 256), help="Answer with so many processes.  [default: 1]")
@click.pass_obj
def serve(session: Session, *, to: str | None, host: str | None, port: int | None, workers: int | None) -> int:
    """Serve every index of the configuration: mirrors, proxies, hosted indexes and groups.

    Each is at /NAME/simple/; the default index at /simple/, too. A sync may run at the same time: clients see what it
    publishes at once. SIGTERM and Ctrl-C end the server when the answers that are under way are sent; SIGHUP makes it
    read its configuration again.
    """
    from pypim.wiring_process import load_for_serving
    from pypim.wiring_process import serve as serve_config

    if to is not None:
        source = config_path(Path(to))
        if not source.is_file():
            raise no_mirror(Path(to))
    else:
        source = find_config(session.options.config_file, environment())
    given = {name: value for name, value in (("host", host), ("port", port), ("workers", workers)) if value is not None}
    serve_config(
        partial(load_for_serving, source.absolute(), given),
        lambda what: session.note(f"serving {what}"),
        is_verbose=session.options.is_verbose,
    )
    return 0
