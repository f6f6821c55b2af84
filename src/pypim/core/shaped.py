"""A TOML or JSON document of somebody else's format becomes typed values, or one fault with its line and a remedy.

What a format has beyond the fields that are asked for is ignored: newer versions of the tools add to it.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pypim.core.errors import InvalidConfig
from pypim.core.faults import ConfigFault
from pypim.core.positions import Positions, positions, syntax_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypim.core.positions import KeyPath

    Table = dict[str, Any]

_T = TypeVar("_T")

_WHERE = re.compile(r" - at `(?:key in )?(?P<path>\$[^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")
_WORDS = {"str": "a string", "int": "an integer", "array": "a list", "object": "a table", "null": "nothing"}
_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"|[][{},:]|[^][{},:"\s]+|\n')


class Misshapen(Exception):  # noqa: N818 - what is said of the document, not of the program
    """A value is not what its format says; `path` leads to it. Never leaves this layer: see `read_toml`."""

    def __init__(self, path: KeyPath, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.remedy = remedy


def read_toml(path: str, text: str, read: Callable[[Table], _T], remedy: str) -> _T:
    """What `read` makes of a TOML document; `remedy` says what to do about one that is broken. Raises InvalidConfig."""
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise _invalid(path, None, "it is nested too deeply", remedy) from None
    except ValueError as error:  # also a number with more digits than int() takes
        raise _invalid(path, *syntax_fault(error, text), remedy) from None
    return _read(path, table, read, lambda: positions(text), remedy)


def read_json(path: str, text: str, read: Callable[[Table], _T], remedy: str) -> _T:
    """The same for a JSON document, which must be an object. Raises InvalidConfig."""
    try:
        table = json.loads(text)
    except RecursionError:
        raise _invalid(path, None, "it is nested too deeply", remedy) from None
    except json.JSONDecodeError as error:
        sentence = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} (column {error.colno})"
        raise _invalid(path, error.lineno, sentence, remedy) from None
    except ValueError:
        raise _invalid(path, None, "it has a number that is too long", remedy) from None
    if not isinstance(table, dict):
        raise _invalid(path, 1, "this is not a JSON object", remedy)
    return _read(path, table, read, lambda: _json_positions(text), remedy)


def shaped(value: object, kind: type[_T], path: KeyPath = ()) -> _T:
    """The value at `path` as that type. Raises Misshapen."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        sentence = str(error)
        if where := _WHERE.search(sentence):
            sentence = sentence[: where.start()]
            for key, number, unknown in _STEP.findall(where["path"]):
                if unknown:
                    break  # msgspec does not tell which key of a dictionary it was
                path = (*path, int(number) if number else key)
        raise Misshapen(path, _worded(sentence)) from None
    except RecursionError:
        raise Misshapen(path, "it is nested too deeply") from None


def _read(path: str, table: Table, read: Callable[[Table], _T], places: Callable[[], Positions], remedy: str) -> _T:
    try:
        return read(table)
    except Misshapen as fault:
        line = places().line(fault.path) if fault.path else None
        raise _invalid(path, line, fault.message, fault.remedy or remedy, _spelled(fault.path)) from None


def _invalid(path: str, line: int | None, message: str, remedy: str, key: str = "") -> InvalidConfig:
    return InvalidConfig(path, [ConfigFault(file=path, line=line, key=key, message=message, remedy=remedy)])


def _worded(sentence: str) -> str:
    """The sentence of msgspec in the words of people who write such files."""
    if found := re.fullmatch(r"Object missing required field `(.*)`", sentence):
        return f"{found[1]} is missing"
    text = sentence.replace(" | null", "").replace(", got ", ", found ")
    for word, said in _WORDS.items():
        text = text.replace(f"`{word}`", said)
    return text[:1].lower() + text[1:]


def _spelled(path: KeyPath) -> str:
    """The way to a value, its lists counted from 1."""
    text = ""
    for step in path:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _json_positions(text: str) -> Positions:
    """The lines of the keys and elements of a document that `json` accepts."""
    lines: dict[KeyPath, int] = {}
    path: list[str | int] = []
    """For every container that is open, the key or number of what is being read in it."""
    line = 1
    expects_key = False
    for mark in _JSON_MARK.findall(text):
        if mark == "\n":
            line += 1
        elif mark in {"}", "]"}:
            path.pop()
        elif mark == ",":
            expects_key = isinstance(path[-1], str)
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else path[-1]
        elif expects_key:
            path[-1] = json.loads(mark)
            lines.setdefault(tuple(path), line)
            expects_key = False
        elif mark != ":":
            lines.setdefault(tuple(path), line)
            if mark in {"{", "["}:
                path.append(0 if mark == "[" else "")
            expects_key = mark == "{"
    return Positions(lines)
