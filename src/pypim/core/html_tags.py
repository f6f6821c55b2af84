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
    r"<(?:(!--)"
    r"|(script|style|textarea|title|xmp|iframe|noembed|noframes)(?=[\s/>])"  # what is in it is text, not tags
    r"|(a|base|meta)(?=[\s/>]))",
    re.IGNORECASE,
)
_LONGEST_NAME_CHARS = 16
_WINDOW_CHARS = 1 << 18
"""So much is searched at once: while a pattern is searched for, no other thread runs."""
_EMPTY_COMMENT = re.compile(r"-?>")
_GAP = re.compile(r"[\s/]*")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|(["'])|([^\s>]*)))?""")
_MOST_ATTRIBUTES = 64
_MOST_TAG_CHARS = 1 << 17
"""A tag that has more of either means no file: it is passed over, for it would take long to read."""
_BEGUN = re.compile(r"<(?:[A-Za-z/!]|\Z)")
_LINK_ENDS = re.compile(r"</a", re.IGNORECASE)
_END_OF_LINK = re.compile(r"</?a(?=[\s/>])", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
# In an attribute a reference without ";" counts only where no letter, digit or "=" follows: ?a=1&copy=2 is an address.
_REFERENCE = re.compile(r"&(?:#[0-9A-Za-z]{1,9};?|[A-Za-z][0-9A-Za-z]{0,31}(?:;|(?![0-9A-Za-z=])))")
_MOST_TEXT_CHARS = 4096


class BrokenOff(ValueError):  # noqa: N818 - what happened to the document
    """It ends inside a tag or a link."""


class StartTag(NamedTuple):
    """One `<a>`, `<base>` or `<meta>`."""

    name: str
    attributes: Attributes
    end: int
    """Where it ends in the document."""


def start_tags(document: str) -> Iterator[StartTag]:
    """Every link, base and meta in order. Raises BrokenOff at the end of a document that is not all of it."""
    position, link = 0, None
    comments = _Comments(document)
    while found := _wanted(document, position):
        position = found.end()
        if found[1]:
            position = comments.end(position)
        elif raw := found[2]:
            end = re.compile(rf"</{raw}(?=[\s/>])", re.IGNORECASE).search(document, position)
            if end is None:
                return
            position = end.start()
        else:
            attributes: Attributes = {}
            end_of_tag = _read_attributes(document, position, attributes)
            if end_of_tag is None:
                raise BrokenOff
            position = end_of_tag
            name = found[3].lower()
            link = position if name == "a" else link
            yield StartTag(name, attributes, position)
    _refuse_begun(document, position, link)


class _Comments:
    """Finds where comments end; each of the two ways in which they may is searched for once."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._next = {"-->": -1, "--!>": -1}

    def end(self, start: int) -> int:
        """Behind the comment whose text begins there; the end of the document where it is not closed."""
        if empty := _EMPTY_COMMENT.match(self._document, start):
            return empty.end()
        ends = []
        for mark, known in self._next.items():
            if known < start:
                found = self._document.find(mark, start)
                self._next[mark] = len(self._document) if found < 0 else found
            ends.append(min(self._next[mark] + len(mark), len(self._document)))
        return min(ends)


def _refuse_begun(document: str, position: int, link: int | None) -> None:
    """Raises BrokenOff where behind the last tag that was read another begins, or the last link does not end."""
    last = document.rfind("<", position)
    is_begun = last >= 0 and _BEGUN.match(document, last) is not None and document.find(">", last) < 0
    if is_begun or (link is not None and _LINK_ENDS.search(document, link) is None):
        raise BrokenOff


def _wanted(document: str, position: int) -> re.Match[str] | None:
    while position < len(document):
        stop = position + _WINDOW_CHARS
        if found := _WANTED.search(document, position, stop):
            return found
        position = stop - _LONGEST_NAME_CHARS if stop < len(document) else stop
    return None


def link_text(document: str, start: int) -> str:
    """What stands between a link's start tag and its end, without tags; not more than a screenful of it."""
    end = _END_OF_LINK.search(document, start, start + _MOST_TEXT_CHARS)
    return unescape(_TAG.sub("", document[start : end.start() if end else start + _MOST_TEXT_CHARS]))


def _read_attributes(document: str, position: int, attributes: Attributes) -> int | None:
    """Fill in the attributes of the tag whose name ends at `position`; where it ends, or None where it does not."""
    stop = min(position + _MOST_TAG_CHARS, len(document))
    for _ in range(_MOST_ATTRIBUTES + 1):
        found = _ATTRIBUTE.match(document, position, stop)
        if found is None:
            gap = _GAP.match(document, position, stop)
            position = gap.end() if gap else position
            if position < stop:
                return position + 1  # nothing but ">" begins no attribute
            break
        name, double, single, opened, bare = found.groups()
        if opened:  # and never closed
            position = stop
            break
        value = double if double is not None else single if single is not None else bare
        attributes.setdefault(name.lower(), None if value is None else _decoded(value))
        position = found.end()
    attributes.clear()
    end = document.find(">", position)
    return None if end < 0 else end + 1


def _decoded(text: str) -> str:
    """Character references resolved, line ends made one character (HTML, 13.2.3.5)."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _REFERENCE.sub(lambda reference: unescape(reference[0]), text) if "&" in text else text
