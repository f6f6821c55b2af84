"""Values as TOML text, which Python's standard library reads and does not write."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LINE_LENGTH = 100


def key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE_KEY.fullmatch(name) else string(name)


def string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but TOML does not allow DEL as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value(item: object) -> str:
    """A string, number, truth value, list or table; a list that is long gets a line per element."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return string(item)
    if isinstance(item, dict):
        return "{ " + ", ".join(f"{key(name)} = {value(inner)}" for name, inner in item.items()) + " }"
    if isinstance(item, (list, tuple)):
        return _array([value(inner) for inner in item])
    return str(item)


def pair(name: str, item: object, comment: str = "") -> str:
    """A line `key = value`, with its comment behind it."""
    text = f"{key(name)} = {value(item)}"
    return f"{text:<42}  # {comment}" if comment else text


def header(*names: str) -> str:
    """A table's header."""
    return f"[{'.'.join(key(name) for name in names)}]"


def _array(elements: Iterable[str]) -> str:
    texts = list(elements)
    line = f"[{', '.join(texts)}]"
    if len(line) <= _LINE_LENGTH:
        return line
    return "[\n" + "".join(f"    {text},\n" for text in texts) + "]"
