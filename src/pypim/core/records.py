"""The values that ports carry: upstream answers as they are kept, and the records of our own state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

    from pypim.core.model import Page


class Fetched(msgspec.Struct, frozen=True):
    """A whole answer, its body decoded from any content encoding."""

    status: int
    url: str
    headers: dict[str, str]
    body: bytes


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
    max_connections: int = 16
    requests_per_second: float | None = None
    netrc_file: str | None = None
    """Where credentials per host stand; a file that does not exist has none."""
