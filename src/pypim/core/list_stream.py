"""The list of all projects, read piece by piece as it comes: no tree of it, no text of it, is ever in memory.

What the large indexes send is read here. Any other list that the whole-body readers understand raises NotStreamable,
and goes to them. Sources: PEP 503, 629, 691, 700.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any

import msgspec

from pypim.core.decode_json import ListedProject, Meta
from pypim.core.entries import check_api_version, serial_of
from pypim.core.errors import InvalidName
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName

Pairs = list[tuple["NormalizedName", "int | None"]]
"""Projects with their serials, in the order of the list."""

_STEP_BYTES = 1 << 18
_MOST_UNREAD_BYTES = 4 << 20
_MOST_DROPPED = 1000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_NOT_NORMAL = re.compile(r"[-_.]*[_.][-_.]*|--+")
_NAMES = re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*\n)*\Z")
_DIGITS = 18


class NotStreamable(Exception):  # noqa: N818 - it says something of the document, not of the program
    """The list is no list, or is written in a way that only the reader of whole bodies understands."""


class Collected:
    """What a reader of a list finds besides its projects."""

    def __init__(self) -> None:
        self.last_serial: int | None = None
        self.dropped: list[str] = []

    def named(self, names: Sequence[str], serials: Iterable[int | None]) -> Pairs:
        """The pairs, with the names normalised; those that are none are dropped."""
        text = "\n".join(names).lower() + "\n" if names else ""
        if _NOT_NORMAL.search(text):
            text = _NOT_NORMAL.sub("-", text)
        if text.count("\n") == len(names) and _NAMES.match(text):
            return list(zip(text.split("\n"), serials, strict=False))  # type: ignore[arg-type] # they are normalised now
        found: Pairs = []
        for name, serial in zip(names, serials, strict=True):
            try:
                found.append((parse_name(name), serial))
            except InvalidName as error:
                self.drop(error.message)
        return found

    def drop(self, sentence: str) -> None:
        """Note what cannot be used; not without end."""
        if len(self.dropped) < _MOST_DROPPED:
            self.dropped.append(sentence)


# --- JSON -----------------------------------------------------------------------------------------------------------
class _Ends(msgspec.Struct):
    """The document without what stands in its list."""

    projects: list[ListedProject]
    meta: Meta | None = None


_BEGIN_OF_LIST = re.compile(rb'"projects"\s*:\s*\[')
_ends = msgspec.json.Decoder(_Ends)
_entries = msgspec.json.Decoder(list[ListedProject])
_anything = msgspec.json.Decoder(list[Any])
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class JsonListReader(Collected):
    """Reads PEP 691. A part that decodes as a list of whole entries is one: JSON is read from its front only."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._buffer = bytearray()
        self._has_begun = False
        self._has_entries = False
        self._meta: Meta | None = None

    def feed(self, chunk: bytes) -> Pairs:
        """The projects that are complete now. Raises NotStreamable or UpstreamMalformed (another major version)."""
        self._buffer += chunk
        if len(self._buffer) < _STEP_BYTES:
            return []
        if not self._has_begun:
            self._begin()
        return self._take()

    def finish(self) -> Pairs:
        """The last projects."""
        if not self._has_begun:
            self._begin()
        try:
            ends = _ends.decode(b'{"projects":[' + self._rest())
        except _UNREADABLE:
            raise NotStreamable from None
        if ends.meta is not None:
            if self._meta is not None:
                raise NotStreamable
            self._meta = ends.meta
        meta = self._meta or Meta()
        check_api_version(meta.api_version, self._url)
        self.last_serial = serial_of(meta.last_serial)
        self._buffer.clear()
        return self._pairs(ends.projects)

    def _rest(self) -> bytes:
        """What is left, without the comma that parts it from what was taken."""
        rest = bytes(self._buffer).lstrip()
        if not self._has_entries:
            return rest
        if rest[:1] == b",":
            rest = rest[1:].lstrip()
            if rest[:1] != b"]":
                return rest
        elif rest[:1] == b"]":
            return rest
        raise NotStreamable

    def _begin(self) -> None:
        if self._buffer.startswith(_BYTE_ORDER_MARK):
            del self._buffer[:3]
        found = _BEGIN_OF_LIST.search(self._buffer)
        if found is None:
            raise NotStreamable
        try:
            ends = _ends.decode(bytes(self._buffer[: found.end()]) + b"]}")
        except _UNREADABLE:
            raise NotStreamable from None
        self._meta = ends.meta
        if ends.meta is not None:
            check_api_version(ends.meta.api_version, self._url)
        self._has_begun = True
        del self._buffer[: found.end()]

    def _take(self) -> Pairs:
        """As many entries as are whole; where they cannot be told yet, more has to come."""
        end = self._buffer.rfind(b"}") + 1
        piece = bytes(self._buffer[:end]).lstrip()
        if self._has_entries and piece:
            if piece[:1] != b",":
                return self._wait()
            piece = piece[1:]
        if not piece:
            return self._wait()
        try:
            entries = _entries.decode(b"[" + piece + b"]")
        except msgspec.ValidationError:
            entries = self._patient(piece)
        except _UNREADABLE:
            return self._wait()
        self._has_entries = True
        del self._buffer[:end]
        return self._pairs(entries)

    def _wait(self) -> Pairs:
        if len(self._buffer) > _MOST_UNREAD_BYTES:
            raise NotStreamable
        return []

    def _patient(self, piece: bytes) -> list[ListedProject]:
        """Entries some of which are not as they should be."""
        try:
            values = _anything.decode(b"[" + piece + b"]")
        except _UNREADABLE:
            raise NotStreamable from None
        entries = []
        for value in values:
            fields = value if isinstance(value, dict) else {}
            name = fields.get("name")
            entries.append(ListedProject(name if isinstance(name, str) else "", serial_of(fields.get("_last-serial"))))
        return entries

    def _pairs(self, entries: Sequence[ListedProject]) -> Pairs:
        serials = [entry.last_serial for entry in entries]
        return self.named([entry.name for entry in entries], map(serial_of, serials))


