"""Start tags out of a foreign HTML document, one after the other, without a tree.

A parser that builds the tree of the HTML standard can be made to take minutes for a page of 1 MB (nesting, many
attributes) or gigabytes for one of 70 kB (unclosed formatting elements are made again in every paragraph). Links and
metas need no tree: this reads from front to back in time and memory that grow with the document alone.
Source: HTML Living Standard, 13.2.5 "Tokenization".
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Attributes = dict[str, str | None]
"""Names in lower case; None for an attribute without a value."""

_WANTED = re.compile(
    r"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"  # a comment, to its end
    r"|(script|style|textarea|title|xmp|iframe|noembed|noframes)(?=[\s/>])"  # what is in it is text, not tags
    r"|(a|base|meta)(?=[\s/>]))",
    re.IGNORECASE | re.DOTALL,
)
_GAP = re.compile(r"[\s/]*")
_NAME = re.compile(r"[^\s/>][^\s/>=]*")
_EQUALS = re.compile(r"\s*=\s*")
_UNQUOTED = re.compile(r"[^\s>]*")
_END_OF_LINK = re.compile(r"</?a(?=[\s/>])", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
# In an attribute a reference without ";" counts only where no letter, digit or "=" follows: ?a=1&copy=2 is an address.
_REFERENCE = re.compile(r"&(?:#[0-9A-Za-z]{1,9};?|[A-Za-z][0-9A-Za-z]{0,31}(?:;|(?![0-9A-Za-z=])))")
_MOST_TEXT_CHARS = 4096


class StartTag(NamedTuple):
    """One `<a>`, `<base>` or `<meta>`."""

    name: str
    attributes: Attributes
    end: int
    """Where it ends in the document."""


def start_tags(document: str) -> Iterator[StartTag]:
    """Every link, base and meta in order; a tag that the document breaks off in is none."""
    position = 0
    while found := _WANTED.search(document, position):
        position = found.end()
        if raw := found[1]:
            end = re.compile(rf"</{raw}(?=[\s/>])", re.IGNORECASE).search(document, position)
            if end is None:
                return
            position = end.start()
        elif name := found[2]:
            attributes: Attributes = {}
            end_of_tag = _read_attributes(document, position, attributes)
            if end_of_tag is None:
                return
            position = end_of_tag
            yield StartTag(name.lower(), attributes, position)


def link_text(document: str, start: int) -> str:
    """What stands between a link's start tag and its end, without tags; not more than a screenful of it."""
    end = _END_OF_LINK.search(document, start, start + _MOST_TEXT_CHARS)
    return unescape(_TAG.sub("", document[start : end.start() if end else start + _MOST_TEXT_CHARS]))


def _read_attributes(document: str, position: int, attributes: Attributes) -> int | None:
    """Fill in the attributes of the tag whose name ends at `position`; where it ends, or None where it does not."""
    length = len(document)
    while True:
        position = _end(_GAP, document, position)
        if position >= length:
            return None
        if document[position] == ">":
            return position + 1
        start, position = position, _end(_NAME, document, position)
        name, value = document[start:position].lower(), None
        if equals := _EQUALS.match(document, position):
            position = equals.end()
            quote = document[position : position + 1]
            if quote in {'"', "'"}:
                start, position = position + 1, document.find(quote, position + 1) + 1
                if not position:
                    return None
                value = _decoded(document[start : position - 1])
            else:
                start, position = position, _end(_UNQUOTED, document, position)
                value = _decoded(document[start:position])
        attributes.setdefault(name, value)


def _end(pattern: re.Pattern[str], document: str, position: int) -> int:
    """Where what the pattern matches ends; it matches everywhere but at the end of the document."""
    found = pattern.match(document, position)
    return found.end() if found else position


def _decoded(text: str) -> str:
    """Character references resolved, line ends made one character (HTML, 13.2.3.5)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _REFERENCE.sub(lambda reference: unescape(reference[0]), text) if "&" in text else text
