"""Answers of the mirroring calls in XML-RPC, as another index gives them; long ones are read piece by piece."""

from __future__ import annotations

import re
import xmlrpc.client
from typing import TYPE_CHECKING
from xml.parsers import expat

import msgspec

from pypim.core.entries import serial_of
from pypim.core.errors import UpstreamMalformed
from pypim.core.list_stream import Collected, NotStreamable, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEP_BYTES = 1 << 18
_MOST_UNREAD_BYTES = 4 << 20
_END = b"</member>"
_MEMBER = re.compile(
    rb"<member>\s*<name>([^<>&]*)</name>\s*<value>\s*<(?:int|i4|i8)>\s*(\d{1,18})\s*</(?:int|i4|i8)>\s*</value>\s*</member>"
)
_TAGS_OF_MEMBER = 8
_HEAD = re.compile(
    rb"\s*(?:<\?xml[^<>]*\?>)?\s*<methodResponse>\s*<params>\s*<param>\s*<value>\s*<struct>\s*", re.IGNORECASE
)
_TAIL = re.compile(rb"\s*</struct>\s*</value>\s*</param>\s*</params>\s*</methodResponse>\s*\Z", re.IGNORECASE)
_COLUMNS = 5


class Fault(Exception):  # noqa: N818 - the protocol's own word
    """The answer that nothing came of a call; its HTTP status is 200 all the same."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

    @property
    def is_too_many_requests(self) -> bool:
        """Whether the call would be answered later; any other fault means that it is not offered."""
        return "toomanyrequests" in self.sentence.lower().replace(" ", "")

    @property
    def seconds(self) -> float | None:
        """When the limit ends, where the sentence says it."""
        found = re.search(r"in (\d{1,6}) second", self.sentence)
        return float(found[1]) if found else None


class Event(msgspec.Struct, frozen=True):
    """One entry of the changelog. It is a hint that its project has changed, and says little of how."""

    name: str
    action: str
    serial: int


class SerialsReader(Collected):
    """Reads the answer {name: serial} that names every project there is."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._has_begun = False

    def feed(self, chunk: bytes) -> Pairs:
        """The projects that are complete now. Raises NotStreamable."""
        self._buffer += chunk
        if len(self._buffer) < _STEP_BYTES:
            return []
        if len(self._buffer) > _MOST_UNREAD_BYTES:
            raise NotStreamable
        return self._take()

    def finish(self) -> Pairs:
        """The last projects."""
        found = self._take()
        if not _TAIL.match(self._buffer):
            raise NotStreamable
        return found

    def _take(self) -> Pairs:
        if not self._has_begun:
            head = _HEAD.match(self._buffer)
            if head is None:
                raise NotStreamable
            del self._buffer[: head.end()]
            self._has_begun = True
        end = self._buffer.rfind(_END) + len(_END)
        if end < len(_END):
            return []
        piece = bytes(self._buffer[:end])
        members = _MEMBER.findall(piece)
        if piece.count(b"<") != _TAGS_OF_MEMBER * len(members):
            raise NotStreamable
        del self._buffer[:end]
        serials = [int(serial) for _, serial in members]
        self.last_serial = max([self.last_serial or 0, *serials])
        return self.named([name.decode("utf-8", "replace") for name, _ in members], map(serial_of, serials))


def call(method: str, *parameters: int) -> bytes:
    """The body of a request."""
    return xmlrpc.client.dumps(parameters, method).encode()


def value_of(body: bytes, url: str) -> object:
    """The one value that an answer has. Raises Fault, or UpstreamMalformed where it is no answer at all."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise UpstreamMalformed(url, "the answer declares types, which no XML-RPC does")
    try:
        values, _ = xmlrpc.client.loads(body)
    except xmlrpc.client.Fault as fault:
        raise Fault(_number(fault.faultCode), str(fault.faultString)) from None
    except (expat.ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise UpstreamMalformed(url, f"the answer is not XML-RPC: {error}") from None
    return values[0] if values else None


def serial_in(value: object, url: str) -> int:
    """The serial that a value is. Raises UpstreamMalformed."""
    serial = serial_of(value)
    if serial is None:
        raise UpstreamMalformed(url, "the answer is no serial")
    return serial


def events_in(rows: object, url: str) -> list[Event]:
    """The changes that a value is, each [name, version, time, action, serial]. Raises UpstreamMalformed."""
    if not isinstance(rows, list):
        raise UpstreamMalformed(url, "the answer is no list of changes")
    return [_event(row, url) for row in rows]


def _event(row: object, url: str) -> Event:
    columns: Sequence[object] = row if isinstance(row, list) and len(row) == _COLUMNS else ()
    serial = serial_of(columns[4]) if columns else None
    if serial is None or not isinstance(columns[0], str):
        raise UpstreamMalformed(url, f"an entry of the changelog is {str(row)[:200]!r}")
    return Event(columns[0], columns[3] if isinstance(columns[3], str) else "", serial)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