# --- HTML -----------------------------------------------------------------------------------------------------------
_ATTRIBUTES = r"(?: [a-z-]+=\"[^\"<>]*\")*"
_LINK = re.compile(
    rf"<a{_ATTRIBUTES} href=\"(?:[^\"<>&%?#]*/)?([^\"<>&%?#/\s]+)/?\"{_ATTRIBUTES}\s*>([^<>&]*)</a>", re.IGNORECASE
)
_BREAK = re.compile(r"<br\s*/?>|</?(?:li|ul|p|pre)>", re.IGNORECASE)
_META = re.compile(r"<meta\s", re.IGNORECASE)
_VERSION = re.compile(r"<meta\s+name=\"pypi:repository-version\"\s+content=\"([^\"<>]*)\"\s*/?>", re.IGNORECASE)
_HARD = re.compile(r"<(?:script|style|textarea|xmp|iframe|noembed|noframes|base)[\s/>]", re.IGNORECASE)
_SERIAL = re.compile(r"<!--SERIAL (\d{1,18})-->")
_FIRST_LINK = re.compile(r"<a\s", re.IGNORECASE)


class HtmlListReader(Collected):
    """Reads PEP 503, where every link is written on its own and in full."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._has_begun = False

    def feed(self, chunk: bytes) -> Pairs:
        """The projects whose links are complete now. Raises NotStreamable or UpstreamMalformed."""
        self._text += self._decoder.decode(chunk)
        if len(self._text) < _STEP_BYTES:
            return []
        if len(self._text) > _MOST_UNREAD_BYTES:
            raise NotStreamable
        self._begin()
        end = self._text.rfind("</a>") + len("</a>")
        if end < len("</a>"):
            return []
        piece, self._text = self._text[:end], self._text[end:]
        return self._links(piece)

    def finish(self) -> Pairs:
        """The last projects."""
        self._text += self._decoder.decode(b"", final=True)
        self._begin()
        end = self._text.rfind("</a>") + len("</a>")
        piece, rest = (self._text[:end], self._text[end:]) if end >= len("</a>") else ("", self._text)
        self._text = ""
        found = self._links(piece)
        if _FIRST_LINK.search(rest) or _HARD.search(rest) or _META.search(rest):
            raise NotStreamable
        if serials := _SERIAL.findall(rest):
            self.last_serial = serial_of(int(serials[-1]))
        return found

    def _begin(self) -> None:
        """What stands before the first link: nothing in it may hide a link, and its version must be ours."""
        if self._has_begun:
            return
        first = _FIRST_LINK.search(self._text)
        if first is None:
            raise NotStreamable
        head = self._text[: first.start()]
        versions = _VERSION.findall(head)
        hides = _HARD.search(head) or "<!--" in head or head.lower().count("<title") != head.lower().count("</title>")
        if hides or ("pypi:" in head and len(versions) != 1):
            raise NotStreamable
        if versions:
            check_api_version(versions[0], self._url)
        self._has_begun = True
        self._text = self._text[first.start() :]

    def _links(self, piece: str) -> Pairs:
        links = _LINK.findall(piece)
        if piece.count("<") != 2 * len(links) + len(_BREAK.findall(piece)):
            raise NotStreamable
        usable = [(part, text) for part, text in links if part not in {".", ".."}]
        found = self.named([part for part, _ in usable], (None for _ in usable))
        if len(found) == len(usable):
            return found
        raise NotStreamable  # a link whose text is the name, or that has none
