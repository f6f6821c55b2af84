"""What the catalog remembers of upstreams: their answers raw and decoded, core metadata, and what they offer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from pypim import __version__
from pypim.core.model import CoreMetadata, Page
from pypim.core.records import KeptOutline, KeptPage, StoredResponse, keyed
from pypim.store.database import told_as_damage
from pypim.store.decoded import BYTES_THEMSELVES, DecodedPage, DecodedTables
from pypim.store.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pypim.store.database import Database

CAPABILITY_SECONDS = 7 * 86400.0
"""How long it is believed what an upstream offers."""

_GZIP_END = struct.Struct("<II")
"""CRC-32 of what is packed, and its length (RFC 1952, 2.3.1)."""
_encode = msgspec.json.Encoder().encode
_encode_page = msgspec.msgpack.Encoder().encode
_decode_page = msgspec.msgpack.Decoder(Page).decode
_MOST_PACKED_BYTES = 8 << 20
"""Of the body of a page; a larger one is decoded again when it is needed, for to pack it takes as much memory again."""
_ABSENT = frozenset({404, 410})
_ABSENT_SECONDS = 7 * 86400.0
_MOST_ABSENT = 10_000
"""So long, and so many of them, it is remembered of an upstream that something is not there: anybody can ask for it."""
_DECODER = f"pypim {__version__}"
"""Who decoded a page: another version may read more out of it."""
_decode_metadata = msgspec.json.Decoder(CoreMetadata).decode


@told_as_damage
class CatalogPages:
    """The Pages of a catalog. What it keeps can be asked for again, so a power cut may take the newest of it."""

    def __init__(self, database: Database, credentials: str = "") -> None:
        """What is told to whom is kept apart: `credentials` is a digest of who asks."""
        self._database = database
        self._credentials = credentials
        self._decoded = DecodedTables(database)

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""
        row = self._database.row("response", (self._key(url),))
        if row is None:
            return None
        _, final_url, status, content_type, etag, last_modified, serial, fetched_at, fresh_until, body = row
        return StoredResponse(
            url=url,
            final_url=final_url,
            status=status,
            content_type=content_type,
            etag=etag,
            last_modified=last_modified,
            serial=serial,
            fetched_at=fetched_at,
            fresh_until=fresh_until,
            body=unpack(body),
        )

    def outline(self, url: str) -> KeptOutline | None:
        """What is known of that answer without its body, of which only the end is read."""
        row = self._database.row("response_outline", (self._key(url),))
        if row is None:
            return None
        status, etag, last_modified, fetched_at, end = row
        checksum, length = _GZIP_END.unpack(end)
        return KeptOutline(
            status=status,
            etag=etag,
            last_modified=last_modified,
            fetched_at=fetched_at,
            length=length,
            checksum=checksum,
        )

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer in place of any older one of its URL, and what it decodes to in place of what that did."""
        database, key = self._database, self._key(response.url)
        with database.transaction(is_durable=False):
            is_packed = decoded is not None and len(response.body) <= _MOST_PACKED_BYTES
            page = pack(_encode_page(decoded)) if is_packed else None
            database.run("keep_response", response_row(upstream, key, response, page))
            self._decoded.forget_urls([key])
            if decoded is not None:
                self._decoded.keep_pages([DecodedPage(upstream, key, decoded)])
            if response.status in _ABSENT:
                database.run("forget_absences", (upstream, response.fetched_at - _ABSENT_SECONDS, _MOST_ABSENT))

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """What those of many answers decoded to that can be had without decoding them again."""
        asked = {self._key(url): url for url in urls}
        rows = self._database.rows("kept_pages", (_encode(list(asked)), _DECODER))
        return {asked[key]: KeptPage(_decode_page(unpack(page)), *times) for key, page, *times in rows}

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh; 0 where one is not kept, or never is."""
        ((count, earliest),) = self._database.rows("fresh_until", (_encode([self._key(url) for url in urls]),))
        return float(earliest) if count and count == len(urls) else 0.0

    def last_serial(self, root_url: str) -> int | None:
        """The highest serial that any answer from below that URL told, as a header or on its page."""
        row = self._database.row("last_serial", (self._key(root_url),))
        return None if row is None else row[0]

    def touch_response(self, url: str, fetched_at: float, fresh_until: float | None = None) -> None:
        """The kept answer was found to be still valid at that time."""
        with self._database.transaction(is_durable=False):
            self._database.run("touch_response", (fetched_at, fresh_until, self._key(url)))

    def forget_absences(self, fetched_before: float) -> None:
        """Forget, of all upstreams, what was found missing before that time; what is asked for again is found again."""
        with self._database.transaction(is_durable=False):
            self._database.run("forget_all_absences", (fetched_before,))

    def forget_elsewhere(self, upstream: str, url: str) -> None:
        """Forget what was decoded from pages of that upstream which are not below that URL, its own until now.

        The raw answers stay: they are known by their own URLs.
        """
        with self._database.transaction(is_durable=False):
            self._decoded.forget_elsewhere(upstream, self._key(url))

    def forget_unsaid(self, url: str) -> None:
        """Forget answers from below that URL of which nobody says with whose credentials they were asked for.

        An older pypim did not note that. Nothing happens where there are no credentials.
        """
        if self._credentials:
            with self._database.transaction(is_durable=False):
                self._database.run("forget_responses_below", (url,))

    def _key(self, url: str) -> str:
        return keyed(url, self._credentials)


def response_row(upstream: str, key: str, response: StoredResponse, page: bytes | None) -> tuple[object, ...]:
    """An answer as the table has it, with what it decodes to where that is packed."""
    head = (response.final_url, response.status, response.content_type, response.etag, response.last_modified)
    times = (response.fetched_at, response.fresh_until)
    body = pack(response.body)
    return (key, upstream, *head, response.serial, *times, body, page, _DECODER)


@told_as_damage
class CatalogMetadata:
    """The MetadataCache of a catalog. What it keeps can be asked for again."""

    def __init__(self, database: Database, upstream: str = "") -> None:
        """`upstream` is what is kept under what its upstream says."""
        self._database = database
        self._upstream = upstream
        self._decoded = DecodedTables(database)

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""
        row = self._database.row("metadata", (key, self._upstream))
        return None if row is None else _decode_metadata(row[0])

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""
        rows = self._database.rows("metadata_of", (_encode(keys), self._upstream))
        return {key: _decode_metadata(text) for key, text in rows}

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None, *, is_checked: bool = False) -> None:
        """Remember it, with the METADATA or PKG-INFO bytes where there are any."""
        upstream = BYTES_THEMSELVES if is_checked else self._upstream
        row = _metadata_row(key, upstream, metadata, body)
        with self._database.transaction(is_durable=False):
            self._database.run("keep_metadata", row)
            self._decoded.keep_metadata(key, upstream, metadata)

    def keep_checked(self, learned: Sequence[tuple[str, CoreMetadata, bytes]]) -> None:
        """The same of many files whose bytes were checked, all or none."""
        rows = [_metadata_row(key, BYTES_THEMSELVES, metadata, body) for key, metadata, body in learned]
        with self._database.transaction(is_durable=False):
            self._database.run_many("keep_metadata", rows)
            self._decoded.keep_checked([(key, metadata) for key, metadata, _ in learned])


def _metadata_row(key: str, upstream: str, metadata: CoreMetadata, body: bytes | None) -> tuple[object, ...]:
    facts = (metadata.name, metadata.version, metadata.requires_python, metadata.source, metadata.is_lower_bound)
    packed = None if body is None else pack(body)
    return key, upstream, *facts, _encode(metadata).decode(), packed


@told_as_damage
class CatalogSizes:
    """The Sizes of a catalog. What it keeps can be asked for again."""

    def __init__(self, database: Database, upstream: str = "") -> None:
        """`upstream` is what is kept under what its upstream says."""
        self._database = database
        self._upstream = upstream

    def size(self, sha256: str) -> int | None:
        """What is known of that file."""
        row = self._database.row("size", (sha256, self._upstream))
        return None if row is None else int(row[0])

    def keep_size(self, sha256: str, size: int) -> None:
        """Remember it."""
        with self._database.transaction(is_durable=False):
            self._database.run("keep_size", (sha256, self._upstream, size))


@told_as_damage
class CatalogCapabilities:
    """The Capabilities of a catalog."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """`now` gives seconds since the epoch."""
        self._database = database
        self._now = now

    def capability(self, upstream: str, name: str) -> bool | None:
        """What was found at most CAPABILITY_SECONDS ago."""
        now = self._now()  # what was found later was found before the clock was set back
        row = self._database.row("capability", (upstream, name, now - CAPABILITY_SECONDS, now))
        return None if row is None else bool(row[0])

    def keep_capability(self, upstream: str, name: str, *, is_offered: bool) -> None:
        """Remember the answer, with the time."""
        with self._database.transaction(is_durable=False):
            self._database.run("keep_capability", (upstream, name, is_offered, self._now()))
