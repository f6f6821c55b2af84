"""From the arguments of a command to the configuration and the indexes it is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.cli.options import PlaceArguments, SyncArguments
from pypim.config.environment import environment
from pypim.config.inline import Told, config_path, remember
from pypim.config.load import find_config, load, load_text
from pypim.config.machine import this_machine
from pypim.config.override import check_options, override
from pypim.core.errors import InvalidUsage, NotFound

if TYPE_CHECKING:
    from pypim.config.model import Config, Index


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a command works on."""

    config: Config
    indexes: tuple[Index, ...]
    """The one of --index, else all; at least one."""
    changed_files: dict[Path, str] = {}
    """Texts that a sync has to write before it begins, by absolute path (`--to` only); a plan does not."""
    notes: tuple[str, ...] = ()
    """What the user should know of how the arguments were understood."""


def find_place(config_file: str | None, arguments: SyncArguments | PlaceArguments) -> Place:
    """Raises InvalidConfig, InvalidUsage, InvalidRequirement or NotFound."""
    place, told, is_replacing = arguments, Told(), False
    if isinstance(arguments, SyncArguments):
        place, told, is_replacing = arguments.place, arguments.told, arguments.is_replacing
    assert isinstance(place, PlaceArguments)
    check_options(told)
    if place.to is None:
        if is_replacing:
            raise InvalidUsage("--replace goes with --to DIR", hint="A configuration is changed by editing it.")
        return _configured(config_file, place, told)
    if config_file is not None:
        raise InvalidUsage(
            "-c and --to do not go together", hint="--to DIR has a configuration of its own, in DIR/.pypim/."
        )
    if isinstance(arguments, SyncArguments):
        return _told(place.to, place, told, is_replacing=is_replacing)
    return _kept(place.to, place)


def _configured(config_file: str | None, place: PlaceArguments, told: Told) -> Place:
    config = load(find_config(config_file, environment()))
    indexes = config.chosen(place.index)
    if told == Told():
        return Place(config=config, indexes=indexes)
    if told.requirements and len(indexes) > 1:
        names = ", ".join(index.name for index in indexes)
        raise InvalidUsage("requirements on the command line need one index", hint=f"Name it with --index: {names}.")
    notes: tuple[str, ...] = ()
    if told.requirements or told.requirement_files:
        notes = (
            f"What is asked for on the command line is taken in this time only; to keep it, add it to {config.source}.",
        )
    changed = tuple(override(index, told, machine=this_machine) for index in indexes)
    return Place(config=config, indexes=changed, notes=notes)


def _told(directory: Path, place: PlaceArguments, told: Told, *, is_replacing: bool) -> Place:
    kept = remember(directory, told, replace=is_replacing, machine=this_machine)
    config = load_text(kept.texts[kept.path], kept.path, kept.texts)
    return Place(config=config, indexes=config.chosen(place.index), changed_files=kept.changed)


def _kept(directory: Path, place: PlaceArguments) -> Place:
    path = config_path(directory)
    if not path.is_file():
        raise NotFound(
            f"{directory}: pypim keeps no mirror here", hint=f"Make one with: pypim sync flask --to {directory}"
        )
    config = load(path)
    return Place(config=config, indexes=config.chosen(place.index))
