"""Options of the command line over an index of a configuration, for one run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.config.inline import COMMAND_LINE
from pypim.config.locate import PRESET, upstream_at, upstream_url
from pypim.config.model import MirrorIndex
from pypim.core.errors import InvalidRequirement, InvalidUsage
from pypim.core.inputs import parse_input
from pypim.core.measures import parse_rate
from pypim.core.policy import Filters, filter_faults
from pypim.core.requirements import parse_requirement_argument
from pypim.core.target import TargetSpec, environments
from pypim.core.urls import split_user_info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pypim.config.inline import Told
    from pypim.core.closure import FollowOptions


def check_options(told: Told) -> None:
    """Raises InvalidUsage with a line for every option that cannot be read; the message names the option."""
    attempts: list[tuple[str, Callable[[], object]]] = []
    attempts += [
        ("--python", partial(environments, {COMMAND_LINE: TargetSpec(python=(text,))})) for text in told.python
    ]
    attempts += [
        ("--platform", partial(environments, {COMMAND_LINE: TargetSpec(platforms=(text,))})) for text in told.platforms
    ]
    attempts += [("-r", partial(parse_input, file, COMMAND_LINE)) for file in told.requirement_files]
    if told.max_rate is not None:
        attempts.append(("--max-rate", partial(parse_rate, told.max_rate, COMMAND_LINE)))
    attempts += [("REQ", partial(parse_requirement_argument, text, COMMAND_LINE)) for text in told.requirements]
    faults = []
    for option, attempt in attempts:
        try:
            attempt()
        except InvalidRequirement as error:
            faults.append(f"{option} {error.text!r}: {error.reason}. {error.hint}".rstrip(" ."))
    faults += [f"--{sentence}" for _, sentence in filter_faults(Filters(exclude=told.exclude), COMMAND_LINE)]
    if told.upstream is not None:
        faults += _upstream_faults(told.upstream)
        if split_user_info(told.upstream)[1] is not None:
            # What --to is told is kept in a folder that is made to be served and copied.
            faults.append("--upstream takes no user name and password: put them into your netrc file")
    if faults:
        raise InvalidUsage("\n".join(faults))


def _upstream_faults(text: str) -> Iterator[str]:
    if text != PRESET and "://" not in text and not Path(text).exists():
        yield f"--upstream {text}: there is no such folder; a URL begins with https://, http:// or file://"
        return
    try:
        upstream_url(text, Path.cwd())
    except ValueError as error:
        yield f"--upstream {split_user_info(text)[0]}: {error}"


def override(index: MirrorIndex, told: Told, *, machine: Callable[[], TargetSpec]) -> MirrorIndex:
    """The index as this run sees it; the options have been checked.

    Requirements are added; --python and --platform replace the targets (what only one of them says, this machine
    adds, and for a proxy, which has none, all of it); everything else replaces the key of the same name.
    """
    changes: dict[str, Any] = {
        "requirements": told.requirements,
        "requirement_files": (*index.requirement_files, *(parse_input(file, "-r") for file in told.requirement_files)),
        "follow": _follow(index.follow, told),
        "filters": _filters(index.filters, told),
        "jobs": told.jobs or index.jobs,
    }
    if told.python or told.platforms or index.fills_proxy:
        changes["targets"] = {COMMAND_LINE: _target(told, machine())}
    if told.upstream is not None:
        changes["upstream"] = upstream_at(COMMAND_LINE, told.upstream, Path.cwd())
    if told.max_rate is not None:
        rate = parse_rate(told.max_rate, COMMAND_LINE)
        changes["upstream"] = msgspec.structs.replace(changes.get("upstream", index.upstream), max_rate_bytes=rate)
    return msgspec.structs.replace(index, **changes)


def _target(told: Told, here: TargetSpec) -> TargetSpec:
    return TargetSpec(
        python=told.python or here.python,
        platforms=told.platforms or here.platforms,
        implementations=here.implementations,
    )


def _follow(follow: FollowOptions, told: Told) -> FollowOptions:
    changes: dict[str, Any] = {}
    if told.no_deps:
        changes["is_followed"] = False
    if told.max_depth is not None:
        changes["max_depth"] = told.max_depth
    if told.extras is not None:
        changes["root_extras"] = None if told.extras == "all" else frozenset()
    return msgspec.structs.replace(follow, **changes)


def _filters(filters: Filters, told: Told) -> Filters:
    changes: dict[str, Any] = {}
    if told.exclude:
        changes["exclude"] = told.exclude
    if told.exclude_dependents:
        changes["exclude_dependents"] = True
    if told.formats:
        changes["formats"] = told.formats
    if told.include_prereleases:
        changes["prereleases"] = True
    if told.keep_latest is not None:
        changes["keep_latest"] = told.keep_latest
    return msgspec.structs.replace(filters, **changes)
