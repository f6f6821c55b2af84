"""The form of an upload, however it is cut into pieces, and whatever else comes in its place."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.upload_errors import ActionGone, InvalidUpload, UploadTooLarge
from pypim.store.blobs import LocalBlobs
from pypim.web.upload_form import read_upload
from tests.web.uploading import BOUNDARY, body_of, form_body, request, wheel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from pypim.core.upload import UploadForm
    from tests.web.conftest import Running

TYPE = f"multipart/form-data; boundary={BOUNDARY}"
BODY = body_of(wheel())


async def pieces_of(body: bytes, lengths: Iterable[int]) -> AsyncIterator[bytes]:
    position = 0
    for length in lengths:
        yield body[position : position + length]
        position += length
    yield body[position:]


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> LocalBlobs:
    folder = tmp_path_factory.mktemp("forms")
    return LocalBlobs(folder, folder / "staging", is_durable=False)


def read(
    blobs: LocalBlobs, body: bytes, lengths: Iterable[int] = (), most: int | None = None, kind: str = TYPE
) -> tuple[UploadForm, bytes]:
    staged = blobs.stage("one")
    try:
        form = asyncio.run(read_upload(pieces_of(body, lengths), kind, staged, most))
        with staged.open() as content:
            return form, content.read()
    finally:
        staged.discard()


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.integers(0, 400), max_size=60))
def test_pieces_do_not_matter(blobs: LocalBlobs, lengths: list[int]) -> None:
    form, content = read(blobs, BODY, lengths)
    assert content == wheel().content
    assert (form.filename, form.name, form.version) == (wheel().filename, "ours", "1.0")
    assert form.digests["sha256_digest"] == wheel().sha256


@settings(max_examples=80, deadline=None)
@given(
    cut=st.integers(0, len(BODY)),
    garbage=st.binary(max_size=100),
    rest=st.integers(0, len(BODY)),
    kind=st.sampled_from([TYPE, "multipart/form-data", "text/plain", "", "multipart/form-data; boundary=", TYPE * 30]),
)
def test_garbage_is_the_senders_fault(blobs: LocalBlobs, cut: int, garbage: bytes, rest: int, kind: str) -> None:
    with suppress(InvalidUpload, UploadTooLarge, ActionGone):
        read(blobs, BODY[:cut] + garbage + BODY[rest:], [7, 300], kind=kind)


def test_content_that_looks_like_a_boundary_comes_whole(blobs: LocalBlobs) -> None:
    content = b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n--\r\n" * 50
    body = form_body(wheel().fields(), [("content", wheel().filename, content)])
    assert read(blobs, body, [5] * 100)[1] == content


def test_large_files_are_written_in_pieces(blobs: LocalBlobs) -> None:
    content = bytes(range(256)) * 20_000
    body = form_body(wheel().fields(), [("content", wheel().filename, content)])
    assert read(blobs, body, [65536] * 80)[1] == content


def test_the_file_is_limited(blobs: LocalBlobs) -> None:
    with pytest.raises(UploadTooLarge):
        read(blobs, BODY, most=len(wheel().content) - 1)
    read(blobs, BODY, most=len(wheel().content))


def test_fields_are_limited(blobs: LocalBlobs) -> None:
    for fields in ([("name", "x" * (5 << 20))], [("a", "b")] * 20_001):
        with pytest.raises((UploadTooLarge, InvalidUpload)):
            read(blobs, form_body(fields, [("content", wheel().filename, b"x")]))


@pytest.mark.parametrize(
    "files",
    [
        [],
        [("content", "a.whl", b"x"), ("content", "b.whl", b"y")],
        [("other", "a.whl", b"x")],
    ],
    ids=["none", "two", "other"],
)
def test_there_is_one_file(blobs: LocalBlobs, files: list[tuple[str, str, bytes]]) -> None:
    with pytest.raises(InvalidUpload, match="one file"):
        read(blobs, form_body(wheel().fields(), files))


def test_a_signature_beside_the_file_is_passed_over(blobs: LocalBlobs) -> None:
    body = form_body(wheel().fields(), [("gpg_signature", "a.asc", b"sig"), ("content", "a.whl", b"x")])
    assert read(blobs, body)[1] == b"x"


def test_headers_are_limited(blobs: LocalBlobs) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{"x" * 100_000}"\r\n\r\nx\r\n'.encode()
    with pytest.raises(InvalidUpload):
        read(blobs, head + BODY)


def test_a_body_that_is_no_form_gets_a_400(running: Running) -> None:
    from tests.web.uploading import CONFIG

    server = running(CONFIG)
    for body, kind in ((b"", ""), (b"x", TYPE), (b"{}", "application/json"), (BODY[:200], TYPE), (b"--", TYPE)):
        assert request(server, "POST", "/private/legacy/", body, {"content-type": kind}).status == 400
