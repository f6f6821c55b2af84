"""Other tools' configurations become a pypim.toml; what cannot be carried over is named, a sentence each."""

from __future__ import annotations

import configparser
import re
from typing import TYPE_CHECKING

import msgspec

from pypim.config import json5, template
from pypim.config.convert_bandersnatch import from_bandersnatch
from pypim.config.convert_command import from_pypim_command, from_simple_command
from pypim.config.convert_json import from_microrepo, from_pypisync
from pypim.config.convert_morgan import from_morgan
from pypim.core.errors import InvalidConfig

if TYPE_CHECKING:
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


def convert(text: str, path: str) -> Converted:
    """Recognise whose configuration a text is and convert it; `path` is for messages. Raises InvalidConfig."""
    try:
        tool, draft, lost = _converted(text)
    except (ValueError, configparser.Error) as error:
        reason = " ".join(str(error).split())
        raise InvalidConfig(path, [(None, reason)], hint=_HINT) from None
    draft.remarks = (f"Converted from {tool}'s configuration.", *(f"Not carried over: {line}" for line in lost))
    return Converted(tool=tool, text=template.render(draft), lost=tuple(lost))


def _converted(text: str) -> tuple[str, Draft, list[str]]:
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith(("{", "//", "/*")):
        return _from_json(stripped)
    if re.search(r"(?m)^\s*\[mirror\]", text):
        return ("bandersnatch", *from_bandersnatch(_ini(text)))
    if re.search(r"(?m)^\s*\[(env\.[^\]]+|requirements)\]", text):
        return ("morgan", *from_morgan(_ini(text)))
    if _SIMPLE.search(stripped):
        return ("simple-pypi-mirror", *from_simple_command(stripped))
    if _PYPIM.search(stripped):
        return ("PyPIM", *from_pypim_command(stripped))
    raise ValueError("this is no configuration that pypim knows")


def _from_json(text: str) -> tuple[str, Draft, list[str]]:
    data = json5.loads(text)
    if isinstance(data, dict) and {"endpoint", "destination_folder", "packages_re"} & data.keys():
        return ("pypisync", *from_pypisync(data))
    if isinstance(data, dict) and {"repository", "package_types", "python_versions"} & data.keys():
        return ("microrepo", *from_microrepo(data))
    raise ValueError("this JSON has neither the keys of pypisync nor those of microrepo")


def _ini(text: str) -> configparser.ConfigParser:
    """Both tools' files as their own readers see them: no interpolation, keys with their case, values of many lines."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser
