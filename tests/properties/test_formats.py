"""Properties of the formats: what is written is read back, both forms agree, nothing raises unannounced."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from pypim.core import simple_html, simple_json
from pypim.core.archive import MissingBytes, SparseFile, sdist_metadata, wheel_metadata
from pypim.core.entries import RawEntry
from pypim.core.errors import CorruptBlob, UpstreamMalformed
from pypim.core.filenames import FileKind, ParsedFilename, parse_filename, project_of
from pypim.core.metadata import (
    parse_metadata,
    parse_pkg_info,
    parse_pyproject,
    parse_requirement,
    parse_requires_txt,
    parse_specifier_set,
)
from pypim.core.model import DistFile, MetadataSource, Page, ProjectList, ProjectStatus
from pypim.core.names import SafeFilename

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

A = NormalizedName("a")
URL = "https://index.example/simple/a/"
TIMES = ["2024-01-02T03:04:05Z", "2020-02-29T23:59:59.123456Z", "2024-01-02T03:04:05+00:00"]
FILENAMES = [
    "a-1.0-py3-none-any.whl",
    "a-1.0.tar.gz",
    "a-2.0+x.1-1-cp312-abi3-win_amd64.whl",
    "a-1.0.win32-py2.7.exe",
    "a-2004d.zip",
    "a-1.0-1.noarch.rpm",
    "a-1.0-py2.7.egg",
]
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
reasons = st.text(
    st.characters(
        blacklist_categories=["Cs"], blacklist_characters=[chr(n) for n in (*range(9), 11, 12, *range(14, 32), 127)]
    )
).filter(lambda text: bool(text) and not text.isspace())


@st.composite
def files(draw: DrawFn, filename: str) -> DistFile:
    """A file of which everything is known that both forms can carry."""
    sha256 = draw(digests)
    folder = draw(
        st.sampled_from(["https://files.example/p/", f"https://files.example/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/"])
    )
    return DistFile(
        filename=SafeFilename(filename),
        url=folder + filename,
        sha256=sha256,
        blake2b_256=None if folder.endswith("/p/") else sha256,
        size=draw(st.integers(0, 1 << 50)),
        upload_time=draw(st.sampled_from(TIMES)),
        requires_python=draw(st.none() | reasons),
        yanked=draw(st.booleans() | reasons),
        core_metadata=draw(st.sampled_from([None, True]) | digests),
        gpg_sig=draw(st.just(None)),
        provenance=draw(st.sampled_from([None, "https://index.example/integrity/a"])),
    )


@st.composite
def pages(draw: DrawFn) -> Page:
    names = draw(st.lists(st.sampled_from(FILENAMES), unique=True))
    return Page(
        name=A,
        files=tuple(draw(files(name)) for name in names),
        status=draw(st.sampled_from(ProjectStatus)),
        status_reason=draw(st.none() | reasons),
        last_serial=draw(st.integers(1, 1 << 40)),
    )


def without_versions(page: Page) -> Page:
    return msgspec.structs.replace(page, versions=())


@given(pages())
def test_json_is_read_back_as_it_was_written(page: Page) -> None:
    read = simple_json.parse_page(simple_json.render_page(page), URL, A)
    assert without_versions(read) == page
    assert simple_json.parse_page(simple_json.render_page(read), URL, A) == read


@given(pages())
def test_html_is_read_back_as_it_was_written(page: Page) -> None:
    assert simple_html.parse_page(simple_html.render_page(page), URL, A) == page


@given(pages())
def test_json_and_html_agree(page: Page) -> None:
    from_json = simple_json.parse_page(simple_json.render_page(page), URL, A)
    from_html = simple_html.parse_page(simple_html.render_page(page), URL, A)
    assert without_versions(from_json) == from_html


@given(pages())
def test_json_never_holds_what_the_strictest_client_rejects(page: Page) -> None:
    """No null anywhere, `yanked` never empty, hashes always there, a serial that is a whole number."""
    body = simple_json.render_page(page)
    written = json.loads(body)
    assert all(value is not None and value != "" for file in written["files"] for value in file.values())
    assert all(isinstance(file["hashes"], dict) for file in written["files"])
    assert written["meta"]["_last-serial"] >= 1
    assert isinstance(written["versions"], list)


@given(st.dictionaries(st.sampled_from(["a", "b-c", "d1"]), st.integers(1, 1 << 40)))
def test_the_list_is_read_back(projects: dict[str, int]) -> None:
    listed = ProjectList(projects={NormalizedName(name): serial for name, serial in projects.items()}, last_serial=3)
    assert simple_json.parse_project_list(simple_json.render_project_list(listed), URL) == listed
    names = simple_html.parse_project_list(simple_html.render_project_list(listed), URL).projects
    assert names.keys() == projects.keys()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*FILENAMES, "1.0", *TIMES]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["sha256", "md5", "status"]), inner),
    max_leaves=6,
)
FILE_KEYS = [field.encode_name for field in msgspec.structs.fields(RawEntry)]
entries = st.dictionaries(st.sampled_from(FILE_KEYS), json_values) | json_values


@given(
    st.lists(entries, max_size=4),
    st.dictionaries(st.sampled_from(["meta", "versions", "project-status", "name", "files"]), json_values, max_size=2),
)
def test_a_page_of_anything_is_a_page_or_refused(listed: list[object], others: dict[str, object]) -> None:
    body = json.dumps({"files": listed, "projects": listed, **others}).encode()
    for parse in (lambda: simple_json.parse_page(body, URL, A), lambda: simple_json.parse_project_list(body, URL)):
        try:
            result = parse()
        except UpstreamMalformed:
            continue
        if isinstance(result, Page):
            simple_json.render_page(result)
            simple_html.render_page(result)


@given(pages(), st.data())
def test_mutated_bytes_are_a_page_or_refused(page: Page, data: st.DataObject) -> None:
    for module in (simple_json, simple_html):
        body = bytearray(module.render_page(page))
        for _ in range(data.draw(st.integers(0, 8))):
            position = data.draw(st.integers(0, len(body) - 1))
            body[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        survive_reading(bytes(body))


@given(st.binary())
def test_random_bytes_are_a_page_or_refused(body: bytes) -> None:
    survive_reading(body)


@given(
    st.lists(
        st.sampled_from(
            [
                "<a ",
                "href=",
                '"',
                "'",
                "a-1.zip",
                "#sha256=",
                ">",
                "<!--",
                "-->",
                "</a>",
                "<base ",
                "%2F",
                "..",
                "\x00",
                "data-yanked",
                "http://[",
            ]
        )
    )
)
def test_random_html_is_a_page_or_refused(parts: list[str]) -> None:
    survive_reading("".join(parts).encode())


def survive_reading(body: bytes) -> None:
    for module in (simple_json, simple_html):
        try:
            module.parse_page(body, URL, A)
            module.parse_project_list(body, URL)
        except UpstreamMalformed:
            continue


@given(st.text() | st.from_regex(r"\Aa-[-.\w+!]{1,20}\.(whl|zip|tar\.gz|egg|exe|rpm|deb|msi|dmg|tar\.bz2)\Z"))
def test_any_file_name_can_be_taken_apart(filename: str) -> None:
    parsed = parse_filename(filename, A)
    assert isinstance(parsed, ParsedFilename)
    assert (parsed.tags is not None) == (parsed.kind is FileKind.WHEEL)
    project = project_of(filename)
    if project is not None:
        assert parse_filename(filename, project).kind is not FileKind.UNKNOWN


requirement_parts = st.lists(
    st.sampled_from(
        [
            "b",
            "[x]",
            " ",
            ">=",
            "1.0",
            "*",
            ",",
            ";",
            "<",
            "2",
            "(",
            ")",
            "'",
            '"',
            "@",
            "http://h/f",
            "extra",
            "==",
            "and",
            ".",
            "~",
            "!",
        ]
    ),
    max_size=12,
).map("".join)


@given(st.text() | requirement_parts)
def test_any_requirement_can_be_read_or_is_none(text: str) -> None:
    """What is read can be read by packaging too, and says the same again."""
    parse_specifier_set(text)
    requirement = parse_requirement(text)
    if requirement is not None:
        again = parse_requirement(requirement.text)
        assert again is not None
        assert not again.is_repaired
        assert Requirement(requirement.text).specifier == again.specifier == requirement.specifier
        assert (again.name, again.extras, again.url) == (requirement.name, requirement.extras, requirement.url)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_can_be_read_as_metadata(body: bytes) -> None:
    for prefix in (b"", b"Metadata-Version: 2.6\nName: a\nRequires-Dist: ", b"[project]\nname = 'a'\n"):
        parse_metadata(prefix + body, MetadataSource.WHEEL)
        parse_pkg_info(prefix + body)
        parse_pyproject(prefix + body)
        parse_requires_txt(prefix + body)


def wheel_of(metadata: bytes, payload: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a/payload.bin"), payload)
        archive.writestr("a-1.0.dist-info/METADATA", metadata)
        archive.writestr("a-1.0.dist-info/RECORD", payload[:7].hex())
    return buffer.getvalue()


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(1, 300), st.lists(st.integers(0, 700), max_size=4))
@settings(deadline=None)
def test_a_wheel_read_in_pieces_is_the_wheel(metadata: bytes, payload: bytes, least: int, starts: list[int]) -> None:
    """For any way of filling the file, and any least size of a range."""
    data = wheel_of(metadata, payload)
    sparse = SparseFile(len(data))
    for start in starts:
        sparse.add(min(start, len(data)), data[start : start + least])
    while True:
        try:
            assert wheel_metadata(sparse, "a-1.0-py3-none-any.whl") == metadata
            break
        except MissingBytes as missing:
            sparse.add(missing.start, data[missing.start : max(missing.stop, missing.start + least)])


@given(st.data())
def test_a_mutated_archive_is_read_or_corrupt(data: st.DataObject) -> None:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        member = tarfile.TarInfo("a-1.0/PKG-INFO")
        member.size = 30
        archive.addfile(member, io.BytesIO(b"Name: a\n".ljust(30)))
    for original in (tar.getvalue()[:2048], wheel_of(b"Name: a", b"x")):
        body = bytearray(original)
        for _ in range(data.draw(st.integers(1, 5))):
            position = data.draw(st.integers(0, len(body) - 1))
            body[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        with suppress(CorruptBlob):
            wheel_metadata(io.BytesIO(body), "a-1.0-py3-none-any.whl")
        for name in ("a-1.0.tar", "a-1.0.zip"):
            with suppress(CorruptBlob):
                sdist_metadata(io.BytesIO(body), name)
