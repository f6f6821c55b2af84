"""The three mirroring calls of XML-RPC, asked with Python's own client and with what attackers send."""

from __future__ import annotations

import xmlrpc.client
from collections.abc import Iterator

import pytest
from packaging.utils import NormalizedName

from pypim.core.model import Page, ProjectList
from pypim.core.xml_rpc import changes_since, render_changes, serials_of
from pypim.web import xmlrpc as calls
from tests.index.shelf import Shelf
from tests.web.shelves import ShelfServer, context_of, serving

A, B, C = NormalizedName("a"), NormalizedName("b"), NormalizedName("c")


@pytest.fixture
def shelf() -> Shelf:
    return Shelf("main", Page(name=A, last_serial=5), Page(name=B, last_serial=9), Page(name=C))


@pytest.fixture
def server(shelf: Shelf) -> Iterator[ShelfServer]:
    with serving(context_of(shelf), calls.routes) as running:
        yield running


@pytest.mark.parametrize("place", ["/pypi", "/pypi/", "/RPC2", "/main/pypi", "/main/pypi/", "/main/RPC2"])
def test_the_three_calls_of_mirrors(server: ShelfServer, place: str) -> None:
    """`changelog_last_serial()`→int; `changelog_since_serial(int)`; `list_packages_with_serial()`→{name:serial}."""
    with xmlrpc.client.ServerProxy(server.url + place) as client:
        assert client.changelog_last_serial() == 9
        assert client.list_packages_with_serial() == {"a": 5, "b": 9, "c": 9}
        assert client.changelog_since_serial(5) == [
            ["b", None, 0, "new release", 9],
            ["c", None, 0, "new release", 9],
        ]
        assert client.changelog_since_serial(9) == []


def test_case_39_an_index_without_serials_has_one_all_the_same(shelf: Shelf, server: ShelfServer) -> None:
    """Case 39: every entry has an integer serial, at least 1."""
    shelf.pages = {C: Page(name=C)}
    with xmlrpc.client.ServerProxy(server.url + "/pypi") as client:
        assert client.changelog_last_serial() == 1
        assert client.list_packages_with_serial() == {"c": 1}


@pytest.mark.parametrize("method", ["search", "system.multicall", "release_data", "list_packages", "<&>"])
def test_case_79_every_other_call_is_a_fault(server: ShelfServer, method: str) -> None:
    """Case 79: XML-RPC `system.multicall`/`search` → Fault -32500, HTTP 200."""
    body = xmlrpc.client.dumps(([],), method.replace("<&>", "a.b")).encode()
    answer = server.ask("/pypi", "POST", {"Content-Type": "text/xml"}, body)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer.body)
    assert caught.value.faultCode == -32500


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("changelog_since_serial", ()),
        ("changelog_since_serial", ("5",)),
        ("changelog_since_serial", (True,)),
        ("changelog_since_serial", (5, 6)),
        ("changelog_last_serial", (1,)),
    ],
)
def test_case_79_bad_types_are_a_fault_of_their_own(
    server: ShelfServer, method: str, parameters: tuple[object, ...]
) -> None:
    """Case 79: bad types → invalid-params fault."""
    body = xmlrpc.client.dumps(parameters, method).encode()  # type: ignore[arg-type]
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(server.ask("/pypi", "POST", {"Content-Type": "text/xml"}, body).body)
    assert caught.value.faultCode == -32602


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    b"<methodCall><methodName>&c;</methodName><params></params></methodCall>"
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    b"<methodCall><methodName>&f;</methodName></methodCall>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<a/>",
        b"<methodResponse><params/></methodResponse>",
        b"<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param></params></methodCall>",
        b"<methodCall><methodName>a</methodName><params><param><value><int>" + b"9" * 9000 + b"</int></value></param>",
        b"<methodCall><params><param><value><nonsense/></value></param></params></methodCall>",
        xmlrpc.client.dumps(xmlrpc.client.Fault(1, "x")).encode(),
        BOMB,
        OUTSIDE,
        BOMB.decode().encode("utf-16"),
    ],
)
def test_what_is_no_call_is_a_fault_and_nothing_is_expanded(server: ShelfServer, body: bytes) -> None:
    answer = server.ask("/pypi", "POST", {"Content-Type": "text/xml"}, body)
    assert answer.status == 200
    assert b"root:" not in answer.body
    assert len(answer.body) < 1000
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(answer.body)
    assert caught.value.faultCode in {-32700, -32500}


def test_a_body_of_any_length_is_not_read_to_its_end(server: ShelfServer) -> None:
    answer = server.ask("/pypi", "POST", {"Content-Type": "text/xml"}, b" " * (64 * 1024 + 1))
    assert answer.status == 413


def test_a_closed_index_tells_nothing(shelf: Shelf) -> None:
    with serving(context_of(shelf, is_open=False), calls.routes) as server:
        body = xmlrpc.client.dumps((), "changelog_last_serial").encode()
        assert server.ask("/pypi", "POST", {"Content-Type": "text/xml"}, body).status == 401


def test_projects_of_one_serial_are_told_together() -> None:
    """A mirror goes on after the highest serial it saw: to cut between two projects of one serial would lose one."""
    projects = ProjectList(projects={A: 3, B: 3, C: 4}, last_serial=4)
    serials = serials_of(projects)
    assert [row[0] for row in changes_since(serials, 0, most=1)] == ["a", "b"]
    assert [row[0] for row in changes_since(serials, 3, most=1)] == ["c"]
    assert serials.last == 4
    assert serials_of(ProjectList(projects={A: None})).last == 1
    assert dict(serials_of(ProjectList(projects={A: None}, last_serial=7)).each()) == {"a": 7}


def test_a_long_changelog_is_written_in_pieces() -> None:
    rows = [("a", "1.0 <&>\x00", 1, f"add source file {n}", n) for n in range(1, 5001)]
    pieces = list(render_changes(rows))
    assert len(pieces) > 3
    (decoded,), _ = xmlrpc.client.loads("".join(pieces), use_builtin_types=True)
    assert decoded == [[*row[:1], "1.0 <&>", *row[2:]] for row in rows]
