"""Options that several commands share, and the values they become."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from pypim.config.inline import Told
from pypim.core.errors import InvalidRequirement
from pypim.core.freshness import Trust
from pypim.core.measures import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")

GRAPH_SUFFIXES = (".dot", ".gv", ".json")
FORMATS = ("wheel", "sdist", "egg", "wininst", "msi", "rpm", "dumb", "dmg", "deb")


class WorkspaceArguments(msgspec.Struct, frozen=True, kw_only=True):
    """Which mirror a command is about: the folder of one without a configuration, or indexes of a configuration."""

    to: Path | None = None
    """Absolute."""
    index: str | None = None


class SyncArguments(msgspec.Struct, frozen=True, kw_only=True):
    """What `sync` and `plan` were told."""

    workspace: WorkspaceArguments
    told: Told
    is_replacing: bool = False
    is_dry_run: bool = False
    keeps_going: bool = False
    is_forced: bool = False
    is_offline: bool = False
    max_seconds: float | None = None
    """How long a sync may take; None for what the configuration says, as below."""
    max_bytes: int | None = None
    is_beginning: bool = False
    """A mirror without a configuration may begin with nothing asked for yet."""
    graph: Path | None = None
    """Where the graph of the plan goes, absolute."""

    @property
    def trust(self) -> Trust:
        """A sync always asks whether what was kept is still so; a plan believes the upstream's own word of it."""
        if self.is_offline:
            return Trust.KEPT
        return Trust.FRESH if self.is_dry_run else Trust.NOTHING


def workspace_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Add --to and --index; the command gets them as `workspace: WorkspaceArguments`."""

    @functools.wraps(command)
    def wrapper(*args: object, to: str | None, index: str | None, **rest: object) -> _Result:
        return command(*args, workspace=_workspace(to, index), **rest)

    return _with_options(wrapper, _WORKSPACE_OPTIONS)


def sync_options(*, has_dry_run: bool) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Add everything that `sync` and `plan` take; the command gets it as `arguments: SyncArguments`."""

    def decorate(command: Callable[..., _Result]) -> Callable[..., _Result]:
        @functools.wraps(command)
        def wrapper(*args: object, **given: object) -> _Result:
            return command(*args, arguments=_sync_arguments(given))

        sync_only = [_DRY_RUN, _FORCE, *_LIMITS] if has_dry_run else []
        options = [*_ROOT_OPTIONS, *_WORKSPACE_OPTIONS, *sync_only, offline_option, _GRAPH, *_CHOICE_OPTIONS]
        return _with_options(wrapper, [_REQUIREMENTS, *options])

    return decorate


def _sync_arguments(given: dict[str, Any]) -> SyncArguments:
    """Raises click's UsageError for options that exclude each other."""
    told = Told(
        requirements=given["requirements"],
        requirement_files=(
            *(str(Path(file).absolute()) for file in given["requirement_files"]),
            *(_group(text) for text in given["groups"]),
        ),
        python=_split(given["python"]),
        platforms=_split(given["platform"]),
        upstream=upstream_text(given["upstream"]),
        exclude=given["exclude"],
        exclude_dependents=given["exclude_dependents"],
        formats=_formats(given["formats"], only_wheels=given["binary_only"], only_sdists=given["source_only"]),
        include_prereleases=given["include_prereleases"],
        keep_latest=given["keep_latest"],
        no_deps=given["no_deps"],
        max_depth=given["max_depth"],
        extras=given["extras"],
        jobs=given["jobs"],
        max_rate=given["max_rate"],
    )
    return SyncArguments(
        workspace=_workspace(given["to"], given["index"]),
        told=told,
        is_replacing=given["replace"],
        is_dry_run=given.get("dry_run", True),
        keeps_going=given["keep_going"],
        is_forced=given.get("force", False),
        is_offline=given["offline"],
        max_seconds=_seconds(given.get("max_time")),
        max_bytes=_size("--max-bytes", given.get("max_bytes")),
        graph=_graph_path(given["graph"], is_dry_run=given.get("dry_run", True)),
    )


def _workspace(to: str | None, index: str | None) -> WorkspaceArguments:
    _refuse_empty("--to", to)
    return WorkspaceArguments(to=None if to is None else Path(to).absolute(), index=index)


def _split(values: tuple[str, ...]) -> tuple[str, ...]:
    """`--python 3.11,3.12` means the same as giving the option twice."""
    return tuple(dict.fromkeys(part.strip() for value in values for part in value.split(",") if part.strip()))


def upstream_text(text: str | None) -> str | None:
    """What --upstream means: a path is relative to the working folder, not to where the configuration happens to be.

    Raises click's UsageError where there is nothing.
    """
    _refuse_empty("--upstream", text)
    if text is None or text == "pypi" or "://" in text:
        return text
    return str(Path(text).absolute())


def _refuse_empty(option: str, text: str | None) -> None:
    """Nothing in place of a path is a variable that was not set; it must not mean the working folder."""
    if text is not None and not text.strip():
        raise click.UsageError(f"{option}: nothing is named.", click.get_current_context(silent=True))


def _formats(formats: tuple[str, ...], *, only_wheels: bool, only_sdists: bool) -> tuple[str, ...]:
    if bool(formats) + only_wheels + only_sdists > 1:
        message = "--format, --binary-only and --source-only exclude each other: give one of them."
        raise click.UsageError(message, click.get_current_context(silent=True))
    if only_wheels:
        return ("wheel",)
    return ("sdist",) if only_sdists else tuple(dict.fromkeys(formats))


def _seconds(text: str | None) -> float | None:
    """Raises click's UsageError where it is no duration."""
    try:
        return None if text is None else parse_duration(text).total_seconds()
    except InvalidRequirement as error:
        message = f"--max-time {text!r}: {error.reason}. {error.hint}"
        raise click.UsageError(message, click.get_current_context(silent=True)) from None


def _size(option: str, text: str | None) -> int | None:
    """Raises click's UsageError where it is no size."""
    try:
        return None if text is None else parse_size(text)
    except InvalidRequirement as error:
        message = f"{option} {text!r}: {error.reason}. {error.hint}"
        raise click.UsageError(message, click.get_current_context(silent=True)) from None


def _graph_path(text: str | None, *, is_dry_run: bool) -> Path | None:
    """Raises click's UsageError where it is not known how to write it, or nothing is planned only."""
    if text is None:
        return None
    context = click.get_current_context(silent=True)
    path = Path(text).absolute()
    if path.suffix.lower() not in GRAPH_SUFFIXES:
        raise click.UsageError(f"--graph {text}: FILE has to end in {', '.join(GRAPH_SUFFIXES)}.", context)
    if not is_dry_run:
        raise click.UsageError("--graph shows a plan: give --dry-run, or use `pypim plan --graph`.", context)
    return path


def _group(text: str) -> str:
    """`[PATH:]NAME`, as for pip, in the spelling of a file. Raises click's UsageError."""
    path, colon, name = text.rpartition(":")
    file = Path(path if colon else "pyproject.toml")
    context = click.get_current_context(silent=True)
    if file.name != "pyproject.toml":
        raise click.UsageError(f"--group {text}: PATH has to end in pyproject.toml.", context)
    if not file.is_file():
        raise click.UsageError(f"--group {text}: {file}: no such file.", context)
    return f"{file.absolute()}:{name}"


