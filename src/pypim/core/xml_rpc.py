"""Answers of the mirroring calls in XML-RPC, written piece by piece: one of them names every project there is."""

from __future__ import annotations

from heapq import nsmallest
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from packaging.utils import NormalizedName

    from pypim.core.model import ProjectList

Row = tuple[str, "str | None", int, str, int]
"""name, version, seconds since 1970, action, serial: an entry of the changelog."""

PARSE_ERROR = -32700
INVALID_PARAMETERS = -32602
APPLICATION_ERROR = -32500
MOST_CHANGES = 50_000
_AT_A_TIME = 2_000
_BEGIN = '<?xml version="1.0"?>\n<methodResponse><params><param>'
_END = "</param></params></methodResponse>\n"


class Serials(NamedTuple):
    """The projects of an index with their serials; there may be a million, so nobody has them all at once."""

    last: int
    """The highest serial, at least 1."""
    each: Callable[[], Iterable[tuple[NormalizedName, int]]]
    """Goes through them from the beginning, as often as it is called."""


def serials_of(projects: ProjectList) -> Serials:
    """Each project with its serial, as the list of the Simple API shows it."""
    default = max(projects.last_serial or 1, 1)
    known = (serial for serial in projects.projects.values() if serial is not None)
    return Serials(
        max(default, max(known, default=1)),
        lambda: ((name, serial or default) for name, serial in projects.projects.items()),
    )


def changes_since(serials: Serials, serial: int, most: int = MOST_CHANGES) -> Iterator[Row]:
    """What may have changed, for an index that keeps no changelog: its projects with a higher serial, the oldest first.

    Of projects with one serial all are told or none, for a mirror goes on after the highest that it saw.
    """
    oldest = nsmallest(most, (own for _, own in serials.each() if own > serial))
    if oldest:
        last = oldest[-1]
        before = sorted((own, name) for name, own in serials.each() if serial < own < last)
        at_last = ((own, name) for name, own in serials.each() if own == last)  # perhaps all that there are
        yield from ((name, None, 0, "new release", own) for own, name in chain(before, at_last))


def render_number(number: int) -> Iterator[str]:
    """The answer that is one number."""
    yield f"{_BEGIN}<value><int>{number}</int></value>{_END}"


def render_serials(serials: Iterable[tuple[NormalizedName, int]]) -> Iterator[str]:
    """The answer {name: serial}."""
    yield f"{_BEGIN}<value><struct>"
    members = (
        f"<member><name>{escape(name)}</name><value><int>{serial}</int></value></member>" for name, serial in serials
    )
    yield from _joined(members)
    yield f"</struct></value>{_END}"


def render_changes(rows: Iterable[Row]) -> Iterator[str]:
    """The answer [[name, version, time, action, serial]]."""
    yield f"{_BEGIN}<value><array><data>"
    yield from _joined(f"<value><array><data>{''.join(map(_value, row))}</data></array></value>" for row in rows)
    yield f"</data></array></value>{_END}"


def render_fault(code: int, sentence: str) -> str:
    """The answer that nothing came of it; its HTTP status is 200 all the same."""
    members = (("faultCode", _value(code)), ("faultString", _value(sentence)))
    struct = "".join(f"<member><name>{name}</name>{value}</member>" for name, value in members)
    value = f"<value><struct>{struct}</struct></value>"
    return f'<?xml version="1.0"?>\n<methodResponse><fault>{value}</fault></methodResponse>\n'


def _value(value: str | int | None) -> str:
    if value is None:
        return "<value><nil/></value>"
    if isinstance(value, int):
        return f"<value><int>{value}</int></value>"
    return f"<value><string>{escape(''.join(filter(_is_xml, value)))}</string></value>"


def _is_xml(character: str) -> bool:
    """Whether XML 1.0 can have it at all (2.2)."""
    return character >= " " or character in "\t\n\r"


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    waiting = iter(pieces)
    while piece := "".join(islice(waiting, _AT_A_TIME)):
        yield piece
