"""From a file to a Config: found, read, and checked as a whole, with every fault in one message."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from pypim.config.decode import Faults, decode, in_order
from pypim.config.document import Document
from pypim.config.effective import Builder
from pypim.config.environment import user_config_folder
from pypim.core.errors import InvalidConfig, InvalidUsage
from pypim.core.positions import positions, syntax_fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pypim.config.model import Config
    from pypim.core.faults import ConfigFault

    LookBeyond = Callable[[Config], Iterable[ConfigFault]]
    """Finds what is wrong with the files that a configuration names, even where it has faults of its own."""

FILE_NAME = "pypim.toml"
VARIABLE = "PYPIM_CONFIG"
HINT = "Correct the file and run `pypim config check`; `pypim config schema` prints a schema for your editor."


def find_config(explicit: str | None, variables: Mapping[str, str]) -> Path:
    """The configuration that counts: -c, else $PYPIM_CONFIG, else ./pypim.toml, else the user's own.

    Raises InvalidConfig when a file that was named is not there, InvalidUsage when there is none anywhere.
    """
    if explicit == "":
        raise InvalidUsage("-c: nothing is named", hint="Name a file, or leave it out.")
    named = explicit or variables.get(VARIABLE)
    if named:
        path = Path(named)
        path = path / FILE_NAME if path.is_dir() else path
        if not path.is_file():
            option = "-c" if explicit else f"${VARIABLE}"
            raise InvalidConfig(str(path), [(None, "no such file")], hint=f"Correct the path given with {option}.")
        return path
    places = (Path(FILE_NAME), user_config_folder(variables) / FILE_NAME)
    for path in places:
        if path.is_file():
            return path
    raise InvalidUsage(
        f"no configuration: neither ./{places[0]} nor {places[1]} is there",
        hint="Write one with `pypim init`, name one with -c FILE, or do without: pypim sync flask --to ./mirror",
    )


def load(path: Path, look_beyond: LookBeyond | None = None, hint: str = HINT) -> Config:
    """Read and check a configuration. Raises InvalidConfig with all faults, and with a hint.

    `look_beyond` finds those of the files that it names; without it nobody looks whether they are there.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidConfig(str(path), [(None, f"this is not UTF-8 text (byte {error.start})")], hint=hint) from None
    except OSError as error:
        raise InvalidConfig(str(path), [(None, error.strerror or "cannot be read")]) from None
    return load_text(text, path, look_beyond=look_beyond, hint=hint)


def load_text(
    text: str,
    path: Path,
    virtual_files: Mapping[Path, str] | None = None,
    look_beyond: LookBeyond | None = None,
    hint: str = HINT,
) -> Config:
    """Check a configuration that is, or would be, in the file of that path. Raises InvalidConfig with all faults.

    `virtual_files` are requirements files that would be beside it, by absolute path.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(str(path), [syntax_fault(error, text)], hint=hint) from None
    # tomllib reads "\r\n" as "\n"; the line numbers are the same either way.
    faults = Faults(positions(text), str(path), text)
    document = decode(raw, Document, faults)
    config = Builder(document, faults, str(path), path.absolute().parent).config(virtual_files or {})
    found = in_order([*faults.found(), *(look_beyond(config) if look_beyond else ())])
    if found:
        raise InvalidConfig(str(path), found, hint=hint)
    return config
