"""The promises between layers: small Protocols with what is raised, retried, called twice, and safe to cancel.

Everything that does I/O stands behind one of these; `wiring` chooses who stands there. One contract suite per port
(`tests/contracts/`) is run on every implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from typing import BinaryIO

    from packaging.utils import NormalizedName

    from pypim.core.audit import AuditEntry
    from pypim.core.hosted import Change, HostedFile, HostedProject, Standing
    from pypim.core.model import CoreMetadata, DistFile, Holding, Page, ProjectList, ProjectStatus
    from pypim.core.plan import Outline
    from pypim.core.records import (
        CachedFile,
        Fetched,
        Finding,
        Generation,
        KeptPage,
        KeptPlan,
        Removal,
        Run,
        StoredResponse,
    )
    from pypim.core.selection import Selection
    from pypim.core.tokens import Token, User

T = TypeVar("T")


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


class StagedBlob(Protocol):
    """Bytes on their way in: a temporary file that nobody sees, hashed while it is written."""

    @property
    def size(self) -> int:
        """Bytes written so far; above 0 at the start when an interrupted download can be resumed."""

    def write(self, chunk: bytes) -> None:
        """Append and hash. Raises OutOfSpace or StoreUnwritable."""

    def restart(self) -> None:
        """Forget what was written (the upstream does not resume, or the bytes were wrong)."""

    def digest(self, algorithm: str) -> str:
        """Hex digest of the bytes so far: "sha256" and "blake2b_256" come for free, others read the file again."""

    def open(self) -> BinaryIO:
        """Read what is there so far."""

    def close(self) -> None:
        """Let go of it; the bytes stay for a later resume."""

    def discard(self) -> None:
        """Let go of it and delete the bytes."""


class Blobs(Protocol):
    """The files we hold. A file has its name only once its bytes are complete, checked and durable."""

    def stage(self, key: str) -> StagedBlob:
        """A place for incoming bytes; `key` names the content, so that an interrupted download finds its part."""

    async def keep(self, staged: StagedBlob, holding: Holding, metadata: bytes | None) -> None:
        """Make the bytes durable, give them their name, and the `.metadata` its own; returns when both are durable.

        Many calls at once share the cost of syncing. Keeping what is already there is not an error.
        Raises OutOfSpace or StoreUnwritable; then nothing is under its name.
        """

    def path(self, holding: Holding) -> Path:
        """Where the bytes are."""

    def delete(self, holding: Holding) -> None:
        """Remove the bytes and the `.metadata`; not an error when they are gone."""

    async def confirm(self, holdings: Iterable[Holding]) -> None:
        """Make durable what stands there already, bytes and names; a killed run may have left them to the system.

        Raises OutOfSpace, StoreUnwritable or StoreUnreadable.
        """

    def found(self, holding: Holding) -> bool:
        """Whether a file of that size stands there; its bytes are not read."""

    def alone(self) -> AbstractContextManager[None]:
        """Nobody keeps a file meanwhile: held while strays are looked for and deleted; waits until that is so."""

    def stray(self, known: Iterable[Holding]) -> dict[str, int]:
        """Files of the store that belong to none of these holdings: relative path → bytes; stale parts too."""

    def delete_stray(self, paths: Iterable[str]) -> None:
        """Delete files that `stray` named."""

    def free_bytes(self) -> int | None:
        """Room on the device; None where the system does not say."""


class Holdings(Protocol):
    """The record of what we hold: the row is the commit, written only after `Blobs.keep` returned."""

    def holdings(self) -> Iterable[tuple[str, Holding]]:
        """Every (identity, holding); the identity is the listed file's `DistFile.identity`."""

    def record(self, held: Iterable[tuple[str, NormalizedName, Holding]]) -> None:
        """Commit (identity, project, holding) rows in one durable transaction; again is not an error."""

    def forget(self, identities: Iterable[str]) -> None:
        """Remove rows, before the bytes are deleted."""


