"""Other tools' configurations become a pypim.toml; what cannot be carried over is named, a sentence each."""

from __future__ import annotations

import configparser
import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pypim.config import json5, template
from pypim.config.convert_bandersnatch import from_bandersnatch
from pypim.config.convert_command import from_pypim_command, from_simple_command
from pypim.config.convert_json import from_microrepo, from_pypisync
from pypim.config.convert_morgan import from_morgan
from pypim.config.load import FILE_NAME, load_text
from pypim.core.errors import InvalidConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.config.template import Draft

_HINT = (
    "pypim reads bandersnatch.conf, morgan.ini, pypisync's JSON5, microrepo's and minirepo's JSON, and the command "
    "lines of PyPIM and simple-pypi-mirror as text."
)
_PYPIM = re.compile(r"\bpypim(\.py)?\b", re.IGNORECASE)
_SIMPLE = re.compile(r"\b(simple[-_])?pypi[-_]mirror(\.py)?\b|\bsimple_pypi_mirror\b", re.IGNORECASE)


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that was converted."""

    tool: str
    text: str
    """The pypim.toml."""
    lost: tuple[str, ...]
    """What could not be carried over."""


def convert(text: str, path: Path, folder: Path) -> Converted:
    """Recognise whose configuration the text of the file at `path` is, and convert it for a pypim.toml in `folder`.

    Relative paths, which are taken to be relative to the old file's folder, go on to mean the same. Raises
    InvalidConfig.
    """
    try:
        tool, draft, lost = _converted(text, partial(_moved, path.absolute().parent, folder.absolute()))
    except (ValueError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise InvalidConfig(str(path), [(None, reason)], hint=_HINT) from None
    draft.remarks = (f"Converted from {tool}'s configuration.", *(f"Not carried over: {line}" for line in lost))
    made = Converted(tool=tool, text=template.render(draft), lost=tuple(lost))
    try:
        load_text(made.text, folder / FILE_NAME)
    except InvalidConfig as error:
        # What would be written is no file yet, so its lines mean nothing to anybody.
        faults = [msgspec.structs.replace(fault, file=str(path), line=None) for fault in error.faults]
        hint = "Each is named as the pypim.toml would have it; correct what it comes from in this file."
        raise InvalidConfig(str(path), faults, hint=hint) from None
    return made


def _moved(old: Path, new: Path, text: str) -> str:
    """A path of the old file as the new one has to write it; an absolute one stays, also one in the home folder."""
    if old == new or Path(text).expanduser().is_absolute():
        return text
    return Path(os.path.relpath(old / text, new)).as_posix()


def _converted(text: str, moved: Callable[[str], str]) -> tuple[str, Draft, list[str]]:
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith(("{", "//", "/*")):
        return _from_json(stripped, moved)
    if re.search(r"(?m)^\s*\[mirror\]", text):
        return ("bandersnatch", *from_bandersnatch(_ini(text), moved))
    if re.search(r"(?m)^\s*\[(env\.[^\]]+|requirements)\]", text):
        return ("morgan", *from_morgan(_ini(text)))
    if _SIMPLE.search(stripped):
        return ("simple-pypi-mirror", *from_simple_command(stripped, moved))
    if _PYPIM.search(stripped):
        return ("PyPIM", *from_pypim_command(stripped, moved))
    raise ValueError("this is no configuration that pypim knows")


def _from_json(text: str, moved: Callable[[str], str]) -> tuple[str, Draft, list[str]]:
    data = json5.loads(text)
    if isinstance(data, dict) and {"endpoint", "destination_folder", "packages_re"} & data.keys():
        return ("pypisync", *from_pypisync(data, moved))
    if isinstance(data, dict) and {"repository", "package_types", "python_versions"} & data.keys():
        return ("microrepo", *from_microrepo(data, moved))
    raise ValueError("this JSON has neither the keys of pypisync nor those of microrepo")


def _ini(text: str) -> configparser.ConfigParser:
    """Both tools' files as their own readers see them: no interpolation, keys with their case, values of many lines."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser
