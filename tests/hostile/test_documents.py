"""Pages and core metadata written to confuse, to stall or to fill the memory."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.hostile.sandbox import stuffed
from tests.hostile.test_archives import METADATA, wheel_of
from tests.worlds import faults
from tests.worlds.pages import JSON_TYPE
from tests.worlds.world import FileSpec, project, release, wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.conftest import MakeSandbox
    from tests.worlds.faults import Response

MANY = 100_000
_ENTRY = {
    "filename": "",
    "url": "",
    "hashes": {"sha256": "0" * 64},
    "size": 1000,
    "upload-time": "2024-01-01T00:00:00Z",
}


# --- core metadata --------------------------------------------------------------------------------------------------
def metadata_with(lines: list[str]) -> bytes:
    return METADATA + "".join(f"Requires-Dist: {line}\n" for line in lines).encode()


REQUIREMENTS: dict[str, Callable[[], list[str]]] = {
    "100,000 lines of one project": lambda: [f"lib>=0.{n}" for n in range(MANY)],
    "100,000 markers": lambda: [f"lib; extra == 'e{n}'" for n in range(MANY)],
    "2,000 unknown projects": lambda: [f"unknown{n}" for n in range(2000)],
    "one line of 7 MB": lambda: ["lib" + ",".join(f">=0.{n}" for n in range(700_000))],
    "deep brackets": lambda: ["lib; " + "(" * 50_000 + "python_version > '3'" + ")" * 50_000],
    "long marker": lambda: ["lib; " + " or ".join(["python_version > '3'"] * 50_000)],
    "itself": lambda: ["evil", "evil[a]>=0", "evil[b]; extra == 'a'", "evil[a]; extra == 'b'"],
    "paths": lambda: ["../../etc/passwd", "/etc/passwd", "lib @ file:///etc/passwd", "..", "a/b", "lib\x00"],
    "direct addresses": lambda: ["lib @ http://127.0.0.1:9/lib.whl", "lib @ git+ssh://127.0.0.1/x"],
    "huge versions": lambda: [f"lib>={'9' * 200_000}", f"lib=={'1.' * 100_000}0", "lib===" + "x" * 100_000],
    "garbage": lambda: ["\x1b[2J", "либ", "lib (", "lib [", ";", "@", "lib>=1;;", "= 1", "\u202elib"],
}


@pytest.mark.parametrize("advertised", [True, False], ids=["beside", "in the wheel"])
@pytest.mark.parametrize("kind", REQUIREMENTS)
def test_hostile_requirements(sandbox: MakeSandbox, kind: str, advertised: bool) -> None:
    made = release("1.0", FileSpec(metadata=metadata_with(REQUIREMENTS[kind]())))
    box = sandbox(project("evil", made), project("lib", "1.0"), serve_metadata=advertised)
    outcome = box.sync('evil = "latest"', "--keep-going")
    assert outcome.status in {0, 1, 6, 7, 9}


def test_metadata_of_a_hundred_megabytes(sandbox: MakeSandbox) -> None:
    """In the wheel it packs to nothing; beside it, it is cut off at the limit."""
    content = metadata_with(["lib>=1"]) + b"Requires-Dist: lib>=1\n" * 4_600_000
    world = stuffed(project("evil", "1.0"), wheel=wheel_of([("evil-1.0.dist-info/METADATA", content)]))
    box = sandbox(world)
    box.server.misbehave("*.metadata", faults.instead(content))
    assert box.sync('evil = "latest"').status in {0, 3, 6, 7, 9}


def test_cycles_of_projects_and_extras_end(sandbox: MakeSandbox) -> None:
    box = sandbox(
        project("evil", release("1.0", requires=["b[x]", "evil[z]; extra == 'y'"], extras=["y", "z"])),
        project("b", release("1.0", requires=["c[y]; extra == 'x'"])),
        project("c", release("1.0", requires=["b[x]; extra == 'y'", "evil[y]", "c[y]"])),
    )
    assert box.sync('"evil[y]" = "latest"').status == 0
    assert len(box.held()) == 6


def test_metadata_that_lies_is_not_published(sandbox: MakeSandbox) -> None:
    """The `.metadata` that clients get is the wheel's own, byte for byte, whatever the upstream told."""
    lie = wheel(requires=["lib"], sidecar_requires=[])
    box = sandbox(project("evil", release("1.0", lie)), project("lib", "1.0"))
    assert box.sync('evil = "latest"').status == 0  # the sandbox compares every .metadata with its wheel
    assert "evil-1.0-py3-none-any.whl.metadata" in box.held()


# --- pages ----------------------------------------------------------------------------------------------------------
def files_page(number: int, *, padding: int = 0) -> bytes:
    more = {"requires-python": ">=3." + "0" * padding} if padding else {}
    files = [
        {**_ENTRY, **more, "filename": f"evil-2.{n}-py2-none-any.whl", "url": f"/packages/{n}"} for n in range(number)
    ]
    return json.dumps({"meta": {"api-version": "1.1"}, "name": "evil", "files": files, "versions": []}).encode()


def html_page(number: int) -> bytes:
    links = (
        f'<a href="/packages/evil-2.{n}-py2-none-any.whl#sha256={"0" * 64}" data-size="1000">'
        f"evil-2.{n}-py2-none-any.whl</a><br>\n"
        for n in range(number)
    )
    return b"<!DOCTYPE html><html><body>" + "".join(links).encode() + b"</body></html>"