class Tree(Protocol):
    """A published static tree: `simple/` and `packages/` in one folder, for any web server or `file://`."""

    def place(self, holdings: Iterable[Holding], *, replaces: bool = False) -> None:
        """Put files (and their `.metadata`) under `packages/`, by link where that works; again is not an error.

        What stands there with the right size is left alone, unless `replaces`. Raises CorruptBlob where the store
        lacks a file that it is said to hold, OutOfSpace or StoreUnwritable.
        """

    def lacking(self, holdings: Iterable[Holding]) -> list[Holding]:
        """Those that do not stand there with their size, or without their `.metadata`; no bytes are read."""

    def copy_of(self, holding: Holding) -> Path | None:
        """Where the tree has bytes of its own for a placed file, or for its `.metadata`; None where both are links."""

    def displace(self, holdings: Iterable[Holding]) -> None:
        """Undo `place`; nothing to do where the tree's `packages/` is the store's own."""

    def write(self, pages: Mapping[str, bytes]) -> None:
        """Replace files (relative path → content), each atomically, all of them durable before any gets its name."""

    def read(self, path: str) -> bytes | None:
        """What stands there now; None where nothing does."""

    def pages(self) -> list[str]:
        """The names of all folders below `simple/`."""

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files and the folders that become empty; not an error when they are gone."""


class Generations(Protocol):
    """The published states of an index, each with its selection and the reasons; the newest finished one counts."""

    def current(self, index: str) -> Generation | None:
        """The newest finished generation."""

    def is_interrupted(self, index: str) -> bool:
        """Whether a generation was begun and never finished: what is published may be of either."""

    def listed(self, *, besides: str | None = None) -> set[str]:
        """The identities of all files that the current or an unfinished generation of any index names.

        `besides` is an index whose own generations do not count.
        """

    def selection(self, generation: int) -> Selection:
        """What it holds, as it was given to `begin`."""

    def current_selection(self, index: str) -> Selection | None:
        """What the newest finished generation of an index holds; None where there is none."""

    def outline(self, index: str) -> Outline:
        """The same without the files, which costs much less; an empty one where there is none."""

    def begin(self, index: str, selection: Selection, started_at: float) -> Generation:
        """Record the next generation with its selection, not yet finished; an unfinished older one is replaced."""

    def finish(self, generation: Generation, finished_at: float) -> None:
        """The flip: from now on it is the current one; older generations of the index are dropped."""


class Published(Protocol):
    """What stands in the published tree of an index, page by page, so that only what differs is written."""

    def page_digests(self, index: str) -> dict[NormalizedName, str]:
        """Project → digest of the page as it was last written."""

    def keep_page_digests(self, index: str, digests: Mapping[NormalizedName, str | None]) -> None:
        """Record pages that were written (None: removed)."""

    def removals(self, index: str) -> dict[str, Removal]:
        """Identity → file that the index no longer lists and that waits to be deleted."""

    def keep_removals(self, index: str, waiting: Iterable[Removal], settled: Iterable[str]) -> None:
        """Add files that wait; drop those whose wait is over or that are listed again (by identity)."""


class Findings(Protocol):
    """What an index's last complete sync was computed from, so that the next one sees at once that nothing changed."""

    def finding(self, index: str) -> Finding | None:
        """That of the last complete sync; None after a run that has not finished."""

    def keep_finding(self, index: str, finding: Finding | None) -> None:
        """Remember it; None forgets it, which a run does before it changes anything."""


class Plans(Protocol):
    """The last plan of each index, so that the next one need not be computed while nothing has changed."""

    def version(self) -> int | None:
        """A number that changes with all that is learned of upstreams, held or listed.

        None where something was learned in this run that is not kept: nothing can be remembered of it.
        """

    def plan(self, index: str) -> KeptPlan | None:
        """What was remembered last."""

    def keep_plan(self, index: str, plan: KeptPlan) -> None:
        """Remember it, where that is possible: it is a short way only, and nobody relies on it."""


class Runs(Protocol):
    """The history of commands that changed something."""

    def begin_run(self, command: str, index: str, started_at: float) -> int:
        """A run began; its number."""

    def finish_run(self, number: int, finished_at: float, outcome: str, summary: bytes) -> None:
        """It ended; `summary` is the report as JSON."""

    def last_run(self, index: str) -> Run | None:
        """The newest finished run of that index."""

    def newest_outcome(self, index: str) -> str | None:
        """The outcome of the newest run, finished or not; None while there is none: it was killed, or never began."""


