"""A list read piece by piece says what the readers of whole bodies say of it, wherever it is cut."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.utils import NormalizedName

from pypim.core import simple_html, simple_json
from pypim.core.errors import UpstreamMalformed
from pypim.core.list_stream import HtmlListReader, JsonListReader, NotStreamable
from pypim.core.model import ProjectList
from pypim.core.names import parse_name
from pypim.core.xml_rpc import render_fault, render_serials
from pypim.core.xml_rpc_reading import SerialsReader
from pypim.index import listing

URL = "https://index.example/simple/"
STEP = 1 << 18

names = st.one_of(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True),
    st.text(max_size=6),
)
serials = st.one_of(st.none(), st.integers(0, 10**9), st.integers(-3, 2**70))
members = st.dictionaries(st.sampled_from(["files", "url", "}", "a]"]), st.text(max_size=4), max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Lists as servers write them, and as they should not; the meta before or after the projects."""
    entries = []
    for name, serial, more in draw(st.lists(st.tuples(names, serials, members), max_size=12)):
        entry: dict[str, object] = {"name": name, **more}
        if serial is not None or draw(st.booleans()):
            entry["_last-serial"] = serial
        entries.append(entry)
    if draw(st.integers(0, 9)) == 0:
        entries.insert(0, draw(st.sampled_from([{}, {"name": 3}, {"name": "ok", "_last-serial": "7"}])))
    meta = {"api-version": "1.4", "_last-serial": draw(st.integers(0, 10**9))}
    pairs: list[tuple[str, object]] = [("meta", meta), ("projects", entries)]
    if draw(st.booleans()):
        pairs.reverse()
    indent = draw(st.sampled_from([None, 1]))
    return json.dumps(dict(pairs), ensure_ascii=draw(st.booleans()), indent=indent).encode()


def streamed(reader: listing.Reader, body: bytes, cuts: list[int]) -> ProjectList:
    """Fed in these parts."""
    projects: dict[str, int | None] = {}
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        for name, serial in reader.feed(body[start:end]):
            projects.setdefault(name, serial)
    for name, serial in reader.finish():
        projects.setdefault(name, serial)
    return ProjectList(
        projects={parse_name(name): serial for name, serial in projects.items()},
        last_serial=reader.last_serial,
        dropped=tuple(reader.dropped),
    )


@settings(max_examples=100, deadline=None)
@given(body=documents(), cuts=st.lists(st.integers(0, 5000), max_size=6))
def test_json_in_pieces_is_what_it_is_as_a_whole(body: bytes, cuts: list[int]) -> None:
    try:
        found = streamed(JsonListReader(URL), body, cuts)
    except NotStreamable:
        return  # read as a whole then
    assert found == simple_json.parse_project_list(body, URL)


@pytest.mark.parametrize("size", [0, 1, 5_000, 40_000])
@pytest.mark.parametrize("step", [1 << 14, STEP, 1 << 20])
def test_long_lists_are_streamed_in_full(size: int, step: int) -> None:
    projects: dict[NormalizedName, int | None] = {parse_name(f"project-{number}"): number for number in range(size)}
    listed = ProjectList(projects=projects, last_serial=7)
    cuts = list(range(0, 4_000_000, step))
    for reader, body in (
        (JsonListReader(URL), simple_json.render_project_list(listed)),
        (HtmlListReader(URL), simple_html.render_project_list(listed)),
        (SerialsReader(), "".join(render_serials((name, serial or 0) for name, serial in projects.items())).encode()),
    ):
        if size == 0 and isinstance(reader, HtmlListReader):
            continue  # without a link there is nothing to begin with: it is read as a whole
        found = streamed(reader, body, cuts)
        assert list(found.projects) == (list if isinstance(reader, SerialsReader) else sorted)(projects)
        assert found.dropped == ()


def test_braces_in_texts_do_not_end_an_entry() -> None:
    entries = [{"name": f"a{number}", "note": '}, {"name": "x' + "}" * (number % 7)} for number in range(20_000)]
    body = json.dumps({"meta": {"api-version": "1.0"}, "projects": entries}).encode()
    found = streamed(JsonListReader(URL), body, list(range(0, len(body), 1000)))
    assert len(found.projects) == 20_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"message": "no"}',
        b'{"projects": 3}',
        b'{"x": {"projects": [{"name": "a"}]}}',
        b'{"x": "\\"projects\\": [", "meta": {}}',
        b'{"projects": [{"name": "a"},]}',
        b'{"projects": [{"name": "a"}',
        b'{"projects": [{"name": "a"}] "meta": {}}',
        b'{"meta": {}, "projects": [], "meta": {}}',
    ],
)
def test_what_is_no_list_is_never_read_as_one(body: bytes) -> None:
    reader = JsonListReader(URL)
    with pytest.raises(NotStreamable):
        streamed(reader, body, [5])


def test_an_entry_without_end_does_not_fill_the_memory() -> None:
    body = b'{"projects": [{"name": "' + b"a" * (8 << 20)
    with pytest.raises(NotStreamable):
        streamed(JsonListReader(URL), body, list(range(0, len(body), 1 << 17)))


def test_another_major_version_is_refused() -> None:
    with pytest.raises(UpstreamMalformed):
        streamed(JsonListReader(URL), b'{"meta": {"api-version": "2.0"}, "projects": []}', [])
    body = b'<meta name="pypi:repository-version" content="2.0"><a href="/simple/a/">a</a>'
    with pytest.raises(UpstreamMalformed):
        streamed(HtmlListReader(URL), body, [])


parts = st.lists(
    st.sampled_from(
        [
            '<a href="/simple/a/">a</a>\n',
            '<a href="b/">b</a><br/>\n',
            '<a class="x" href="../simple/C.d">C.d</a><br>',
            '<a href="../">..</a>',
            '<a href="/simple/e/" rel="internal">e</a>',
            "<a href='f/'>f</a>",
            '<a href="g%2Dh/">g</a>',
            '<a href="/simple/!/">i</a>',
            "<!-- <a href='j/'>j</a> -->",
            "<script>'<a href=\"k/\">k</a>'</script>",
            '<a title="</a>" href="l/">l</a>',
            "<li>",
            "text é",
        ]
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(
    head=st.sampled_from(["", "<html><head><title>x</title></head><body>", "<!-- a --><p>"]),
    parts=parts,
    tail=st.sampled_from(["", "</body></html>", "<!--SERIAL 12-->", "<a href='z/'"]),
    cuts=st.lists(st.integers(0, 500), max_size=5),
)
def test_html_in_pieces_is_what_it_is_as_a_whole(head: str, parts: list[str], tail: str, cuts: list[int]) -> None:
    body = (head + "".join(parts) + tail).encode()
    try:
        found = streamed(HtmlListReader(URL), body, cuts)
    except NotStreamable:
        return
    assert found == simple_html.parse_project_list(body, URL)


def test_a_fault_is_no_list_of_serials() -> None:
    with pytest.raises(NotStreamable):
        streamed(SerialsReader(), render_fault(-32500, "RuntimeError: no").encode(), [])
