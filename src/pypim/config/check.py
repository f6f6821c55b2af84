"""What `config check` looks at beyond the file itself: the files it names and the secrets it refers to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.config.access import fetch_options
from pypim.core.errors import InvalidConfig
from pypim.core.requirements import read_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pypim.config.model import Config, Upstream


def check(config: Config, variables: Mapping[str, str]) -> None:
    """Raises InvalidConfig with every fault of every file that the configuration needs."""
    faults: list[tuple[int | None, str]] = []
    for upstream in config.upstreams.values():
        faults += _caught(config, partial(fetch_options, upstream, variables))
        faults += [
            (None, f"upstreams.{upstream.name}: {path}: no such file")
            for path in _certificates(upstream)
            if not path.is_file()
        ]
    for index in config.indexes.values():
        for path in index.requirement_files:
            faults += _caught(
                config,
                partial(read_requirements, str(path), lambda name: config.read_text(Path(name)), variables),
            )
    if faults:
        raise InvalidConfig(config.source, list(dict.fromkeys(faults)), hint="Correct them and check again.")


def _certificates(upstream: Upstream) -> list[Path]:
    named = (upstream.ca_file, upstream.client_certificate, upstream.client_key)
    return [path for path in named if path is not None]


def _caught(config: Config, attempt: Callable[[], object]) -> list[tuple[int | None, str]]:
    """The faults that an attempt finds; those of another file with that file's name."""
    try:
        attempt()
    except InvalidConfig as error:
        if error.path == config.source:
            return list(error.faults)
        return [
            (None, f"{error.path}:{line}: {text}" if line else f"{error.path}: {text}") for line, text in error.faults
        ]
    return []