@pytest.mark.parametrize("format_", ["json", "html"])
@pytest.mark.parametrize("rule", ["latest", pytest.param("*", marks=pytest.mark.slow)])
def test_a_page_with_a_hundred_thousand_files(sandbox: MakeSandbox, format_: str, rule: str) -> None:
    """Protocol case 77; that memory stays bounded is measured, with a page that is four times the largest known."""
    box = sandbox(project("evil", "1.0"), json_api=False)
    page = (files_page(MANY), JSON_TYPE) if format_ == "json" else (html_page(MANY), "text/html")
    box.server.misbehave("/simple/evil/", faults.instead(*page))
    outcome = box.sync(f'evil = "{rule}"', "--keep-going", peak_mib=300)
    assert outcome.status in {1, 9}
    assert outcome.seconds < 30


def test_a_page_of_sixty_megabytes(sandbox: MakeSandbox) -> None:
    """Protocol case 77."""
    box = sandbox(project("evil", "1.0"), json_api=False)
    box.server.misbehave("/simple/evil/", faults.instead(files_page(10_000, padding=5800), JSON_TYPE))
    assert box.sync('evil = "latest"', "--keep-going").status in {1, 9}


def nested(depth: int) -> bytes:
    return b'{"files": ' + b"[" * depth + b"]" * depth + b"}"


GARBAGE: dict[str, tuple[bytes, str]] = {
    "deep": (nested(200_000), JSON_TYPE),
    "deep objects": (
        b'{"files": []' + b', "a": {"b": ' + b'{"c":' * 100_000 + b"1" + b"}" * 100_001 + b"}",
        JSON_TYPE,
    ),
    "huge numbers": (
        b'{"files": [{"filename": "evil-2.0.zip", "url": "/x", "size": ' + b"9" * 100_000 + b"}]}",
        JSON_TYPE,
    ),
    "exponents": (b'{"files": [{"filename": "evil-2.0.zip", "url": "/x", "size": 1e400}]}', JSON_TYPE),
    "not a number": (b'{"files": [{"filename": "evil-2.0.zip", "url": "/x", "size": NaN}], "x": -Infinity}', JSON_TYPE),
    "not an object": (b"[[[]]]", JSON_TYPE),
    "half": (b'{"meta": {"api-version": "1.0"}, "files": [{"filename"', JSON_TYPE),
    "half surrogates": (
        b'{"name": "evil", "files": [{"filename": "evil-2.0\\udc80.zip", "url": "\\ud800"}]}',
        JSON_TYPE,
    ),
    "zeros": (bytes(100_000), JSON_TYPE),
    "zeros as HTML": (bytes(100_000), "text/html"),
    "html deep": (b"<div>" * 300_000 + b'<a href="/x">evil-2.0.zip</a>', "text/html"),
    "html attributes": (b"<a " + b" ".join(b"a%d=1" % n for n in range(100_000)) + b">evil-2.0.zip</a>", "text/html"),
    "html one link": (b'<a href="' + b"/x" * 2_000_000 + b'">evil-2.0.zip</a>', "text/html"),
    "html unclosed": (b"<a href='" + b"x" * 100_000, "text/html"),
    "html entities": (b"<a href='/x'>" + b"&amp;" * 500_000 + b"</a>", "text/html"),
    "utf-16": ("<a href='/x'>evil-2.0.zip</a>".encode("utf-16"), "text/html; charset=utf-16"),
    "unknown charset": (b"<a href='/x'>evil-2.0.zip</a>", "text/html; charset=\xff\xfe".encode().decode("latin-1")),
    "portal": (b"<html><body><h1>Please log in</h1><a href='/login'>here</a></body></html>", "text/html"),
    "version 2": (b'{"meta": {"api-version": "2.0"}, "name": "evil", "files": []}', JSON_TYPE),
    "version of digits": (
        b'{"meta": {"api-version": "' + b"1" * 50_000 + b'.0"}, "name": "evil", "files": []}',
        JSON_TYPE,
    ),
    "duplicate keys": (b'{"files": [], "files": {"a": 1}, "files": null}', JSON_TYPE),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_page_of_garbage(sandbox: MakeSandbox, kind: str) -> None:
    """It is refused or read as far as it makes sense; what was mirrored before stays as it was."""
    body, content_type = GARBAGE[kind]
    box = sandbox(project("evil", "1.0"), json_api=False)
    box.server.misbehave("/simple/evil/", faults.instead(body, content_type))
    outcome = box.sync('evil = "latest"', "--keep-going")
    assert outcome.status in {1, 6, 9}
    assert outcome.seconds < 20
    assert box.held() == set()


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_in_place_of_what_was_mirrored_before_takes_nothing_away(sandbox: MakeSandbox, kind: str) -> None:
    """An upstream that fails is never read as "deleted"."""
    body, content_type = GARBAGE[kind]
    box = sandbox(project("evil", "1.0"), json_api=False)
    assert box.sync('evil = "latest"').status == 0
    box.server.misbehave("/simple/evil/", faults.instead(body, content_type))
    outcome = box.sync('evil = "latest"')
    assert outcome.status != 0
    assert "evil-1.0-py3-none-any.whl" in box.held()
    assert (box.mirror / "simple" / "evil" / "index.html").is_file()


def test_headers_that_lie(sandbox: MakeSandbox) -> None:
    box = sandbox(project("evil", "1.0"))

    def spoil(response: Response) -> Response:
        headers = {
            **response.headers,
            "ETag": '"' + "e" * 6000 + '"',
            "Last-Modified": "yesterday",
            "X-PyPI-Last-Serial": "9" * 5000,
            "Retry-After": "99999999999",
            "Content-Range": "bytes 5-1/0",
            "Link": "<file:///etc/passwd>",
        }
        return replace(response, headers=headers)

    box.server.misbehave("*", spoil)
    assert box.sync('evil = "latest"').status == 0
    assert box.sync('evil = "latest"').status == 0
