"""What a project's page does not say, learned from the per-project JSON API where the upstream has one.

Source: the JSON API of the warehouse (`/pypi/<project>/json`), whose `releases` list every file with size and time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

from pypim.core.entries import EntryReader, RawEntry
from pypim.core.errors import Refused, UpstreamFault, UpstreamMalformed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page
    from pypim.core.records import StoredResponse
    from pypim.index.conditional import ConditionalReader
    from pypim.ports import Capabilities, Pages

CAPABILITY = "json-api"
_MOST_FAULTS = 3


class _Entry(msgspec.Struct):
    """One file of a release."""

    filename: str
    url: str
    digests: dict[str, str] = {}
    size: int | None = None
    upload_time_iso_8601: str | None = None
    yanked: bool = False
    yanked_reason: str | None = None


class _Document(msgspec.Struct):
    """The part of a project's document that is of use; `info` speaks for one file only and is never read."""

    releases: dict[str, list[msgspec.Raw]]


_document = msgspec.json.Decoder(_Document)
_entry = msgspec.json.Decoder(_Entry)


class Details(NamedTuple):
    """Files by name, as the JSON API has them; `fault` is a sentence where it should have answered and did not."""

    files: Mapping[str, DistFile]
    fault: str | None = None


_NOTHING = Details({})


class ProjectDetails:
    """The JSON API of one upstream. Nothing it does can fail a page: what it cannot say stays unknown."""

    def __init__(
        self, upstream: str, root_url: str, reader: ConditionalReader, pages: Pages, capabilities: Capabilities
    ) -> None:
        self._upstream = upstream
        self._simple_url = root_url
        self._root_url = document_root(root_url)
        self._reader = reader
        self._pages = pages
        self._capabilities = capabilities
        self._faults = 0

    @property
    def is_offered(self) -> bool | None:
        """Whether the upstream has the JSON API; None while nobody knows."""
        if not self._root_url.startswith("http") or self._faults >= _MOST_FAULTS:
            return False
        return self._capabilities.capability(self._simple_url, CAPABILITY)

    async def read(self, name: NormalizedName) -> Details:
        """Everything that is known of a project's files; never raises an error of the upstream."""
        was_offered = self.is_offered
        if was_offered is False:
            return _NOTHING
        url = f"{self._root_url}{name}/json"
        try:
            answer = await self._reader.read(url, "application/json", partial(_parse, url))
        except (UpstreamFault, Refused) as fault:
            is_passing = isinstance(fault, UpstreamFault) and not isinstance(fault, UpstreamMalformed)
            if was_offered is None and not is_passing:
                return self._not_offered()
            self._faults += 1
            return Details({}, f"sizes and times could not be learned: {fault.message}")
        if answer is None:
            return _NOTHING if was_offered else self._not_offered()
        if not was_offered:
            self._capabilities.keep_capability(self._simple_url, CAPABILITY, is_offered=True)
        if answer.is_new:
            self._pages.keep_response(self._upstream, answer.response, None)
        return Details(answer.value)

    def _not_offered(self) -> Details:
        # Another project may have been answered meanwhile: then this one is the exception.
        if self.is_offered is None:
            self._capabilities.keep_capability(self._simple_url, CAPABILITY, is_offered=False)
        return _NOTHING


def document_root(simple_url: str) -> str:
    """Below what the documents of an upstream stand, whose Simple API is below that URL; with a slash at its end.

    Beside the Simple API, and never on another host: an upstream whose path is "/" has its API below that.
    """
    address = urlsplit(simple_url)
    return urlunsplit(address._replace(path=address.path.rstrip("/").rpartition("/")[0])) + "/pypi/"


def lacks_details(page: Page) -> bool:
    """Whether any file of the page has no size or no upload time."""
    return None in [file.size for file in page.files] or None in [file.upload_time for file in page.files]


def with_details(page: Page, details: Details) -> Page:
    """The page with what only the JSON API says; what the page says itself is never changed."""
    if details.fault is not None:
        return msgspec.structs.replace(page, dropped=(*page.dropped, details.fault))
    if not details.files:
        return page
    files = tuple(_with_details(file, details.files.get(file.filename)) for file in page.files)
    return msgspec.structs.replace(page, files=files)


def _with_details(file: DistFile, found: DistFile | None) -> DistFile:
    if found is None or (file.sha256 and found.sha256 and file.sha256 != found.sha256):
        return file  # other bytes under the same name: nothing that is said of them holds here
    return msgspec.structs.replace(
        file,
        size=found.size if file.size is None else file.size,
        upload_time=found.upload_time if file.upload_time is None else file.upload_time,
        sha256=found.sha256 if file.sha256 is None else file.sha256,
        blake2b_256=found.blake2b_256 if file.blake2b_256 is None else file.blake2b_256,
        yanked=file.yanked or found.yanked,
    )


def _parse(url: str, response: StoredResponse) -> dict[str, DistFile]:
    return files_in_document(response.body, response.final_url, url)


def files_in_document(body: bytes, base_url: str, url: str | None = None) -> dict[str, DistFile]:
    """The files of a project's document by name; `url` is its address for messages. Raises UpstreamMalformed."""
    url = url or base_url
    try:
        releases = _document.decode(body).releases
    except (msgspec.DecodeError, RecursionError) as error:
        raise UpstreamMalformed(url, f"not a document of the JSON API: {error}") from error
    reader = EntryReader(base_url)
    for raw in (raw for entries in releases.values() for raw in entries):
        try:
            entry = _entry.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            continue  # a file of which this says nothing usable; the page is what lists files
        reader.add(_raw_entry(entry))
    return {file.filename: file for file in reader.files}


def _raw_entry(entry: _Entry) -> RawEntry:
    return RawEntry(
        filename=entry.filename,
        url=entry.url,
        hashes=entry.digests,
        size=entry.size,
        upload_time=entry.upload_time_iso_8601,
        yanked=(entry.yanked_reason or True) if entry.yanked else False,
    )
