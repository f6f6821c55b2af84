"""From the arguments of a command to the configuration and the indexes it is about."""

from __future__ import annotations

import shlex
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.cli.options import SyncArguments, WorkspaceArguments
from pypim.config.environment import environment
from pypim.config.inline import COMMAND_LINE, REQUIREMENTS_NAME, Told, config_path, no_mirror, remember
from pypim.config.load import HINT, find_config, load, load_text
from pypim.config.locate import upstream_at
from pypim.config.machine import this_machine
from pypim.config.override import check_options, override
from pypim.core.errors import InvalidUsage
from pypim.core.inputs import parse_input

if TYPE_CHECKING:
    from pypim.config.load import LookBeyond
    from pypim.config.model import Config, MirrorIndex
    from pypim.core.faults import ConfigFault


class Needs(Enum):
    """Which of the files and secrets that a configuration names have to be there for a command."""

    NOTHING = "nothing"
    USED = "used"
    """By the indexes that it is about."""
    EVERYTHING = "everything"


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """What a command works on."""

    config: Config
    indexes: tuple[MirrorIndex, ...]
    """The mirror of --index, else all; at least one where the command is about mirrors."""
    changed_files: dict[Path, str] = {}
    """Texts that a sync has to write before it begins, by absolute path (`--to` only); a plan does not."""
    notes: tuple[str, ...] = ()
    """What the user should know of how the arguments were understood."""
    memory: Path | None = None
    """The requirements file of a mirror without a configuration, where requirements stay until they are taken out."""


def find_workspace(
    config_file: str | None,
    arguments: SyncArguments | WorkspaceArguments,
    needs: Needs = Needs.NOTHING,
    *,
    looks_beyond: bool = True,
    is_about_mirrors: bool = True,
) -> Workspace:
    """What the arguments mean; without `is_about_mirrors` the configuration may be one of a server without any mirror.

    Raises InvalidConfig (with all that is wrong with what is needed), InvalidUsage, InvalidRequirement, NotFound.
    """
    workspace, told, is_replacing, may_begin = arguments, Told(), False, False
    if isinstance(arguments, SyncArguments):
        workspace, told, is_replacing, needs = arguments.workspace, arguments.told, arguments.is_replacing, Needs.USED
        may_begin = arguments.is_beginning
    assert isinstance(workspace, WorkspaceArguments)
    check_options(told)
    for file in told.requirement_files:
        _refuse_passing(parse_input(file, COMMAND_LINE).path)
    has_more = looks_beyond and needs is not Needs.NOTHING
    look_beyond = partial(_faults_beyond, needs, workspace, told) if has_more else None
    if workspace.to is None:
        if is_replacing:
            raise InvalidUsage("--replace goes with --to DIR", hint="A configuration is changed by editing it.")
        config = load(find_config(config_file, environment()), look_beyond, _hint(told))
        may_fill = bool(told.requirements or told.requirement_files) or may_begin
        chosen = config.chosen(workspace.index, is_needed=is_about_mirrors, may_fill=may_fill)
        return _configured(config, chosen, told)
    if config_file is not None:
        raise InvalidUsage(
            "-c and --to do not go together", hint="--to DIR has a configuration of its own, in DIR/.pypim/."
        )
    if isinstance(arguments, SyncArguments):
        return _told(workspace.to, arguments, look_beyond)
    config = _kept(workspace.to, look_beyond)
    return Workspace(config=config, indexes=config.chosen(workspace.index, is_needed=is_about_mirrors))


def _hint(told: Told) -> str:
    """What helps where something is wrong; a check of the configuration knows nothing of what is told only now."""
    return HINT if told == Told() else "Correct what is named, and run the same command again."


def _refuse_passing(file: str) -> None:
    """Raises InvalidUsage for a pipe or a device: it can be read only once."""
    path = Path(file)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InvalidUsage(
            f"-r {file}: this is no regular file, and it is read more than once: with --to again in every sync",
            hint="Save it as a file that stays, and name that one.",
        )


def same_workspace(config_file: str | None, arguments: SyncArguments | WorkspaceArguments) -> str:
    """The options that make another command be about the same mirror, for hints; they begin with a blank."""
    workspace = arguments.workspace if isinstance(arguments, SyncArguments) else arguments
    assert isinstance(workspace, WorkspaceArguments)
    words = []
    if workspace.to is not None:
        words += ["--to", str(workspace.to)]
    elif config_file is not None:
        words += ["-c", config_file]
    if workspace.index is not None:
        words += ["--index", workspace.index]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _faults_beyond(needs: Needs, workspace: WorkspaceArguments, told: Told, config: Config) -> list[ConfigFault]:
    from pypim.config.check import faults_beyond

    indexes = [index for index in config.mirrors if workspace.index in {None, index.name}]
    upstreams = {index.upstream.name: index.upstream for index in indexes}
    if needs is Needs.EVERYTHING:
        upstreams = config.upstreams
    elif told.upstream is not None and workspace.to is None:  # with --to it is the one of the configuration
        upstreams = {COMMAND_LINE: upstream_at(COMMAND_LINE, told.upstream, Path.cwd())}
    return faults_beyond(
        config,
        environment(),
        upstreams=upstreams.values(),
        indexes=[index.name for index in indexes],
        more_files=[parse_input(file, COMMAND_LINE) for file in told.requirement_files],
        is_serving=needs is Needs.EVERYTHING,
    )


def _configured(config: Config, indexes: tuple[MirrorIndex, ...], told: Told) -> Workspace:
    if told == Told():
        return Workspace(config=config, indexes=indexes)
    if told.requirements and len(indexes) > 1:
        names = ", ".join(index.name for index in indexes)
        raise InvalidUsage("requirements on the command line need one index", hint=f"Name it with --index: {names}.")
    notes: tuple[str, ...] = ()
    if (told.requirements or told.requirement_files) and not any(index.fills_proxy for index in indexes):
        notes = (
            f"What is asked for on the command line is taken in this time only; to keep it, add it to {config.source}.",
        )
    changed = tuple(override(index, told, machine=this_machine) for index in indexes)
    return Workspace(config=config, indexes=changed, notes=notes)


def _told(directory: Path, arguments: SyncArguments, look_beyond: LookBeyond | None) -> Workspace:
    kept = remember(
        directory,
        arguments.told,
        replace=arguments.is_replacing,
        machine=this_machine,
        may_begin=arguments.is_beginning,
    )
    config = load_text(kept.texts[kept.path], kept.path, kept.texts, look_beyond, _hint(arguments.told))
    return Workspace(
        config=config,
        indexes=config.chosen(arguments.workspace.index),
        changed_files=kept.changed,
        memory=kept.path.with_name(REQUIREMENTS_NAME),
    )


def _kept(directory: Path, look_beyond: LookBeyond | None) -> Config:
    path = config_path(directory)
    if not path.is_file():
        raise no_mirror(directory)
    return load(path, look_beyond)
