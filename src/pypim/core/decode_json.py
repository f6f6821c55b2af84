"""JSON bytes of the Simple API to the shapes of the standard: at once where they fit, else piece by piece.

A page that is wrong in one place costs that place, not the page; a body that is no page at all is refused, so that an
error page is never read as an empty project. Source: PEP 691, 700, 714, 740, 792.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pypim.core.entries import CoreMetadataClaim, RawEntry, serial_of
from pypim.core.errors import UpstreamMalformed

Value = TypeVar("Value")

_MAX_SIZE_DIGITS = 18


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
_strict_entry = msgspec.json.Decoder(RawEntry)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder(object)


def decode_page(body: bytes, url: str) -> tuple[PageShape, tuple[str, ...]]:
    """(the page, one sentence for each entry that has no shape); raises UpstreamMalformed where it is no page."""
    try:
        return _strict_page.decode(body), ()
    except (msgspec.ValidationError, RecursionError):
        pass  # Something is not of the standard's type: read it piece by piece.
    except msgspec.DecodeError as error:
        raise _not_json(url, error) from None
    keys = _decode_object(body, url)
    entries = [_patient_entry(raw, number) for number, raw in enumerate(_decode_entries(keys, "files", url), 1)]
    status = _fields(keys.get("project-status"))
    page = PageShape(
        files=[entry for entry in entries if isinstance(entry, RawEntry)],
        meta=_patient_meta(keys),
        versions=[text for text in _sequence(keys.get("versions")) if isinstance(text, str)],
        project_status=Status(_typed(status.get("status"), str), _typed(status.get("reason"), str)),
    )
    return page, tuple(entry for entry in entries if isinstance(entry, str))


def decode_list(body: bytes, url: str) -> ListShape:
    """The list of projects; raises UpstreamMalformed where it is none."""
    try:
        return _strict_list.decode(body)
    except (msgspec.ValidationError, RecursionError):
        pass
    except msgspec.DecodeError as error:
        raise _not_json(url, error) from None
    keys = _decode_object(body, url)
    fields = [_fields(raw) for raw in _decode_entries(keys, "projects", url)]
    projects = [ListedProject(str(entry.get("name", "")), serial_of(entry.get("_last-serial"))) for entry in fields]
    return ListShape(projects=projects, meta=_patient_meta(keys))


def _decode_object(body: bytes, url: str) -> dict[str, msgspec.Raw]:
    try:
        return _raw_object.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _not_json(url, error) from None


def _decode_entries(keys: dict[str, msgspec.Raw], key: str, url: str) -> list[msgspec.Raw]:
    """The list under the key. That there is none does not mean that it is empty: some error pages are JSON too."""
    try:
        return _raw_list.decode(keys[key])
    except (KeyError, msgspec.DecodeError, RecursionError):
        raise UpstreamMalformed(
            url, f"it is JSON without a list of {key}", hint="Check that the URL is that of a Simple API."
        ) from None


def _not_json(url: str, error: Exception) -> UpstreamMalformed:
    return UpstreamMalformed(
        url, f"it is not a JSON object: {error}", hint="Check that the URL is that of a Simple API, and try again."
    )


def _decode_any(raw: msgspec.Raw | None) -> object:
    try:
        return None if raw is None else _anything.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def _fields(raw: msgspec.Raw | None) -> dict[str, object]:
    value = _decode_any(raw)
    return value if isinstance(value, dict) else {}


def _sequence(raw: msgspec.Raw | None) -> list[object]:
    value = _decode_any(raw)
    return value if isinstance(value, list) else []


def _patient_meta(keys: dict[str, msgspec.Raw]) -> Meta:
    meta = _fields(keys.get("meta"))
    version = meta.get("api-version")
    return Meta(None if version is None else str(version), serial_of(meta.get("_last-serial")))


def _patient_entry(raw: msgspec.Raw, number: int) -> RawEntry | str:
    try:
        return _strict_entry.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        fields = _fields(raw)
    filename, url = fields.get("filename"), fields.get("url")
    if not isinstance(filename, str) or not isinstance(url, str):
        name = f" ({filename[:200]})" if isinstance(filename, str) else ""
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


def _typed(value: object, kind: type[Value]) -> Value | None:
    return value if isinstance(value, kind) else None


def _size(value: object) -> int | None:
    """A size in bytes, also when it was written as a text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_SIZE_DIGITS:
        return int(value)
    return serial_of(value)


def _text_map(value: object) -> dict[str, str]:
    """Only the pairs of texts of a decoded object."""
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def _claim(value: object) -> CoreMetadataClaim:
    if isinstance(value, dict):
        return _text_map(value)
    return value if isinstance(value, bool) else None
