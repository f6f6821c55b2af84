"""Lists of very many projects in both forms, written without ever having all of their entries as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypim.core import simple_html, simple_json
from pypim.core.model import ProjectList
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SOME = parse_name("some-project")
_ALONE = ProjectList(projects={_SOME: None})


def html_list(names: Iterable[str]) -> bytearray:
    """What `simple_html.render_project_list` writes of these names, which come in order."""
    return _filled(simple_html.render_project_list, names, '<a href="{0}/">{0}</a><br>', b"\n")


def json_list(names: Iterable[str]) -> bytearray:
    """What `simple_json.render_project_list` writes of these names, which come in order."""
    return _filled(simple_json.render_project_list, names, '{{"name":"{0}","_last-serial":1}}', b",")


def _filled(render: Callable[[ProjectList], bytes], names: Iterable[str], entry: str, between: bytes) -> bytearray:
    """The list of one project, with all entries in the place of that one."""
    head, found_entry, tail = render(_ALONE).partition(entry.format(_SOME).encode())
    assert found_entry, "entries are written in another way"
    rest = iter(names)
    first = next(rest, None)
    if first is None:
        return bytearray(render(ProjectList(projects={})))
    found = bytearray(head)
    found += entry.format(first).encode()
    for name in rest:
        found += between
        found += entry.format(name).encode()
    found += tail
    return found