class _InputPath(click.Path):
    """A file that exists, perhaps with extras or a group behind it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's
        from pypim.core.inputs import parse_input

        try:
            file = parse_input(str(value), "-r")
        except InvalidRequirement:
            return value  # it is told with everything else that is wrong
        super().convert(file.path, param, ctx)
        return value


def _with_options(command: Callable[..., _Result], decorators: list[Any]) -> Callable[..., _Result]:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


_REQUIREMENTS = click.argument("requirements", metavar="[REQ]...", nargs=-1)
_ROOT_OPTIONS = [
    click.option(
        "-r",
        "--requirement",
        "requirement_files",
        metavar="FILE",
        multiple=True,
        type=_InputPath(exists=True, dir_okay=False),
        help=(
            "Take what this file asks for, too: requirements, pyproject.toml, pyproject.toml[extra,...], or exactly "
            "the files that a lock names (uv.lock, pylock.toml, poetry.lock, pdm.lock, Pipfile.lock); repeatable."
        ),
    ),
    click.option(
        "--group",
        "groups",
        metavar="[PATH:]NAME",
        multiple=True,
        help="Take the dependency group NAME of ./pyproject.toml, or of the one at PATH; repeatable.",
    ),
    click.option("--replace", is_flag=True, help="With --to: forget what the mirror was told before."),
]
_WORKSPACE_OPTIONS = [
    click.option(
        "--to",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="The mirror in this folder, made without a configuration file.",
    ),
    click.option("--index", metavar="NAME", help="Only this index of the configuration; else all of them."),
]
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be done and change nothing, as `pypim plan`.")
_FORCE = click.option("--force", is_flag=True, help="Publish also what breaks something that installs now.")
_LIMITS = [
    click.option(
        "--max-time",
        metavar="DURATION",
        help='Stop in good order after so long, "6 hours" or "PT6H"; the next sync goes on where this one stopped.',
    ),
    click.option(
        "--max-bytes",
        metavar="SIZE",
        help='Fetch no more than that, "50 GB" or bytes, and leave the rest for the next sync.',
    ),
]
offline_option = click.option(
    "--offline", is_flag=True, help="Ask nobody: what the catalog knows counts, and what it does not is an error."
)
"""Of every command that asks an upstream about projects."""
upstream_option = click.option(
    "--upstream",
    metavar="URL",
    help="Read this index: a Simple API, a page of links to files (find-links), or a folder.",
)
"""In place of the configured one; `upstream_text` says what it means."""
_GRAPH = click.option(
    "--graph",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the dependency graph of the plan: for Graphviz where FILE ends in .dot or .gv, or as .json.",
)
_CHOICE_OPTIONS = [
    click.option("--keep-going", is_flag=True, help="Leave out what fails, name it at the end, and exit with 1."),
    click.option(
        "--python",
        metavar="VERSION",
        multiple=True,
        help="For this Python, as in 3.12; repeatable. Default: the one that runs pypim.",
    ),
    click.option(
        "--platform",
        metavar="PLATFORM",
        multiple=True,
        help="For linux, windows, macos, or a wheel platform tag; repeatable. Default: this machine.",
    ),
    click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out projects: a name, glob or requirement; repeatable.",
    ),
    click.option(
        "--exclude-dependents",
        is_flag=True,
        help="Leave out with them every project that depends on them, asked for or not, and say which.",
    ),
    click.option(
        "--format", "formats", multiple=True, type=click.Choice(FORMATS), help="Only files of this kind; repeatable."
    ),
    click.option("--binary-only", is_flag=True, help="Only wheels."),
    click.option("--source-only", is_flag=True, help="Only sdists."),
    click.option("--include-prereleases", is_flag=True, help="Choose pre-releases like any other release."),
    click.option(
        "--keep-latest",
        metavar="N",
        type=click.IntRange(min=1),
        help="Of what matches a rule, the N newest releases for each target; not of what is only required.",
    ),
    click.option("--no-deps", is_flag=True, help="Do not follow dependencies."),
    click.option("--max-depth", metavar="N", type=click.IntRange(min=0), help="Follow N steps at most; 0: no limit."),
    click.option("--extras", type=click.Choice(("requested", "all")), help="Which extras of the projects to follow."),
    upstream_option,
    click.option("--jobs", metavar="N", type=click.IntRange(min=1), help="How many downloads at once."),
    click.option(
        "--max-rate", metavar="SIZE", help='Bytes per second at most, of all downloads together: "10 MB", "500 kB".'
    ),
]