class Clock(Protocol):
    """Time, so that what decides can be given any."""

    def now(self) -> datetime:
        """The time in UTC, aware."""


class Reporter(Protocol):
    """Listens to a run's progress: a live display, plain lines, or nothing."""

    def stage(self, name: str, *, total: int | None = None, total_bytes: int | None = None) -> None:
        """A stage begins ("list", "metadata", "transfer", "prove", "publish", "verify"); totals where known."""

    def advance(self, items: int = 1, *, size_bytes: int = 0, total: int | None = None) -> None:
        """Items of the current stage were finished; `total` corrects the stage's total."""

    def note(self, message: str) -> None:
        """Something a person should read: a warning, a file left out."""

    def close(self) -> None:
        """The run is over; restore the terminal."""


# --- the server -----------------------------------------------------------------------------------------------------
class Arriving(Protocol):
    """The bytes of a file that is still being fetched, for any number of readers at once."""

    @property
    def size(self) -> int | None:
        """Of the whole file, in bytes; None where the upstream did not say."""

    async def read(self, start: int, most: int) -> bytes:
        """At most so many bytes from there, at least one; empty only at the end of the file.

        The last bytes are given out only once the hash of the whole is right. Waits for bytes that are not there yet.
        Raises UpstreamFault, IntegrityFault or StoreFault, as every later call then does.
        """

    def close(self) -> None:
        """This reader has gone; the fetching goes on."""


class Served(Index, Protocol):
    """An index as the server needs it: with a mark for each page, and a way from a listed file to its bytes.

    What a page lists has its upstream's URL; the server writes its own in its place (`pypim.core.served`).
    """

    @property
    def name(self) -> str:
        """As it is configured."""

    def mark(self, name: NormalizedName | None) -> object:
        """Two equal marks mean that the page (None: the list) has not changed between; read it before the page.

        Costs next to nothing and never waits; a mark that equals no other says that the page must be asked for.
        """

    async def content(self, project: NormalizedName, file: DistFile) -> Path | Arriving:
        """The bytes of a file that its page lists. Raises NotFound, UpstreamFault, Refused or StoreFault."""

    async def metadata_bytes(self, project: NormalizedName, file: DistFile) -> bytes:
        """The `.metadata` of a listed wheel (PEP 658). Raises MetadataNotFound, UpstreamFault or StoreFault."""


class Serving(Protocol):
    """What a mirror shows, project by project, so that the cost of a page does not grow with the mirror."""

    def generation(self, index: str) -> int | None:
        """The number of the newest finished generation; None where nothing was synced yet."""

    def names(self, generation: int) -> list[NormalizedName]:
        """The projects with a file that is held, in order."""

    def page(self, generation: int, project: NormalizedName) -> Page | None:
        """The files that are held, as `core.served.held_entry` makes them; None where the generation has no page."""


class Accounts(Protocol):
    """Users and tokens. Of passwords and of the secrets of tokens there is only what they are checked against."""

    def user(self, name: str) -> User | None:
        """That user."""

    def users(self) -> list[User]:
        """All of them, by name."""

    def keep_user(self, user: User) -> None:
        """Add a user, or replace the one of that name."""

    def remove_user(self, name: str) -> bool:
        """Remove a user and all of the user's tokens; False where there was none."""

    def token(self, token_id: str) -> Token | None:
        """That token, also when it is expired or revoked."""

    def tokens(self) -> list[Token]:
        """All of them, the oldest first."""

    def keep_token(self, token: Token) -> None:
        """Add a token. Raises Conflict where one was made for the same proof, NotFound where there is no such user.

        Tokens that were made for a proof are forgotten a month after they expired.
        """

    def revoke_token(self, token_id: str, at: float) -> bool:
        """Make it useless from that time on, in seconds since the epoch; False where there is none."""

    def note_use(self, token_id: str, at: float) -> None:
        """It was shown at that time; a power cut may take this."""

    def is_empty(self) -> bool:
        """Whether there is neither a user nor a token."""


