"""The values that ports carry: upstream answers as they are kept, and the records of our own state."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.description import Description
    from pypim.core.model import Page


class Fetched(msgspec.Struct, frozen=True):
    """A whole answer, its body decoded from any content encoding."""

    status: int
    url: str
    headers: dict[str, str]
    body: bytes


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """An index as one that has files of an upstream and believes what that upstream says."""

    index: str
    upstream: str
    """Its URL, without credentials and with one slash at its end."""
    credentials: str = ""
    """A digest of whose credentials it is asked with, which has no secret in it; empty without any."""
    also: tuple[str, ...] = ()
    """Other indexes, which anyone may read: what came to them counts as well."""

    @property
    def known_as(self) -> str:
        """Under what it is kept what this upstream says when it is asked like that."""
        return keyed(self.upstream, self.credentials)


def keyed(url: str, credentials: str) -> str:
    """A URL as what it says is kept: what is told to somebody counts for nobody else."""
    return f"{credentials}@{url}" if credentials else url


class FileState(msgspec.Struct, frozen=True):
    """A file of this machine as it was when it was looked at; equal ones mean that its bytes are the same."""

    device: int
    inode: int
    size: int
    """In bytes."""
    modified: int
    """In nanoseconds since the epoch."""


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream's answer as it is kept: raw body with its validators."""

    url: str
    """The URL that was asked for."""
    final_url: str
    status: int
    content_type: str
    etag: str | None
    last_modified: str | None
    serial: int | None
    fetched_at: float
    """Seconds since the epoch."""
    fresh_until: float | None = None
    """Until when the upstream said that it need not be asked again, likewise; None where it said nothing."""
    body: bytes


class KeptPage(msgspec.Struct, frozen=True):
    """What the newest answer kept for the page of a project says, without the answer itself."""

    page: Page
    fetched_at: float
    """Seconds since the epoch."""
    fresh_until: float | None


class KeptOutline(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kept answer without reading its body, which may be long."""

    status: int
    etag: str | None
    last_modified: str | None
    fetched_at: float
    """Seconds since the epoch."""
    length: int
    """Of the body, in bytes."""
    checksum: int
    """CRC-32 of the body."""


def outline_of(response: StoredResponse) -> KeptOutline:
    """The outline of an answer that is at hand."""
    return KeptOutline(
        status=response.status,
        etag=response.etag,
        last_modified=response.last_modified,
        fetched_at=response.fetched_at,
        length=len(response.body),
        checksum=crc32(response.body),
    )


class KeptHead(msgspec.Struct, frozen=True, kw_only=True):
    """An upstream's answer as it is kept, without its body."""

    url: str
    status: int
    etag: str | None
    last_modified: str | None
    serial: int | None
    """That of the page where it tells one, else of the answer's head."""
    is_decoded: bool
    """Whether what it says stands in the decoded tables."""


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer about a project, and what it says of it: its page, or its description, or neither (404)."""

    project: NormalizedName
    response: StoredResponse
    page: Page | None = None
    description: Description | None = None


class KeptPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is remembered, and what it was computed from."""

    request: str
    """Digest of what the configuration and the command line say, and of the program's version."""
    inputs: tuple[tuple[str, str], ...]
    """Path and sha256 of every file that was read for it."""
    version: int
    """That of all that was known, see `Plans.version`."""
    fresh_until: float
    """Until when every page that it looked at is fresh, in seconds since the epoch; 0 where one is not."""
    answer: bytes


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a selection, and its size; bytes."""

    digest: str
    """`core.unchanged.digest_of` of everything that the selection depends on."""
    consulted: tuple[NormalizedName, ...]
    """The projects that were looked at, sorted."""
    total_files: int
    total_bytes: int


class Generation(msgspec.Struct, frozen=True):
    """One published state of an index; times in seconds since the epoch."""

    number: int
    index: str
    started_at: float
    finished_at: float | None
    is_amended: bool = False
    """Whether it amended some projects of the one before, rather than being chosen as a whole."""


class Tally(msgspec.Struct, frozen=True):
    """What the rules of an index choose, and what of it is held; bytes as far as the upstream says sizes."""

    projects: int
    """Those with a chosen file."""
    complete_projects: int
    """Those of them with all of their files."""
    releases: int
    files: int
    file_bytes: int
    held_files: int
    held_bytes: int


class UnheldFile(msgspec.Struct, frozen=True):
    """A file that an index names and does not hold; its size in bytes, None where the upstream does not say."""

    project: NormalizedName
    version: str
    filename: str
    size: int | None


class Walk(msgspec.Struct, frozen=True):
    """How far an index has come with choosing its projects one by one, in the order of their names."""

    digest: str
    """Of what the configuration says of the index, and of the program."""
    upstream: str
    """Its URL."""
    since: int | None
    """Only what changed after that revision of the upstream's list; None: every project."""
    until: int
    """The revision that the list had when the walk began."""
    after: str = ""
    """Every project up to this name is done, or on the to-do."""
    is_ended: bool = False
    """Whether all of them are."""


class Removal(msgspec.Struct, frozen=True):
    """A file that an index listed and no longer does; `since` in seconds since the epoch."""

    identity: str
    project: NormalizedName
    since: float


class Run(msgspec.Struct, frozen=True):
    """One run of a command; `summary` is its report as JSON."""

    number: int
    command: str
    index: str
    started_at: float
    finished_at: float | None
    outcome: str | None
    summary: bytes


class CachedFile(msgspec.Struct, frozen=True):
    """A file that a proxy keeps; size in bytes, `used_at` (its last use) in seconds since the epoch."""

    identity: str
    project: NormalizedName
    filename: str
    size: int
    used_at: float


class FetchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to talk to one upstream; times in seconds, sizes in bytes. Paths are absolute."""

    username: str | None = None
    password: str | None = None
    token: str | None = None
    ca_file: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None
    proxy: str | None = None
    """None: as the usual environment variables say; "": none at all; else its URL."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    contact: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    retries: int = 4
    longest_wait: float | None = None
    """An upstream that asks to wait for longer is not asked again. None: it is, after a minute at most."""
    max_connections: int = 16
    requests_per_second: float | None = None
    most_requests_saved: float = 1.0
    """Requests that may be made at once after a rest, before that rate counts."""
    bytes_per_second: float | None = None
    """Of bodies, as they come over the network."""
    netrc_file: str | None = None
    """Where credentials per host stand; a file that does not exist has none."""
