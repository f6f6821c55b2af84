"""The form of an upload as it arrives: its few telling fields in memory, the file straight into a staged blob."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Protocol

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from pypim.core.upload import FIELDS, UploadForm, read_form, refuse_old_actions
from pypim.core.upload_errors import InvalidUpload, UploadTooLarge
from pypim.web.unbroken import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pypim.ports import StagedBlob

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # It warns of what clients send; they are told.

_WRITE_BYTES = 1 << 20
"""So much is gathered for one write, which a thread makes."""
_MOST_PARTS = 20_000
_MOST_FIELD_BYTES = 4 << 20
_MOST_OTHER_BYTES = 64 << 20
"""Of all that is not the file: descriptions and signatures, which are passed over."""
_MOST_HEADER_BYTES = 16 << 10
_MOST_HEADERS = 16


class Sink(Protocol):
    """What takes the bytes of a file, such as a StagedBlob."""

    def write(self, chunk: bytes, /) -> object:
        """Append."""


async def read_upload(
    chunks: AsyncIterator[bytes], content_type: str, staged: StagedBlob, most_bytes: int | None
) -> UploadForm:
    """Write the file's bytes to `staged`, at most so many, and return what the form says of them.

    Raises InvalidUpload, UploadTooLarge, ActionGone, and what `staged` and `chunks` raise.
    """
    parts = await _read(chunks, content_type, staged, _Parts(most_bytes, "content"))
    refuse_old_actions(parts.fields)
    return read_form(parts.fields, parts.filename())


async def read_parts(
    chunks: AsyncIterator[bytes], content_type: str, staged: Sink, most_bytes: int | None, part: str = "content"
) -> tuple[list[tuple[str, str]], str]:
    """Write the bytes of the part of that name to `staged`; return the telling fields, and the file's name.

    Raises InvalidUpload, UploadTooLarge, and what `staged` and `chunks` raise.
    """
    parts = await _read(chunks, content_type, staged, _Parts(most_bytes, part))
    return parts.fields, parts.filename()


async def _read(chunks: AsyncIterator[bytes], content_type: str, staged: Sink, parts: _Parts) -> _Parts:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidUpload("", ["the request is no multipart/form-data with a boundary"])
    try:
        parser = _parser(boundary, parts)
        async for chunk in chunks:
            parser.write(chunk)
            if parts.waiting_bytes >= _WRITE_BYTES:
                await in_thread(partial(staged.write, parts.take()))
    except FormParserError as error:
        raise InvalidUpload("", [f"the form cannot be read: {error}"]) from None
    if parts.waiting_bytes:
        await in_thread(partial(staged.write, parts.take()))
    if not parts.is_complete:
        raise InvalidUpload("", ["the form is cut short"])
    return parts


def _parser(boundary: bytes, parts: _Parts) -> MultipartParser:
    return MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin_part,
            "on_header_field": parts.add_header_name,
            "on_header_value": parts.add_header_value,
            "on_header_end": parts.end_header,
            "on_headers_finished": parts.end_headers,
            "on_part_data": parts.add_data,
            "on_part_end": parts.end_part,
            "on_end": parts.end,
        },
        max_header_count=_MOST_HEADERS,
        max_header_size=_MOST_HEADER_BYTES,
    )


class _Parts:
    """Listens to the parser, part by part; each part is the file, a telling field, or passed over."""

    def __init__(self, most_bytes: int | None, part: str) -> None:
        self._part = part
        self.fields: list[tuple[str, str]] = []
        self.is_complete = False
        self.waiting_bytes = 0
        self._most_bytes = most_bytes
        self._waiting: list[bytes] = []
        self._filenames: list[bytes] = []
        self._file_bytes = 0
        self._other_bytes = 0
        self._count = 0
        self._header = (bytearray(), bytearray())
        self._disposition = ""
        self._name = ""
        self._is_file = False
        self._value = bytearray()

    def take(self) -> bytes:
        """The bytes of the file that nobody has taken yet."""
        taken = b"".join(self._waiting)
        self._waiting.clear()
        self.waiting_bytes = 0
        return taken

    def filename(self) -> str:
        """Of the file. Raises InvalidUpload where there is none, or more than one."""
        if len(self._filenames) != 1:
            raise InvalidUpload("", [f"the form must have one file, as {self._part}, and has {len(self._filenames)}"])
        try:
            return self._filenames[0].decode()
        except UnicodeDecodeError:
            raise InvalidUpload("", ["the file name is not valid text"]) from None

    def begin_part(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise InvalidUpload("", [f"the form has more than {_MOST_PARTS:,} parts"])
        self._disposition = ""
        self._value.clear()

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def end_header(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value.decode("latin-1")
        name.clear()
        value.clear()

    def end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_file = self._name == self._part and b"filename" in options
        if self._is_file:
            self._filenames.append(options[b"filename"])

    def add_data(self, data: bytes, start: int, end: int) -> None:
        length = end - start
        if not self._is_file:
            self._other_bytes += length
            if self._other_bytes > _MOST_OTHER_BYTES:
                raise UploadTooLarge("the form beside the file", _MOST_OTHER_BYTES)
            if self._name in FIELDS:
                self._add_to_field(data[start:end])
        elif len(self._filenames) == 1:
            self._file_bytes += length
            if self._most_bytes is not None and self._file_bytes > self._most_bytes:
                raise UploadTooLarge("the file", self._most_bytes)
            self._waiting.append(data[start:end])
            self.waiting_bytes += length

    def end_part(self) -> None:
        if not self._is_file and self._name in FIELDS:
            self.fields.append((self._name, self._value.decode("utf-8", "replace")))

    def end(self) -> None:
        self.is_complete = True

    def _add_to_field(self, piece: bytes) -> None:
        self._value.extend(piece)
        if len(self._value) > _MOST_FIELD_BYTES:
            raise UploadTooLarge(f"the field {self._name}", _MOST_FIELD_BYTES)
