"""What is read of an upstream, and what of that is kept from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from packaging.utils import NormalizedName

    from pypim.core.followed import Followed, Listed, ToDo, Updated
    from pypim.core.list_stream import Pairs
    from pypim.core.model import CoreMetadata, DistFile, Page, ProjectList
    from pypim.core.records import Fetched, KeptOutline, KeptPage, StoredResponse


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

    def said(self, seen: Sequence[tuple[NormalizedName, DistFile, bytes]]) -> set[str]:
        """Wheels themselves were seen to say this; remembered all at once, in any thread.

        The identities of those of which something else had been believed until now.
        """

    def learned(self, project: NormalizedName, file: DistFile, metadata: CoreMetadata, body: bytes | None) -> None:
        """The file itself was read and says this; `body` is what it was read from. Nobody need ask for it now."""


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

        Raises NotAuthenticated, NotAuthorised, UpstreamUnavailable, UpstreamTimeout, UpstreamTooLong (when the body
        is longer than `limit_bytes` after decoding), or UpstreamMalformed (also when a redirect must not be followed).
        """

    def open(
        self, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AbstractAsyncContextManager[Incoming]:
        """An answer to be streamed; the same statuses and faults; retried until the head has arrived, not after.

        With a body, that is sent (POST); a redirect that would turn it into a GET is an answer of its own then.
        Without `Accept-Encoding` among the headers the body comes as it is.
        """


class Pages(Protocol):
    """Answers of upstreams, raw and decoded, as kept from run to run."""

    def response(self, url: str) -> StoredResponse | None:
        """The newest answer kept for that URL."""

    def outline(self, url: str) -> KeptOutline | None:
        """What is known of the newest answer kept for that URL, at the same cost however long its body is."""

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
    """Core metadata by the file it belongs to; the key is the file's sha256, or its URL where no hash is known.

    Anybody can list any hash. So what one upstream says of a file counts for that upstream only; for everybody, and
    before all that upstreams say, counts what was read out of bytes whose sha256 was checked.
    """

    def metadata(self, key: str) -> CoreMetadata | None:
        """What is known of that file."""

    def metadata_of(self, keys: Sequence[str]) -> dict[str, CoreMetadata]:
        """What is known of many files at once."""

    def keep_metadata(self, key: str, metadata: CoreMetadata, body: bytes | None, *, is_checked: bool = False) -> None:
        """Remember it, with the METADATA or PKG-INFO bytes where there are any.

        `is_checked`: it was read out of bytes that have the sha256 which is the key.
        """

    def keep_checked(self, learned: Sequence[tuple[str, CoreMetadata, bytes]]) -> None:
        """The same of many files whose bytes were checked, all or none."""


class Sizes(Protocol):
    """Sizes of files, in bytes, that no page says, as one upstream told them; the key is the file's sha256."""

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


class Following(Protocol):
    """Which projects upstreams list, with their serials, and what of that changed.

    An upstream is known by its URL, without credentials and with one slash at its end. Names come in the order of
    their characters. A project that is missing, with nobody having said that it was removed, is listed until it is
    gone for certain.
    """

    def state(self, upstream: str) -> Followed | None:
        """What is known of it as a whole; None where it was never asked."""

    def keep_state(self, upstream: str, state: Followed) -> None:
        """Remember it. To be called before projects of that upstream are kept."""

    def changing(self) -> AbstractContextManager[None]:
        """What is kept inside is kept as a whole, or not at all where an exception leaves it.

        Nothing may wait for anybody inside.
        """

    def keep_first(self, upstream: str, pieces: Iterable[Pairs]) -> None:
        """Keep a list with its serials where none was known; all at revision 0. Of two with one name the first counts.

        The iterable may raise: then nothing is kept.
        """

    def keep_listed(self, upstream: str, projects: Iterable[Listed]) -> None:
        """Keep these in place of what was known of them."""

    def pairs(self, upstream: str, after: str, until: str | None) -> list[tuple[NormalizedName, int | None]]:
        """The projects with names above `after` up to and with `until`, that are neither missing nor gone.

        With their serials. None: to the end.
        """

    def listed(self, upstream: str, after: str, most: int) -> list[Listed]:
        """So many projects with names above that one; none that is gone."""

    def listed_of(self, upstream: str, names: Sequence[NormalizedName]) -> dict[NormalizedName, Listed]:
        """Those of them that are listed or were."""

    def missing(self, upstream: str) -> list[Listed]:
        """Those that are not there and not yet gone."""

    def changes(self, upstream: str, since: int) -> list[Listed]:
        """Those whose revision is above that number; those that are gone, too. In the order of revisions."""


class Follows(Protocol):
    """Learns what has changed at an upstream and keeps it in `Following`, once a run."""

    async def update(self, *, accepts_removals: bool = False) -> Updated | None:
        """What was found; None where the upstream proves to have no list of projects, but one of files.

        With `accepts_removals`, what is not there any more is gone at once. Raises UpstreamFault or Refused
        (MassRemoval); then all that is known stays as it was.
        """

    async def ask(self, names: Sequence[NormalizedName]) -> Updated:
        """Ask for the pages of some projects and nothing else, with their validators. Raises as `Index.project`."""


class Backlog(Protocol):
    """What each index could not do."""

    def todo(self, index: str) -> dict[NormalizedName, ToDo]:
        """All that it could not do, by project and in their order."""

    def keep_todo(self, index: str, items: Iterable[ToDo]) -> None:
        """Keep these in place of what was to be done about their projects."""

    def settle(self, index: str, projects: Iterable[NormalizedName]) -> None:
        """Nothing is to be done about these any more."""
