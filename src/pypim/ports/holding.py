"""What the store holds and publishes, and what it remembers of its own runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from packaging.utils import NormalizedName

    from pypim.core.model import Holding
    from pypim.core.plan import Outline
    from pypim.core.records import (
        FileState,
        Finding,
        Generation,
        KeptPlan,
        Removal,
        Run,
        Tally,
        UnheldFile,
        Walk,
    )
    from pypim.core.selection import Problem, Selection


class StagedBlob(Protocol):
    """Bytes on their way in: a temporary file that nobody sees, hashed while it is written."""

    @property
    def file(self) -> str:
        """Its path, where there may be no file yet."""

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

    def place(self, source: Path, state: FileState, holding: Holding, metadata: bytes | None, *, copies: bool) -> bool:
        """Give a file that stands elsewhere on this machine a place here too: by a link, or with `copies` as a copy.

        It is a copy also where the system cannot link; whether it is a link is the answer. The file itself is only
        read, and `state` is what it was when its digests were taken. Not durable before `confirm`; safe to call from
        many threads. Raises CorruptBlob where it has changed, OutOfSpace or StoreUnwritable.
        """

    def confirm_deletions(self) -> None:
        """Make durable that files were deleted: whoever forgets that they had to be would never see them again.

        Raises OutOfSpace or StoreUnwritable.
        """

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
    """The record of what we hold: the row is the commit, written only after `Blobs.keep` returned.

    An index is told of a file only where that came to it: through it, or from its own upstream. What it records came
    to it. A file that somebody uploaded elsewhere is none of its own, whoever lists its name and its hash.
    """

    def holdings(self) -> Iterable[tuple[str, Holding]]:
        """Every (identity, holding); the identity is the listed file's `DistFile.identity`."""

    def holdings_after(self, identity: str, most: int) -> Sequence[tuple[str, Holding]]:
        """So many of them at most, those whose identities come after one: for who goes through very many."""

    def holdings_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities."""

    def own(self) -> Iterable[tuple[str, Holding]]:
        """Those that count for the index that these are of: nothing else may be given out, or taken as held."""

    def own_of(self, identities: Iterable[str]) -> dict[str, Holding]:
        """Those of some identities, likewise."""

    def beside(self, held: Iterable[Holding]) -> dict[str, Holding]:
        """Every record with the file name of one of these: two of them may stand for one file."""

    def record(self, held: Iterable[tuple[str, NormalizedName, Holding]]) -> None:
        """Commit (identity, project, holding) rows in one durable transaction; again is not an error."""

    def forget(self, identities: Iterable[str]) -> None:
        """Remove rows, before the bytes are deleted."""


class Readings(Protocol):
    """When the bytes of each held file were last read and found whole; times in seconds since the epoch."""

    def last_read(self) -> dict[str, float]:
        """By identity; a file that was not read since it was stored was whole then."""

    def oldest(self) -> float | None:
        """The earliest of these times, found without a look at every file; None where nothing is held."""

    def note_read(self, identities: Iterable[str], at: float) -> None:
        """They were read, and are whole; an identity that nobody holds does not matter. A power cut may take this."""


class Tree(Protocol):
    """A published static tree: `simple/` and `packages/` in one folder, for any web server or `file://`."""

    @property
    def where(self) -> str:
        """The folder, for messages."""

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
        """Delete files and the folders that become empty, durably; not an error when they are gone."""


class Generations(Protocol):
    """The published states of an index, each with its selection and the reasons; the newest finished one counts.

    They are kept project by project: a portion is what a selection has of one project. A generation costs as much as
    the projects in which it differs from the one before.
    """

    def current(self, index: str) -> Generation | None:
        """The newest finished generation."""

    def indexes(self) -> list[str]:
        """Every index that has a finished generation, also where no configuration names it any more, in order."""

    def is_interrupted(self, index: str) -> bool:
        """Whether a generation was begun and never finished: what is published may be of either."""

    def listed(self, *, besides: str | None = None) -> set[str]:
        """The identities of all files that the current or an unfinished generation of any index names.

        `besides` is an index whose own generations do not count.
        """

    def listed_among(self, identities: Iterable[str], *, besides: str | None = None) -> set[str]:
        """Those of some identities that `listed` would have; costs as much as there are of them."""

    def selection(self, generation: int) -> Selection:
        """What it holds, as it was given to `begin`."""

    def current_selection(self, index: str) -> Selection | None:
        """What the newest finished generation of an index holds; None where there is none."""

    def portion(self, index: str, project: NormalizedName) -> Selection:
        """What the current generation holds of one project; an empty selection where it has nothing of it."""

    def portions(self, index: str, after: str, most: int) -> list[tuple[NormalizedName, Selection]]:
        """The same of the projects whose names come after one, in order, so many at most."""

    def names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name of which the current generation, or an unfinished one, has something."""

    def chosen_among(self, index: str, names: Iterable[NormalizedName]) -> set[NormalizedName]:
        """Those of some projects of which the current generation, or an unfinished one, has something."""

    def named_among(self, index: str, identities: Iterable[str]) -> set[str]:
        """Those of some identities that the current generation of the index names."""

    def tally(self, index: str) -> Tally:
        """How much the current generation names, and how much of that is held."""

    def unheld(self, index: str, most: int) -> list[UnheldFile]:
        """Files that the current generation names and that are not held, so many at most, by project."""

    def problems(self, index: str) -> tuple[Problem, ...]:
        """What of the current generation was asked for and certainly cannot be had, sorted."""

    def outline(self, index: str) -> Outline:
        """The same without the files, which costs much less; an empty one where there is none."""

    def begin(self, index: str, selection: Selection, started_at: float) -> Generation:
        """Record the next generation with its selection, not yet finished; an unfinished older one is replaced."""

    def amend(
        self, index: str, portions: Mapping[NormalizedName, Selection] | Mapping[str, Selection], started_at: float
    ) -> Generation:
        """The same where only some projects differ from the current one; an empty portion is a project that goes.

        What is said of no single project is under `core.portions.COMMON`.
        """

    def finish(self, generation: Generation, finished_at: float) -> None:
        """The flip: from now on it is the current one; older generations of the index are dropped."""

    def unfinished(self, index: str) -> list[NormalizedName]:
        """The projects in which a generation that was begun and never finished differs from the current one."""

    def abandon(self, index: str) -> None:
        """Forget what was begun and never finished; the current generation stays."""


