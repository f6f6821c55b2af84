"""What the catalog remembers of upstreams: their answers raw and decoded, core metadata, and what they offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from isal import igzip

from pypim import __version__
from pypim.core.filenames import parse_filename
from pypim.core.model import CoreMetadata, Page
from pypim.core.records import KeptPage, StoredResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile
    from pypim.store.database import Database

CAPABILITY_SECONDS = 7 * 86400.0
"""How long it is believed what an upstream offers."""

_GZIP_LEVEL = 1
_gunzip: Callable[[bytes], bytes] = igzip.decompress
_encode = msgspec.json.Encoder().encode
_encode_page = msgspec.msgpack.Encoder().encode
_decode_page = msgspec.msgpack.Decoder(Page).decode
_MOST_PACKED_BYTES = 8 << 20
"""Of the body of a page; a larger one is decoded again when it is needed, for to pack it takes as much memory again."""
_DECODER = f"pypim {__version__}"
"""Who decoded a page: another version may read more out of it."""
_decode_metadata = msgspec.json.Decoder(CoreMetadata).decode


class CatalogPages:
    """The Pages of a catalog. What it keeps can be asked for again, so a power cut may take the newest of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""
        row = self._database.row("response", (url,))
        if row is None:
            return None
        url, final_url, status, content_type, etag, last_modified, serial, fetched_at, fresh_until, body = row
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
            body=_gunzip(body),
        )

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer in place of any older one of its URL, and what it decodes to in place of what that did."""
        head = (response.final_url, response.status, response.content_type, response.etag, response.last_modified)
        body = igzip.compress(response.body, _GZIP_LEVEL)
        database = self._database
        with database.transaction(is_durable=False):
            times = (response.fetched_at, response.fresh_until)
            is_packed = decoded is not None and len(response.body) <= _MOST_PACKED_BYTES
            page = igzip.compress(_encode_page(decoded), _GZIP_LEVEL) if is_packed else None
            row = (response.url, upstream, *head, response.serial, *times, body, page, _DECODER)
            database.run("keep_response", row)
            database.run("forget_files_of_url", (response.url,))
            database.run("forget_project_of_url", (response.url,))
            if decoded is not None:
                self._keep_page(upstream, response.url, decoded)

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """What those of many answers decoded to that can be had without decoding them again."""
        rows = self._database.rows("kept_pages", (_encode(urls), _DECODER))
        return {url: KeptPage(_decode_page(_gunzip(page)), *times) for url, page, *times in rows}

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh; 0 where one is not kept, or never is."""
        ((count, earliest),) = self._database.rows("fresh_until", (_encode(urls),))
        return float(earliest) if count and count == len(urls) else 0.0

    def last_serial(self, root_url: str) -> int | None:
        """The highest serial that any answer from below that URL told, as a header or on its page."""
        row = self._database.row("last_serial", (root_url,) * 4)
        return None if row is None else row[0]

    def touch_response(self, url: str, fetched_at: float, fresh_until: float | None = None) -> None:
        """The kept answer was found to be still valid at that time."""
        with self._database.transaction(is_durable=False):
            self._database.run("touch_response", (fetched_at, fresh_until, url))

    def forget_elsewhere(self, upstream: str, url: str) -> None:
        """Forget what was decoded from pages of that upstream which are not below that URL, its own until now.

        The raw answers stay: they are known by their own URLs.
        """
        with self._database.transaction(is_durable=False):
            self._database.run("forget_files_elsewhere", (upstream, upstream, url, url))
            self._database.run("forget_projects_elsewhere", (upstream, url, url))

    def _keep_page(self, upstream: str, url: str, page: Page) -> None:
        dropped = _encode(page.dropped).decode()
        self._database.run("forget_files_of_project", (upstream, page.name))
        self._database.run(
            "keep_project", (upstream, page.name, page.status, page.status_reason, page.last_serial, dropped, url)
        )
        self._database.run_many("keep_file", _file_rows(upstream, page))


class CatalogMetadata:
    """The MetadataCache of a catalog. What it keeps can be asked for again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""
        row = self._database.row("metadata", (key,))
        return None if row is None else _decode_metadata(row[0])

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""
        return {key: _decode_metadata(text) for key, text in self._database.rows("metadata_of", (_encode(keys),))}

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None) -> None:
        """Remember it, with the METADATA or PKG-INFO bytes where there are any."""
        facts = (metadata.name, metadata.version, metadata.requires_python, metadata.source, metadata.is_lower_bound)
        packed = None if body is None else igzip.compress(body, _GZIP_LEVEL)
        with self._database.transaction(is_durable=False):
            self._database.run("keep_metadata", (key, *facts, _encode(metadata).decode(), packed))


class CatalogSizes:
    """The Sizes of a catalog. What it keeps can be asked for again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def size(self, sha256: str) -> int | None:
        """What is known of that file."""
        row = self._database.row("size", (sha256,))
        return None if row is None else int(row[0])

    def keep_size(self, sha256: str, size: int) -> None:
        """Remember it."""
        with self._database.transaction(is_durable=False):
            self._database.run("keep_size", (sha256, size))


class CatalogCapabilities:
    """The Capabilities of a catalog."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """`now` gives seconds since the epoch."""
        self._database = database
        self._now = now

    def capability(self, upstream: str, name: str) -> bool | None:
        """What was found at most CAPABILITY_SECONDS ago."""
        row = self._database.row("capability", (upstream, name, self._now() - CAPABILITY_SECONDS))
        return None if row is None else bool(row[0])

    def keep_capability(self, upstream: str, name: str, *, is_offered: bool) -> None:
        """Remember the answer, with the time."""
        with self._database.transaction(is_durable=False):
            self._database.run("keep_capability", (upstream, name, is_offered, self._now()))


def _file_rows(upstream: str, page: Page) -> Iterator[tuple[object, ...]]:
    for position, file in enumerate(page.files):
        version, kind = _version_and_kind(file, page.name)
        yield (
            upstream,
            page.name,
            file.filename,
            version,
            kind,
            file.url,
            file.sha256,
            file.blake2b_256,
            file.size,
            file.upload_time,
            file.requires_python,
            file.is_yanked,
            file.yanked if isinstance(file.yanked, str) else None,
            _SAID.get(file.core_metadata, file.core_metadata),
            file.provenance,
            position,
        )


_SAID: dict[bool | str | None, str | None] = {None: None, True: "yes", False: "no"}


def _version_and_kind(file: DistFile, project: NormalizedName) -> tuple[str | None, str | None]:
    parsed = parse_filename(file.filename, project)
    version = parsed.version_text if parsed.version is None else str(parsed.version)
    return version, str(parsed.kind)
