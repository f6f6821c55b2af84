"""What is read of an upstream, and what of that is kept from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from packaging.utils import NormalizedName

    from pypim.core.model import CoreMetadata, DistFile, Page, ProjectList
    from pypim.core.records import Fetched, KeptPage, StoredResponse


class Index(Protocol):
    """Something that lists projects and their files. There is deliberately no method for a single file."""

    async def project_list(self) -> ProjectList:
        """Every project. Raises UpstreamFault or Refused."""

    async def project(self, name: NormalizedName) -> Page:
        """One project's page, complete as far as the index can say.

        Raises ProjectNotFound only when the index said so for certain; UpstreamFault or Refused otherwise.
        """


class MetadataReader(Protocol):
    """Learns the core metadata of one listed file on the cheapest way that works, and remembers it."""

    async def metadata(self, project: NormalizedName, file: DistFile) -> CoreMetadata:
        """Raises MetadataNotFound, UpstreamFault or IntegrityFault. The same file is never asked for twice."""

    def correct(self, project: NormalizedName, file: DistFile, body: bytes) -> bool:
        """The wheel itself was seen to say this; whether something else had been believed of it until now."""


class SizeReader(Protocol):
    """Learns how large a listed file is where its index does not say, and remembers it."""

    async def size(self, file: DistFile, *, limit_bytes: int) -> int | None:
        """In bytes; above the limit perhaps only that it is above, and None where nobody can tell.

        Raises UpstreamFault or Refused.
        """


class Known(Protocol):
    """What of an upstream need not be asked for, for many at once and without waiting."""

    def pages(self, names: Sequence[NormalizedName]) -> dict[NormalizedName, Page]:
        """Those pages that count without asking."""

    def metadata(self, files: Sequence[DistFile]) -> dict[str, CoreMetadata]:
        """The core metadata that was learned before, by the identity of the file."""

    def fresh_until(self, names: Sequence[NormalizedName], *, with_list: bool) -> float:
        """Until when the pages of all of these projects are fresh, and the list of all; 0 where one is not."""


class Incoming(Protocol):
    """An answer whose body is still on the wire."""

    @property
    def status(self) -> int:
        """The HTTP status; 200, 206, 304 or 404 for `file:`."""

    @property
    def url(self) -> str:
        """The final URL, after redirects."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names in lower case; repeated ones joined by ', '."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, undecoded. Raises UpstreamFault (transient) when it ends before it should."""


class Fetcher(Protocol):
    """Reads URLs (http, https, file). Safe to cancel at any await; safe to use by many tasks at once."""

    async def fetch(self, url: str, headers: Mapping[str, str], *, limit_bytes: int) -> Fetched:
        """A whole answer of any status below 500 except 401, 403 and 429, read again on transient faults.

        Raises NotAuthenticated, NotAuthorised, UpstreamUnavailable, UpstreamTimeout, or UpstreamMalformed (also
        when the body is longer than `limit_bytes` after decoding, or a redirect must not be followed).
        """

    def open(self, url: str, headers: Mapping[str, str]) -> AbstractAsyncContextManager[Incoming]:
        """An answer to be streamed; the same statuses and faults; retried until the head has arrived, not after."""


class Pages(Protocol):
    """Answers of upstreams, raw and decoded, as kept from run to run."""

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""

    def keep_response(self, upstream: str, response: StoredResponse, decoded: Page | None) -> None:
        """Keep an answer in place of any older one; `decoded`, when given, fills the decoded tables."""

    def kept_pages(self, urls: Sequence[str]) -> dict[str, KeptPage]:
        """What those of many answers decoded to that can be had without decoding them again."""

    def fresh_until(self, urls: Sequence[str]) -> float:
        """Until when the answers of all of these URLs are fresh; 0 where one is not kept, or never is."""

    def last_serial(self, root_url: str) -> int | None:
        """The highest serial that any answer from below that URL told; None where none did."""

    def touch_response(self, url: str, fetched_at: float, fresh_until: float | None = None) -> None:
        """The kept answer was found to be still valid (304) at that time, and need not be asked for until then."""


class MetadataCache(Protocol):
    """Core metadata by the file it belongs to; the key is the file's sha256, or its URL where no hash is known."""

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None) -> None:
        """Remember it, with the METADATA or PKG-INFO bytes where there are any."""


class Sizes(Protocol):
    """Sizes of files, in bytes, that no page says, as they were learned; the key is the file's sha256."""

    def size(self, sha256: str) -> int | None:
        """What is known of that file."""

    def keep_size(self, sha256: str, size: int) -> None:
        """Remember it."""


class Capabilities(Protocol):
    """What an upstream was found to offer, under names such as json-api, sidecar and ranges.

    An upstream is known by its URL, without credentials: at another URL another server answers.
    """

    def capability(self, upstream: str, name: str) -> bool | None:
        """None while nobody tried, or the answer is too old to be believed."""

    def keep_capability(self, upstream: str, name: str, *, is_offered: bool) -> None:
        """Remember the answer, with the time."""