class Published(Protocol):
    """What stands in the published tree of an index, page by page, so that only what differs is written."""

    def page_digests(self, index: str) -> dict[NormalizedName, str]:
        """Project → digest of the page as it was last written."""

    def keep_page_digests(self, index: str, digests: Mapping[NormalizedName, str | None]) -> None:
        """Record pages that were written (None: removed)."""

    def page_digests_of(self, index: str, names: Iterable[NormalizedName]) -> dict[NormalizedName, str]:
        """Those of some projects; an empty one is of a page that goes as soon as the list does not name it."""

    def page_names(self, index: str, after: str, most: int) -> list[NormalizedName]:
        """The projects after a name that have a page and keep it, so many at most, in order."""

    def leaving(self, index: str) -> list[NormalizedName]:
        """Those that lose their page, in order."""

    def list_digest(self, index: str) -> str | None:
        """Of the list of projects as it was last written; None where it may not be that of the pages."""

    def keep_list_digest(self, index: str, digest: str | None) -> None:
        """Record that the list was written, or (None) that it is about to be wrong."""

    def removals(self, index: str) -> dict[str, Removal]:
        """Identity → file that the index no longer lists and that waits to be deleted."""

    def keep_removals(self, index: str, waiting: Iterable[Removal], settled: Iterable[str]) -> None:
        """Add files that wait; drop those whose wait is over or that are listed again (by identity)."""


class Walks(Protocol):
    """How far each index has come with choosing its projects one by one."""

    def walk(self, index: str) -> Walk | None:
        """The walk that is under way, or the last one; None where there was none."""

    def keep_walk(self, index: str, walk: Walk) -> None:
        """Remember it, durably: what is before it is not looked at again."""

    def revisits(self, index: str, now: float) -> list[NormalizedName]:
        """The projects that are to be looked at again by that time (seconds since the epoch), in order."""

    def keep_revisits(self, index: str, due: Mapping[NormalizedName, float | None]) -> None:
        """Project → when it must be looked at again though nothing has changed; None: no more."""


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
