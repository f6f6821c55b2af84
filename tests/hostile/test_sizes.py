"""Answers without end or measure: what is read, kept in memory and written stays bounded, whatever is announced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.worlds import faults
from tests.worlds.world import project, release, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.hostile.conftest import MakeSandbox
    from tests.worlds.faults import Response

TEN_GB = 10 * 1000**3
_BLOCK = 1 << 18

PAGES = ["/simple/evil/", "/simple/", "*.metadata"]


def chunked_without_end(response: Response) -> Response:
    """No length is announced, and the body never ends (RFC 9112, 7.1)."""

    def blocks() -> Iterator[bytes]:
        for _ in range(TEN_GB // _BLOCK):
            yield b"%x\r\n" % _BLOCK + b" " * _BLOCK + b"\r\n"

    first = b"%x\r\n" % len(response.body) + response.body + b"\r\n" if response.body else b""
    headers = {name: value for name, value in response.headers.items() if name not in {"ETag", "Accept-Ranges"}}
    return replace(response, headers={**headers, "Transfer-Encoding": "chunked"}, body=first, tail=blocks)


def size_of(size: int | None) -> Callable[[dict[str, object]], None]:
    """What a page says of the size of every file."""

    def change(page: dict[str, object]) -> None:
        files = page["files"]
        assert isinstance(files, list)
        for file in files:
            if size is None:
                del file["size"]
            else:
                file["size"] = size

    return change


@pytest.mark.parametrize("fault", [faults.announce(TEN_GB), faults.announce_only(TEN_GB)], ids=["sent", "not sent"])
@pytest.mark.parametrize("pattern", ["/simple/evil/", "*.metadata", "*.whl"])
def test_ten_gigabytes_announced_are_not_read(
    sandbox: MakeSandbox, fault: Callable[[Response], Response], pattern: str
) -> None:
    box = sandbox(project("evil", "1.0"))
    box.server.misbehave(pattern, fault)
    outcome = box.sync('evil = "latest"')
    assert outcome.status in ({0} if pattern == "*.metadata" else {6, 7})
    assert outcome.seconds < 10


@pytest.mark.parametrize("fault", [faults.announce(TEN_GB), chunked_without_end], ids=["announced", "chunked"])
@pytest.mark.parametrize(
    ("ranges", "status", "said"),
    [(True, 7, "evil-1.0-py3-none-any.whl"), (False, 4, "filters.max-file-size")],
    ids=["lies about its size", "is too large"],
)
def test_a_file_of_unknown_size_ends_at_the_limit(
    sandbox: MakeSandbox, fault: Callable[[Response], Response], status: int, said: str, *, ranges: bool
) -> None:
    """Where it says that it is small and is not, it is refused; where it says nothing, it is left out."""
    box = sandbox(project("evil", "1.0"), json_api=False, ranges=ranges)
    box.server.misbehave("/simple/evil/", faults.changed_page(size_of(None)))
    box.server.misbehave("*.whl", fault)
    outcome = box.sync('evil = "latest"', filters='max-file-size = "8 MB"')
    assert outcome.status == status
    assert said in outcome.stderr
    assert sum(path.stat().st_size for path in box.mirror.rglob("*") if path.is_file()) < 20 << 20


@pytest.mark.parametrize("size", [TEN_GB, 1 << 62, -1, 10**30], ids=["10 GB", "2^62", "negative", "huge"])
def test_a_size_that_the_page_invents(sandbox: MakeSandbox, size: int) -> None:
    """What comes is not what is listed (or there is no room for it): refused, named, and nothing is kept of it."""
    box = sandbox(project("evil", "1.0"), json_api=False)
    box.server.misbehave("/simple/evil/", faults.changed_page(size_of(size)))
    outcome = box.sync('evil = "latest"')
    assert outcome.status in ({7, 8} if size == TEN_GB else {0, 7, 8})


@pytest.mark.parametrize("pattern", PAGES)
def test_an_endless_answer_without_a_length_is_left(sandbox: MakeSandbox, pattern: str) -> None:
    box = sandbox(project("evil", "1.0"))
    box.server.misbehave(pattern, chunked_without_end)
    outcome = box.sync('evil = "latest"', patterns='"ev.*" = "latest"' if pattern == "/simple/" else "")
    assert outcome.status == (0 if pattern == "*.metadata" else 6)


@pytest.mark.parametrize("pattern", PAGES)
def test_a_page_that_unpacks_to_a_gigabyte(sandbox: MakeSandbox, pattern: str) -> None:
    box = sandbox(project("evil", "1.0"))
    box.server.misbehave(pattern, faults.gzip_bomb())
    outcome = box.sync('evil = "latest"', patterns='"ev.*" = "latest"' if pattern == "/simple/" else "")
    assert outcome.status == (0 if pattern == "*.metadata" else 6)


@pytest.mark.slow
def test_a_slow_drip_is_given_up(sandbox: MakeSandbox) -> None:
    box = sandbox(project("evil", release("1.0", wheel(payload=4000), sdist())))
    box.server.misbehave("*.whl", faults.drip(1, 0.1))
    outcome = box.sync('evil = "latest"')
    assert outcome.status == 6
    assert outcome.seconds < 40


def test_many_pages_that_unpack_to_a_gigabyte_do_so_one_after_the_other(sandbox: MakeSandbox) -> None:
    """What one page may take is not multiplied by the number of connections."""
    names = [f"bomb{number}" for number in range(24)]
    box = sandbox(project("evil", release("1.0", requires=names)), *(project(name, "1.0") for name in names))
    box.server.misbehave("/simple/bomb*/", faults.gzip_bomb())
    outcome = box.sync('evil = "latest"', "--keep-going", peak_mib=300)
    assert outcome.status == 1


def test_a_body_of_single_bytes_takes_no_more_than_its_length(sandbox: MakeSandbox) -> None:
    box = sandbox(project("evil", "1.0"))

    def in_crumbs(response: Response) -> Response:
        body = b"1\r\n \r\n" * 300_000 + b"0\r\n\r\n"
        headers = {**response.headers, "Transfer-Encoding": "chunked"}
        return replace(response, headers=headers, body=body)

    box.server.misbehave("/simple/evil/", in_crumbs)
    assert box.sync('evil = "latest"').status == 6
