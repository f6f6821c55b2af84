"""Where each key of a TOML document stands: key path → line, which `tomllib` does not tell.

The text must already have been accepted by `tomllib` (TOML 1.0), so this reads structure only and never judges.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

KeyPath = tuple[str | int, ...]
"""The way from the root to a value: keys of tables and places in arrays."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*+")
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'|"(?:[^"\\\n]++|\\.)*+"'
    r"|'[^'\n]*+'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*+")
_PLACE = re.compile(r" \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")


class Positions:
    """The lines (from 1) of the keys and array elements of one document."""

    def __init__(self, lines: Mapping[KeyPath, int]) -> None:
        self._lines = lines

    def line(self, path: KeyPath) -> int | None:
        """The line of that key or of the nearest thing around it; None for a document without any."""
        for length in range(len(path), 0, -1):
            if (line := self._lines.get(path[:length])) is not None:
                return line
        return None

    def paths(self) -> frozenset[KeyPath]:
        """Every key path that was seen."""
        return frozenset(self._lines)


def positions(text: str) -> Positions:
    """Read the lines of every key of a document that `tomllib` accepts."""
    scanner = _Scanner(text)
    scanner.document()
    return Positions(scanner.lines)


def syntax_fault(error: ValueError, text: str) -> tuple[int, str]:
    """The line and the sentence of what `tomllib` says of a text that is not TOML."""
    sentence = str(error)
    place = _PLACE.search(sentence)
    sentence = sentence[: place.start()] if place else sentence
    if place and place["line"]:
        return int(place["line"]), f"not TOML: {sentence[:1].lower()}{sentence[1:]} (column {place['column']})"
    return text.count("\n") + 1, f"not TOML: {sentence[:1].lower()}{sentence[1:]} (at the end of the file)"


class _Scanner:
    """Walks over the text once, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._array_lengths: dict[KeyPath, int] = {}
        self._line = 1
        self._counted_to = 0

    def document(self) -> None:
        """Headers and key-value pairs until the end."""
        table: KeyPath = ()
        self._blank()
        while self.at < len(self.text):
            if self.text.startswith("[[", self.at):
                self.at += 2
                table = self._next_element(self._resolve(self._key()))
                self.at += 2
            elif self.text[self.at] == "[":
                self.at += 1
                table = self._mark(self._resolve(self._key()))
                self.at += 1
            else:
                self._pair(table)
            self._blank()

    def _pair(self, table: KeyPath) -> None:
        path = self._mark_below(table, self._key())
        self.at += 1
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._blank()
        if string := _STRING.match(self.text, self.at):
            self.at = string.end()
        elif self.text[self.at] == "[":
            self._array(path)
        elif self.text[self.at] == "{":
            self._inline_table(path)
        else:
            scalar = _SCALAR.match(self.text, self.at)
            self.at = scalar.end() if scalar else len(self.text)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        number = 0
        while self._next_is_not("]"):
            self._value(self._mark((*path, number)))
            number += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self._next_is_not("}"):
            self._pair(path)
        self.at += 1

    def _next_is_not(self, closing: str) -> bool:
        """Skip to the next element; False at the end of the array or inline table."""
        self._blank()
        if self.text[self.at] == ",":
            self.at += 1
            self._blank()
        return self.text[self.at] != closing

    def _key(self) -> KeyPath:
        """A dotted key, up to its `=` or `]`; quoted parts are left to tomllib, which knows the escapes."""
        self._blank()
        start = self.at
        while self.text[self.at] not in "=]":
            part = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
            self.at = part.end() if part else self.at + 1
        raw = self.text[start : self.at].strip()
        if _BARE_KEY.fullmatch(raw):
            return (raw,)
        return _spine(tomllib.loads(f"{raw}=0"))

    def _resolve(self, key: KeyPath) -> KeyPath:
        """The path a header means: below an array of tables it continues the last element."""
        path: KeyPath = ()
        for part in key[:-1]:
            path = (*path, part)
            self.lines.setdefault(path, self._here())
            if path in self._array_lengths:
                path = (*path, self._array_lengths[path] - 1)
        return (*path, key[-1])

    def _next_element(self, path: KeyPath) -> KeyPath:
        number = self._array_lengths.get(path, 0)
        self._array_lengths[path] = number + 1
        self._mark(path)
        return self._mark((*path, number))

    def _mark_below(self, table: KeyPath, key: KeyPath) -> KeyPath:
        path = table
        for part in key:
            path = self._mark((*path, part))
        return path

    def _mark(self, path: KeyPath) -> KeyPath:
        self.lines.setdefault(path, self._here())
        return path

    def _here(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line

    def _blank(self) -> None:
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at


def _spine(table: dict[str, Any]) -> KeyPath:
    """The keys of a document that has exactly one value."""
    path: KeyPath = ()
    value: Any = table
    while isinstance(value, dict):
        (key,) = value
        path = (*path, key)
        value = value[key]
    return path