class Epochs(Protocol):
    """Counters that all processes on one store share: each says whether an index may have changed."""

    def epoch(self, index: str) -> int:
        """The number of changes so far; costs next to nothing."""

    def advance(self, index: str) -> None:
        """Something that clients see of the index has changed, and is committed."""


class Background(Protocol):
    """Runs what waits for the disk where the server does not wait for it, one after the other."""

    async def run(self, work: Callable[[], T]) -> T:
        """What the work returns or raises."""


class Cached(Protocol):
    """The files that proxies keep of what passed through them, and what they may say of core metadata."""

    def held(self, project: NormalizedName) -> dict[str, Holding]:
        """Every file of a project whose bytes are in the store, for whatever index, by identity."""

    def record(self, index: str, files: Iterable[tuple[str, NormalizedName, Holding]], used_at: float) -> None:
        """Commit (identity, project, holding) in one durable transaction: they are held, and the index keeps them."""

    def use(self, index: str, uses: Mapping[str, float]) -> None:
        """When files were last asked for, by identity, in seconds since the epoch; unknown ones do not matter."""

    def size(self, index: str) -> int:
        """Bytes of all files that the index keeps."""

    def oldest(self, index: str, used_before: float) -> list[CachedFile]:
        """The files that it keeps and that were last asked for before that time, the oldest use first."""

    def projects(self, index: str) -> list[NormalizedName]:
        """The projects of which it keeps any file, sorted."""

    def drop(self, index: str, identities: Sequence[str]) -> list[Holding]:
        """The index no longer keeps these, in one durable transaction.

        Those that nothing else lists are no longer held, and are returned: their bytes are to be deleted.
        """

    def sidecars(self, keys: Sequence[str]) -> dict[str, str | None]:
        """The sha256 of the core metadata that can be given out of files, by their MetadataCache key.

        None: none can, whatever the upstream claims. A key that is missing: nothing is known.
        """

    def sidecar(self, key: str) -> bytes | None:
        """Those bytes, as `MetadataCache.keep_metadata` was given them."""

    def keep_sidecar(self, key: str, sha256: str | None) -> None:
        """Remember what can be given out."""


class Turns(Protocol):
    """One at a time does what a key names, of all tasks and processes on one store; the others wait."""

    def turn(self, key: str) -> AbstractAsyncContextManager[None]:
        """Wait for the turn and have it while the context is entered; it ends with the process, too.

        Safe to cancel. Raises StoreUnwritable or OutOfSpace.
        """


class Hosted(Protocol):
    """What hosted indexes have: the projects and files that people uploaded, and how they came to be."""

    def projects(self, index: str) -> list[HostedProject]:
        """Every project that it has or had, by name."""

    def standing(self, index: str, project: NormalizedName, filename: str = "") -> Standing:
        """What it has of a project, and under the name of a file."""

    def changes(self, index: str, since: int, most: int) -> list[Change]:
        """Those with a higher serial, in order, so many at most."""

    def last_serial(self, index: str) -> int:
        """That of the last change; 0 before the first."""


class Hosting(Protocol):
    """Changes what hosted indexes have; each call is one durable transaction, and gives each change a serial."""

    def add(self, index: str, file: HostedFile, decided_on: Standing) -> bool:
        """List a file whose bytes are held, in place of the one that had its name.

        False, and nothing changes, where the name has another standing by now than it was decided on.
        """

    def yank(self, index: str, project: NormalizedName, version: str, now: float, *, yanked: bool | str) -> bool:
        """PEP 592, for all files of a release: False takes it back. Whether there is such a release."""

    def remove(self, index: str, filename: str, reason: str, now: float) -> HostedFile | None:
        """Delete a file from its page and keep its name from being used again; None where there is none."""

    def mark(self, index: str, project: NormalizedName, status: ProjectStatus, reason: str | None, now: float) -> bool:
        """PEP 792; whether there is such a project."""


class Audit(Protocol):
    """The record of who changed what, and who was refused; it only ever grows."""

    def append(self, entry: AuditEntry) -> None:
        """Write one line, whole, behind all others. Raises StoreUnwritable or OutOfSpace."""
