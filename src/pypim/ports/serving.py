"""What the server needs besides: indexes as it shows them, and what only it fills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from pypim.ports.upstreams import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from packaging.utils import NormalizedName

    from pypim.core.audit import AuditEntry
    from pypim.core.hosted import Change, HostedFile, HostedProject, Standing
    from pypim.core.model import DistFile, Holding, Page, ProjectStatus
    from pypim.core.records import CachedFile
    from pypim.core.tokens import Token, User

T = TypeVar("T")


class Arriving(Protocol):
    """The bytes of a file that is still being fetched, for any number of readers at once."""

    @property
    def size(self) -> int:
        """Of the whole file, in bytes: what nobody says the size of is here only once all of it is."""

    async def read(self, start: int, most: int) -> bytes:
        """At most so many bytes from there, at least one; empty only at the end of the file.

        The last bytes are given out only once the hash of the whole is right. Waits for bytes that are not there yet.
        Raises UpstreamFault, IntegrityFault or StoreFault, as every later call then does.
        """

    def close(self) -> None:
        """This reader has gone; the fetching goes on."""


class Served(Index, Protocol):
    """An index as the server needs it: with a mark for each page, and a way from a listed file to its bytes.

    What a page lists has its upstream's URL; the server writes its own in its place (`pypim.core.served`). In a worker,
    `project` raises PageIsLong (`pypim.core.ready`) for a page that is longer than it may have in memory.
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

    def length(self, generation: int, project: NormalizedName) -> int:
        """How many files that page has, at most; 0 where there is none."""

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
        """Every file of a project that counts as held for this index (`Holdings.own`), by identity."""

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
        """The sha256 of the core metadata that can be given out of files of one upstream, by their MetadataCache key.

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

    def tell(self, key: str, word: str) -> None:
        """Who has the turn leaves word for those that wait for it. Raises as `turn`."""

    def told(self, key: str) -> str:
        """The newest word of who has the turn; empty where there is none."""


class Hosted(Protocol):
    """What hosted indexes have: the projects and files that people uploaded, and how they came to be."""

    def projects(self, index: str) -> list[HostedProject]:
        """Every project that it has or had, by name."""

    def standing(self, index: str, project: NormalizedName, filename: str = "") -> Standing:
        """What it has of a project, and under the name of a file."""

    def length(self, index: str, project: NormalizedName) -> int:
        """How many files it has of a project."""

    def changes(self, index: str, since: int, most: int) -> list[Change]:
        """Those with a higher serial, in order, so many at most."""

    def last_serial(self, index: str) -> int:
        """That of the last change; 0 before the first."""


class Hosting(Protocol):
    """Changes what hosted indexes have; each call is one durable transaction, and gives each change a serial."""

    def add(self, index: str, file: HostedFile, decided_on: Standing) -> bool:
        """List a file whose bytes are held, in place of the one that had its name.

        False, and nothing changes, where anything of the project or of the name is otherwise by now than it was when
        that was decided: whoever decides looks again then.
        """

    def hold(self, file: HostedFile) -> None:
        """The bytes of a listed file are there again."""

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
