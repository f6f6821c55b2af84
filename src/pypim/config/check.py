"""What is wrong beyond the configuration's own text: with files it names, secrets it refers to, proxy variables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pypim.config.access import fetch_options, secrets_of
from pypim.config.model import FileUse, ProxyIndex
from pypim.core.errors import InvalidConfig
from pypim.core.inputs import read_input

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pypim.config.model import Config, Upstream
    from pypim.core.faults import ConfigFault
    from pypim.core.inputs import InputFile


def faults_beyond(
    config: Config,
    variables: Mapping[str, str],
    *,
    upstreams: Iterable[Upstream],
    indexes: Collection[str],
    more_files: Iterable[InputFile] = (),
    is_serving: bool = False,
) -> list[ConfigFault]:
    """Every fault of the files and secrets that those upstreams and the indexes of those names need.

    `more_files` are requirements files that the configuration does not name. With `is_serving` the files of the server
    count, too.
    """
    faults: list[ConfigFault] = []
    for upstream in upstreams:
        faults += _upstream_faults(config, upstream, variables)
    if is_serving:
        faults += _missing_files(config, FileUse.SERVER)
    named = [file for index in config.mirrors if index.name in indexes for file in index.requirement_files]
    for file in dict.fromkeys((*named, *more_files)):
        faults += requirement_faults(config, file, variables)
    return faults


def server_faults(config: Config, variables: Mapping[str, str]) -> list[ConfigFault]:
    """Every fault of what `pypim serve` needs: its own files, and the upstreams that proxies ask."""
    proxies = [index for index in config.indexes.values() if isinstance(index, ProxyIndex)]
    upstreams = {index.upstream.name: index.upstream for index in proxies if not index.is_offline}
    return faults_beyond(config, variables, upstreams=upstreams.values(), indexes=(), is_serving=True)


def requirement_faults(config: Config, file: InputFile, variables: Mapping[str, str]) -> tuple[ConfigFault, ...]:
    """What is wrong with one requirements file and those that it includes, or with a pyproject.toml or lock."""
    try:
        read_input(file, lambda name: config.read_text(Path(name)), variables)
    except InvalidConfig as error:
        return error.faults
    return ()


def _upstream_faults(config: Config, upstream: Upstream, variables: Mapping[str, str]) -> list[ConfigFault]:
    faults: list[ConfigFault] = []
    for secret in secrets_of(upstream):
        try:
            secret.reveal(variables)
        except InvalidConfig as error:
            faults += error.faults
    if not faults:
        try:
            fetch_options(upstream, variables)
        except InvalidConfig as error:
            faults += error.faults
    return faults + _missing_files(config, FileUse.CERTIFICATE, upstream.name)


def _missing_files(config: Config, use: FileUse, owner: str | None = None) -> list[ConfigFault]:
    """A fault for each that is not there, of one owner or of all."""
    named = [file for file in config.named_files if file.use is use and owner in {None, file.owner}]
    return [config.file_fault(file.path, "no such file") for file in named if not file.path.is_file()]
