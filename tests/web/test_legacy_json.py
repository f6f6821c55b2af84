"""The JSON API over HTTP, as bandersnatch and tools that show projects ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from packaging.utils import NormalizedName

from pypim.core.errors import UpstreamUnavailable
from pypim.core.model import DistFile, Page, ProjectStatus
from pypim.core.names import parse_safe_filename
from pypim.web import legacy_json
from tests.index.shelf import Shelf
from tests.web.shelves import ShelfServer, context_of, serving

FOO = NormalizedName("foo")
SHA, BLAKE = "ab" * 32, "cd" * 32
METADATA = b"Metadata-Version: 2.1\nName: Foo\nVersion: 1.0\nSummary: Foolish\n"


def wheel(version: str, **fields: object) -> DistFile:
    filename = parse_safe_filename(f"foo-{version}-py3-none-any.whl")
    return DistFile(filename=filename, url=f"../../{filename}", sha256=SHA, blake2b_256=BLAKE, size=4, **fields)  # type: ignore[arg-type]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    files = (wheel("1.0", core_metadata=SHA), wheel("2.0a1"))
    made = Shelf("main", Page(name=FOO, files=files, last_serial=17))
    path = tmp_path / "foo"
    path.write_bytes(b"PK\3\4")
    made.paths = {file.filename: path for file in files}
    made.metadata[files[0].filename] = METADATA
    return made


@pytest.fixture
def other() -> Shelf:
    return Shelf("other")


@pytest.fixture
def server(shelf: Shelf, other: Shelf) -> Iterator[ShelfServer]:
    with serving(context_of(other, shelf), legacy_json.routes) as running:
        yield running


@pytest.mark.parametrize("default", ["main", "other"])
def test_case_39_the_serial_is_always_there_and_files_are_below_packages(
    shelf: Shelf, other: Shelf, default: str
) -> None:
    """Case 39: header `X-PyPI-Last-Serial` ≥1 (bandersnatch). It takes files only from paths below /packages."""
    with serving(context_of(shelf, other, default=default), legacy_json.routes) as server:
        for path in ["/main/pypi/foo/json"] + ["/pypi/foo/json"] * (default == "main"):
            answer = server.ask(path)
            assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
            assert answer.headers["x-pypi-last-serial"] == "17"
            assert answer.json["last_serial"] == 17
            assert answer.json["info"]["summary"] == "Foolish"
            assert list(answer.json["releases"]) == ["1.0", "2.0a1"]
            url = urlsplit(answer.json["urls"][0]["url"])
            assert f"{url.scheme}://{url.netloc}" == server.url
            assert url.path.startswith("/packages/")
            assert url.path.endswith(f"/packages/{BLAKE[:2]}/{BLAKE[2:4]}/{BLAKE[4:]}/foo-1.0-py3-none-any.whl")
            assert server.ask(url.path).body == b"PK\3\4"
            assert server.ask(url.path + ".metadata").body == METADATA


@pytest.mark.parametrize("path", ["/main/pypi/Foo/json/", "/main/pypi/foo/json/", "/main/pypi/FOO/json"])
def test_case_80_other_spellings_lead_to_the_one_document(server: ShelfServer, path: str) -> None:
    """Case 80: `GET /pypi/Foo/json/` → redirect to `/pypi/foo/json`."""
    answer = server.ask(path)
    assert (answer.status, answer.headers["location"]) == (301, "/main/pypi/foo/json")


def test_case_80_a_version_has_a_document_without_releases(server: ShelfServer) -> None:
    """Case 80: version URL has no `releases` key."""
    answer = server.ask("/main/pypi/foo/1.00/json")
    assert answer.status == 200
    assert answer.headers["x-pypi-last-serial"] == "17"
    assert "releases" not in answer.json
    assert answer.json["info"]["version"] == "1.0"
    assert server.ask("/main/pypi/Foo/1.0/json/").headers["location"] == "/main/pypi/foo/1.0/json"
    assert server.ask("/main/pypi/foo/1!2+x/json").status == 404


@pytest.mark.parametrize(
    "path",
    ["/main/pypi/bar/json", "/pypi/foo/json", "/main/pypi/foo/9/json", "/nowhere/pypi/foo/json", "/main/pypi/-/json"],
)
def test_what_is_not_there_is_404(server: ShelfServer, path: str) -> None:
    assert server.ask(path).status == 404


def test_a_quarantined_project_has_no_document(server: ShelfServer, shelf: Shelf) -> None:
    shelf.put(Page(name=FOO, status=ProjectStatus.QUARANTINED, files=(wheel("1.0"),)))
    assert server.ask("/main/pypi/foo/json").status == 404


def test_a_project_without_files_has_no_release_to_show(server: ShelfServer, shelf: Shelf) -> None:
    shelf.put(Page(name=FOO))
    assert server.ask("/main/pypi/foo/json").status == 404


def test_an_upstream_that_fails_is_never_404(server: ShelfServer, shelf: Shelf) -> None:
    """Case 36: a fault is not a deletion."""
    shelf.fault = UpstreamUnavailable("https://index.example", "503")
    assert server.ask("/main/pypi/foo/json").status == 502


def test_a_document_is_validated_and_packed_like_a_page(server: ShelfServer) -> None:
    first = server.ask("/main/pypi/foo/json")
    again = server.ask("/main/pypi/foo/json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["x-pypi-last-serial"] == "17"
    packed = server.ask("/main/pypi/foo/json", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != first.headers["etag"]
    head = server.ask("/main/pypi/foo/json", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(first.body)))


def test_a_closed_index_is_closed_here_too(shelf: Shelf) -> None:
    with serving(context_of(shelf, is_open=False), legacy_json.routes) as server:
        answer = server.ask("/main/pypi/foo/json")
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
