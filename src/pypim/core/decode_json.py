"""JSON bytes of the Simple API to the shapes of the standard: at once where they fit, else piece by piece.

A page that is wrong in one place costs that place, not the page; a body that is no page at all is refused, so that an
error page is never read as an empty project. Source: PEP 691, 700, 714, 740, 792.
"""

from __future__ import annotations

import json
from typing import TypeVar

import msgspec

from pypim.core.entries import CoreMetadataClaim, RawEntry, serial_of
from pypim.core.errors import UpstreamMalformed

Value = TypeVar("Value")

Object = dict[str, object]
"""A decoded JSON object of which nothing is known."""

_MAX_NUMBER_DIGITS = 18
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises; the second is no part of its own family."""


class Meta(msgspec.Struct, gc=False, rename={"api_version": "api-version", "last_serial": "_last-serial"}):
    """PEP 691 `meta`; `_last-serial` is private to the servers that have it, and mirrors rely on it."""

    api_version: str | None = None
    last_serial: int | None = None


class Status(msgspec.Struct, gc=False, omit_defaults=True):
    """PEP 792 `project-status`."""

    status: str | None = None
    reason: str | None = None


class PageShape(msgspec.Struct, rename="kebab"):
    """PEP 691 project detail; nulls are allowed where indexes write them for want of a value."""

    files: list[RawEntry]
    name: str | None = None
    meta: Meta = msgspec.field(default_factory=Meta)
    versions: list[str] | None = None
    project_status: Status | None = None


class ListedProject(msgspec.Struct, gc=False, rename={"last_serial": "_last-serial"}):
    """One project of the list."""

    name: str
    last_serial: int | None = None


class ListShape(msgspec.Struct):
    """PEP 691 project list."""

    projects: list[ListedProject]
    meta: Meta = msgspec.field(default_factory=Meta)


_strict_page = msgspec.json.Decoder(PageShape)
_strict_list = msgspec.json.Decoder(ListShape)


def decode_page(body: bytes, url: str) -> tuple[PageShape, tuple[str, ...]]:
    """(the page, one sentence for each entry that has no shape); raises UpstreamMalformed where it is no page."""
    try:
        return _strict_page.decode(body), ()
    except _UNREADABLE:
        document = _decode_patiently(body, url)
    entries = [_patient_entry(value, number) for number, value in enumerate(_entries(document, "files", url), 1)]
    status = _object(document.get("project-status"))
    versions = document.get("versions")
    page = PageShape(
        files=[entry for entry in entries if isinstance(entry, RawEntry)],
        name=_typed(document.get("name"), str),
        meta=_patient_meta(document),
        versions=[text for text in versions if isinstance(text, str)] if isinstance(versions, list) else None,
        project_status=Status(_typed(status.get("status"), str), _typed(status.get("reason"), str)),
    )
    return page, tuple(entry for entry in entries if isinstance(entry, str))


def decode_list(body: bytes, url: str) -> ListShape:
    """The list of projects; raises UpstreamMalformed where it is none. An entry without a name has an empty one."""
    try:
        return _strict_list.decode(body)
    except _UNREADABLE:
        document = _decode_patiently(body, url)
    entries = [_object(value) for value in _entries(document, "projects", url)]
    projects = [
        ListedProject(_typed(entry.get("name"), str) or "", serial_of(entry.get("_last-serial"))) for entry in entries
    ]
    return ListShape(projects=projects, meta=_patient_meta(document))


def _decode_patiently(body: bytes, url: str) -> Object:
    """With the standard library, which takes what is not quite JSON: half surrogates, NaN, stray bytes."""
    try:
        document = json.loads(body.decode("utf-8", "replace"), parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise _not_a_page(url, f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _not_a_page(url, "it is JSON, but not an object")
    return document


def _whole_number(text: str) -> int | None:
    return int(text) if len(text) <= _MAX_NUMBER_DIGITS else None


def _entries(document: Object, key: str, url: str) -> list[object]:
    """The list under the key. That there is none does not mean that it is empty: some error pages are JSON too."""
    entries = document.get(key)
    if not isinstance(entries, list):
        raise _not_a_page(url, f"it is JSON without a list of {key}")
    return entries


def _not_a_page(url: str, reason: str) -> UpstreamMalformed:
    return UpstreamMalformed(url, reason, hint="Check that the URL is that of a Simple API, and try again.")


def _patient_meta(document: Object) -> Meta:
    meta = _object(document.get("meta"))
    version = meta.get("api-version")
    return Meta(None if version is None else str(version), serial_of(meta.get("_last-serial")))


def _patient_entry(value: object, number: int) -> RawEntry | str:
    try:
        return msgspec.convert(value, RawEntry)
    except (msgspec.ValidationError, RecursionError):
        fields = _object(value)
    filename, url = fields.get("filename"), fields.get("url")
    if not isinstance(filename, str) or not isinstance(url, str):
        name = f" ({filename[:200]!r})" if isinstance(filename, str) else ""
        return f"entry {number} of the files{name} has no file name or no address"
    yanked = fields.get("yanked")
    return RawEntry(
        filename=filename,
        url=url,
        hashes=_text_map(fields.get("hashes")),
        requires_python=_typed(fields.get("requires-python"), str),
        core_metadata=_claim(fields.get("core-metadata")),
        dist_info_metadata=_claim(fields.get("dist-info-metadata")),
        data_dist_info_metadata=_claim(fields.get("data-dist-info-metadata")),
        gpg_sig=_typed(fields.get("gpg-sig"), bool),
        yanked=yanked if isinstance(yanked, (bool, str)) else bool(yanked),
        size=_size(fields.get("size")),
        upload_time=_typed(fields.get("upload-time"), str),
        provenance=_typed(fields.get("provenance"), str),
    )


def _object(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _typed(value: object, kind: type[Value]) -> Value | None:
    return value if isinstance(value, kind) else None


def _size(value: object) -> int | None:
    """A size in bytes, also when it was written as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_NUMBER_DIGITS:
        return int(value)
    return serial_of(value)


def _text_map(value: object) -> dict[str, str]:
    """Only the pairs of texts of a decoded object."""
    return {key: text for key, text in _object(value).items() if isinstance(text, str)}


def _claim(value: object) -> CoreMetadataClaim:
    return _text_map(value) if isinstance(value, dict) else _typed(value, bool)
